"""What ran of late: for whoever tells people in the morning."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.run_queries import get_run
from storage.catalog.tables import run
from storage.catalog.transactions import Transactions
from storage.records import RunRecord


class RecentRunMethods(Transactions):
    """Runs of a span of time."""

    def runs_since(self, since: str, *, without: str | None = None) -> list[RunRecord]:
        """Runs that began or ended at this moment or later, and all that have not ended, in the order of their start.

        Args:
            since: ISO-8601 UTC text, as the catalogue has it.
            without: a kind of runs to leave out.
        """
        return self.read(_runs_since, since, without)

    def last_finished(self, kind: str) -> RunRecord | None:
        """The latest run of this kind that finished well; None where there is none."""
        return self.read(_last_finished, kind)


def _runs_since(connection: Connection, since: str, without: str | None) -> list[RunRecord]:
    r = run.c
    recent = sa.or_(r.started_at >= since, r.finished_at >= since, r.status == "running")
    statement = sa.select(r.id).where(recent).order_by(r.number, r.id)
    if without is not None:
        statement = statement.where(r.kind != without)
    found = [get_run(connection, run_id) for run_id in connection.scalars(statement).all()]
    return [record for record in found if record is not None]


def _last_finished(connection: Connection, kind: str) -> RunRecord | None:
    r = run.c
    statement = sa.select(r.id).where(r.kind == kind, r.status == "finished").order_by(r.number.desc()).limit(1)
    run_id = connection.scalar(statement)
    return get_run(connection, run_id) if run_id is not None else None
