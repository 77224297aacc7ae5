"""The catalogue's methods about audits: what is to be compared with the stores, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from storage.catalog import audit_queries
from storage.catalog.audit_queries import AuditPlace, AuditScope, PhotoOnRecord
from storage.catalog.event_queries import identified
from storage.catalog.transactions import Transactions
from storage.records import EventRecord


class AuditMethods(Transactions):
    """Audits of masters and restorations."""

    def photos_to_audit(
        self, scope: AuditScope, *, after_id: int, through_id: int | None = None, limit: int
    ) -> list[PhotoOnRecord]:
        """A page of the scope's photos that have a master to read or a restoration that stands, by id.

        Restorations of what is withdrawn are left out: they are being deleted.
        """
        return self.read(audit_queries.photos_to_audit, scope, after_id, through_id, limit)

    def count_photos_to_audit(self, scope: AuditScope, *, after_id: int = 0, through_id: int | None = None) -> int:
        """Number of the photos that `photos_to_audit` gives in all its pages."""
        return self.read(audit_queries.count_photos_to_audit, scope, after_id, through_id)

    def count_masters(self, collection_id: int) -> int:
        """Number of the collection's registered objects."""
        return self.read(audit_queries.count_masters, collection_id)

    def audit_place(self, source_url: str | None) -> AuditPlace | None:
        """How far the latest audit of this source (None: of all) came; None where there was none."""
        return self.read(audit_queries.audit_place, source_url)

    def still_on_record(
        self, masters: Collection[tuple[int, int]], restorations: Collection[tuple[int, str]]
    ) -> tuple[set[int], set[int]]:
        """Those of the masters (object id, photo id) and restorations (id, restored key) that stand as they did.

        To be asked before a finding is told: an ingestion or a withdrawal may have been there since.
        """
        return self.read(audit_queries.still_on_record, masters, restorations)

    def record_audit(self, events: Sequence[EventRecord], damaged: Sequence[tuple[int, str]] = ()) -> None:
        """Records a batch's fixity checks, and that the files of these restorations (id, restored key) are not there.

        A restoration so marked is made again by the next run that wants it; its row stays until then.
        """
        self.write(audit_queries.record_audit, identified(events), damaged)
