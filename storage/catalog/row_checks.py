"""What the rows should keep to and no constraint can say: each a query that counts the rows that do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RowCheck:
    """A rule over rows.

    Attributes:
        verdict: how a row that breaks it is to be taken: `bad`, or `note` where it may be on its way.
        problem: what is wrong with such rows, after their number.
        count: SQL that gives the number of such rows, on either database.
    """

    verdict: Literal["note", "bad"]
    problem: str
    count: str


_TIME = "____-__-__T__:__:__Z"

ROW_CHECKS = (
    RowCheck(
        "bad", "restorations whose files lie in another photo's folder",
        "SELECT COUNT(*) FROM restoration AS r JOIN photo AS p ON p.id = r.photo_id WHERE r.restored_key IS NOT NULL "
        "AND substr(r.restored_key, 1, 68) <> substr(p.sha256, 1, 2) || '/' || p.sha256 || '/'",
    ),
    RowCheck(
        "bad", "restorations whose weights are not those of their release",
        "SELECT COUNT(*) FROM restoration AS r JOIN model_release AS m ON m.name = r.release "
        "WHERE m.weights_hash <> r.weights_hash",
    ),
    RowCheck(
        "bad", "restorations that failed and yet have files",
        "SELECT COUNT(*) FROM restoration WHERE outcome = 'failed' AND restored_key IS NOT NULL",
    ),
    RowCheck(
        "bad", "source objects that were listed in another collection than their own",
        "SELECT COUNT(*) FROM source_object AS o JOIN listing AS l ON l.id = o.listing_id "
        "WHERE l.collection_id <> o.collection_id",
    ),
    RowCheck(
        "bad", "photos that one snapshot trains on and another tests on",
        "SELECT COUNT(DISTINCT t.photo_id) FROM dataset_snapshot_photo AS t JOIN dataset_snapshot_photo AS o "
        "ON o.photo_id = t.photo_id WHERE t.split = 'test' AND o.split <> 'test'",
    ),
    RowCheck(
        "bad", "snapshots that hold another number of photos than they say",
        "SELECT COUNT(*) FROM dataset_snapshot AS d WHERE d.rows_sha256 IS NOT NULL AND d.photo_count <> "
        "(SELECT COUNT(*) FROM dataset_snapshot_photo AS x WHERE x.snapshot_id = d.id)",
    ),
    RowCheck(
        "bad", "times that are not of the form 2026-01-31T23:59:59Z",
        " + ".join(
            f"(SELECT COUNT(*) FROM {table} WHERE {column} NOT LIKE '{_TIME}')"
            for table, column in (
                ("event", "at"), ("restoration", "finished_at"), ("photo", "first_seen_at"),
                ("source_object", "last_seen_at"), ("label", "labelled_at"), ("run", "started_at"),
            )
        ).join(("SELECT ", "")),
    ),
    RowCheck(
        "note", "photos that are restored with a label's mask which no label has",
        "SELECT COUNT(*) FROM restoration AS r WHERE r.mask_source = 'label' AND NOT EXISTS (SELECT 1 FROM label AS l "
        "WHERE l.photo_id = r.photo_id AND l.mask_sha256 = r.supplied_mask_sha256)",
    ),
    RowCheck(
        "note", "restorations of withdrawn photos whose files are still there; withdraw the photos again",
        "SELECT COUNT(*) FROM restoration AS r JOIN photo AS p ON p.id = r.photo_id "
        "WHERE p.state = 'withdrawn' AND r.outcome <> 'failed' AND r.deleted_at IS NULL",
    ),
    RowCheck(
        "note", "published files of withdrawn photos; publish again to take them away",
        "SELECT COUNT(*) FROM publication AS u JOIN restoration AS r ON r.id = u.restoration_id "
        "JOIN photo AS p ON p.id = r.photo_id WHERE p.state = 'withdrawn' AND u.removed_at IS NULL",
    ),
)  # fmt: skip
