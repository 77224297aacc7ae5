"""The catalogue's methods about keeping: sidecar metadata, what is held or withdrawn, what is published."""

from __future__ import annotations

from collections.abc import Sequence

from storage.catalog import publication_queries, sidecar_queries, state_queries
from storage.catalog.event_queries import identified
from storage.catalog.publication_queries import Publishable, Published
from storage.catalog.sidecar_queries import SidecarFile, SidecarWrite, VanishedSidecar
from storage.catalog.state_queries import CalledPhoto, DueDeletion
from storage.catalog.transactions import Transactions
from storage.records import EventRecord


class KeepingMethods(Transactions):
    """Sidecars, states, publications."""

    def clock(self) -> str:
        """The database's time, as all rows have it."""
        return self.read(sidecar_queries.clock)

    # -- sidecars -----------------------------------------------------------------------------------------------

    def sidecar_files(self, collection_id: int, *, after_id: int, limit: int) -> list[SidecarFile]:
        """A page of the collection's sidecars, by object id."""
        return self.read(sidecar_queries.sidecar_files, collection_id, after_id, limit)

    def named_objects(self, collection_id: int, *, after_id: int, limit: int) -> list[tuple[int, str, bool]]:
        """A page of (id, key, whether it is missing) of all objects that sidecars may speak of, by id."""
        return self.read(sidecar_queries.named_objects, collection_id, after_id, limit)

    def newest_in_folders(self, collection_id: int) -> dict[str, str]:
        """When each folder got its newest object, for folders that got one since the oldest reading of a sidecar."""
        return self.read(sidecar_queries.newest_in_folders, collection_id)

    def write_sidecars(self, writes: Sequence[SidecarWrite], events: Sequence[EventRecord] = ()) -> None:
        """Records what was read in sidecars; see `SidecarWrite` for long ones."""
        self.write(sidecar_queries.write_sidecars, writes, identified(events))

    def refuse_sidecars(self, details: Sequence[tuple[int, str]], events: Sequence[EventRecord] = ()) -> None:
        """Tells of sidecars (object id, problem) that could not be read at all; what they gave before goes."""
        self.write(sidecar_queries.refuse_sidecars, details, identified(events))

    def vanished_sidecars(self, collection_id: int, *, limit: int) -> list[VanishedSidecar]:
        """Sidecars that were read and whose objects are gone, or are no sidecars any more."""
        return self.read(sidecar_queries.vanished_sidecars, collection_id, limit)

    def drop_sidecars(self, sidecar_ids: Sequence[int], events: Sequence[EventRecord]) -> None:
        """Takes sidecars and all that they gave out of the catalogue; the events stay."""
        self.write(sidecar_queries.drop_sidecars, sidecar_ids, identified(events))

    # -- held and withdrawn -------------------------------------------------------------------------------------

    def photos_called(self, what: str, *, limit: int = 20) -> list[CalledPhoto]:
        """Photos that a person may mean by a SHA-256 or its start (8 digits or more), a source key or a file name."""
        return self.read(state_queries.photos_called, what, limit)

    def photo_places(self, photo_sha256: str) -> list[str]:
        """Whole URLs of all registered objects that hold the photo."""
        return self.read(state_queries.photo_places, photo_sha256)

    def set_photo_state(self, photo_sha256: str, state: str, *, by: str, reason: str) -> bool:
        """Makes a photo `open`, `held` or `withdrawn` and records the event. False where it is unknown."""
        events = identified([state_queries.state_event(state, "photo", photo_sha256, by, reason)])
        return self.write(state_queries.set_photo_state, photo_sha256, state, by, reason, events)

    def set_collection_state(self, url: str, state: str, *, by: str, reason: str) -> bool:
        """Makes a collection `open`, `held` or `withdrawn` and records the event. False where it is unknown."""
        events = identified([state_queries.state_event(state, "collection", url, by, reason)])
        return self.write(state_queries.set_collection_state, url, state, by, reason, events)

    def due_deletions(self, *, after_id: int, limit: int, recent_s: int) -> list[DueDeletion]:
        """A page of withdrawn photos, by id, whose derivatives are or may still be there.

        Args:
            recent_s: photos withdrawn so many seconds ago or less are always among them: a worker that was at one may
                have written objects of which there is no row.
        """
        return self.read(state_queries.due_deletions, after_id, limit, recent_s)

    def is_withdrawn(self, photo_id: int) -> bool:
        """Whether the photo is, or is only in collections that are; to be asked right before anything is deleted."""
        return self.read(state_queries.is_withdrawn, photo_id)

    def record_deletion(self, photo_id: int, restoration_ids: Sequence[int], events: Sequence[EventRecord]) -> None:
        """Notes that the files of these restorations are deleted; the rows stay."""
        self.write(state_queries.record_deletion, photo_id, restoration_ids, identified(events))

    def withdrawn_places(self, *, after_id: int, limit: int, recent_s: int) -> list[tuple[int, str, str]]:
        """A page of (object id, key, browse folder) of what was withdrawn so many seconds ago or less, by id."""
        return self.read(state_queries.withdrawn_places, after_id, limit, recent_s)

    # -- publications -------------------------------------------------------------------------------------------

    def publishable(self, collection_id: int | None, *, after_id: int, limit: int) -> list[Publishable]:
        """A page of registered objects of what is open, by id, with the latest restoration that may be shown.

        One that needs a review may not until somebody accepts it, and one that was rejected may not.
        """
        return self.read(publication_queries.publishable, collection_id, after_id, limit)

    def keys_present(self, collection_id: int, keys: Sequence[str]) -> set[str]:
        """Those keys that objects of the collection have that may be published themselves."""
        return self.read(publication_queries.keys_present, collection_id, keys)

    def published(
        self, destination: str, collection_id: int | None = None, *, after_id: int, limit: int
    ) -> list[Published]:
        """A page of what stands at the destination by our account, by id, with what should stand there now."""
        return self.read(publication_queries.published, destination, collection_id, after_id, limit)

    def published_at(self, destination: str, keys: Sequence[str]) -> dict[str, Published]:
        """What stands at these keys of the destination by our account."""
        return self.read(publication_queries.published_at, destination, keys)

    def withdrawn_publications(self, *, limit: int, without: Sequence[str] = ()) -> list[Published]:
        """Published copies of what is withdrawn, at any destination but those given, by destination."""
        return self.read(publication_queries.withdrawn_publications, limit, without)

    def was_published_to(self, destination: str) -> bool:
        """Whether anything was ever published there."""
        return self.read(publication_queries.was_published_to, destination)

    def record_publications(self, publications: Sequence[Published], events: Sequence[EventRecord] = ()) -> None:
        """Records copies that were written."""
        self.write(publication_queries.record_publications, publications, identified(events))

    def record_removals(self, publication_ids: Sequence[int], events: Sequence[EventRecord] = ()) -> None:
        """Notes that these copies are not at their destination any more, or not ours any more."""
        self.write(publication_queries.record_removals, publication_ids, identified(events))
