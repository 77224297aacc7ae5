"""Restorations that wait for a person, what the person said, and judging all of them by other limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.statements import latest_first
from storage.catalog.tables import collection, photo, restoration, review, source_object
from storage.records import FIDELITY, EventRecord, Verdict

DONE = ("restored", "unchanged")


@dataclass(frozen=True, kw_only=True)
class Reviewable:
    """The latest restoration of a photo, as a reviewer sees it.

    Attributes:
        reasons: what is past a limit, in words; None where nothing is.
        verdict: of its latest review; None where there was none.
    """

    restoration_id: int
    photo_sha256: str
    source_url: str | None
    source_key: str | None
    release: str
    reasons: str | None
    verdict: Verdict | None
    reviewer: str | None
    finished_at: str
    restored_key: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A restoration's figures and what was said of them last."""

    restoration_id: int
    figures: dict[str, float | None]
    reasons: str | None


def latest_verdict() -> sa.ScalarSelect[str]:
    """On restoration: the verdict of its latest review."""
    return _of_latest_review("verdict")


def latest_done() -> sa.ScalarSelect[int]:
    """On restoration's photo: its latest restoration whose files are there."""
    x = restoration.alias()
    return (
        sa.select(x.c.id)
        .where(x.c.photo_id == restoration.c.photo_id, x.c.outcome.in_(DONE), x.c.deleted_at.is_(None))
        .order_by(*latest_first(x.c))
        .limit(1)
        .correlate(restoration)
        .scalar_subquery()
    )


def is_cleared() -> sa.ColumnElement[bool]:
    """On restoration: nothing is past a limit and nobody rejected it, or somebody accepted it."""
    verdict = sa.func.coalesce(latest_verdict(), "")
    passed = sa.and_(restoration.c.needs_review == 0, verdict != "rejected")
    return sa.or_(passed, verdict == "accepted")


def reviews_wanted(
    connection: Connection, collection_id: int | None, reviewed: bool, after_id: int, limit: int
) -> list[Reviewable]:
    """See ``Catalogue.reviews_wanted``."""
    r = restoration.c
    verdict = sa.func.coalesce(latest_verdict(), "")
    judged = verdict.in_(("accepted", "rejected"))
    wanted = judged if reviewed else sa.and_(r.needs_review == 1, ~judged)
    statement = _reviewables().where(wanted, r.id > after_id, r.id == latest_done()).order_by(r.id).limit(limit)
    if collection_id is not None:
        o = source_object.c
        statement = statement.where(r.photo_id.in_(sa.select(o.photo_id).where(o.collection_id == collection_id)))
    return [Reviewable(**row) for row in connection.execute(statement).mappings()]


def reviewable(connection: Connection, photo_sha256: str) -> Reviewable | None:
    """See ``Catalogue.reviewable``."""
    r = restoration.c
    statement = _reviewables().where(photo.c.sha256 == photo_sha256, r.id == latest_done())
    row = connection.execute(statement).mappings().first()
    return Reviewable(**row) if row is not None else None


def review_event(item: Reviewable, verdict: Verdict, by: str, note: str | None) -> EventRecord:
    """The event of a person's verdict."""
    said = f"restoration {verdict}" + (f": {note}" if note else "")
    return EventRecord(
        type="review", agent=by, agent_type="person",
        detail={"verdict": verdict, "release": item.release, "reasons": item.reasons},
        objects=(("photo", item.photo_sha256, "source"), ("derivative", item.restored_key, "source")), note=said,
    )  # fmt: skip


def record_review(
    connection: Connection, restoration_id: int, verdict: Verdict, by: str, note: str | None,
    events: Sequence[EventRecord],
) -> None:  # fmt: skip
    """See ``Catalogue.record_review``. A verdict that is recorded already, as after a lost answer, is left."""
    latest = sa.select(review.c.verdict, review.c.reviewer, review.c.note)
    latest = latest.where(review.c.restoration_id == restoration_id)
    last = connection.execute(latest.order_by(review.c.reviewed_at.desc(), review.c.id.desc()).limit(1)).first()
    if last is None or tuple(last) != (verdict, by, note):
        values = {"restoration_id": restoration_id, "verdict": verdict, "reviewer": by, "note": note}
        connection.execute(sa.insert(review).values(**values, reviewed_at=utc_now()))
    record_events(connection, events)


def restorations_to_judge(connection: Connection, after_id: int, limit: int) -> list[Judged]:
    """See ``Catalogue.restorations_to_judge``."""
    r = restoration.c
    statement = (
        sa.select(r.id, r.review_reasons, r.mask_coverage, *(r[name] for name in FIDELITY))
        .where(r.id > after_id, r.outcome == "restored", r.deleted_at.is_(None))
        .order_by(r.id)
        .limit(limit)
    )
    return [
        Judged(
            restoration_id=row["id"], reasons=row["review_reasons"],
            figures={name: row[name] for name in ("mask_coverage", *FIDELITY)},
        )
        for row in connection.execute(statement).mappings()
    ]  # fmt: skip


def record_judgements(
    connection: Connection, judgements: Sequence[tuple[int, str | None]], events: Sequence[EventRecord]
) -> None:
    """See ``Catalogue.record_judgements``."""
    if judgements:
        statement = sa.update(restoration).where(restoration.c.id == sa.bindparam("of_id"))
        statement = statement.values(needs_review=sa.bindparam("wanted"), review_reasons=sa.bindparam("why"))
        connection.execute(
            statement, [{"of_id": id_, "wanted": int(why is not None), "why": why} for id_, why in judgements]
        )
    record_events(connection, events)


def left_out(connection: Connection, collection_id: int | None) -> tuple[int, int]:
    """See ``Catalogue.left_out``."""
    r, o, c = restoration.c, source_object.c, collection.c
    rejected = sa.func.coalesce(latest_verdict(), "") == "rejected"
    statement = (
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.case((rejected, 1), else_=0)), 0))
        .select_from(
            source_object.join(collection).join(photo, photo.c.id == o.photo_id)
            .join(restoration, r.photo_id == photo.c.id)
        )
        .where(o.status == "registered", c.state == "open", photo.c.state == "open")
        .where(r.id == latest_done(), ~is_cleared())
    )  # fmt: skip
    if collection_id is not None:
        statement = statement.where(o.collection_id == collection_id)
    count, refused = connection.execute(statement).one()
    return count - refused, refused


def _of_latest_review(name: str) -> sa.ScalarSelect[str]:
    v = review.alias()
    return (
        sa.select(v.c[name])
        .where(v.c.restoration_id == restoration.c.id)
        .order_by(v.c.reviewed_at.desc(), v.c.id.desc())
        .limit(1)
        .correlate(restoration)
        .scalar_subquery()
    )


def _reviewables() -> sa.Select[tuple[object, ...]]:
    """Columns are named as the fields of `Reviewable`; of several places of a photo the first that is still there."""
    r, o = restoration.c, source_object.c
    place = (
        sa.select(o.id)
        .where(o.photo_id == r.photo_id)
        .order_by(sa.case((o.status == "registered", 0), else_=1), o.id)
        .limit(1)
        .correlate(restoration)
        .scalar_subquery()
    )
    return sa.select(
        r.id.label("restoration_id"), photo.c.sha256.label("photo_sha256"), collection.c.url.label("source_url"),
        o.key.label("source_key"), r.release, r.review_reasons.label("reasons"), latest_verdict().label("verdict"),
        _of_latest_review("reviewer").label("reviewer"), r.finished_at, r.restored_key,
    ).select_from(
        restoration.join(photo).outerjoin(source_object, o.id == place)
        .outerjoin(collection, collection.c.id == o.collection_id)
    )  # fmt: skip
