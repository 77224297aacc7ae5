"""A person's verdict on a label, and what follows from it for the photo's restorations."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.label_queries import latest_label_mask
from storage.catalog.statements import latest_at, latest_first
from storage.catalog.tables import label, photo, restoration
from storage.errors import RecordRefused
from storage.records import EventRecord, utc_text


def review_label(connection: Connection, label_id: int, accepted: bool, by: str, note: str | None, uid: str) -> bool:
    """See ``Catalogue.review_label``."""
    c = label.c
    known = connection.execute(
        sa.select(photo.c.id, photo.c.sha256, c.mask_sha256, c.reviewed, c.rejected_at)
        .select_from(label.join(photo))
        .where(c.id == label_id)
    ).one_or_none()
    if known is None:
        raise RecordRefused(f"label {label_id} is not in the catalogue; see `oldphoto labels status`")
    if bool(known.reviewed) == accepted and (accepted or known.rejected_at is not None):
        return False
    now = connection.scalar(sa.select(utc_now()))
    connection.execute(
        sa.update(label).where(c.id == label_id).values(
            reviewed=int(accepted), reviewed_by=by, reviewed_at=now, rejected_at=None if accepted else now
        )
    )  # fmt: skip
    _take_up(connection, known.id)
    verdict = "accepted" if accepted else "rejected"
    objects = (("photo", known.sha256, "source"), ("mask", known.mask_sha256, "source"))
    event = EventRecord(
        type="review", agent=by, agent_type="person", detail={"label": label_id, "verdict": verdict}, objects=objects,
        uid=uid, note=f"label {verdict}" + (f": {note}" if note else ""),
    )  # fmt: skip
    record_events(connection, [event])
    return True


def _take_up(connection: Connection, photo_id: int) -> None:
    """Makes the photo's latest the restoration with the label that applies now, or without one, where it was made, by
    the release and in the manner of the one that is its latest.

    The next run would find that work done already, and leave the one with the label of before.
    """
    r = restoration.c
    mask = connection.scalar(sa.select(latest_label_mask()).select_from(photo).where(photo.c.id == photo_id))
    done = sa.and_(r.photo_id == photo_id, r.outcome.in_(("restored", "unchanged")), r.deleted_at.is_(None))
    fits = r.mask_source == "detected"
    if mask is not None:
        fits = sa.and_(r.mask_source == "label", r.mask_joined == 1, r.supplied_mask_sha256 == mask)
    alike = (r.release, r.mode, r.tone, r.mending, r.strength, r.pixel_version)
    latest = connection.execute(
        sa.select(r.id, latest_at(r).label("at"), *alike).where(done).order_by(*latest_first(r)).limit(1)
    ).first()
    if latest is None:
        return
    as_now = sa.and_(*(column == getattr(latest, column.name) for column in alike))
    wanted = connection.scalar(sa.select(r.id).where(done, fits, as_now).order_by(*latest_first(r)).limit(1))
    if wanted in (None, latest.id):
        return
    after = utc_text(datetime.fromisoformat(latest.at) + timedelta(seconds=1))
    at = max(str(connection.scalar(sa.select(utc_now()))), after)
    connection.execute(sa.update(restoration).where(r.id == wanted).values(taken_up_at=at))
