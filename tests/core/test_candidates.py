"""A candidate is measured beside the active release, on the same photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oldphoto_core.evaluation.candidates import judge_candidate
from oldphoto_core.evaluation.promotion_rules import decide
from oldphoto_core.models.presets import build_detector, preset
from oldphoto_core.releases.bundle import load_release, save_release
from oldphoto_core.training.material_folder import write_labelled, write_old
from oldphoto_core.training.schedule import fresh_weights
from tests.core.retraining_material import labelled_material, scratched_photos, tiny_release


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("material")
    for photo in scratched_photos(2, 4):
        write_labelled(folder, "test", photo.name, photo.image, photo.mask)
        write_old(folder, "test", photo.name, photo.image)
    return replace(labelled_material(), folder=folder)


def test_a_release_beside_itself_has_the_same_figures_and_may_be_promoted(material, tmp_path: Path):
    card = tiny_release(tmp_path / "release")
    shares: list[float] = []
    judgement = judge_candidate(
        card, card, material, count=2, side_px=96, sheet=tmp_path / "sheet.png", progress=shares.append
    )
    assert judgement.candidate_figures == judgement.active_figures
    assert judgement.photos == {"labelled": 2, "pairs": 2, "old": 2}
    assert {f"{g}/{f}" for g in ("first", "second") for f in ("auc", "psnr", "gain", "ssim")} <= set(
        judgement.candidate_figures
    )
    assert 0 <= judgement.candidate_figures["labelled/auc"] <= 1
    assert judgement.candidate_figures["clean/psnr_p5"] <= judgement.candidate_figures["clean/psnr"]
    assert decide(judgement).promote
    assert shares == [0.5, 1.0]
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_a_release_that_ruins_clean_photos_is_told_apart(material, tmp_path: Path):
    active = tiny_release(tmp_path / "release")
    network = load_release(active).network
    network.vae_y.from_latent.weight.data *= 0.5
    with fresh_weights(0, "another detector"):
        detector = build_detector(preset("tiny"))
    candidate = save_release(tmp_path / "bad", sizes=preset("tiny"), detector=detector, network=network, card={})
    judgement = judge_candidate(candidate, active, material, count=2, side_px=96)
    decision = decide(judgement)
    assert not decision.promote
    assert any(reason.startswith("clean photos unharmed: broken") for reason in decision.reasons)
