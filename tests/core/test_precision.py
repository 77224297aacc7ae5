"""The precision of a CPU is found by trying, remembered, and never a reason to fail."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from oldphoto_core.errors import ConfigError
from oldphoto_core.models.detector import DetectorConfig
from oldphoto_core.models.presets import Preset, build_detector, build_restoration, preset
from oldphoto_core.models.translation import TranslationConfig
from oldphoto_core.models.vae import VAEConfig
from oldphoto_core.releases.bundle import LoadedRelease, load_release, save_release
from oldphoto_core.restoration import precision
from oldphoto_core.restoration.precision import choose_cpu_precision, prepare_release

CPU = torch.device("cpu")


@pytest.fixture
def release(tmp_path: Path) -> LoadedRelease:
    torch.manual_seed(0)
    sizes, folder = preset("tiny"), tmp_path / "release"
    return load_release(
        save_release(folder, sizes=sizes, detector=build_detector(sizes), network=build_restoration(sizes), card={})
    )


def chosen(release: LoadedRelease, cache: Path, weights_hash: str = "w") -> str:
    return choose_cpu_precision(release.detector, release.network, weights_hash=weights_hash, cache_folder=cache)


def test_what_was_found_is_remembered_by_release(release: LoadedRelease, tmp_path: Path) -> None:
    """The file's word is taken the next time, and only for the same weights."""
    first = chosen(release, tmp_path / "cache")
    (answer,) = (tmp_path / "cache").iterdir()
    kept = json.loads(answer.read_text())
    assert kept["precision"] == first
    assert all(seconds > 0 for seconds in kept["seconds"].values())

    other = {"float32": "bfloat16", "bfloat16": "float32"}[first]
    answer.write_text(json.dumps({"precision": other}))
    assert chosen(release, tmp_path / "cache") == other
    chosen(release, tmp_path / "cache", weights_hash="of another release")
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("broken", [b"", b"\xff\xfe", b"{}", b"[]", b'{"precision": "float7"}'])
def test_a_broken_answer_is_found_anew(release: LoadedRelease, tmp_path: Path, broken: bytes) -> None:
    chosen(release, tmp_path / "cache")
    (answer,) = (tmp_path / "cache").iterdir()
    answer.write_bytes(broken)
    assert json.loads(json.dumps(chosen(release, tmp_path / "cache"))) in ("float32", "bfloat16")
    assert json.loads(answer.read_text())["precision"] in ("float32", "bfloat16")


def test_a_cache_that_cannot_be_written_is_no_error(release: LoadedRelease, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("in the way")
    assert chosen(release, tmp_path / "a file" / "cache") in ("float32", "bfloat16")


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_used(release: LoadedRelease, tmp_path: Path, name: str) -> None:
    prepared, used = prepare_release(release, device=CPU, precision=name, cache_folder=tmp_path / "cache")  # type: ignore[arg-type]
    assert used == name
    assert prepared.detector.head.weight.dtype == getattr(torch, name)
    assert not (tmp_path / "cache").exists()  # nothing was tried


def test_networks_of_the_papers_kind_stay_in_float32(release: LoadedRelease, tmp_path: Path) -> None:
    """Instance norm and plain attention have no copy for restoring alone."""
    kind = Preset(
        name="small",
        detector=DetectorConfig(kind="plain", widths=(4, 8)),
        vae=VAEConfig(kind="residual", latent_channels=8, width=8, depth=1),
        translation=TranslationConfig(kind="residual", latent_channels=8, widths=(8, 8), depths=(1, 1), inner=8),
        look=None,
    )
    papers = replace(release, detector=build_detector(kind), network=build_restoration(kind))
    prepared, used = prepare_release(papers, device=CPU, cache_folder=tmp_path / "cache")
    assert (used, prepared.network, prepared.detector) == ("float32", papers.network, papers.detector)
    with pytest.raises(ConfigError, match="computed in float32"):
        prepare_release(papers, device=CPU, precision="bfloat16")


def test_an_unknown_precision_is_refused(release: LoadedRelease) -> None:
    with pytest.raises(ConfigError, match="expected auto, float32 or bfloat16"):
        prepare_release(release, device=CPU, precision="float16")  # type: ignore[arg-type]


def test_a_gpu_is_left_to_autocast(release: LoadedRelease) -> None:
    """Told by the device's name alone: nothing is computed."""
    prepared, used = prepare_release(release, device=torch.device("cuda"))
    assert (used, prepared) == ("bfloat16", release)
    assert prepare_release(release, device=torch.device("cuda"), precision="float32")[1] == "float32"


def test_a_machine_that_fails_in_bfloat16_gets_float32(release: LoadedRelease, tmp_path: Path) -> None:
    """As a build of PyTorch without bfloat16 does: by a RuntimeError, on the first try."""

    class Picky(type(release.detector)):  # type: ignore[misc]
        def forward(self, image):
            if self.head.weight.dtype == torch.bfloat16:
                raise RuntimeError("no bfloat16 here")
            return super().forward(image)

    release.detector.__class__ = Picky
    assert chosen(release, tmp_path / "cache") == "float32"


def test_the_users_cache_is_where_the_system_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert precision.user_cache_folder() == tmp_path / "oldphoto"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/anna")
    assert precision.user_cache_folder() == Path("/home/anna/.cache/oldphoto")


def test_prepared_networks_detect_as_the_release_does(release: LoadedRelease) -> None:
    image = torch.from_numpy(np.random.default_rng(0).random((1, 3, 64, 80), dtype=np.float32)) * 2 - 1
    prepared, _ = prepare_release(release, device=CPU, precision="float32")
    with torch.inference_mode():
        assert torch.allclose(prepared.detector(image), release.detector(image), atol=1e-5)
