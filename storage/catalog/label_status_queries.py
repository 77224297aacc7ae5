"""What is labelled, by whom, and what of it is new; and which photos a person might label next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.label_queries import latest_label_id
from storage.catalog.tables import collection, label, photo, photo_split, restoration, source_object
from storage.catalog.waiting_queries import waiting_labels
from storage.records import LabelRow


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """A photo that nobody labelled, with its latest restoration.

    Attributes:
        source_url, source_key: of its first registered object.
        found_key, found_sha256: what the detector found, in the derivatives store: the restoration's `found.png`, or
            the `mask.png` of one that was made before there was such a file.
    """

    photo_id: int
    photo_sha256: str
    source_url: str
    source_key: str
    height: int
    width: int
    release: str
    found_key: str
    found_sha256: str
    mask_coverage: float | None
    preview_key: str | None
    perceptual_hash: str | None


def label_rows(connection: Connection, photos: Sequence[str] | None, *, after_id: int, limit: int) -> list[LabelRow]:
    """See ``Catalogue.label_rows``."""
    c, o = label.c, source_object.c
    registered_first = sa.case((o.status == "registered", 0), else_=1)
    key = sa.select(o.key).where(o.photo_id == c.photo_id).order_by(registered_first, o.id)
    state = sa.case(
        (c.rejected_at.is_not(None), "rejected"),
        (c.reviewed == 0, "waits for review"),
        (c.id == latest_label_id(), "in use"),
        else_="replaced",
    )
    statement = (
        sa.select(
            c.id.label("label_id"), photo.c.sha256.label("photo_sha256"),
            key.limit(1).correlate(label).scalar_subquery().label("source_key"), state.label("state"), c.author, c.tool,
            c.coverage, c.annotators, c.disagreement, c.labelled_at, c.mask_key, c.mask_sha256, photo_split.c.split,
            c.id.in_(waiting_labels()).label("is_new"),
        )
        .select_from(label.join(photo).outerjoin(photo_split, photo_split.c.photo_id == photo.c.id))
        .where(c.id > after_id)
        .order_by(c.id)
        .limit(limit)
    )  # fmt: skip
    if photos is not None:
        statement = statement.where(photo.c.sha256.in_(photos))
    return [
        LabelRow(**{**row, "is_new": bool(row["is_new"])}) for row in connection.execute(statement).mappings()
    ]


def unlabelled(connection: Connection, *, after_id: int, limit: int) -> list[Unlabelled]:
    """See ``Catalogue.unlabelled``."""
    p, r, o = photo.c, restoration.c, source_object.c
    first = (
        sa.select(o.id)
        .select_from(source_object.join(collection))
        .where(o.photo_id == p.id, o.status == "registered", collection.c.state == "open")
        .order_by(o.id)
        .limit(1)
    )
    labelled = sa.select(label.c.id).where(label.c.photo_id == p.id, label.c.rejected_at.is_(None))
    latest = sa.table("photo_latest", sa.column("photo_id"), sa.column("restoration_id"))
    statement = (
        sa.select(
            p.id.label("photo_id"), p.sha256.label("photo_sha256"), collection.c.url.label("source_url"),
            o.key.label("source_key"), p.height, p.width, r.release,
            sa.func.coalesce(r.found_key, r.mask_key).label("found_key"),
            sa.func.coalesce(r.found_sha256, r.mask_sha256).label("found_sha256"), r.mask_coverage, r.preview_key,
            p.perceptual_hash,
        )
        .select_from(
            photo.join(source_object, o.id == first.correlate(photo).scalar_subquery())
            .join(collection)
            .join(latest, latest.c.photo_id == p.id)
            .join(restoration, r.id == latest.c.restoration_id)
        )
        .where(p.id > after_id, p.state == "open", r.mask_source == "detected", r.mask_key.is_not(None))
        .where(~labelled.correlate(photo).exists())
        .order_by(p.id)
        .limit(limit)
    )  # fmt: skip
    return [Unlabelled(**row) for row in connection.execute(statement).mappings()]
