"""Links between photos that look alike, and which photos were not compared yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.statements import chunks, insert
from storage.catalog.tables import near_duplicate, photo

if TYPE_CHECKING:
    import numpy as np


def unchecked_photos(connection: Connection, limit: int) -> list[int]:
    """See ``Catalogue.unchecked_photos``."""
    statement = sa.select(photo.c.id).where(photo.c.near_checked_at.is_(None)).order_by(photo.c.id).limit(limit)
    return list(connection.execute(statement).scalars())


def perceptual_hashes(connection: Connection) -> tuple[np.ndarray, np.ndarray]:
    """See ``Catalogue.perceptual_hashes``."""
    import numpy as np  # late: most commands never compare photos

    from storage.near_duplicates import hash_bits

    statement = sa.select(photo.c.id, photo.c.perceptual_hash).where(photo.c.perceptual_hash.is_not(None))
    ids: list[np.ndarray] = []
    hashes: list[np.ndarray] = []
    result = connection.execution_options(yield_per=50_000).execute(statement.order_by(photo.c.id))
    for rows in result.partitions():
        found = [(photo_id, bits) for photo_id, digits in rows if (bits := hash_bits(digits)) is not None]
        ids.append(np.array([photo_id for photo_id, _ in found], dtype=np.int64))
        hashes.append(np.array([bits for _, bits in found], dtype=np.uint64))
    empty = (np.empty(0, np.int64), np.empty(0, np.uint64))
    return (np.concatenate(ids), np.concatenate(hashes)) if ids else empty


def record_near_duplicates(
    connection: Connection, checked: Sequence[int], links: Sequence[tuple[int, int, int]]
) -> int:
    """See ``Catalogue.record_near_duplicates``."""
    pairs = {(min(one, other), max(one, other)): distance for one, other, distance in links}
    known = 0
    for part in chunks(sorted({one for one, _ in pairs})):
        statement = sa.select(near_duplicate.c.photo_id, near_duplicate.c.other_photo_id)
        rows = connection.execute(statement.where(near_duplicate.c.photo_id.in_(part)))
        known += sum((one, other) in pairs for one, other in rows)
    now = connection.scalar(sa.select(utc_now()))
    if pairs:
        connection.execute(
            insert(connection, near_duplicate).on_conflict_do_nothing(),
            [
                {"photo_id": one, "other_photo_id": other, "distance": pairs[one, other], "found_at": now}
                for one, other in sorted(pairs)
            ],
        )
    for ids in chunks(sorted(checked)):
        unmarked = sa.and_(photo.c.id.in_(ids), photo.c.near_checked_at.is_(None))
        connection.execute(sa.update(photo).where(unmarked).values(near_checked_at=now))
    return len(pairs) - known
