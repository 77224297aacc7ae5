"""The catalogue's methods that read much: restorations by what people ask for, and one moment of everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from storage.catalog import history_queries
from storage.catalog.history_queries import HistoryFilter
from storage.catalog.transactions import Transactions
from storage.query_rows import BATCH_ROWS, QueryRows


class HistoryMethods(Transactions):
    """What was done, streamed."""

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that sees the catalogue as it was at one moment, however long it reads, and can change nothing.

        Results stream: take them by ``partitions()``. A lost connection is not made again.
        """
        with self.connected() as plain:
            sqlite = plain.dialect.name == "sqlite"
            options = {} if sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            connection = plain.execution_options(stream_results=True, yield_per=BATCH_ROWS, **options)
            if sqlite:
                connection.exec_driver_sql("PRAGMA query_only=ON")
            try:
                yield connection
            finally:
                connection.rollback()
                if sqlite:
                    connection.exec_driver_sql("PRAGMA query_only=OFF")

    @contextmanager
    def open_history(self, wanted: HistoryFilter, *, limit: int | None = None) -> Iterator[QueryRows]:
        """Rows of the view ``restoration_history``, latest first."""
        with self.snapshot() as connection:
            result = connection.execute(history_queries.history_rows(connection, wanted, limit))
            batches = ([tuple(row) for row in part] for part in result.partitions())
            yield QueryRows(tuple(result.keys()), batches)
