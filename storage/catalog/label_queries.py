"""Labels: scratch masks that people painted, which of them applies, and what came of looking at them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.statements import chunks, insert, photo_ids
from storage.catalog.tables import label, label_annotation, photo
from storage.errors import RecordRefused
from storage.records import EventRecord, LabelAnnotation, LabelRecord, RecordedMask, utc_text


def latest_label_mask() -> sa.ScalarSelect[str]:
    """On photo: SHA-256 of the mask that applies to it, null where there is none."""
    mask = sa.select(label.c.mask_sha256).where(label.c.id == latest_label_id(), label.c.photo_id == photo.c.id)
    return mask.correlate(photo).scalar_subquery()


def latest_label_id() -> sa.ScalarSelect[int]:
    """Subquery on photo: id of the label that applies to it, its latest reviewed one."""
    other = label.alias("other_label")
    return (
        sa.select(other.c.id)
        .where(other.c.photo_id == photo.c.id, other.c.reviewed == 1)
        .order_by(other.c.labelled_at.desc(), other.c.id.desc())
        .limit(1)
        .correlate(photo)
        .scalar_subquery()
    )


def record_labels(connection: Connection, labels: Sequence[LabelRecord]) -> int:
    """See ``Catalogue.record_labels``. The same mask for the same photo is one label, by whoever was first."""
    ids = photo_ids(connection, (record.photo_sha256 for record in labels))
    now = connection.scalar(sa.select(utc_now()))
    labellings = []
    for record in sorted(labels, key=lambda record: (record.photo_sha256, record.mask_sha256)):  # as every writer
        if record.photo_sha256 not in ids:
            raise RecordRefused(f"a label for the photo {record.photo_sha256}, which is not recorded; ingest it first")
        if _record(connection, ids[record.photo_sha256], record, record.labelled_at or now):
            labellings.append(_labelling(record))
    record_events(connection, labellings)
    return len(labellings)


def _record(connection: Connection, photo_id: int, record: LabelRecord, at: str) -> bool:
    """Adds a label, or what more people painted to the one with the same mask; False where nothing is new."""
    statement = insert(connection, label).values(
        photo_id=photo_id, mask_key=record.mask_key, mask_sha256=record.mask_sha256, coverage=record.coverage,
        labelled_at=at, reviewed=int(record.reviewed), **_of_people(record),
    )  # fmt: skip
    added = connection.execute(
        statement.on_conflict_do_nothing(index_elements=["photo_id", "mask_sha256"]).returning(label.c.id)
    ).scalar()
    if added is not None:
        _add_annotations(connection, added, record.annotations, at)
        return True
    c, a = label.c, label_annotation.c
    known = connection.execute(
        sa.select(c.id, c.reviewed).where(c.photo_id == photo_id, c.mask_sha256 == record.mask_sha256)
    ).one()
    painted = connection.execute(sa.select(a.author, a.mask_sha256).where(a.label_id == known.id)).tuples().all()
    more = [part for part in record.annotations if (part.author, part.mask_sha256) not in painted]
    if not (known.reviewed and record.reviewed and more and record.annotators > 1):
        return False
    _add_annotations(connection, known.id, more, at)
    latest = sa.select(c.id, c.labelled_at).where(c.photo_id == photo_id, c.reviewed == 1)
    in_use = connection.execute(latest.order_by(c.labelled_at.desc(), c.id.desc()).limit(1)).one()
    after = utc_text(datetime.fromisoformat(in_use.labelled_at) + timedelta(seconds=in_use.id != known.id))
    changes = {**_of_people(record), "labelled_at": max(at, after)}
    connection.execute(sa.update(label).where(c.id == known.id).values(**changes))
    return True


def _of_people(record: LabelRecord) -> dict[str, object]:
    return {
        "author": record.author, "tool": record.tool, "annotators": record.annotators,
        "disagreement": record.disagreement, "disagreement_key": record.disagreement_key,
    }  # fmt: skip


def _add_annotations(connection: Connection, label_id: int, parts: Sequence[LabelAnnotation], at: str) -> None:
    rows = [
        {"label_id": label_id, "author": part.author, "tool": part.tool, "mask_key": part.mask_key,
         "mask_sha256": part.mask_sha256, "coverage": part.coverage, "labelled_at": part.labelled_at or at}
        for part in parts
    ]  # fmt: skip
    if rows:
        once = insert(connection, label_annotation).on_conflict_do_nothing()
        connection.execute(once, rows)


def _labelling(record: LabelRecord) -> EventRecord:
    links = (("photo", record.photo_sha256, "source"), ("mask", record.mask_sha256, "outcome"))
    detail = {"tool": record.tool, "coverage": record.coverage, "mask_key": record.mask_key}
    if not record.reviewed:
        detail["reviewed"] = False
    if record.annotators > 1:
        detail |= {"annotators": record.annotators, "disagreement": record.disagreement}
    return EventRecord(
        type="labelling", agent=record.author, agent_type="person", detail=detail, objects=links,
        at=record.labelled_at,
    )  # fmt: skip


def latest_labels(connection: Connection, photos: Collection[str] | None) -> dict[str, LabelRecord]:
    """See ``Catalogue.latest_labels``."""
    c = label.c
    statement = sa.select(
        photo.c.sha256, c.mask_key, c.mask_sha256, c.author, c.tool, c.coverage, c.labelled_at, c.annotators,
        c.disagreement, c.disagreement_key,
    ).select_from(photo.join(label, c.id == latest_label_id()))  # fmt: skip
    batches = [statement] if photos is None else [statement.where(photo.c.sha256.in_(p)) for p in chunks(set(photos))]
    return {
        row.sha256: LabelRecord(
            photo_sha256=row.sha256, mask_key=row.mask_key, mask_sha256=row.mask_sha256, author=row.author,
            tool=row.tool, coverage=row.coverage, labelled_at=row.labelled_at, annotators=row.annotators,
            disagreement=row.disagreement, disagreement_key=row.disagreement_key,
        )
        for batch in batches
        for row in connection.execute(batch)
    }  # fmt: skip


def recorded_masks(connection: Connection, photos: Collection[str]) -> dict[str, list[RecordedMask]]:
    """See ``Catalogue.recorded_masks``. Of a label without annotations its own mask is its author's."""
    found: dict[str, list[RecordedMask]] = {}
    c, a = label.c, label_annotation.c
    annotated = sa.select(a.label_id).where(a.label_id == c.id).exists()

    def masks(author: sa.ColumnElement[Any], of: Any, source: sa.FromClause) -> sa.Select[Any]:
        return sa.select(
            photo.c.sha256, c.id.label("label_id"), author.label("author"), of.tool, of.mask_key, of.mask_sha256,
            of.coverage, of.labelled_at, c.reviewed,
        ).select_from(source.join(photo, photo.c.id == c.photo_id))  # fmt: skip

    own = masks(sa.cast(sa.null(), sa.Text), c, label)
    painted = masks(a.author, a, label.join(label_annotation, a.label_id == c.id))
    alone = masks(c.author, c, label).where(~annotated)
    for chunk in chunks(sorted(set(photos))):
        wanted = sa.union_all(*(part.where(photo.c.sha256.in_(chunk)) for part in (own, painted, alone)))
        for row in connection.execute(wanted.order_by("label_id", "author")).mappings():
            known = {name: value for name, value in row.items() if name not in ("sha256", "reviewed")}
            found.setdefault(row["sha256"], []).append(RecordedMask(**known, reviewed=bool(row["reviewed"])))
    return found
