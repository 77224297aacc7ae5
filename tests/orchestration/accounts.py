"""Whether everything is accounted for, once: asked of the catalogue in SQL, and of the store itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from storage.catalog import Catalogue

Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Gives the rows of a question in SQL."""

DONE = ("restored", "unchanged")

OUTCOMES = "SELECT source_key, outcome FROM object_outcome"
STANDING = """
SELECT p.sha256, COUNT(r.id) FROM photo p
  LEFT JOIN restoration r ON r.photo_id = p.id AND r.outcome IN ('restored', 'unchanged') AND r.deleted_at IS NULL
 GROUP BY p.sha256
"""
SUCCESSES = """
SELECT p.sha256, COUNT(e.id) FROM photo p
  LEFT JOIN event_object o ON o.object_type = 'photo' AND o.object_id = p.sha256
  LEFT JOIN event e ON e.id = o.event_id AND e.type = 'restoration' AND e.outcome = 'success'
 GROUP BY p.sha256
"""
RECORDED = "SELECT restored_key, mask_key, found_key, difference_key, preview_key, provenance_key FROM restoration"


def catalogue_at(place: str | Path) -> Ask:
    """Asks the catalogue itself, an SQLite file or at a URL; it is opened for each question."""

    def ask(sql: str) -> Sequence[Sequence[Any]]:
        if isinstance(place, Path):
            with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=10)) as connection:
                return connection.execute(sql).fetchall()
        with Catalogue.open(place) as catalogue, catalogue.connected() as connected:
            return [tuple(row) for row in connected.exec_driver_sql(sql)]

    return ask


def restorations(ask: Ask) -> int:
    """Photos that are done, so far."""
    try:
        return int(ask("SELECT COUNT(*) FROM restoration WHERE outcome IN ('restored', 'unchanged')")[0][0])
    except sqlite3.OperationalError:  # the catalogue is being made
        return 0


def assert_accounted(
    ask: Ask,
    *,
    keys: Collection[str],
    stored: Iterable[str],
    failed: Collection[str] = (),
    others: Collection[str] = (),
) -> dict[str, str]:
    """Outcome by source key, once it is sure that each is accounted for once.

    Args:
        keys: every object of the source.
        stored: keys of everything below the derivatives.
        failed: source keys, each a photo of its own, that may not be restored.
        others: source keys that may be ignored or quarantined.
    """
    rows = [(str(key), str(outcome)) for key, outcome in ask(OUTCOMES)]
    assert sorted(key for key, _ in rows) == sorted(keys), "a key is on record twice, or not at all"
    outcomes = dict(rows)
    for key, outcome in outcomes.items():
        if key in others:
            assert outcome in ("ignored", "quarantined"), (key, outcome)
        elif key in failed:
            assert outcome in ("failed", "quarantined"), (key, outcome)  # set aside, it counts as quarantined
        else:
            assert outcome in DONE, (key, outcome)
    photos = {str(sha256): int(count) for sha256, count in ask(STANDING)}
    wanted = [0] * len(failed) + [1] * (len(photos) - len(failed))
    assert sorted(photos.values()) == wanted, f"standing restorations by photo: {photos}"
    assert {str(sha256): int(count) for sha256, count in ask(SUCCESSES)} == photos, "one event a restoration"
    assert ask("SELECT name, holder FROM lease") == [], "a lease is left"
    recorded = {str(key) for row in ask(RECORDED) for key in row if key}
    assert set(stored) == recorded, "objects without a row, or rows without an object"
    return outcomes
