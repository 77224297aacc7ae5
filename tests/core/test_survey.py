"""The first pass over a photo: what is found in tiles, and what tone is told by."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from oldphoto_core import Restorer
from oldphoto_core.models.detector import ALLOWED_ALONE, COARSE
from oldphoto_core.releases.bundle import LoadedRelease
from oldphoto_core.restoration.mask import codes_of, probabilities_of
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.survey import enlarged_rows, survey
from oldphoto_core.restoration.working import ReducedPhoto, as_float

SIZE = (301, 223)
"""No multiple of the second look's squares."""


@pytest.fixture(scope="module")
def release() -> LoadedRelease:
    return Restorer.from_release("default", device="cpu").release


@pytest.fixture(scope="module")
def networks(release) -> Networks:
    return Networks(release, device=torch.device("cpu"), precision="float32")


@pytest.fixture(scope="module")
def photo() -> ReducedPhoto:
    """Soft shapes, grain, a scratch and a white piece as large as a face."""
    random = np.random.default_rng(3)
    image = cv2.resize(random.random((9, 11, 1), dtype=np.float32), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    image = image * 0.5 + random.normal(0, 0.02, SIZE).astype(np.float32)
    cv2.line(image, (20, 10), (200, 280), 0.98, 2)
    cv2.ellipse(image, (110, 150), (50, 35), 20, 0, 360, 0.95, -1)
    codes = np.rint(np.clip(image, 0, 1) * 65_535).astype(np.uint16)
    return ReducedPhoto(np.repeat(codes[:, :, None], 3, axis=2))


def enlarged(logits: torch.Tensor) -> torch.Tensor:
    whole = F.interpolate(logits, scale_factor=float(COARSE), mode="bilinear", align_corners=False)
    return whole[..., : SIZE[0], : SIZE[1]]


@pytest.mark.parametrize("tile_px", [None, 128, 96])
def test_what_is_found_is_two_looks_at_the_whole_joined_whatever_the_tiles(release, networks, photo, tile_px):
    found = survey(photo, networks, tile_px=tile_px, mending="normal").found
    image = torch.from_numpy(as_float(photo.pixels) * 2 - 1).permute(2, 0, 1)[None]
    detector, offset = release.detector, release.card.logit_offset
    with torch.inference_mode():
        once = detector.at_one_scale(image) + offset
        squares = F.avg_pool2d(F.pad(image, (0, -SIZE[1] % COARSE, 0, -SIZE[0] % COARSE), mode="replicate"), COARSE)
        coarse = detector.at_one_scale(squares) + offset
        again = enlarged(coarse.clamp(-8, 8))
        once = once.clamp(-8, 8)
        joined = torch.maximum((once + again) / 2, once - ALLOWED_ALONE)
        assert torch.allclose(detector(image) + offset, joined, atol=1e-4)
    bounded = joined[0, 0].numpy()
    differences = np.abs(found.astype(int) - codes_of(1 / (1 + np.exp(-bounded))).astype(int))
    assert differences.max() <= 3 and differences.mean() < 0.5
    assert float((once - again).abs().max()) > 2, "the second look must matter for this to say anything"


def test_rows_are_enlarged_as_the_whole_is():
    values = np.random.default_rng(0).normal(size=(40, 21)).astype(np.float32)
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], scale_factor=float(COARSE), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    height, width = whole.shape
    for top, rows in ((0, 7), (7, 50), (57, height - 57)):
        part = enlarged_rows(values, COARSE, top, (rows, width - 2))
        assert part.shape == (rows, width - 2)
        assert np.allclose(part, whole[top : top + rows, : width - 2], atol=1e-5)


def test_what_is_found_and_left_as_it_is_tells_nothing_of_the_tone(networks, photo):
    found = survey(photo, networks, tile_px=None, mending="sure")
    likely = probabilities_of(found.found) > 0.55
    assert likely.any() and found.small_mask[likely].min() == 1
