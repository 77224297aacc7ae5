"""The catalogue's methods about what an archive holds: collections, objects, photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from storage.catalog import collection_queries, ingest_queries, listing_queries, near_queries
from storage.catalog.collection_queries import KnownCollection, PlacedRestoration
from storage.catalog.event_queries import identified
from storage.catalog.listing_queries import Gone, OpenListing
from storage.catalog.transactions import Transactions
from storage.records import CollectionRecord, EventRecord, KnownObject, PhotoRecord, SourceObjectRecord

if TYPE_CHECKING:
    import numpy as np


class ArchiveMethods(Transactions):
    """Collections, the objects in them, and the photos in these."""

    def upsert_collection(self, collection: CollectionRecord) -> int:
        """Id of the collection with this URL; its policy is brought up to date."""
        return self.write(collection_queries.upsert_collection, collection)

    def collections(self) -> list[KnownCollection]:
        """All collections with their policies, oldest first."""
        return self.read(collection_queries.collections)

    def placed_restorations(
        self, collection_id: int | None = None, *, photo_sha256: str | None = None
    ) -> list[PlacedRestoration]:
        """Every registered object whose photo is restored, with the latest of its restorations; for ``browse/``.

        Args:
            collection_id: of one collection alone.
            photo_sha256: of one photo alone.
        """
        return self.read(collection_queries.placed_restorations, collection_id, photo_sha256)

    def browse_folder(self, collection_id: int) -> str:
        """Folder of this collection below ``browse/``: empty for the catalogue's first collection."""
        return self.read(collection_queries.browse_folder, collection_id)

    def known_objects(self, collection_id: int, keys: Sequence[str] | None = None) -> dict[str, KnownObject]:
        """What is known of these objects of the collection, or of all of them, by key (missing ones too)."""
        return self.read(ingest_queries.known_objects, collection_id, keys)

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
        return self.write(ingest_queries.record_objects, collection_id, objects, photos, identified(events))

    def begin_listing(
        self, collection_id: int, run_id: str, policy_hash: str, *, resume: bool, ttl_s: int
    ) -> OpenListing:
        """A look at the collection's source for this run, leased to it.

        Where the latest look's run died in its middle (its lease ended) and the policy is the same, that look is gone
        on with; other looks of dead runs are ``abandoned``. Looks of runs that live are left alone.

        Args:
            policy_hash: of all that decides what is taken and read.
            resume: whether the source can be listed from a key on.
            ttl_s: how long the lease holds unless it is renewed (``listing_queries.lease_name``).
        """
        return self.write(listing_queries.begin_listing, collection_id, run_id, policy_hash, resume, ttl_s)

    def record_page(
        self,
        collection_id: int,
        listing_id: int,
        run_id: str,
        *,
        seen_keys: Sequence[str] = (),
        objects: Sequence[SourceObjectRecord] = (),
        photos: Sequence[PhotoRecord] = (),
        events: Sequence[EventRecord] = (),
        cursor: str | None = None,
        objects_seen: int | None = None,
    ) -> int:
        """Records a page of a look, or a part of one; gives the number of photos that are new.

        Args:
            seen_keys: objects that are as they were; only that they were seen is noted.
            objects, photos, events: as for ``record_objects``.
            cursor: where a run that goes on after us begins: behind this page.
            objects_seen: objects of this look up to the cursor; None for a part that is not its page's last.

        Raises:
            RecordRefused: another run took the look over.
        """
        return self.write(
            listing_queries.record_page, collection_id, listing_id, run_id, seen_keys, objects, photos,
            identified(events), cursor, objects_seen,
        )  # fmt: skip

    def end_listing(self, listing_id: int, status: str = "finished") -> None:
        """The look is ``finished``, or ``abandoned`` where it did not show everything."""
        self.write(listing_queries.end_listing, listing_id, status)

    def mark_missing(
        self,
        collection_id: int,
        listing_id: int,
        *,
        unlisted_prefixes: Sequence[str] = (),
        agent: str = "oldphoto",
        run_id: str | None = None,
    ) -> Gone:
        """After a whole look: marks as missing what it did not see, with events for these and for what moved.

        Args:
            unlisted_prefixes: ``ListingProblem.prefix`` of folders that could not be listed; what lies below them is
                left as it was.
        """
        after_id: int | None = 0
        missing = moved = 0
        while after_id is not None:
            after_id, gone = self.write(
                listing_queries.mark_missing_part, collection_id, listing_id, unlisted_prefixes, after_id, agent, run_id
            )
            missing, moved = missing + gone.missing, moved + gone.moved
        return Gone(missing=missing, moved=moved)

    def object_counts(self, collection_id: int | None = None) -> dict[str, int]:
        """Number of source objects by status (registered, quarantined, ignored, missing)."""
        return self.read(ingest_queries.object_counts, collection_id)

    def quarantined(self, collection_id: int | None = None, *, limit: int | None = None) -> list[tuple[str, str]]:
        """(key, reason) of the quarantined objects, by key; of the first ones alone where there is a limit."""
        return self.read(ingest_queries.quarantined, collection_id, limit)

    def quarantined_by_reason(self, collection_id: int | None = None) -> dict[str, int]:
        """Number of quarantined objects by reason."""
        return self.read(ingest_queries.quarantined_by_reason, collection_id)

    def ignored_by_pattern(self, collection_id: int | None = None) -> dict[str, int]:
        """Number of ignored objects by the pattern that matched."""
        return self.read(ingest_queries.ignored_by_pattern, collection_id)

    def unchecked_photos(self, *, limit: int) -> list[int]:
        """Ids of photos that were not compared with the others yet, lowest first."""
        return self.read(near_queries.unchecked_photos, limit)

    def perceptual_hashes(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids (int64) and hashes (uint64) of all photos that have one, by id: sixteen bytes a photo."""
        return self.read(near_queries.perceptual_hashes)

    def record_near_duplicates(self, checked: Sequence[int], links: Sequence[tuple[int, int, int]]) -> int:
        """Records links (photo id, other photo id, distance), and that these photos were compared.

        Gives the number of links that are new.
        """
        return self.write(near_queries.record_near_duplicates, checked, links)
