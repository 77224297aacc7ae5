"""Damaged places filled by a spline in tension: what is kept, what is continued, and that strips and sizes agree."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import spsolve

from oldphoto_core.errors import ConfigError
from oldphoto_core.restoration import filling
from oldphoto_core.restoration.filling import Filling, fill, filled


def _photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1], smooth with some grain."""
    dice = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(dice.random((height, width, 3)), (0, 0), 9)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return np.clip(smooth + dice.normal(0, 0.02, smooth.shape), 0, 1).astype(np.float32)


def _scratches(height: int, width: int, seed: int = 0) -> np.ndarray:
    dice = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(max(4, height * width // 3000)):
        ends = dice.integers(0, (width, height), (2, 2))
        cv2.line(mask, ends[0].tolist(), ends[1].tolist(), 1, int(dice.integers(1, 6)))
    return mask > 0


def _by_definition(image: np.ndarray, mask: np.ndarray, tension: float = 0.3) -> np.ndarray:
    """The minimiser of the energy over the whole grid, written down as plainly as it goes."""
    height, width = mask.shape
    at = np.arange(height * width).reshape(height, width)
    first = np.concatenate([at[:, :-1].ravel(), at[:-1].ravel()])
    second = np.concatenate([at[:, 1:].ravel(), at[1:].ravel()])
    ones, shape = np.ones(len(first)), (height * width,) * 2
    beside = sparse.csr_matrix((ones, (first, second)), shape) + sparse.csr_matrix((ones, (second, first)), shape)
    laplacian = sparse.diags(np.asarray(beside.sum(1)).ravel()) - beside
    energy = (tension * laplacian + (1 - tension) * laplacian @ laplacian).tocsr()
    damaged, values = mask.ravel(), image.reshape(-1, 3).astype(np.float64)
    rows = energy[damaged]
    values[damaged] = spsolve(rows[:, damaged].tocsc(), -(rows[:, ~damaged] @ values[~damaged])).reshape(-1, 3)
    return values.reshape(image.shape)


@pytest.mark.parametrize("tension", [0.1, 0.3, 1.0])
def test_a_fill_minimises_the_energy(tension: float) -> None:
    image, mask = _photo(60, 71) * 0.5 + 0.25, _scratches(60, 71)
    mask[-9:, -20:] = True  # a corner, with natural edges
    image = cv2.GaussianBlur(image, (0, 0), 3)  # so that next to nothing overshoots, and is held back
    difference = np.abs(filled(image, mask, tension=tension) - _by_definition(image, mask, tension))[mask]
    assert np.quantile(difference, 0.98) < 1e-6 and difference.max() < 5e-3


def test_pixels_outside_stay_as_they_are() -> None:
    image, mask = _photo(90, 120), _scratches(90, 120)
    result = filled(image, mask)
    assert np.array_equal(result[~mask], image[~mask])
    assert 0 <= result.min() and result.max() <= 1


@pytest.mark.parametrize("hole", [4, 100])
def test_a_constant_photo_stays_constant(hole: int) -> None:
    image = np.full((150, 151, 3), [0.2, 0.5, 0.7], np.float32)
    mask = np.zeros((150, 151), bool)
    mask[-hole:, 10 : 10 + hole] = True
    assert np.abs(filled(image, mask) - image).max() < 1e-5


@pytest.mark.parametrize(("hole", "tolerance"), [(9, 1e-5), (101, 0.5 / 255)])
def test_a_ramp_is_continued_through_a_hole(hole: int, tolerance: float) -> None:
    ramp = np.add.outer(np.arange(160) / 400, np.arange(170) / 500).astype(np.float32)
    image = np.stack([ramp, ramp / 2, 1 - ramp], axis=2)
    mask = np.zeros(ramp.shape, bool)
    mask[30 : 30 + hole, 25 : 25 + hole] = True
    assert np.abs(filled(image, mask) - image).max() < tolerance


def test_a_fill_stays_within_the_known_pixels_beside_it() -> None:
    image, mask = _photo(80, 80, seed=3), np.zeros((80, 80), bool)
    mask[:12, 30:50] = True
    beside = cv2.dilate(mask.view(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & ~mask
    values = fill(lambda top, bottom: image[top:bottom], mask).values
    assert (values >= image[beside].min(0) - 1e-6).all() and (values <= image[beside].max(0) + 1e-6).all()


def test_strips_of_any_height_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = _photo(131, 97), _scratches(131, 97)
    mask[20:75, 15:70] = True
    expected = filled(image, mask)
    for rows in (1, 7, 64):
        monkeypatch.setattr(filling, "STRIP_PIXELS", rows * 97)
        assert np.array_equal(filled(image, mask), expected)


def test_a_photo_is_read_once_from_its_top(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask, asked = _photo(90, 40), np.zeros((90, 40), bool), []
    mask[5, 5] = mask[62, 20] = True
    monkeypatch.setattr(filling, "STRIP_PIXELS", 10 * 40)

    def read(top: int, bottom: int) -> np.ndarray:
        asked.append((top, bottom))
        return image[top:bottom]

    fill(read, mask)
    assert asked == [(0, 10), (60, 70)]


def test_places_apart_do_not_depend_on_each_other() -> None:
    image, near, far = _photo(100, 100), np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    near[10:20, 10:40] = True
    far[60:66, 30:90] = True
    both = filled(image, near | far)
    assert np.allclose(both[near], filled(image, near)[near], atol=1e-6)
    assert np.allclose(both[far], filled(image, far)[far], atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(150, 170), (151, 173), (129, 131)])
@pytest.mark.parametrize("kind", ["hole", "corner", "few known pixels", "two sides"])
def test_wide_places_are_solved_as_if_at_once(kind: str, height: int, width: int) -> None:
    image, mask = _photo(height, width, seed=1), np.zeros((height, width), bool)
    if kind == "hole":
        mask[12:-14, 15:-11] = True
    elif kind == "corner":
        mask |= np.add.outer(np.arange(height), np.arange(width)) < 130
    elif kind == "few known pixels":
        mask[:] = True
        mask[::61, ::57] = False
    else:
        mask[:, 2:-3] = True
    assert np.abs(filled(image, mask) - _by_definition(image, mask).clip(0, 1)).max() < 1 / 255


def test_a_wide_place_shows_no_step_where_rim_and_depth_meet() -> None:
    image, mask = _photo(200, 200, seed=2), np.zeros((200, 200), bool)
    mask[30:170, 30:170] = True
    inside = filled(image, mask)[42:158, 42:158]
    bends = np.abs(np.diff(inside, 2, axis=0)).max((1, 2))
    assert bends[8:-8].max() < 1.5 / 255


def test_a_photo_without_known_pixels_stays_as_it_is() -> None:
    image = _photo(20, 30)
    assert np.array_equal(filled(image, np.ones((20, 30), bool)), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 2), (3, 3)])
def test_small_photos_are_filled(shape: tuple[int, int]) -> None:
    image, mask = np.full((*shape, 3), 0.25, np.float32), np.zeros(shape, bool)
    assert np.array_equal(filled(image, mask), image)
    mask[0, 0] = True
    assert np.allclose(filled(image, mask), image, atol=1e-6)


def test_a_grey_photo_stays_grey_and_agrees_with_colour() -> None:
    colour, mask = _photo(70, 80), _scratches(70, 80)
    grey = filled(np.repeat(colour[..., :1], 3, axis=2), mask)
    assert (grey == grey[..., :1]).all()
    assert np.allclose(grey[..., 0], filled(colour, mask)[..., 0], atol=1e-5)


def test_a_window_is_put_as_the_whole() -> None:
    image, mask = _photo(60, 80), _scratches(60, 80)
    filling_ = fill(lambda top, bottom: image[top:bottom], mask)
    whole = image.copy()
    filling_.put(0, whole)
    window = image[13:47, 21:66].copy()
    filling_.put(13, window, 21)
    assert np.array_equal(window, whole[13:47, 21:66])


def test_a_mask_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="bool"):
        filled(_photo(9, 9), np.zeros((9, 9), np.uint8))
    with pytest.raises(ConfigError, match="Tension"):
        filled(_photo(9, 9), np.zeros((9, 9), bool), tension=0)


def test_nothing_damaged_is_an_empty_filling() -> None:
    result = fill(lambda top, bottom: pytest.fail("read"), np.zeros((9, 9), bool))
    assert isinstance(result, Filling) and result.values.shape == (0, 3)
