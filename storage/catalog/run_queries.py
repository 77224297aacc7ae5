"""Runs of flows, and what a run's report shows."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog import ingest_queries
from storage.catalog.engine import utc_now
from storage.catalog.review_queries import latest_verdict
from storage.catalog.statements import insert, json_text, one_at_a_time
from storage.catalog.tables import collection, photo, restoration, run, source_object, store_endpoint
from storage.errors import RecordRefused
from storage.keys import browse_path
from storage.records import RunRecord
from storage.reports.model import QuarantinedFile, ReportPhoto, RunReport

CHANGEABLE = (
    "collection_id", "release", "mode", "tone", "mending", "strength", "flow_run_id", "machine", "title",
    "source_url",
)  # fmt: skip


def start_run(connection: Connection, record: RunRecord) -> None:
    """See ``Catalogue.start_run``."""
    one_at_a_time(connection, "run.number")
    number = sa.select(sa.func.coalesce(sa.func.max(run.c.number), 0) + 1).scalar_subquery()
    statement = insert(connection, run).values(
        id=record.run_id, number=number, kind=record.kind, title=record.title, source_url=record.source_url,
        collection_id=record.collection_id, release=record.release, mode=record.mode, tone=record.tone,
        mending=record.mending, strength=record.strength, flow_run_id=record.flow_run_id,
        machine=json_text(record.machine), status="running", totals=json_text(record.totals),
        started_at=record.started_at or utc_now(),
    )  # fmt: skip
    connection.execute(statement.on_conflict_do_nothing(index_elements=["id"]))


def finish_run(connection: Connection, run_id: str, totals: Mapping[str, int], status: str) -> None:
    """See ``Catalogue.finish_run``."""
    values = {"status": status, "totals": json_text(totals), "finished_at": utc_now()}
    _require_run(connection.execute(sa.update(run).where(run.c.id == run_id).values(**values)).rowcount, run_id)


def update_run(connection: Connection, run_id: str, changes: Mapping[str, Any]) -> None:
    """See ``Catalogue.update_run``."""
    unknown = set(changes) - set(CHANGEABLE)
    if unknown:
        raise RecordRefused(f"a run has no {min(unknown)!r} to fill in; expected {', '.join(CHANGEABLE)}")
    values = {name: json_text(value) if name == "machine" else value for name, value in changes.items()}
    if values:
        _require_run(connection.execute(sa.update(run).where(run.c.id == run_id).values(**values)).rowcount, run_id)


def _require_run(found: int, run_id: str) -> None:
    if not found:
        raise RecordRefused(f"no run {run_id!r} in the catalogue; start it first")


def latest_run_id(connection: Connection, kinds: Collection[str] | None) -> str | None:
    """See ``Catalogue.latest_run_id``."""
    statement = sa.select(run.c.id).order_by(run.c.number.desc(), run.c.id.desc()).limit(1)
    if kinds is not None:
        statement = statement.where(run.c.kind.in_(list(kinds)))
    return connection.scalar(statement)


def pictured_runs(connection: Connection, limit: int) -> list[RunRecord]:
    """See ``Catalogue.pictured_runs``."""
    r = restoration.c
    made = sa.exists().where(r.run_id == run.c.id, r.outcome != "failed")
    statement = sa.select(run.c.id).where(made).order_by(run.c.number.desc(), run.c.id.desc()).limit(limit)
    found = (get_run(connection, run_id) for run_id in connection.execute(statement).scalars().all())
    return [record for record in found if record is not None]


def get_run(connection: Connection, run_id: str) -> RunRecord | None:
    """See ``Catalogue.get_run``."""
    row = connection.execute(sa.select(run).where(run.c.id == run_id)).mappings().first()
    if row is None:
        return None
    values = {name: row[name] for name in row if name not in ("id", "number", "day", "machine", "totals")}
    return RunRecord(run_id=row["id"], machine=json.loads(row["machine"]), totals=json.loads(row["totals"]), **values)


def run_report(connection: Connection, run_id: str) -> RunReport:
    """See ``Catalogue.run_report``. Totals that the run did not get to write are counted from the tables."""
    record = get_run(connection, run_id)
    if record is None:
        raise RecordRefused(f"no run {run_id!r} in the catalogue")
    photos = _report_photos(connection, record)
    totals = dict.fromkeys(("restored", "unchanged", "failed"), 0)
    for shown in photos:
        totals[shown.outcome] = totals.get(shown.outcome, 0) + 1
    counts = ingest_queries.object_counts(connection, record.collection_id)
    totals |= {name: counts[name] for name in ("registered", "ignored", "quarantined")}
    totals |= dict(record.totals)
    if photos:  # as of now: some may have been reviewed since
        totals["needs_review"] = sum(shown.waits_for_review for shown in photos)
    return RunReport(
        run_id=run_id,
        title=record.title or record.kind,
        source_url=record.source_url,
        started_at=record.started_at,
        finished_at=record.finished_at,
        release=record.release,
        mode=record.mode,
        tone=record.tone,
        mending=record.mending,
        strength=record.strength,
        totals=totals,
        photos=tuple(photos),
        quarantined=tuple(_quarantined_files(connection, record.collection_id)),
        ignored_by_pattern=ingest_queries.ignored_by_pattern(connection, record.collection_id),
        machine={name: str(value) for name, value in record.machine.items()},
    )


def conditional_writes(connection: Connection, endpoint: str) -> bool | None:
    """See ``Catalogue.conditional_writes``."""
    statement = sa.select(store_endpoint.c.conditional_writes).where(store_endpoint.c.endpoint == endpoint)
    found = connection.scalar(statement)
    return None if found is None else bool(found)


def record_endpoint(connection: Connection, endpoint: str, honoured: bool) -> None:
    """See ``Catalogue.record_endpoint``."""
    values = {"conditional_writes": int(honoured), "probed_at": utc_now()}
    statement = insert(connection, store_endpoint).values(endpoint=endpoint, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["endpoint"], set_=values))


def _report_photos(connection: Connection, record: RunRecord) -> list[ReportPhoto]:
    """The restorations that this run recorded, with every place where their photo lies in its collection."""
    r, o = restoration.c, source_object.c
    places = (
        sa.select(o.photo_id, o.key, collection.c.browse_folder)
        .select_from(source_object.join(collection).join(restoration, r.photo_id == o.photo_id))
        .where(r.run_id == record.run_id)
        .order_by(sa.case((o.status == "registered", 0), else_=1), o.id)
    )
    if record.collection_id is not None:
        places = places.where(o.collection_id == record.collection_id)
    found: dict[int, list[tuple[str, str]]] = {}
    for photo_id, key, folder in connection.execute(places):
        if (key, folder) not in found.setdefault(photo_id, []):
            found[photo_id].append((key, folder))
    statement = (
        sa.select(restoration, photo.c.sha256, photo.c.height, photo.c.width, latest_verdict().label("verdict"))
        .select_from(restoration.join(photo))
        .where(r.run_id == record.run_id)
        .order_by(r.id)
    )
    shown = []
    for row in connection.execute(statement):
        (key, folder), *others = found.get(row.photo_id) or [(row.sha256, "")]
        browse = browse_path(key, row.output_format, browse_folder=folder) if row.outcome != "failed" else None
        shown.append(
            ReportPhoto(
                source_key=key, photo_sha256=row.sha256, outcome=row.outcome, error=row.error, height=row.height,
                width=row.width, preview_key=row.preview_key, mask_key=row.mask_key, mask_coverage=row.mask_coverage,
                change_outside_mask=row.change_outside_mask, mean_change=row.mean_change, seconds=row.seconds,
                release=row.release, browse_path=browse, mask_source=row.mask_source,
                also_at=tuple(other for other, _ in others), review_reasons=row.review_reasons, verdict=row.verdict,
                found_key=row.found_key, tone=row.tone, notes=tuple(json.loads(row.report).get("notes", ())),
            )
        )  # fmt: skip
    return shown


def _quarantined_files(connection: Connection, collection_id: int | None) -> list[QuarantinedFile]:
    o = source_object.c
    statement = sa.select(o.key, o.reason, o.detail).where(o.status == "quarantined").order_by(o.key)
    if collection_id is not None:
        statement = statement.where(o.collection_id == collection_id)
    return [
        QuarantinedFile(source_key=key, reason=reason, detail=detail)
        for key, reason, detail in connection.execute(statement)
    ]
