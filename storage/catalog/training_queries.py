"""Training runs, and the releases that came of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.statements import insert, json_text
from storage.catalog.tables import (
    dataset_snapshot,
    dataset_snapshot_label,
    dataset_snapshot_photo,
    label,
    label_annotation,
    model_release,
    model_release_run,
    training_run,
)
from storage.errors import RecordRefused
from storage.records import EventRecord, ReleaseLineage, TrainingRunRecord


def start_training_run(connection: Connection, run: TrainingRunRecord) -> None:
    """See ``Catalogue.start_training_run``."""
    snapshot_id = None
    if run.snapshot_sha256 is not None:
        d = dataset_snapshot.c
        snapshot_id = connection.scalar(sa.select(d.id).where(d.sha256 == run.snapshot_sha256))
        if snapshot_id is None:
            raise RecordRefused(f"training run {run.run_id} on a snapshot {run.snapshot_sha256} that is not recorded")
    t = training_run.c
    statement = insert(connection, training_run).values(
        id=run.run_id, stage=run.stage, configuration=json_text(run.configuration), snapshot_id=snapshot_id,
        parent_id=run.parent_run_id, status="running", metrics=json_text(run.metrics), curves_key=run.curves_key,
        device=run.device, code_version=run.code_version, flow_run_id=run.flow_run_id,
        started_at=run.started_at or utc_now(), retrain_id=run.retrain_id, seed=run.seed,
    )  # fmt: skip
    again = {"status": "running", "finished_at": None, "flow_run_id": run.flow_run_id, "device": run.device}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_=again, where=t.status != "finished")
    )


def finish_training_run(
    connection: Connection,
    run_id: str,
    status: str,
    metrics: Mapping[str, Any] | None,
    curves_key: str | None,
    events: Sequence[EventRecord],
) -> None:
    """See ``Catalogue.finish_training_run``."""
    t = training_run.c
    changes: dict[str, Any] = {"status": status, "finished_at": utc_now()}
    if metrics is not None:
        changes["metrics"] = json_text(metrics)
    if curves_key is not None:
        changes["curves_key"] = curves_key
    changed = connection.execute(sa.update(training_run).where(t.id == run_id).values(**changes)).rowcount
    if not changed:
        raise RecordRefused(f"no training run {run_id!r} in the catalogue; start it first")
    record_events(connection, events)


def training_runs(connection: Connection, retrain_id: str | None, release: str | None) -> list[TrainingRunRecord]:
    """See ``Catalogue.training_runs``."""
    t, x, m = training_run.c, model_release_run.c, model_release.c
    statement = (
        sa.select(training_run, dataset_snapshot.c.sha256.label("snapshot_sha256"))
        .select_from(training_run.outerjoin(dataset_snapshot, dataset_snapshot.c.id == t.snapshot_id))
        .order_by(t.started_at, t.id)
    )
    if retrain_id is not None:
        statement = statement.where(t.retrain_id == retrain_id)
    if release is not None:
        made = sa.select(x.training_run_id).select_from(model_release_run.join(model_release, m.id == x.release_id))
        statement = statement.where(t.id.in_(made.where(m.name == release)))
    return [
        TrainingRunRecord(
            run_id=row["id"], stage=row["stage"], retrain_id=row["retrain_id"],
            configuration=json.loads(row["configuration"]), snapshot_sha256=row["snapshot_sha256"],
            parent_run_id=row["parent_id"], seed=row["seed"], status=row["status"],
            metrics=json.loads(row["metrics"]), curves_key=row["curves_key"], device=row["device"],
            code_version=row["code_version"], flow_run_id=row["flow_run_id"], started_at=row["started_at"],
            finished_at=row["finished_at"],
        )
        for row in connection.execute(statement).mappings()
    ]  # fmt: skip


def link_release_runs(connection: Connection, release: str, run_ids: Sequence[str]) -> None:
    """See ``Catalogue.link_release_runs``."""
    release_id = connection.scalar(sa.select(model_release.c.id).where(model_release.c.name == release))
    if release_id is None:
        raise RecordRefused(f"no release {release!r} in the catalogue; register it first")
    rows = [{"release_id": release_id, "training_run_id": run_id} for run_id in sorted(set(run_ids))]
    if rows:
        connection.execute(insert(connection, model_release_run).on_conflict_do_nothing(), rows)


def release_lineage(connection: Connection, release: str) -> ReleaseLineage:
    """See ``Catalogue.release_lineage``."""
    runs = training_runs(connection, None, release)
    seen = sorted({run.snapshot_sha256 for run in runs if run.snapshot_sha256 is not None})
    d, x, y = dataset_snapshot.c, dataset_snapshot_photo.c, dataset_snapshot_label.c
    photos = (
        sa.select(sa.func.count(x.photo_id.distinct()))
        .select_from(dataset_snapshot_photo.join(dataset_snapshot, d.id == x.snapshot_id))
        .where(d.sha256.in_(seen))
    )
    in_snapshots = dataset_snapshot_label.join(dataset_snapshot, d.id == y.snapshot_id)
    labels = sa.select(sa.func.count(y.label_id.distinct())).select_from(in_snapshots).where(d.sha256.in_(seen))
    author = sa.func.coalesce(label_annotation.c.author, label.c.author)
    authors = (
        sa.select(author, sa.func.count(label.c.id.distinct()))
        .select_from(
            in_snapshots.join(label, label.c.id == y.label_id)
            .outerjoin(label_annotation, label_annotation.c.label_id == label.c.id)
        )
        .where(d.sha256.in_(seen))
        .group_by(author)
    )  # fmt: skip
    by_author = dict(connection.execute(authors).tuples().all())
    return ReleaseLineage(
        runs=tuple(runs),
        snapshots=tuple(seen),
        photos=connection.scalar(photos) or 0,
        labels=connection.scalar(labels) or 0,
        labels_by_author=dict(sorted(by_author.items())),
    )
