"""A photo restored in tiles is the photo restored whole, by the real release, in every mode."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oldphoto_core import Restorer
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.repair import Repair
from oldphoto_core.restoration.survey import survey
from oldphoto_core.restoration.working import ReducedPhoto, as_float

ONE_LEVEL = 1 / 255


@pytest.fixture(scope="module")
def networks() -> Networks:
    """The packaged release, whose global branch has learned something."""
    release = Restorer.from_release("default", device="cpu").release
    return Networks(release, device=torch.device("cpu"), precision="float32")


def damaged_photo(height: int, width: int, seed: int) -> tuple[ReducedPhoto, np.ndarray]:
    """A photo with shapes, grain and scratches, and the scratches' mask."""
    random = np.random.default_rng(seed)
    coarse = random.random((9, 11, 3), dtype=np.float32)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image += random.normal(0, 0.03, (height, width, 1)).astype(np.float32)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(6):
        ends = [(int(random.integers(0, width)), int(random.integers(0, height))) for _ in range(2)]
        cv2.line(mask, *ends, 255, int(random.integers(1, 9)))
    image[mask > 0] = 0.95
    codes = np.rint(np.clip(image, 0, 1) * 65_535).astype(np.uint16)
    return ReducedPhoto(codes), mask


def restored(networks: Networks, photo: ReducedPhoto, tile_px: int | None, mode: str, tone: str, mask) -> np.ndarray:
    """(H, W, 3) in [0, 1]."""
    found = survey(photo, networks, tile_px=tile_px, mending="normal", mask=mask)
    repair = Repair(networks, found, tile_px, mode, tone)  # type: ignore[arg-type]
    return as_float(np.concatenate([rows.image for rows in repair.rows(photo)]))


@settings(max_examples=4)
@given(
    height=st.integers(70, 360),
    width=st.integers(70, 360),
    tile_px=st.integers(60, 250),
    seed=st.integers(0, 99),
    given_mask=st.booleans(),
    manner=st.sampled_from([("full", "correct"), ("full", "keep"), ("scratches", "keep")]),
)
def test_tiles_of_any_size_and_offset_leave_no_seam(networks, height, width, tile_px, seed, given_mask, manner):
    photo, mask = damaged_photo(height, width, seed)
    whole = restored(networks, photo, None, *manner, mask if given_mask else None)
    tiled = restored(networks, photo, tile_px, *manner, mask if given_mask else None)
    assert np.abs(whole - tiled).max() <= ONE_LEVEL
