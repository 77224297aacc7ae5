"""How far detector and look are believed: damage on calm ground, and tone where a photo has neither white nor black."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from oldphoto_core.releases.bundle import load_release
from oldphoto_core.releases.card import find_release
from oldphoto_core.restoration.evidence import (
    EVIDENCE_REACH_PX,
    MOST_CHANGE,
    RIM_PX,
    bounded_by_surroundings,
    evidence_of_fading,
    kept_within_grain,
)
from oldphoto_core.restoration.networks import Networks


def probabilities(seed: int = 3) -> np.ndarray:
    """Calm ground on the left, a busy texture on the right, and a scratch across both."""
    rng = np.random.default_rng(seed)
    field = rng.uniform(0, 0.05, (96, 192)).astype(np.float32)
    field[:, 96:] = rng.uniform(0.2, 0.85, (96, 96))
    field[48:50] = 0.99
    return field


def test_a_scratch_is_believed_on_calm_ground_and_doubted_in_a_busy_texture() -> None:
    found = bounded_by_surroundings(probabilities())
    assert (found[48:50, :64] == np.float32(0.99)).all()
    assert found[48:50, 128:].max() < 0.6


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_a_lone_scratch_of_any_width_is_acted_on(width: int) -> None:
    field = np.full((96, 96), 0.02, np.float32)
    field[48 : 48 + width] = 0.99
    assert bounded_by_surroundings(field)[48 : 48 + width].min() > 0.9


def test_a_slanting_scratch_and_two_that_cross_upright_are_acted_on() -> None:
    slanting, crossing = (np.full((96, 96), 0.02, np.float32) for _ in range(2))
    cv2.line(slanting, (0, 10), (95, 90), 0.99, 3)
    crossing[:, 46:49] = crossing[46:49] = 0.99
    for field in (slanting, crossing):
        assert bounded_by_surroundings(field)[field > 0.5].min() > 0.9


def test_strokes_in_a_crowd_as_of_letters_are_doubted_however_sure_each_is() -> None:
    field = np.full((96, 96), 0.02, np.float32)
    for left in range(8, 88, 9):
        field[30:46, left : left + 2] = field[30:32, left : left + 7] = field[38:40, left : left + 7] = 0.99
    found = bounded_by_surroundings(field)
    assert found[36:42, 30:66].max() < 0.85


def test_a_cloth_of_threads_too_far_apart_for_a_crowd_nearby_is_doubted() -> None:
    """A net with a thread every 24 pixels: four edges in the small square, but edges everywhere in the wide one."""
    net = np.full((192, 192), 0.02, np.float32)
    net[::24] = net[1::24] = net[:, ::24] = net[:, 1::24] = 0.97
    lone = np.full((192, 192), 0.02, np.float32)
    lone[96:98] = 0.97
    assert bounded_by_surroundings(net)[64:128, 64:128].max() < 0.9
    assert bounded_by_surroundings(lone)[96, 64:128].min() > 0.96


def test_wide_damage_that_the_detector_is_sure_of_is_believed() -> None:
    field = np.zeros((96, 96), np.float32)
    field[20:76, 20:76] = 0.98
    assert np.array_equal(bounded_by_surroundings(field), field)


def test_no_pixel_crosses_one_half_by_its_surroundings() -> None:
    field = probabilities()
    assert np.array_equal(bounded_by_surroundings(field) >= 0.5, field >= 0.5)
    assert (bounded_by_surroundings(field) <= field).all()


def test_what_is_believed_of_a_piece_is_what_is_believed_of_the_whole() -> None:
    field, reach = np.tile(probabilities(), (2, 1)), EVIDENCE_REACH_PX
    whole = bounded_by_surroundings(field)
    piece = bounded_by_surroundings(field[20:120, 40:150])
    inner = piece[reach:-reach, reach:-reach]
    assert inner.size > 1000
    assert np.abs(inner - whole[20 + reach : 120 - reach, 40 + reach : 150 - reach]).max() < 1e-5


def thumbnail(lightest: float, darkest: float = 0.1) -> torch.Tensor:
    """Grey values spread evenly between two ends, and all over the photo."""
    values = torch.linspace(darkest, lightest, 64 * 64)
    places = torch.randperm(64 * 64, generator=torch.Generator().manual_seed(0))
    return values[places].reshape(1, 1, 64, 64).expand(1, 3, 64, 64) * 2 - 1


@pytest.mark.parametrize(("lightest", "expected"), [(0.7, 1.0), (0.92, 1.0), (1.0, 0.0)])
def test_a_photo_that_holds_white_shows_no_fading(lightest: float, expected: float) -> None:
    assert evidence_of_fading(thumbnail(lightest)) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("darkest", "expected"), [(0.2, 1.0), (0.05, 1.0), (0.0, 0.0)])
def test_a_photo_that_holds_black_shows_no_fading(darkest: float, expected: float) -> None:
    assert evidence_of_fading(thumbnail(0.7, darkest)) == pytest.approx(expected, abs=0.05)


def test_yellowed_paper_keeps_its_black() -> None:
    yellowed = thumbnail(0.9, 0.0).clone()
    yellowed[:, 2] = yellowed[:, 2] * 0.8 - 0.2  # of what paper shows, blue goes first
    assert evidence_of_fading(yellowed) == 1.0


def test_a_margin_around_a_faded_print_is_no_white_or_black_of_the_print() -> None:
    """Prints are scanned with their mounts, on black album pages, and on the white lid of the scanner."""
    for mount in (1.0, -1.0):
        print_on_mount = torch.full((1, 3, 64, 64), mount)
        print_on_mount[:, :, 5:-5, 5:-5] = thumbnail(0.7)[:, :, 5:-5, 5:-5]
        assert evidence_of_fading(print_on_mount) == 1.0


def test_one_channel_without_white_is_evidence_of_a_cast() -> None:
    yellowed = thumbnail(1.0).clone()
    yellowed[:, 2] = thumbnail(0.7)[:, 2]
    assert evidence_of_fading(yellowed) == 1.0


def test_the_tone_of_a_photo_that_holds_white_is_left_alone() -> None:
    networks = Networks(load_release(find_release()), device=torch.device("cpu"), precision="float32")
    rng = np.random.default_rng(1)
    piece = rng.uniform(0, 1, (64, 64, 3)).astype(np.float32)
    white = thumbnail(0.6).clone()
    white[:, :, 8:16] = 1.0
    nothing = torch.zeros(1, 1, 64, 64)
    kept = networks.tone(piece, networks.glance(white, nothing), (0, 0, 1, 1))
    assert np.abs(kept - piece).max() < 1e-4
    changed = networks.tone(piece, networks.glance(thumbnail(0.6), nothing), (0, 0, 1, 1))
    assert np.abs(changed - piece).mean() > 0.01


def test_beside_damage_the_translation_changes_no_more_than_grain() -> None:
    generator = torch.Generator().manual_seed(4)
    toned = torch.rand(2, 3, 40, 40, generator=generator) * 2 - 1
    restored = torch.rand(2, 3, 40, 40, generator=generator) * 2 - 1
    mask = torch.zeros(2, 1, 40, 40)
    mask[:, :, 10:14, 10:30] = 1
    found = kept_within_grain(toned, restored, mask)
    rim = slice(10 - RIM_PX, 14 + RIM_PX), slice(10 - RIM_PX, 30 + RIM_PX)
    assert torch.equal(found[:, :, *rim], restored[:, :, *rim])
    change = (found - toned).abs() / 2
    change[:, :, *rim] = 0
    assert float(change.max()) == pytest.approx(MOST_CHANGE, rel=1e-4)
    slight = toned + 0.5 * MOST_CHANGE
    assert torch.equal(kept_within_grain(toned, slight, torch.zeros_like(mask)), toned + (slight - toned))
