"""Photos most worth labelling: where the detector is unsure, and no two alike.

How unsure it is comes from what it found for the latest restoration, 8 bits of probability p. Two things count: the
mean of 4 p (1 - p), where 1 is a coin's toss, over the most doubtful hundredth of the photo, since a scratch covers
little of one; and the share of pixels near the threshold, 0.2 to 0.8. Photos that look alike teach the same twice:
each next one is doubtful and far from those taken, by the distance of perceptual hashes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flows.progress import progress
from flows.settings import Settings
from oldphoto_core.errors import CoreError
from storage.catalog.catalogue import Catalogue
from storage.catalog.label_status_queries import Unlabelled
from storage.errors import ObjectStoreError
from storage.objects import ObjectStore

log = logging.getLogger(__name__)

DOUBTFUL_SHARE = 0.01
"""Share of the pixels, the most doubtful ones, whose doubt counts."""
NEAR = (0.2, 0.8)
"""Probabilities near the threshold."""
_LOOKED_AT_PX = 1024
"""Longer side, at most, that a mask is looked at."""
_ALIKE_BITS = 32
"""Difference of perceptual hashes, of 64 bits, from which two photos have nothing to do with each other."""
_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A photo to label.

    Attributes:
        score: 0 to 1: doubt, weighed by how different it is from those suggested before it.
        doubt: mean of 4 p (1 - p) over the most doubtful hundredth of the pixels.
        near_threshold: share of the pixels with a probability of 0.2 to 0.8.
        distance: bits of 64 in which its perceptual hash differs from the nearest suggested before; None for the first.
        found_key: what the detector found, in the derivatives store.
        why: in words.
    """

    photo_sha256: str
    source_url: str
    source_key: str
    score: float
    doubt: float
    near_threshold: float
    mask_coverage: float | None
    distance: int | None
    found_key: str
    why: str


@dataclass(frozen=True)
class _Doubtful:
    photo: Unlabelled
    doubt: float
    near: float
    hash: int | None


def suggest(
    catalogue: Catalogue, settings: Settings, count: int, *, look_at: int = 2000
) -> tuple[list[Suggestion], list[tuple[str, str]]]:
    """Gives so many photos, the best first, and (key, reason) of those whose masks cannot be read.

    Args:
        look_at: photos whose masks are looked at, at most; where there are more, a hash decides which.
    """
    photos: list[Unlabelled] = []
    after_id = 0
    while page := catalogue.unlabelled(after_id=after_id, limit=_PAGE):
        after_id = page[-1].photo_id
        photos += page
        photos = sorted(photos, key=lambda one: one.photo_sha256[32:])[:look_at]
    url = settings.derivatives_url
    store = ObjectStore(url, settings.store_options(url, "derivatives"))
    doubtful, problems = [], []
    progress().begin("Looking at masks", len(photos))
    for photo in photos:
        try:
            doubt, near = doubt_of(store.read_bytes(photo.found_key))
            doubtful.append(_Doubtful(photo, doubt, near, _hash(photo.perceptual_hash)))
        except (ObjectStoreError, CoreError) as error:
            problems.append((photo.source_key, str(error)))
        progress().advance()
    return _spread(doubtful, count), problems


def doubt_of(found_png: bytes) -> tuple[float, float]:
    """Gives how unsure a detector was, by what it found: (doubt, share near the threshold), each 0 to 1."""
    import cv2

    from oldphoto_core.errors import ConfigError

    codes = cv2.imdecode(np.frombuffer(found_png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if codes is None:
        raise ConfigError("the mask is no picture any more; run `oldphoto audit`")
    scale = _LOOKED_AT_PX / max(codes.shape)
    if scale < 1:
        codes = cv2.resize(codes, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    p = codes.astype(np.float32).ravel() / 255
    doubt = 4 * p * (1 - p)
    most = max(1, round(doubt.size * DOUBTFUL_SHARE))
    worst = np.partition(doubt, doubt.size - most)[-most:]
    return float(worst.mean()), float(((p > NEAR[0]) & (p < NEAR[1])).mean())


def _spread(doubtful: Sequence[_Doubtful], count: int) -> list[Suggestion]:
    """Greedy: the most doubtful first, then each time the one whose doubt times distance is largest."""
    left = list(doubtful)
    nearest: dict[int, int | None] = {one.photo.photo_id: None for one in left}
    taken: list[Suggestion] = []
    while left and len(taken) < count:
        best = max(left, key=lambda one: (_score(one, nearest[one.photo.photo_id]), one.photo.photo_sha256))
        left.remove(best)
        taken.append(_suggestion(best, nearest[best.photo.photo_id]))
        for one in left:
            bits = _distance(one, best)
            before = nearest[one.photo.photo_id]
            nearest[one.photo.photo_id] = bits if before is None else min(before, bits)
    return taken


def _score(one: _Doubtful, distance: int | None) -> float:
    apart = 1.0 if distance is None else min(1.0, distance / _ALIKE_BITS)
    return 0.5 * (one.doubt + min(1.0, 10 * one.near)) * apart


def _distance(one: _Doubtful, other: _Doubtful) -> int:
    """Bits that differ; photos without a hash count as different from all."""
    return _ALIKE_BITS if one.hash is None or other.hash is None else (one.hash ^ other.hash).bit_count()


def _hash(text: str | None) -> int | None:
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def _suggestion(one: _Doubtful, distance: int | None) -> Suggestion:
    why = f"doubt {one.doubt:.2f}, {one.near:.2%} of the photo near the threshold"
    why += ", the most doubtful" if distance is None else f", {distance} of 64 bits from the nearest suggested"
    photo = one.photo
    return Suggestion(
        photo_sha256=photo.photo_sha256, source_url=photo.source_url, source_key=photo.source_key,
        score=round(_score(one, distance), 6), doubt=round(one.doubt, 6), near_threshold=round(one.near, 6),
        mask_coverage=photo.mask_coverage, distance=distance, found_key=photo.found_key, why=why,
    )  # fmt: skip
