"""The catalogue as flows see it: every method is one transaction and may be called again after a crash.

The work is done by functions of ``*_queries`` on a connection; this class opens, commits and translates errors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from storage.catalog import (
    event_queries,
    ingest_queries,
    label_queries,
    leases,
    release_queries,
    restoration_queries,
    run_queries,
)
from storage.catalog.engine import open_engine
from storage.catalog.schema_version import upgrade_schema
from storage.errors import CatalogueUnreadable, RecordRefused
from storage.keys import WorkParameters
from storage.records import (
    CollectionRecord,
    EventRecord,
    KnownObject,
    LabelRecord,
    PhotoRecord,
    PhotoWork,
    ReleaseRecord,
    RestorationRecord,
    RestorationRow,
    RunRecord,
    SourceObjectRecord,
)
from storage.urls import masked_url

if TYPE_CHECKING:
    from storage.reports.model import RunReport


class Catalogue:
    """One open catalogue; safe to use from several threads. Close it, or use it in a ``with``."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self.url = url

    # -- opening ------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, url: str | Path, *, create: bool = True) -> Catalogue:
        """The catalogue at this URL or path, its schema brought up to date.

        Args:
            url: ``sqlite:////folder/catalogue.db``, a path, or ``postgresql+psycopg://...``.
            create: False raises where there is none yet (reading commands should not leave an empty one behind).

        Raises:
            CatalogueMissing, CatalogueUnreadable, CatalogueTooNew, NetworkShareRefused.
        """
        engine = open_engine(url, create=create)
        catalogue = cls(engine, masked_url(url))
        try:
            with catalogue._errors():
                upgrade_schema(engine)
        except BaseException:
            engine.dispose()
            raise
        return catalogue

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- ingestion ----------------------------------------------------------------------------------------------

    def upsert_collection(self, collection: CollectionRecord) -> int:
        """Id of the collection with this URL; its policy is brought up to date."""
        with self._write() as connection:
            return ingest_queries.upsert_collection(connection, collection)

    def browse_folder(self, collection_id: int) -> str:
        """Folder of this collection below ``browse/``: empty for the catalogue's first collection."""
        with self._read() as connection:
            return ingest_queries.browse_folder(connection, collection_id)

    def known_objects(self, collection_id: int) -> dict[str, KnownObject]:
        """What is known of the collection's objects, by key (missing ones too)."""
        with self._read() as connection:
            return ingest_queries.known_objects(connection, collection_id)

    def record_objects(
        self,
        collection_id: int,
        objects: Sequence[SourceObjectRecord],
        photos: Sequence[PhotoRecord] = (),
        events: Sequence[EventRecord] = (),
    ) -> int:
        """Records a batch: photos first, then objects, then events. Gives the number of photos that are new.

        An object that held another photo before, or that was missing, gets an event of its own; the caller need not
        make one.
        """
        with self._write() as connection:
            return ingest_queries.record_objects(connection, collection_id, objects, photos, events)

    def mark_missing(
        self,
        collection_id: int,
        seen_keys: Iterable[str],
        *,
        unlisted_prefixes: Sequence[str] = (),
        agent: str = "oldphoto",
    ) -> int:
        """After a whole listing: stamps what was seen, marks what was not as missing. Gives the number newly missing.

        Args:
            unlisted_prefixes: ``ListingProblem.prefix`` of folders that could not be listed; what lies below them is
                left as it was.
        """
        with self._write() as connection:
            return ingest_queries.mark_missing(connection, collection_id, seen_keys, unlisted_prefixes, agent)

    def object_counts(self, collection_id: int | None = None) -> dict[str, int]:
        """Number of source objects by status (registered, quarantined, ignored, missing)."""
        with self._read() as connection:
            return ingest_queries.object_counts(connection, collection_id)

    def quarantined(self, collection_id: int | None = None) -> list[tuple[str, str]]:
        """(key, reason) of every quarantined object, by key."""
        with self._read() as connection:
            return ingest_queries.quarantined(connection, collection_id)

    def ignored_by_pattern(self, collection_id: int | None = None) -> dict[str, int]:
        """Number of ignored objects by the pattern that matched."""
        with self._read() as connection:
            return ingest_queries.ignored_by_pattern(connection, collection_id)

    def set_photo_state(self, photo_sha256: str, state: str, *, by: str, reason: str) -> bool:
        """Makes a photo ``open``, ``held`` or ``withdrawn`` and records the event. False where it is unknown."""
        with self._write() as connection:
            return ingest_queries.set_photo_state(connection, photo_sha256, state, by, reason)

    # -- restoration --------------------------------------------------------------------------------------------

    def photos_to_restore(
        self, collection_id: int | None, parameters: WorkParameters, *, limit: int | None = None
    ) -> list[PhotoWork]:
        """Photos with a registered object, neither held nor withdrawn, whose wanted work is not done, oldest first.

        The wanted work hash is that of ``parameters``, or where these carry no mask and a label applies, that of the
        parameters with the label's mask. Failed work is wanted again.
        """
        with self._read() as connection:
            return restoration_queries.photos_to_restore(connection, collection_id, parameters, limit)

    def count_done(self, collection_id: int | None, parameters: WorkParameters) -> int:
        """Number of registered photos of the collection whose wanted work is done already."""
        with self._read() as connection:
            return restoration_queries.count_done(connection, collection_id, parameters)

    def claim_work(self, works: Sequence[PhotoWork], *, holder: str, ttl_s: int) -> list[PhotoWork]:
        """Those of the works that are still undone and that nobody else holds; they are leased to ``holder``."""
        with self._write() as connection:
            return leases.claim_work(connection, works, holder, ttl_s)

    def release_work(self, works: Sequence[PhotoWork], *, holder: str) -> None:
        """Gives claimed works back, done or not."""
        with self._write() as connection:
            leases.release(connection, [leases.work_lease_name(w.photo_sha256, w.work_hash) for w in works], holder)

    def finished_work(self, works: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those (photo SHA-256, work hash) that are restored or unchanged already."""
        with self._read() as connection:
            return restoration_queries.finished_work(connection, works)

    def record_restorations(
        self, restorations: Sequence[RestorationRecord], events: Sequence[EventRecord] = ()
    ) -> set[tuple[str, str]]:
        """Records a batch and gives the (photo SHA-256, work hash) that these records now stand for.

        A row that is restored or unchanged stays as it is (whoever came first won); a failed one is replaced.
        """
        with self._write() as connection:
            return restoration_queries.record_restorations(connection, restorations, events)

    def history(self, photo: str | None = None, *, limit: int | None = None) -> list[RestorationRow]:
        """Restorations, latest first.

        Args:
            photo: a SHA-256 or the beginning of one (8 digits or more), or a source key; None for all.
        """
        with self._read() as connection:
            return restoration_queries.history(connection, photo, limit)

    # -- leases -------------------------------------------------------------------------------------------------

    def acquire_lease(self, names: Sequence[str], *, holder: str, ttl_s: int) -> set[str]:
        """Those names that ``holder`` now holds for ``ttl_s`` seconds on the database's clock."""
        with self._write() as connection:
            return leases.acquire(connection, names, holder, ttl_s)

    def renew_lease(self, names: Sequence[str], *, holder: str, ttl_s: int) -> set[str]:
        """Those names that ``holder`` still held and holds on; a name that expired and was taken is not among them."""
        with self._write() as connection:
            return leases.renew(connection, names, holder, ttl_s)

    def release_lease(self, names: Sequence[str], *, holder: str) -> None:
        """Ends the holder's leases; others' are left alone."""
        with self._write() as connection:
            leases.release(connection, names, holder)

    def release_all_leases(self, *, holder: str) -> int:
        """Ends every lease of the holder, as a run does on its way out; gives their number."""
        with self._write() as connection:
            return leases.release_all(connection, holder)

    # -- releases, labels, events -------------------------------------------------------------------------------

    def register_release(
        self, release: ReleaseRecord, *, activate_if_first: bool = True, agent: str = "oldphoto"
    ) -> str:
        """Registers a release and gives its status; one that is there already stays as it is.

        Raises:
            ReleaseConflict: the name stands for other weights, or the weights for another name.
        """
        with self._write() as connection:
            return release_queries.register_release(connection, release, activate_if_first, agent)

    def activate_release(self, name: str, *, agent: str, agent_type: str = "person") -> None:
        """Makes the release active and retires the one before it."""
        with self._write() as connection:
            release_queries.activate_release(connection, name, agent, agent_type)

    def active_release(self) -> ReleaseRecord | None:
        """The active release, or None in a catalogue that has none yet."""
        with self._read() as connection:
            return release_queries.active_release(connection)

    def releases(self) -> list[ReleaseRecord]:
        """All releases, oldest first."""
        with self._read() as connection:
            return release_queries.releases(connection)

    def record_labels(self, labels: Sequence[LabelRecord]) -> int:
        """Records labels with an event each; gives the number that are new."""
        with self._write() as connection:
            return label_queries.record_labels(connection, labels)

    def latest_labels(self, photos: Collection[str] | None = None) -> dict[str, LabelRecord]:
        """The label that applies to each photo (its latest), by photo SHA-256."""
        with self._read() as connection:
            return label_queries.latest_labels(connection, photos)

    def record_event(self, event: EventRecord) -> None:
        """Appends one event."""
        with self._write() as connection:
            event_queries.record_events(connection, [event])

    # -- runs ---------------------------------------------------------------------------------------------------

    def start_run(self, run: RunRecord) -> None:
        """Records that a run began; the same run id again changes nothing."""
        with self._write() as connection:
            run_queries.start_run(connection, run)

    def finish_run(self, run_id: str, *, totals: Mapping[str, int], status: str = "finished") -> None:
        """Records how a run ended (``finished`` or ``failed``) and its totals."""
        with self._write() as connection:
            run_queries.finish_run(connection, run_id, totals, status)

    def update_run(self, run_id: str, **changes: Any) -> None:
        """Fills in what was not known when the run began: collection_id, release, mode, flow_run_id, machine, title."""
        with self._write() as connection:
            run_queries.update_run(connection, run_id, changes)

    def latest_run_id(self, kinds: Collection[str] | None = None) -> str | None:
        """Id of the run begun last, of these kinds or of any; None where there is none."""
        with self._read() as connection:
            return run_queries.latest_run_id(connection, kinds)

    def get_run(self, run_id: str) -> RunRecord | None:
        """The run, or None."""
        with self._read() as connection:
            return run_queries.get_run(connection, run_id)

    def run_report(self, run_id: str) -> RunReport:
        """What ``storage.reports`` renders about a run."""
        with self._read() as connection:
            return run_queries.run_report(connection, run_id)

    # -- transactions -------------------------------------------------------------------------------------------

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._errors(), self._engine.execution_options(oldphoto_write=True).begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """One-line errors of ours in place of SQLAlchemy's."""
        try:
            yield
        except IntegrityError as error:
            raise RecordRefused(f"the catalogue {self.url} refused a record: {error.orig}") from error
        except OperationalError as error:
            raise CatalogueUnreadable(
                f"the catalogue {self.url} does not answer: {error.orig}; is the disk full, or another program at it?"
            ) from error
        except DatabaseError as error:
            raise CatalogueUnreadable(f"the catalogue {self.url} cannot be read: {error.orig}") from error
