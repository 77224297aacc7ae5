"""Transactions on the catalogue's database, errors in our words, and patience with a database that goes and comes back.

Every function handed to :meth:`Transactions.write` may run more than once: when the connection was lost, nobody knows
whether the commit came through. So each of them must leave the same rows when it runs again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage.catalog.database_errors import advice, may_pass, one_line
from storage.errors import CatalogueUnreadable, RecordRefused

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S = 300.0
"""How long a run waits for a database that went away in its middle."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0


class Transactions:
    """An open database: `read` and `write` run a function in one transaction each."""

    def __init__(self, engine: Engine, url: str, *, patience_s: float = PATIENCE_S) -> None:
        self._engine = engine
        self._patience_s = patience_s
        self.url = url

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    def write(
        self, function: Callable[Concatenate[Connection, P], T], *arguments: P.args, **keywords: P.kwargs
    ) -> T:
        """What ``function(connection, ...)`` gives; its changes are committed together, or none is."""

        def once() -> T:
            with self.errors(), self._engine.execution_options(oldphoto_write=True).begin() as connection:
                return function(connection, *arguments, **keywords)

        return self._patiently(once)

    def read(self, function: Callable[Concatenate[Connection, P], T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """What ``function(connection, ...)`` gives; it may only read, and must not give an open cursor."""

        def once() -> T:
            with self.errors(), self._engine.connect() as connection:
                return function(connection, *arguments, **keywords)

        return self._patiently(once)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection for reading that stays open, for results too large to hold. A lost one is not made again."""
        with self.errors(), self._engine.connect() as connection:
            yield connection

    def _patiently(self, attempt: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return attempt()
            except CatalogueUnreadable as error:
                if not may_pass(error.__cause__) or time.monotonic() + pause_s > deadline:
                    raise
                log.warning("%s; trying again in %.1f s", error, pause_s)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """One-line errors of ours in place of SQLAlchemy's."""
        try:
            yield
        except IntegrityError as error:
            raise RecordRefused(f"the catalogue {self.url} refused a record: {one_line(error)}") from error
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            what = f"the catalogue {self.url} does not answer"
            raise CatalogueUnreadable(f"{what}: {one_line(error)}; {advice(error)}") from error
        except DatabaseError as error:
            what = f"the catalogue {self.url} cannot be used"
            raise CatalogueUnreadable(f"{what}: {one_line(error)}; {advice(error)}") from error
