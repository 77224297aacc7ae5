"""How far look and translation are believed: tone where a photo has neither white nor black, change within grain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from oldphoto_core.releases.bundle import load_release
from oldphoto_core.releases.card import find_release
from oldphoto_core.restoration.evidence import MOST_CHANGE, evidence_of_fading, kept_within_grain
from oldphoto_core.restoration.networks import Networks


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


def test_the_translation_changes_no_more_than_grain() -> None:
    generator = torch.Generator().manual_seed(4)
    toned = torch.rand(2, 3, 40, 40, generator=generator) * 2 - 1
    restored = torch.rand(2, 3, 40, 40, generator=generator) * 2 - 1
    change = (kept_within_grain(toned, restored) - toned).abs() / 2
    assert float(change.max()) == pytest.approx(MOST_CHANGE, rel=1e-4)
    toned = toned * 0.7  # far from black and white
    slight = toned + 0.5 * MOST_CHANGE
    assert torch.equal(kept_within_grain(toned, slight), toned + (slight - toned))


def test_black_and_white_are_hardly_changed() -> None:
    toned = torch.tensor([-1.0, -0.9, 0.0, 0.9, 1.0]).expand(1, 3, 2, 5)
    change = kept_within_grain(toned, -0.3 * toned.sign()) - toned
    changed = (change[0, 0, 0].abs() * 255 / 2).tolist()
    assert changed[0] == pytest.approx(2, abs=0.01) and changed[4] == pytest.approx(2, abs=0.01)
    assert changed[0] < changed[1] < 16 and changed[1] == pytest.approx(changed[3], abs=0.01)
