"""What is mended of what the detector found: the shape of the mask decides as much as the detector does.

A threshold alone leaves the middles of long cracks, islands that glow through the filling, and a rim of the scratch's
own halo that is dragged across the hole. So a finding begins where the detector is sure and goes on along what it half
believes; small islands inside are closed; a margin that grows with the stroke's width is added. A wide finding, and one
on a face, needs more evidence than a thin one: what is wrongly mended there is seen first. What lies within an eye or a
mouth, and does not go beyond it, is that eye or mouth.

A *lost piece* is a finding wider than a share of the photo. Whatever fills it is invented, so it is mended by default
only where all around it is calm (a plain ground), and always where a person asks for it.

Everything is decided on the whole photo, piece by piece of what hangs together: tiles have no part in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.models.detector import ALLOWED_ALONE, LARGEST_LOGIT
from oldphoto_core.models.faces import Face, FaceBox, Oval

Mending = Literal["sure", "normal", "everything"]
Box = tuple[int, int, int, int]
"""Top, left, bottom, right, in pixels; half-open."""


def codes_of(probability: NDArray[np.float32] | np.float32) -> NDArray[np.uint8]:
    """Gives probabilities as uint8: steps of a sixteenth in the logit, up to 8 either way; 0 and 255 are 0 and 1.

    Even steps in the probability itself would make one of all that a detector is nearly sure of, either way.
    """
    return _codes_of_logits(logits_of(probability))


def logits_of(probability: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    """Gives the logits of probabilities, up to 8 either way."""
    bounded = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.clip(np.log(bounded / (1 - bounded)), -LARGEST_LOGIT, LARGEST_LOGIT)


def joined_codes(codes: NDArray[np.uint8], coarse: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Gives the codes of two looks: that at the photo as it is, coded, and the logits of the coarse one, enlarged."""
    fine = LARGEST_LOGIT * (codes / np.float32(127.5) - 1)
    return _codes_of_logits(np.maximum((fine + coarse) / 2, fine - ALLOWED_ALONE))


def _codes_of_logits(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint((np.clip(logits / LARGEST_LOGIT, -1, 1) + 1) * 127.5).astype(np.uint8)


def probabilities_of(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Gives float32 in [0, 1] of what `codes_of` gave."""
    return _PROBABILITIES[codes]


_PROBABILITIES = (1 / (1 + np.exp(-LARGEST_LOGIT * (np.arange(256) / 127.5 - 1)))).astype(np.float32)
_PROBABILITIES[[0, 255]] = 0, 1


@dataclass(frozen=True)
class Belief:
    """From which probability a finding begins, and down to which it goes on."""

    seed: float
    grown: float

    def __post_init__(self) -> None:
        assert 0 < self.grown <= self.seed < 1, self


BELIEF = {"sure": Belief(0.97, 0.5), "normal": Belief(0.93, 0.3), "everything": Belief(0.6, 0.15)}
"""Of thin findings, by how much is to be mended."""
WIDE = {"sure": Belief(0.99, 0.7), "normal": Belief(0.97, 0.5), "everything": Belief(0.6, 0.15)}
"""The same of findings wider than `WIDE_PX`."""
ON_FACES = {"sure": Belief(0.99, 0.7), "normal": Belief(0.97, 0.5), "everything": Belief(0.6, 0.15)}
"""The same inside a face's box."""
FEATURE_SHARE = 0.6
"""A finding of which so much lies in an eye or a mouth is that."""
WIDE_PX = 14
SMALLEST_PX = 3
"""A finding of fewer pixels is none."""
ISLAND_PX = 120
"""An island of up to so many pixels inside a finding is closed, where it is smaller than what encloses it."""
MARGIN_PX, MARGIN_A_WIDTH, WIDEST_MARGIN_PX = 2.0, 0.12, 5.0
"""Pixels added around a stroke: so many, and this share of its width more, up to the last."""
LOST_SHARE = 0.06
"""A finding as wide as this share of the photo's shorter side is a lost piece..."""
LEAST_LOST_PX = 20
"""...and at least so many pixels."""
CALM_LEVELS = 14.0
"""Deviation from a plane, in levels of 255, up to which a lost piece's surroundings are calm: 1.48 times the median of
absolute ones, so that specks do not decide."""
RING_PX = 10
"""How far around a lost piece they reach."""
REACH_PX = 32
"""Findings farther apart than this have nothing to do with each other."""
_CELL_PX = REACH_PX


@dataclass(frozen=True)
class MaskShape:
    """What is mended.

    Attributes:
        mended: (H, W) bool.
        lost_share: share of the photo that lies in lost pieces, mended or not.
        left_share: share of the photo that lies in lost pieces that are left as they are.
    """

    mended: NDArray[np.bool_]
    lost_share: float
    left_share: float


def shape_mask(
    found: NDArray[np.uint8],
    luma: NDArray[np.uint8],
    *,
    mending: Mending,
    faces: Sequence[Face] = (),
    given: NDArray[np.bool_] | None = None,
) -> MaskShape:
    """Gives what is mended of what was found.

    Args:
        found: (H, W), the probability of damage as `codes_of` codes it.
        luma: (H, W), of the photo, for what surrounds lost pieces.
        mending: how much of it.
        faces: in the photo.
        given: (H, W), what is mended in any case.
    """
    mended = np.zeros(found.shape, bool)
    lost_px = left_px = 0
    short_px = min(found.shape)
    for box, own in regions(found >= _code(BELIEF[mending].grown)):
        top, left, bottom, right = box
        part = np.s_[top:bottom, left:right]
        core = _believed(found[part] * own, _covered([face.box for face in faces], box), mending)
        if mending != "everything":
            core = _without_features(core, [oval for face in faces for oval in face.features], box)
        core = _islands_closed(core)
        lost = _wider_than(core, max(LEAST_LOST_PX, LOST_SHARE * short_px))
        if lost.any():
            lost_px += int(lost.sum())
            if mending != "everything":
                left_alone = _uncalm(lost, core, luma[part])
                left_px += int((left_alone if given is None else left_alone & ~given[part]).sum())
                core &= ~left_alone
        mended[part] |= _with_margin(core)
    return MaskShape(mended, lost_px / found.size, left_px / found.size)


def regions(marked: NDArray[np.bool_]) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    """Gives boxes in which what is marked can be judged by itself, each with (h, w) of what of the box is its own.

    What is marked belongs to one box, and so does all that lies within `REACH_PX` of it.
    """
    height, width = marked.shape
    cells = np.pad(marked, ((0, -height % _CELL_PX), (0, -width % _CELL_PX)))
    coarse = cells.reshape(cells.shape[0] // _CELL_PX, _CELL_PX, -1, _CELL_PX).any(axis=(1, 3))
    near = cv2.dilate(coarse.astype(np.uint8), np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    for number in range(1, count):
        left, top, across, down, _ = stats[number]
        own = labels[top : top + down, left : left + across] == number
        own = own.repeat(_CELL_PX, axis=0).repeat(_CELL_PX, axis=1)
        bottom, right = min(height, (top + down) * _CELL_PX), min(width, (left + across) * _CELL_PX)
        box = (top * _CELL_PX, left * _CELL_PX, bottom, right)
        yield box, own[: box[2] - box[0], : box[3] - box[1]]


def _believed(found: NDArray[np.uint8], on_face: NDArray[np.bool_], mending: Mending) -> NDArray[np.bool_]:
    """Gives findings: what hangs together above one probability and somewhere reaches another."""
    thin = _grown(found, *_codes(BELIEF[mending]), on_face, *_codes(ON_FACES[mending]))
    wide = _wider_than(thin, WIDE_PX)
    if not wide.any():
        return thin
    sure = _grown(found, *_codes(WIDE[mending]), on_face, *_codes(ON_FACES[mending]))
    return (thin & ~wide) | (wide & sure)


def _grown(
    found: NDArray[np.uint8],
    seed: int,
    grown: int,
    on_face: NDArray[np.bool_],
    face_seed: int,
    face_grown: int,
) -> NDArray[np.bool_]:
    candidates = found >= (np.where(on_face, face_grown, grown) if on_face.any() else grown)
    seeds = found >= (np.where(on_face, face_seed, seed) if on_face.any() else seed)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(candidates.astype(np.uint8), connectivity=8)
    kept = np.zeros(count, bool)
    kept[np.unique(pieces[seeds & candidates])] = True
    kept &= stats[:, cv2.CC_STAT_AREA] >= SMALLEST_PX
    kept[0] = False
    return kept[pieces]


def _islands_closed(core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Gives the findings with small islands of what was not found inside them; a ring around a shoulder stays open."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((~core).astype(np.uint8), connectivity=4)
    if count < 3:
        return core
    height, width = core.shape
    small = stats[:, cv2.CC_STAT_AREA] <= ISLAND_PX
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    inner = (left > 0) & (top > 0)
    inner &= (left + stats[:, cv2.CC_STAT_WIDTH] < width) & (top + stats[:, cv2.CC_STAT_HEIGHT] < height)
    closed = small & inner
    closed[0] = False
    for number in np.flatnonzero(closed):
        x, y, across, down, area = stats[number]
        around = np.s_[max(0, y - 4) : y + down + 4, max(0, x - 4) : x + across + 4]
        closed[number] = core[around].sum() >= area
    return core | closed[pieces]


def _with_margin(core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Gives the findings and a margin around them that grows with the width of what it surrounds."""
    if not core.any():
        return core
    inside = cv2.distanceTransform(core.astype(np.uint8), cv2.DIST_L2, 5)
    reach = int(WIDEST_MARGIN_PX)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (6 * reach + 1, 6 * reach + 1))
    width = 2 * cv2.dilate(inside, disc)
    margin = np.minimum(MARGIN_PX + MARGIN_A_WIDTH * np.maximum(width - 4, 0), WIDEST_MARGIN_PX)
    outside = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
    return core | (outside <= margin)


def _wider_than(core: NDArray[np.bool_], width_px: float) -> NDArray[np.bool_]:
    """Gives what of the findings is wider than so many pixels: what a disc of that size can be moved through."""
    inside = cv2.distanceTransform(np.pad(core, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    middle = inside > width_px / 2
    if not middle.any():
        return middle
    near = cv2.distanceTransform((~middle).astype(np.uint8), cv2.DIST_L2, 5) <= width_px / 2 + 1
    return core & near


def _uncalm(lost: NDArray[np.bool_], core: NDArray[np.bool_], luma: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Gives the lost pieces around which the photo is not calm."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(lost.astype(np.uint8), connectivity=8)
    left_alone = np.zeros(count, bool)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RING_PX + 1, 2 * RING_PX + 1))
    for number in range(1, count):
        left, top, across, down, _ = stats[number]
        part = np.s_[max(0, top - RING_PX) : top + down + RING_PX, max(0, left - RING_PX) : left + across + RING_PX]
        ring = cv2.dilate((pieces[part] == number).astype(np.uint8), disc) > 0
        rows, columns = np.nonzero(ring & ~core[part])
        if len(rows) < RING_PX:
            left_alone[number] = True
            continue
        values = luma[part][rows, columns].astype(np.float64)
        design = np.stack([rows, columns, np.ones_like(rows)], axis=1).astype(np.float64)
        plane, *_ = np.linalg.lstsq(design, values, rcond=None)
        left_alone[number] = 1.48 * np.median(np.abs(values - design @ plane)) > CALM_LEVELS
    return left_alone[pieces]


def _without_features(core: NDArray[np.bool_], ovals: Sequence[Oval], within: Box) -> NDArray[np.bool_]:
    """Gives the findings without those that lie in an eye or a mouth, but for little; a crack goes through it."""
    top, left, bottom, right = within
    inside = np.zeros(core.shape, bool)
    for y, x, tall, wide in ovals:
        if top - tall < y < bottom + tall and left - wide < x < right + wide:
            rows, columns = np.ogrid[top:bottom, left:right]
            inside |= ((rows - y) / tall) ** 2 + ((columns - x) / wide) ** 2 <= 1
    if not (core & inside).any():
        return core
    count, pieces = cv2.connectedComponents(core.astype(np.uint8), connectivity=8)
    shares = np.bincount(pieces[inside], minlength=count) / np.bincount(pieces.ravel(), minlength=count)
    kept = shares < FEATURE_SHARE
    kept[0] = False
    return kept[pieces]


def _covered(boxes: Sequence[FaceBox], within: Box) -> NDArray[np.bool_]:
    top, left, bottom, right = within
    covered = np.zeros((bottom - top, right - left), bool)
    for before, above, after, below in boxes:
        covered[max(0, above - top) : max(0, below - top), max(0, before - left) : max(0, after - left)] = True
    return covered


def _codes(belief: Belief) -> tuple[int, int]:
    return _code(belief.seed), _code(belief.grown)


def _code(probability: float) -> int:
    return int(codes_of(np.float32(probability)))
