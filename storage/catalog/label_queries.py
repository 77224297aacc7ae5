"""Labels: scratch masks that people painted, which of them applies, and what came of looking at them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.statements import chunks, insert, photo_ids
from storage.catalog.tables import label, label_annotation, photo
from storage.errors import RecordRefused
from storage.records import EventRecord, LabelRecord


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
        at = record.labelled_at or now
        statement = insert(connection, label).values(
            photo_id=ids[record.photo_sha256], mask_key=record.mask_key, mask_sha256=record.mask_sha256,
            author=record.author, tool=record.tool, coverage=record.coverage, labelled_at=at,
            reviewed=int(record.reviewed), annotators=record.annotators, disagreement=record.disagreement,
            disagreement_key=record.disagreement_key,
        )  # fmt: skip
        added = connection.execute(
            statement.on_conflict_do_nothing(index_elements=["photo_id", "mask_sha256"]).returning(label.c.id)
        ).scalar()
        if added is None:
            continue
        parts = [
            {"label_id": added, "author": part.author, "tool": part.tool, "mask_key": part.mask_key,
             "mask_sha256": part.mask_sha256, "coverage": part.coverage, "labelled_at": part.labelled_at or at}
            for part in record.annotations
        ]  # fmt: skip
        if parts:
            connection.execute(sa.insert(label_annotation), parts)
        labellings.append(_labelling(record))
    record_events(connection, labellings)
    return len(labellings)


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


def known_masks(connection: Connection, photos: Collection[str]) -> dict[tuple[str, str], int]:
    """See ``Catalogue.known_masks``."""
    found: dict[tuple[str, str], int] = {}
    for chunk in chunks(sorted(set(photos))):
        statement = sa.select(photo.c.sha256, label.c.mask_sha256, label.c.reviewed).select_from(label.join(photo))
        for sha256, mask_sha256, reviewed in connection.execute(statement.where(photo.c.sha256.in_(chunk))):
            found[sha256, mask_sha256] = reviewed
    return found
