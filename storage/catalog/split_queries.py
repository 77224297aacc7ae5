"""Which side a photo is on, train, validation or test: decided once by its hash, and kept for good.

Near-duplicates are on one side. A photo that comes takes the side of those that it looks like; where these are on
several, it is excluded. Where a link between photos of two sides is only found later, the one that may go is excluded:
of test and another the other, of validation and train the latter. So nothing ever comes to a side from another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.statements import chunks, one_at_a_time
from storage.catalog.tables import near_duplicate, photo, photo_split

TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.15
EXCLUDED = "excluded"
_RANK = {"train": 0, "validation": 1, "test": 2}

Pair = tuple[int, int]


def split_of_hash(sha256: str) -> str:
    """The side that a photo's SHA-256 gives by itself: of its first 8 digits as a share of the largest such number,
    the lowest 70 % train, the next 15 % validation, the rest test."""
    share = int(sha256[:8], 16) / 2**32
    return "train" if share < TRAIN_SHARE else "validation" if share < TRAIN_SHARE + VALIDATION_SHARE else "test"


def decide_splits(connection: Connection, photos: Collection[int]) -> dict[int, str]:
    """The side of each of these photos, decided now where it was not before; ``excluded`` where it is on none."""
    one_at_a_time(connection, "photo split")
    links = _links(connection, photos)
    known = _splits(connection, {*photos, *(one for pair in links for one in pair)})
    for one in _crossing(links, known):
        known[one] = EXCLUDED
        changed = {"split": EXCLUDED, "decided_by": "near duplicate", "decided_at": utc_now()}
        connection.execute(sa.update(photo_split).where(photo_split.c.photo_id == one).values(**changed))
    new = set(photos) - known.keys()
    hashes = _hashes(connection, new)
    now = connection.scalar(sa.select(utc_now()))
    decided = [
        {"photo_id": one, "split": split, "decided_by": decided_by, "decided_at": now}
        for together in _components(new, links)
        for one, (split, decided_by) in _sides(together, links, known, hashes).items()
    ]
    if decided:
        connection.execute(sa.insert(photo_split), sorted(decided, key=lambda row: row["photo_id"]))
    known |= {row["photo_id"]: row["split"] for row in decided}
    return {one: known[one] for one in photos}


def _crossing(links: Iterable[Pair], splits: Mapping[int, str]) -> list[int]:
    """Those decided photos that have to go, since they look like one of a side that goes before theirs."""
    left = dict(splits)
    for one, other in sorted(links, key=lambda pair: "test" not in (splits.get(pair[0]), splits.get(pair[1]))):
        sides = {left.get(one), left.get(other)}
        if len(sides) == 2 and not sides & {None, EXCLUDED}:
            left[min(one, other, key=lambda photo_id: _RANK[left[photo_id]])] = EXCLUDED
    return [one for one, split in left.items() if split != splits[one]]


def _sides(
    together: Collection[int], links: Iterable[Pair], known: Mapping[int, str], hashes: Mapping[int, str]
) -> dict[int, tuple[str, str]]:
    """(side, decided by what) of each of these new photos, which look alike, one as the next."""
    neighbours = {known.get(b if a in together else a) for a, b in links if (a in together) != (b in together)}
    sides = neighbours - {None, EXCLUDED}
    if len(sides) > 1:
        return dict.fromkeys(together, (EXCLUDED, "near duplicate"))
    if sides:
        return dict.fromkeys(together, (str(sides.pop()), "near duplicate"))
    first = min(together, key=lambda one: hashes[one])
    side = split_of_hash(hashes[first])
    return {one: (side, "hash" if one == first else "near duplicate") for one in together}


def _components(photos: Iterable[int], links: Iterable[Pair]) -> list[set[int]]:
    """The photos in groups that the links hold together."""
    group_of = {one: {one} for one in photos}
    for one, other in links:
        if one in group_of and other in group_of and group_of[one] is not group_of[other]:
            small, large = sorted((group_of[one], group_of[other]), key=len)
            large |= small
            for moved in small:
                group_of[moved] = large
    return list({id(group): group for group in group_of.values()}.values())


def _links(connection: Connection, photos: Collection[int]) -> list[Pair]:
    """Every link of these photos, in the order of their ids."""
    n = near_duplicate.c
    found: set[Pair] = set()
    for chunk in chunks(sorted(photos)):
        for column in (n.photo_id, n.other_photo_id):
            rows = connection.execute(sa.select(n.photo_id, n.other_photo_id).where(column.in_(chunk)))
            found.update((one, other) for one, other in rows)
    return sorted(found)


def _splits(connection: Connection, photos: Collection[int]) -> dict[int, str]:
    s = photo_split.c
    found: dict[int, str] = {}
    for chunk in chunks(sorted(photos)):
        rows = connection.execute(sa.select(s.photo_id, s.split).where(s.photo_id.in_(chunk)))
        found.update((photo_id, split) for photo_id, split in rows)
    return found


def _hashes(connection: Connection, photos: Collection[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for chunk in chunks(sorted(photos)):
        rows = connection.execute(sa.select(photo.c.id, photo.c.sha256).where(photo.c.id.in_(chunk)))
        found.update((photo_id, sha256) for photo_id, sha256 in rows)
    return found
