"""What a restoration did, measured: the figures, their edges, and that strips give what the whole gives."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oldphoto_core.restoration.fidelity import FidelityFigures
from oldphoto_core.restoration.fidelity_meter import MEASURED_PX, FidelityMeter


def measured(before: np.ndarray, after: np.ndarray, mask: np.ndarray | None = None, cuts: tuple[int, ...] = (),
             *, monochrome: bool = False) -> FidelityFigures:  # fmt: skip
    """The figures of a photo given in strips that end at `cuts`."""
    height, width = before.shape[:2]
    mask = np.zeros((height, width), np.float32) if mask is None else mask
    meter = FidelityMeter(height, width, monochrome=monochrome)
    for top, bottom in pairwise([0, *sorted(cuts), height]):
        meter.add(top, before[top:bottom], after[top:bottom], mask[top:bottom])
    return meter.figures()


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) float32 in [0.05, 0.95]: smooth coloured waves with edges, like a photo's."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / rng.uniform(5, 30) + rng.uniform(0, 6)) * np.cos(y / rng.uniform(5, 30)) for _ in range(3)]
    edges = ((x // 37 + y // 23) % 3)[..., None] * np.array([0.1, 0.13, 0.08])
    return (0.2 + 0.15 * (1 + np.stack(waves, axis=-1)) + edges).clip(0.05, 0.95).astype(np.float32)


@given(
    size=st.sampled_from([(32, 32), (57, 90), (33, 40_000), (1300, 1100)]),
    shares=st.lists(st.floats(0, 1), max_size=5),
)
@settings(max_examples=25, deadline=None)
def test_any_cut_into_strips_gives_the_figures_of_the_whole(size: tuple[int, int], shares: list[float]) -> None:
    before = picture(*size)
    after = np.clip(before**0.9 + 0.01 * np.sin(np.arange(size[1]))[None, :, None], 0, 1).astype(np.float32)
    mask = (before[..., 0] > 0.6).astype(np.float32)
    cuts = tuple(round(share * size[0]) for share in shares)
    assert measured(before, after, mask, cuts, monochrome=True) == measured(before, after, mask, monochrome=True)


@pytest.mark.parametrize("size", [(32, 32), (200, 300), (1100, 1300)])
def test_a_photo_that_did_not_change_differs_in_nothing(size: tuple[int, int]) -> None:
    before = picture(*size)
    figures = measured(before, before).as_dict()
    assert figures.pop("gradient_correlation") == 1
    assert figures.pop("measured_px") <= MEASURED_PX
    assert set(figures.values()) == {0.0}


@pytest.mark.parametrize("monochrome", [False, True])
def test_a_change_of_tone_alone_is_seen_raw_and_is_nothing_tone_free(monochrome: bool) -> None:
    before = picture(300, 400)
    if monochrome:
        before = np.repeat(before[..., :1], 3, axis=2)
    cast = np.array([[0.8, 0.1, 0.05], [0.05, 0.75, 0.1], [0.0, 0.1, 0.6]], np.float32)
    for after in (before**0.6, before @ cast + 0.1, (0.1 + 0.8 * before) ** np.array([0.7, 0.9, 1.3]) @ cast):
        figures = measured(before, (np.rint(after * 255) / 255).astype(np.float32))
        assert figures.delta_e_mean > 5
        assert figures.tone_free_delta_e_mean < 0.5
        assert figures.gradient_correlation > 0.99


def test_grain_is_no_change_of_tone() -> None:
    before = picture(300, 400)
    grain = np.random.default_rng(1).normal(0, 0.03, before.shape)
    figures = measured(before, (before**0.8 + grain).clip(0, 1).astype(np.float32))
    assert figures.tone_free_delta_e_mean > 2
    assert figures.tone_free_delta_e_p95 > figures.tone_free_delta_e_mean
    assert figures.tone_free_delta_e_mean < figures.delta_e_mean
    assert figures.gradient_correlation < 0.95


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # sRGB, D65, CIEDE2000 with every weight 1; greys by hand from the formula: dL' / S_L = 9.83 / 1.11
        ((0.5, 0.5, 0.5), (0.6, 0.6, 0.6), 8.86),
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), 86.61),
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 100.0),
    ],
)
def test_differences_are_ciede2000(first: tuple[float, ...], second: tuple[float, ...], expected: float) -> None:
    before = np.full((40, 40, 3), first, np.float32)
    after = np.full((40, 40, 3), second, np.float32)
    figures = measured(before, after)
    assert figures.delta_e_mean == pytest.approx(expected, abs=0.05)
    assert figures.delta_e_p95 == pytest.approx(expected, abs=0.05)
    assert figures.changed_share == 1


def test_what_is_within_three_pixels_of_damage_is_not_outside() -> None:
    before = picture(64, 64)
    mask = np.zeros((64, 64), np.float32)
    mask[:, 30] = 0.51
    after = before.copy()
    after[:, 27:34] = 0.5
    figures = measured(before, after, mask)
    assert figures.mask_coverage == 1 / 64
    assert figures.delta_e_mean == figures.delta_e_p95 == 0
    assert figures.changed_share == pytest.approx(7 / 64, abs=0.02)
    after[:, 26] = 1 - before[:, 26]
    assert measured(before, after, mask).delta_e_mean > 0.1


def test_damage_in_one_patch_of_a_large_photo_takes_nothing_from_its_neighbours() -> None:
    size = 1500, 1500
    before, mask = np.full((*size, 3), 0.5, np.float32), np.zeros(size, np.float32)
    mask[:, :10] = 1
    after = before.copy()
    after[:, 13:] = 0.6
    after[:, :13] = 0.9
    figures = measured(before, after, mask)
    assert figures.mask_coverage == pytest.approx(10 / 1500)
    assert figures.delta_e_p95 == pytest.approx(figures.delta_e_mean, rel=1e-6) == pytest.approx(8.86, abs=0.05)


def test_clipped_values_are_counted_at_each_end() -> None:
    before = np.full((40, 50, 3), 0.5, np.float32)
    before[:4] = 1.0
    after = before.copy()
    after[:10], after[30:] = 1.0, 0.0
    figures = measured(before, after)
    assert figures.clipped_white_growth == pytest.approx(6 / 40)
    assert figures.clipped_black_growth == pytest.approx(10 / 40)
    assert measured(after, before).clipped_white_growth == pytest.approx(-6 / 40)


def test_grey_that_stays_grey_gains_exactly_no_chroma() -> None:
    before = np.repeat(picture(100, 120)[..., :1], 3, axis=2)
    assert measured(before, before**0.5, monochrome=True).added_chroma == 0.0


def test_chroma_in_a_neutral_photo_counts_even_within_the_mask() -> None:
    before = np.full((40, 40, 3), 0.5, np.float32)
    after, mask = before.copy(), np.zeros((40, 40), np.float32)
    after[:4] = (0.6, 0.5, 0.4)
    mask[:10] = 1
    figures = measured(before, after, mask, monochrome=True)
    assert figures.added_chroma == pytest.approx(0.1 * 17.8, abs=0.5)
    assert measured(before, after, mask, monochrome=False).added_chroma == 0.0
    assert measured(after, before, mask, monochrome=True).added_chroma == 0.0


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("damaged", [0.0, 1.0])
def test_figures_are_finite_for_constant_and_wholly_masked_pictures(value: float, damaged: float) -> None:
    before = np.full((32, 32, 3), value, np.float32)
    mask = np.full((32, 32), damaged, np.float32)
    for after in (before, 1 - before, picture(32, 32)):
        figures = measured(before, after, mask, monochrome=True)
        assert all(math.isfinite(number) for number in figures.as_dict().values())
        assert figures.mask_coverage == damaged
        if damaged:
            assert figures.delta_e_mean == 0 and figures.gradient_correlation == 1


@pytest.mark.parametrize("size", [(1025, 1024), (6000, 4000), (40, 900_000), (900_000, 40), (20_000, 60)])
def test_about_a_million_pixels_of_a_large_photo_are_measured_from_edge_to_edge(size: tuple[int, int]) -> None:
    meter = FidelityMeter(*size, monochrome=False)
    assert 0.75 * MEASURED_PX <= meter._measured.sum() <= 1.05 * MEASURED_PX
    for kept, length in zip((meter._rows, meter._columns), size, strict=True):
        assert kept[0] == 0 and kept[-1] == length - 1 and (np.diff(kept) > 0).all()


def test_strips_that_leave_a_gap_or_have_another_shape_are_refused() -> None:
    strip, mask = np.zeros((10, 40, 3), np.float32), np.zeros((10, 40), np.float32)
    meter = FidelityMeter(40, 40, monochrome=False)
    with pytest.raises(ValueError, match="expected a strip from row 0"):
        meter.add(10, strip, strip, mask)
    with pytest.raises(ValueError, match="found before"):
        meter.add(0, strip, strip[:9], mask)
    meter.add(0, strip, strip, mask)
    with pytest.raises(ValueError, match="expected 40 rows, found 10"):
        meter.figures()
