"""The catalogue as flows see it: every method is one transaction and may be called again after a crash.

The work is done by functions of ``*_queries`` on a connection; the methods open, commit, wait for a database that went
away, and translate errors.
"""

from __future__ import annotations

from pathlib import Path

from storage.catalog.archive_methods import ArchiveMethods
from storage.catalog.audit_methods import AuditMethods
from storage.catalog.engine import BUSY_TIMEOUT_S, open_engine
from storage.catalog.history_methods import HistoryMethods
from storage.catalog.keeping_methods import KeepingMethods
from storage.catalog.label_methods import LabelMethods
from storage.catalog.recent_runs import RecentRunMethods
from storage.catalog.record_methods import RecordMethods
from storage.catalog.review_methods import ReviewMethods
from storage.catalog.schema_version import prepare_schema
from storage.catalog.training_methods import TrainingMethods
from storage.catalog.transactions import PATIENCE_S
from storage.catalog.work_methods import WorkMethods
from storage.urls import masked_url


class Catalogue(
    AuditMethods, HistoryMethods, KeepingMethods, ArchiveMethods, WorkMethods, ReviewMethods, RecentRunMethods,
    LabelMethods, TrainingMethods, RecordMethods,
):  # fmt: skip
    """One open catalogue; safe to use from several threads. Close it, or use it in a ``with``."""

    @classmethod
    def open(
        cls,
        url: str | Path,
        *,
        create: bool = True,
        patience_s: float = PATIENCE_S,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> Catalogue:
        """The catalogue at this URL or path.

        A SQLite catalogue's schema is brought up to date. So is an empty PostgreSQL database; one that holds an older
        schema is refused, since others may be at work in it: ``oldphoto db upgrade`` is for that.

        Args:
            url: ``sqlite:////folder/catalogue.db``, a path, or ``postgresql+psycopg://...``.
            create: False raises where there is none yet (reading commands should not leave an empty one behind).
            patience_s: how long a method waits for a database that goes away later on.
            busy_timeout_s: how long SQLite waits for another program's write lock.

        Raises:
            CatalogueMissing, CatalogueUnreadable, CatalogueOutdated, CatalogueTooNew, NetworkShareRefused.
        """
        engine = open_engine(url, create=create, busy_timeout_s=busy_timeout_s)
        catalogue = cls(engine, masked_url(url), patience_s=patience_s)
        try:
            with catalogue.errors():
                prepare_schema(engine, create=create)
        except BaseException:
            engine.dispose()
            raise
        return catalogue

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
