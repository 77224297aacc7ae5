"""Facts about training on from a release."""

from __future__ import annotations

import pytest
import torch

from oldphoto_core.errors import TrainingError
from oldphoto_core.models.presets import build_detector, build_look, build_restoration, preset
from oldphoto_core.releases.bundle import save_release
from oldphoto_core.training.checkpoint import load_release_weights


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    torch.manual_seed(0)
    tiny = preset("tiny")
    detector = build_detector(tiny)
    folder = tmp_path_factory.mktemp("release")
    save_release(folder, sizes=tiny, detector=detector, network=build_restoration(tiny), card={})
    return folder, detector


def test_a_stage_takes_its_networks_from_a_release(release):
    folder, detector = release
    fresh = build_detector(preset("tiny"))
    load_release_weights(folder, {"detector": fresh})
    for name, tensor in detector.state_dict().items():
        expected = tensor if tensor.ndim < 2 else tensor.half().float()
        assert torch.equal(fresh.state_dict()[name], expected), name


def test_a_release_of_other_sizes_is_refused_by_path(release):
    folder, _ = release
    with pytest.raises(TrainingError, match=r"look\.safetensors is of other sizes"):
        load_release_weights(folder, {"look": build_look(preset("archive"))})


def test_a_missing_network_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"detector\.safetensors is missing"):
        load_release_weights(tmp_path, {"detector": build_detector(preset("tiny"))})
