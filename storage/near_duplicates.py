"""Photos that look alike: pairs of 64-bit perceptual hashes that differ in a few bits, found without comparing all.

The bits are cut into six bands. Two hashes that differ in four bits or fewer differ in four bands at most, so at least
two bands are equal (the pigeonhole principle). For each of the fifteen pairs of bands the hashes are sorted by these
bits, some 21 of 64, and only neighbours with equal ones are compared: of a million random hashes about one with each.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

MAX_DISTANCE = 4
"""Bits in which the hashes of near-duplicates differ at most.

The same picture saved anew as JPEG or made smaller differs in 0 to 4 of 64 bits, different pictures in 20 to 40.
"""

MAX_LINKS = 20
"""Links that one photo makes, to the nearest: a thousand blank pages should not make a million rows."""

BANDS = MAX_DISTANCE + 2
_BLOCK = 1 << 22
"""Candidates compared at once."""


def hash_bits(digits: str | None) -> int | None:
    """The hash as a number, or None where there is none to compare."""
    try:
        return int(digits, 16) if digits and len(digits) == 16 else None
    except ValueError:
        return None


def near_pairs(new: np.ndarray, everything: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each new hash with each other one that is near.

    Args:
        new: (N,) int64, places in `everything` of the photos to be compared.
        everything: (M,) uint64, the hashes of all photos.

    Returns:
        Places of new photos, places of others, and distances in bits, (K,) each, nearest first for each new photo; of
        those at the same distance the ones with the nearest places, at most `MAX_LINKS` for a new photo.
    """
    values, value_of = np.unique(everything, return_inverse=True)
    order = np.argsort(value_of, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(value_of, minlength=len(values)))])
    new_values = np.unique(value_of[new])
    near = _near_values(new_values, values)
    found: list[tuple[int, int, int]] = []
    links = {int(value): [] for value in new_values}  # type: dict[int, list[tuple[int, int]]]
    for one, other, distance in zip(*(part.tolist() for part in near), strict=True):
        links[one].append((distance, other))
    has_twins = np.diff(starts) > 1
    for place in new.tolist():
        value = int(value_of[place])
        if not links[value] and not has_twins[value]:
            continue
        found += _nearest(place, [(0, value), *sorted(links[value])], order, starts)
    columns = np.array(found, dtype=np.int64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def _nearest(
    place: int, by_distance: list[tuple[int, int]], order: np.ndarray, starts: np.ndarray
) -> Iterator[tuple[int, int, int]]:
    left = MAX_LINKS
    for distance, value in by_distance:
        group = order[starts[value] : starts[value + 1]]  # places with this hash, in order
        middle = int(np.searchsorted(group, place))
        around = group[max(0, middle - left) : middle + left + 1].tolist()
        others = sorted((other for other in around if other != place), key=lambda other: abs(other - place))[:left]
        yield from ((place, other, distance) for other in others)
        left -= len(others)
        if left <= 0:
            return


def _near_values(wanted: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of different values, one of them wanted, within the distance; `wanted` are places in `values`."""
    pairs: list[np.ndarray] = []
    for mask in _masks():
        kept = values & mask
        order = np.argsort(kept, kind="stable")
        sorted_bits, asked = kept[order], kept[wanted]
        first, last = np.searchsorted(sorted_bits, asked, "left"), np.searchsorted(sorted_bits, asked, "right")
        for ones, counts, begin in _blocks(wanted, last - first, first):
            a = np.repeat(ones, counts)
            within = np.arange(len(a)) - np.repeat(np.cumsum(counts) - counts, counts)
            b = order[np.repeat(begin, counts) + within]
            differing = np.bitwise_count(values[a] ^ values[b])
            is_near = (differing <= MAX_DISTANCE) & (a != b)
            pairs.append(np.stack([a[is_near], b[is_near], differing[is_near].astype(np.int64)]))
    if not pairs:
        return (np.empty(0, np.int64),) * 3
    columns = np.unique(np.concatenate(pairs, axis=1), axis=1)  # most are found by several pairs of bands
    return columns[0], columns[1], columns[2]


def _blocks(
    wanted: np.ndarray, counts: np.ndarray, first: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The wanted in runs that have about `_BLOCK` candidates together, so that memory stays flat."""
    ends = np.cumsum(counts)
    begin = 0
    while begin < len(wanted):
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + _BLOCK, "right")))
        yield wanted[begin:end], counts[begin:end], first[begin:end]
        begin = end


def _masks() -> Iterator[np.uint64]:
    """The bits of each pair of bands."""
    edges = np.linspace(0, 64, BANDS + 1).round().astype(int).tolist()
    bands = [((1 << high) - 1) ^ ((1 << low) - 1) for low, high in zip(edges, edges[1:], strict=False)]
    for one, other in combinations(bands, 2):
        yield np.uint64(one | other)
