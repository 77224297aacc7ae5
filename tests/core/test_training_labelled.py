"""Crops of labelled photos: the same for the same step, half of them on damage, borders left out."""

from __future__ import annotations

import copy
import io
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from oldphoto_core.training.checkpoint import load_weights, save_weights
from oldphoto_core.training.data import PhotoBank
from oldphoto_core.training.detector import DetectorSettings, DetectorStage
from oldphoto_core.training.detector_blend import keep_what_is_better
from oldphoto_core.training.judging import labelled_figures
from oldphoto_core.training.labelled import LabelledBank
from oldphoto_core.training.material_folder import LabelledPhoto
from oldphoto_core.training.schedule import Clock, seeded
from tests.core.retraining_material import labelled_material, scratched_photos

SETTINGS = DetectorSettings(preset="tiny", batch=4, crop=32, chunk_photos=1, steps_a_chunk=2, pool_chunks=2)


def photo_with(mask: np.ndarray, ignore: np.ndarray | None = None, name: str = "a") -> LabelledPhoto:
    image = np.full((*mask.shape, 3), 90, np.uint8)
    image[mask] = 230
    return LabelledPhoto(name, image, mask, np.zeros_like(mask) if ignore is None else ignore)


def test_a_steps_crops_depend_on_seed_and_step_alone():
    bank = LabelledBank(scratched_photos(5, 0))
    straight = [bank.crops(step, crop_px=32, batch=4, seed=7) for step in range(6)]
    later = LabelledBank(scratched_photos(5, 0)).crops(5, crop_px=32, batch=4, seed=7)
    assert torch.equal(straight[5].image, later.image)
    assert torch.equal(straight[5].mask, later.mask)
    for other in (
        bank.crops(4, crop_px=32, batch=4, seed=7),
        bank.crops(5, crop_px=32, batch=4, seed=8),
        bank.crops(5, crop_px=32, batch=4, seed=7, rank=1),
    ):
        assert not torch.equal(other.image, later.image)


def test_every_photo_has_its_turn():
    shades = [40, 90, 140, 190, 240]
    photos = [
        LabelledPhoto(f"{s}", np.full((64, 64, 3), s, np.uint8), np.zeros((64, 64), bool), np.zeros((64, 64), bool))
        for s in shades
    ]
    bank = LabelledBank(photos)
    seen: list[str] = []
    for step in range(5):
        for place in range(step * 2, step * 2 + 2):
            order = torch.randperm(5, generator=seeded(3, "labelled/order", place // 5))
            seen.append(bank.names[int(order[place % 5])])
        crops = bank.crops(step, crop_px=32, batch=2, seed=3)
        lighter = crops.image.mean((1, 2, 3)).argsort()
        drawn = torch.tensor([float(name) for name in seen[-2:]])
        apart = (drawn[0] - drawn[1]).abs() > 100  # tone jitter may swap near shades, never far ones
        assert not apart or torch.equal(lighter, drawn.argsort())
    assert sorted(seen[:5]) == sorted(seen[5:]) == sorted(bank.names)


def test_half_of_the_crops_are_centred_on_damage():
    mask = np.zeros((400, 400), bool)
    mask[20:26, 20:26] = True
    bank = LabelledBank([photo_with(mask)])
    crops = [bank.crops(step, crop_px=32, batch=8, seed=0) for step in range(40)]
    share = float(torch.cat([c.mask.amax((1, 2, 3)) for c in crops]).mean())
    assert 0.4 < share < 0.62, "the other half hardly ever meets a spot of six pixels"


def test_two_pixels_at_a_border_and_what_annotators_dispute_count_for_nothing():
    mask, disputed = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    mask[20:40, 20:40], disputed[50:60, 50:60] = True, True
    _, damaged, ignored = LabelledBank([photo_with(mask, disputed)]).whole(0, long_side_px=640)
    damaged, ignored = damaged[0, 0].bool().numpy(), ignored[0, 0].bool().numpy()
    assert damaged[22:38, 22:38].all()
    assert damaged.sum() == 16 * 16
    ring = np.zeros_like(mask)
    ring[18:42, 18:42] = True
    ring[22:38, 22:38] = False
    assert np.array_equal(ignored, ring | disputed)


def test_a_thin_scratch_keeps_all_its_pixels():
    mask = np.zeros((64, 64), bool)
    mask[:, 30:32] = True
    _, damaged, ignored = LabelledBank([photo_with(mask)]).whole(0, long_side_px=640)
    assert np.array_equal(damaged[0, 0].bool().numpy(), mask)
    assert ignored[0, 0, :, 28:34].sum() == 64 * 4


def test_crops_are_images_with_maps_that_do_not_overlap():
    bank = LabelledBank(scratched_photos(4, 3))
    for step in range(10):
        crops = bank.crops(step, crop_px=48, batch=4, seed=1)
        assert crops.image.shape == (4, 3, 48, 48)
        assert crops.image.abs().max() <= 1
        assert set(crops.mask.unique().tolist()) | set(crops.ignore.unique().tolist()) <= {0.0, 1.0}
        assert (crops.mask * crops.ignore).sum() == 0
        brightness = crops.image.mean(1, keepdim=True)
        if crops.mask.sum() > 20:  # the scratch is bright, and the mask turns and scales with it
            assert brightness[crops.mask > 0].mean() > brightness[(crops.mask + crops.ignore) == 0].mean() + 0.3


def test_the_labelled_share_of_a_batch_is_kept():
    material = labelled_material()
    for share, count in ((0.0, 0), (0.5, 2), (1.0, 3)):
        stage = DetectorStage(replace(SETTINGS, labelled_share=share), material)
        with stage.sources[0]:
            image, mask, ignore, labelled = stage._batch(0)
        assert image.shape[0] == mask.shape[0] == ignore.shape[0] == 4
        assert int(labelled.sum()) == count
    stage = DetectorStage(SETTINGS, replace(material, labelled=None, labelled_validation=None))
    with stage.sources[0]:
        assert int(stage._batch(0)[3].sum()) == 0
    assert stage.score == "second/auc"


def test_distillation_and_frozen_statistics_hold_on_to_the_parent():
    material = labelled_material()
    parent = DetectorStage(SETTINGS, material, seed=9)
    parent.sources[0].close()
    stage = DetectorStage(replace(SETTINGS, distil=1.0, frozen_statistics=True), material, parent=parent.detector)
    before = {name: value.clone() for name, value in stage.detector.state_dict().items()}
    with stage.sources[0]:
        losses, _ = stage.step(Clock(0, 0.5), seeded(0, "step", 0))
    after = stage.detector.state_dict()
    assert losses["distil"] > 0
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    assert all(torch.equal(value, after[name]) for name, value in before.items() if "running" in name)


def test_fine_tuning_learns_the_marked_kind():
    material = labelled_material()
    assert material.labelled_validation is not None
    stage = DetectorStage(replace(SETTINGS, rate=1e-2, crop=48, labelled_share=0.75), material, seed=1)
    for group in stage.optimisers["detector"].param_groups:
        group["lr"] = 1e-2
    with stage.sources[0]:
        for step in range(40):
            stage.step(Clock(step, 0.3), seeded(0, "step", step))
    figures = labelled_figures(lambda image: torch.sigmoid(stage.detector.eval()(image)), material.labelled_validation)
    assert figures["auc"] > 0.9, figures
    assert 0 < figures["threshold"] < 1
    assert figures["ap"] > 0.5
    assert stage.score == "mixed/auc"


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_what_is_found_is_told_from_what_is_not(share: float):
    """The figures of a detector that knows the answer, but for a share of pixels drawn at random."""
    mask = np.zeros((64, 64), bool)
    mask[10:50, 30:33] = True
    bank = LabelledBank([photo_with(mask)])
    noise = torch.rand(1, 1, 64, 64, generator=seeded(0, "noise", 0))
    swapped = torch.rand(1, 1, 64, 64, generator=seeded(0, "swapped", 0)) < share
    truth = torch.from_numpy(mask)[None, None].float()
    figures = labelled_figures(lambda image: torch.where(swapped, noise, 0.1 + 0.8 * truth), bank)
    if share == 0:
        assert (figures["auc"], figures["ap"], figures["f1"]) == (1.0, 1.0, 1.0)
    else:
        assert 0.8 < figures["auc"] < 0.95
        assert figures["ap"] < figures["auc"]


def test_photos_reach_another_process_as_a_handful_of_tensors():
    """A shared tensor is an open file, of which a process may have a thousand; an archive has more photos."""
    material = labelled_material()
    assert material.labelled is not None
    for bank in (material.clean, material.labelled):
        storages = []

        class Counting(pickle.Pickler):
            def reducer_override(self, value, kept=storages):
                if isinstance(value, torch.Tensor):
                    kept.append(value)
                return NotImplemented

        stream = io.BytesIO()
        Counting(stream).dump(bank)
        assert len(storages) <= 3 < len(bank)
        again = pickle.loads(stream.getvalue())
        assert again.names == bank.names
        if isinstance(bank, PhotoBank):
            assert all(torch.equal(a, b) for a, b in zip(again.photos, bank.photos, strict=True))
        else:
            crops = [b.crops(3, crop_px=32, batch=4, seed=1) for b in (again, bank)]
            assert torch.equal(crops[0].image, crops[1].image)
            assert torch.equal(crops[0].mask, crops[1].mask)


def test_pixels_beside_a_label_that_the_parent_is_sure_of_are_not_trained_on():
    material = labelled_material()

    class Certain(torch.nn.Module):
        """A detector that takes everything for damaged, or nothing."""

        def __init__(self, logit: float):
            super().__init__()
            self.logit = torch.nn.Parameter(torch.tensor(logit))

        def forward(self, image):
            return self.logit.expand(image.shape[0], 1, *image.shape[-2:])

    losses = []
    for logit in (-9.0, 9.0):
        stage = DetectorStage(replace(SETTINGS, labelled_share=1.0, dice=0.0), material, parent=Certain(logit))
        with stage.sources[0]:
            losses.append(stage.step(Clock(0, 0.5), seeded(0, "step", 0))[0]["focal"].item())
    assert losses[0] != losses[1]


def test_of_a_fine_tuned_detector_as_much_is_kept_as_forgets_little(tmp_path: Path):
    parent, trained = (DetectorStage(SETTINGS, labelled_material(), seed=seed) for seed in (9, 4))
    for stage in (parent, trained):
        stage.sources[0].close()
    save_weights(tmp_path / "last.safetensors", {"detector": trained.detector}, {"step": 7})
    old, new = parent.detector.state_dict(), trained.detector.state_dict()
    name = next(n for n, value in old.items() if not torch.equal(value, new[n]))

    def distance(one: torch.nn.Module) -> float:
        """How far a detector lies from the parent, as a share of the way to the trained one."""
        return float(((one.state_dict()[name] - old[name]) / (new[name] - old[name])).median())

    for learned, forgotten, kept in ((0.2, 0.0, 1.0), (0.2, 0.015, 0.4), (0.2, 0.2, 0.0), (-0.1, 0.0, 0.0)):

        def judge(networks, learned=learned, forgotten=forgotten):
            share = distance(networks["detector"])
            return {"labelled/auc": 0.6 + learned * share, "second/auc": 0.75 - forgotten * share}

        assert keep_what_is_better(judge, parent.detector, tmp_path) == kept
        found = copy.deepcopy(parent.detector)
        notes = load_weights(tmp_path / "best.safetensors", {"detector": found})
        assert (notes["share_of_change"], notes["step"]) == (kept, 7)
        assert distance(found) == pytest.approx(kept, abs=1e-4)
