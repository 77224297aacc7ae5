"""The catalogue's methods about work on photos: what is to be restored, who is at it, what came of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from storage.catalog import leases, restoration_queries
from storage.catalog.event_queries import identified
from storage.catalog.transactions import Transactions
from storage.keys import WorkParameters
from storage.records import EventRecord, PhotoWork, RestorationRecord, RestorationRow


class WorkMethods(Transactions):
    """Restorations, and the leases under which they are made."""

    def photos_to_restore(
        self, collection_id: int | None, parameters: WorkParameters, *, limit: int | None = None
    ) -> list[PhotoWork]:
        """Photos with a registered object, neither held nor withdrawn, whose wanted work is not done, oldest first.

        The wanted work hash is that of ``parameters``, or where these carry no mask and a label applies, that of the
        parameters with the label's mask. Failed work is wanted again, until it is set aside.
        """
        return self.read(restoration_queries.photos_to_restore, collection_id, parameters, limit)

    def count_done(self, collection_id: int | None, parameters: WorkParameters) -> int:
        """Number of registered photos of the collection whose wanted work is done already."""
        return self.read(restoration_queries.count_done, collection_id, parameters)

    def set_aside_work(self, collection_id: int | None, parameters: WorkParameters) -> list[tuple[str, str]]:
        """(source key, error) of each photo whose wanted work has failed too often, and is not tried again."""
        return self.read(restoration_queries.set_aside_work, collection_id, parameters)

    def try_again(self, collection_id: int | None = None) -> int:
        """Takes up again what was set aside, of one collection or all; gives the number of works."""
        return self.write(restoration_queries.try_again, collection_id)

    def claim_work(self, works: Sequence[PhotoWork], *, holder: str, ttl_s: int) -> list[PhotoWork]:
        """Those of the works that are still undone and that nobody else holds; they are leased to ``holder``."""
        return self.write(leases.claim_work, works, holder, ttl_s)

    def release_work(self, works: Sequence[PhotoWork], *, holder: str) -> None:
        """Gives claimed works back, done or not."""
        self.write(leases.release, [leases.work_lease_name(w.photo_sha256, w.work_hash) for w in works], holder)

    def finished_work(self, works: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those (photo SHA-256, work hash) that are restored or unchanged already."""
        return self.read(restoration_queries.finished_work, works)

    def record_restorations(
        self,
        restorations: Sequence[RestorationRecord],
        events: Sequence[EventRecord] = (),
        *,
        tries_limit: int | None = None,
    ) -> set[tuple[str, str]]:
        """Records a batch and gives the (photo SHA-256, work hash) that these records now stand for.

        A row that is restored or unchanged stays as it is (whoever came first won); a failed one is replaced.

        Args:
            tries_limit: failed tries, over all runs, after which a work is set aside and wanted no more; None: never.
        """
        return self.write(restoration_queries.record_restorations, restorations, identified(events), tries_limit)

    def most_changed(self, run_id: str, *, limit: int, most_megapixels: float) -> list[tuple[str, str, str]]:
        """(source URL, source key, preview key) of a run's restorations, those that changed most first."""
        return self.read(restoration_queries.most_changed, run_id, limit, most_megapixels)

    def history(self, photo: str | None = None, *, limit: int | None = None) -> list[RestorationRow]:
        """Restorations, latest first.

        Args:
            photo: a SHA-256 or the beginning of one (8 digits or more), or a source key; None for all.
        """
        return self.read(restoration_queries.history, photo, limit)

    def acquire_lease(self, names: Sequence[str], *, holder: str, ttl_s: int) -> set[str]:
        """Those names that ``holder`` now holds for ``ttl_s`` seconds on the database's clock."""
        return self.write(leases.acquire, names, holder, ttl_s)

    def renew_lease(self, names: Sequence[str], *, holder: str, ttl_s: int) -> set[str]:
        """Those names that ``holder`` still held and holds on; a name that expired and was taken is not among them."""
        return self.write(leases.renew, names, holder, ttl_s)

    def release_lease(self, names: Sequence[str], *, holder: str) -> None:
        """Ends the holder's leases; others' are left alone."""
        self.write(leases.release, names, holder)

    def lease_holder(self, name: str) -> str | None:
        """Who holds the lease now; None where nobody does, or it ran out."""
        return self.read(leases.holder_of, name)

    def release_all_leases(self, *, holder: str) -> int:
        """Ends every lease of the holder, as a run does on its way out; gives their number."""
        return self.write(leases.release_all, holder)
