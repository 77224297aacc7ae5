"""A detector asked from several sides answers for the picture, whichever way it lies."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from oldphoto_core import Restorer
from oldphoto_core.models.presets import build_detector, preset
from oldphoto_core.models.views import VIEWS, seen_from
from oldphoto_core.releases.bundle import LoadedRelease
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.survey import survey
from oldphoto_core.restoration.working import ReducedPhoto
from oldphoto_core.training.detector_report import operating_point


@pytest.fixture(scope="module")
def detector() -> torch.nn.Module:
    torch.manual_seed(3)
    return build_detector(preset("tiny")).eval().requires_grad_(False)


def _picture(height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_one_view_is_the_detector_itself(detector: torch.nn.Module) -> None:
    assert torch.equal(seen_from(detector, _picture(), 1), detector(_picture()))


@pytest.mark.parametrize(
    ("views", "axes"), [(2, (3,)), (4, (3,)), (4, (2,)), (8, (3,)), (8, (2,)), (8, (2, 3))], ids=str
)
def test_a_picture_laid_otherwise_gets_the_same_answer_laid_otherwise(
    detector: torch.nn.Module, views: int, axes: tuple[int, ...]
) -> None:
    answer = seen_from(detector, _picture(), views)
    assert torch.allclose(seen_from(detector, _picture().flip(axes), views).flip(axes), answer, atol=1e-4)
    assert not torch.allclose(answer, detector(_picture()), atol=1e-2)


def test_eight_views_know_no_side(detector: torch.nn.Module) -> None:
    answer = seen_from(detector, _picture(), 8)
    assert answer.shape == (2, 1, 64, 96)
    assert torch.allclose(seen_from(detector, _picture().transpose(2, 3), 8).transpose(2, 3), answer, atol=1e-4)


def test_other_numbers_are_refused(detector: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="3 views: expected one of 1, 2, 4, 8"):
        seen_from(detector, _picture(), 3)


def _with_views(release: LoadedRelease, views: int) -> Networks:
    operating = {**release.card.card["operating"], "views": views}
    card = replace(release.card, card={**release.card.card, "operating": operating})
    return Networks(
        replace(release, card=card, detector=copy.deepcopy(release.detector)),
        device=torch.device("cpu"), precision="float32",
    )  # fmt: skip


@pytest.mark.parametrize("views", VIEWS)
def test_tiles_are_seen_as_the_whole_photo_is(views: int) -> None:
    networks = _with_views(Restorer.from_release("default", device="cpu").release, views)
    random = np.random.default_rng(5)
    photo = ReducedPhoto(random.integers(0, 65_535, (203, 331, 3)).astype(np.uint16))
    whole = survey(photo, networks, tile_px=None, mask=None)
    tiled = survey(photo, networks, tile_px=100, mask=None)
    assert tiled.tiles > whole.tiles
    np.testing.assert_allclose(tiled.mask.astype(float), whole.mask.astype(float), atol=1)


def test_a_retrained_release_keeps_its_views() -> None:
    point = operating_point({"mask_from": 0.4, "mask_sure": 0.6, "views": 8}, *_histograms())
    assert point is not None and point["views"] == 8
    assert 0 < point["mask_from"] < point["mask_sure"] < 1


def _histograms():
    from oldphoto_core.evaluation.detection import ScoreHistogram

    random = np.random.default_rng(0)
    counted = ScoreHistogram()
    counted.add(random.random((50, 50)), random.random((50, 50)) > 0.8)
    return {"second": counted}, {"second": counted}
