"""Held and withdrawn: what a person says of a photo or a collection, and what follows from it.

The state is recorded first; then derivatives, links in `browse/` and published copies are deleted, and last the
deletion is recorded. `finish_withdrawals` completes whatever a crash, an unreachable store or a late worker left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

from flows.collections import find_collection
from flows.errors import UsageError
from flows.progress import progress
from flows.publications import destination_store, removal_events, remove_copy, write_manifest
from flows.run_records import agent
from flows.settings import Settings
from flows.wording import counted
from storage.browse import remove_from_browse, remove_links
from storage.catalog.catalogue import Catalogue
from storage.catalog.publication_queries import Published
from storage.catalog.state_queries import CalledPhoto, DueDeletion
from storage.errors import ObjectStoreError
from storage.keys import browse_path
from storage.objects import ObjectStore
from storage.records import EventRecord
from storage.urls import canonical_url

RECENT_S = 7 * 24 * 3600
"""How long after a withdrawal every sweep looks for objects that a worker wrote late and never reported."""

_PAGE = 50
_EXTENSIONS = ("tif", "png", "jpg")


@dataclass(frozen=True, kw_only=True)
class Meant:
    """A photo or a collection that a person means.

    Attributes:
        kind: `photo` or `collection`.
        id: SHA-256 or URL.
        name: for messages.
    """

    kind: str
    id: str
    name: str
    state: str


@dataclass(kw_only=True)
class WithdrawalSummary:
    """What was deleted because of withdrawals.

    Attributes:
        photos: whose derivatives were deleted.
        objects: deleted from the store of derivatives.
        problems: (what, reason) of what is left; the next run tries again.
        left: (place, reason) of published copies that somebody changed; they are not ours any more and stay.
    """

    photos: int = 0
    objects: int = 0
    browse: int = 0
    published: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


def find_meant(catalogue: Catalogue, what: str, *, is_collection: bool = False) -> Meant:
    """The one photo or collection that these words mean.

    Args:
        what: of a photo its SHA-256 or the start of it (8 digits or more), its path in its source, its whole path or
            URL, or its file's name; of a collection its URL or path.
        is_collection: looks for a collection alone.

    Raises:
        UsageError: there is none, or more than one.
    """
    known = find_collection(catalogue, what)
    photos = [] if is_collection else _photos_called(catalogue, what)
    if known is not None and photos:
        raise UsageError(f"{what} is a collection and calls a photo too; say --collection, or give the photo's SHA-256")
    if known is not None:
        return Meant(kind="collection", id=known.policy.url, name=known.policy.url, state=known.state)
    if is_collection:
        urls = ", ".join(one.policy.url for one in catalogue.collections()[:5])
        raise UsageError(f"{what} is no collection of this catalogue; it has {urls or 'none'}")
    if not photos:
        raise UsageError(f"{what} is no photo and no collection of this catalogue; see `oldphoto history`")
    if len(photos) > 1:
        shown = ", ".join(f"{one.sha256[:12]} ({one.key})" for one in photos[:8])
        more = ", …" if len(photos) > 8 else ""
        raise UsageError(f"{what} may mean {shown}{more}; give the start of one SHA-256")
    return Meant(kind="photo", id=photos[0].sha256, name=photos[0].key or photos[0].sha256, state=photos[0].state)


def _photos_called(catalogue: Catalogue, what: str) -> list[CalledPhoto]:
    """By key, name or hash; else by the whole path or URL of a file."""
    photos = catalogue.photos_called(what)
    if photos:
        return photos
    whole = canonical_url(what)
    for collection in catalogue.collections():
        url = collection.policy.url.rstrip("/")
        if whole.startswith(f"{url}/"):
            found = catalogue.photos_called(whole.removeprefix(f"{url}/"))
            photos += [photo for photo in found if photo.source_url == collection.policy.url]
    return photos


def change_state(catalogue: Catalogue, meant: Meant, state: str, *, by: str, reason: str) -> None:
    """Records that a person holds, withdraws or opens a photo or a collection.

    Raises:
        UsageError: nobody or no reason is named.
    """
    if not by.strip() or not reason.strip():
        raise UsageError("say who (--by) and why (--reason); both are kept in the catalogue")
    change = catalogue.set_photo_state if meant.kind == "photo" else catalogue.set_collection_state
    if not change(meant.id, state, by=by.strip(), reason=" ".join(reason.split())):
        raise UsageError(f"{meant.name} is not in this catalogue any more")


def finish_withdrawals(catalogue: Catalogue, settings: Settings, *, run_id: str | None = None) -> WithdrawalSummary:
    """Deletes all that withdrawals left to delete, whoever began; may be stopped anywhere and run again.

    What cannot be deleted now is among the summary's problems, and due again next time.
    """
    summary = WithdrawalSummary()
    _remove_published(catalogue, settings, summary, run_id)
    after_id = 0
    while due := catalogue.due_deletions(after_id=after_id, limit=_PAGE, recent_s=RECENT_S):
        after_id = due[-1].photo_id
        for deletion in due:
            if not catalogue.is_withdrawn(deletion.photo_id):
                continue  # reopened since, and perhaps restored again
            try:
                _delete(catalogue, settings, deletion, summary, run_id)
            except (ObjectStoreError, OSError) as error:
                summary.problems.append((deletion.sha256, str(error)))
    after_id = 0
    while places := catalogue.withdrawn_places(after_id=after_id, limit=1000, recent_s=RECENT_S):
        after_id = places[-1][0]
        summary.browse += sum(_remove_shown(settings, key, folder) for _, key, folder in places)
    return summary


def sweep_withdrawn(catalogue: Catalogue, settings: Settings, *, run_id: str) -> None:
    """`finish_withdrawals` in a run, which goes on whatever is left; what is left is told."""
    summary = finish_withdrawals(catalogue, settings, run_id=run_id)
    if summary.photos:
        gone = counted(summary.objects, "derivative")
        progress().say(f"{gone} of {counted(summary.photos, 'withdrawn photo')} deleted")
    for what, reason in (*summary.problems, *summary.left):
        progress().say(f"withdrawn, but not deleted: {what}: {reason}")


def _delete(
    catalogue: Catalogue, settings: Settings, due: DueDeletion, summary: WithdrawalSummary, run_id: str | None
) -> None:
    """One photo: links first, as they are found by their files; then files; then the rows that were known before."""
    url = settings.derivatives_url
    store = ObjectStore(url, settings.store_options(url, "derivatives"))
    prefix = f"{due.sha256[:2]}/{due.sha256}/"
    browse = sum(_remove_shown(settings, key, folder) for key, folder in due.places)
    if store.root is not None:
        browse += remove_links(settings.layout.home, (store.root / prefix).rglob("restored.*"))
    objects = store.delete_prefix(prefix)
    if not (objects or browse or due.restoration_ids):
        return
    detail = {"objects": objects, "restorations": len(due.restoration_ids), "browse": browse}
    rows = counted(len(due.restoration_ids), "restoration")
    note = f"{due.explanation}; {counted(objects, 'object')} of {rows} deleted, label masks kept"
    event = EventRecord(
        type="deletion", agent=agent(), detail=detail, objects=(("photo", due.sha256, "source"),), run_id=run_id,
        note=note,
    )  # fmt: skip
    catalogue.record_deletion(due.photo_id, due.restoration_ids, [event])
    summary.photos += 1
    summary.objects += objects
    summary.browse += browse


def _remove_shown(settings: Settings, key: str, folder: str) -> int:
    home = settings.layout.home
    paths = (browse_path(key, extension, browse_folder=folder) for extension in _EXTENSIONS)
    return sum(remove_from_browse(home, path) for path in paths)


def _remove_published(
    catalogue: Catalogue, settings: Settings, summary: WithdrawalSummary, run_id: str | None
) -> None:
    """Takes copies back from every destination; a destination that does not answer is a problem, not the end."""
    given_up: set[str] = set()
    while copies := catalogue.withdrawn_publications(limit=500, without=sorted(given_up)):
        for destination, group in groupby(copies, key=lambda one: one.destination):
            try:
                _take_back(catalogue, destination_store(settings, destination), list(group), summary, run_id)
            except ObjectStoreError as error:
                given_up.add(destination)
                summary.problems.append((destination, str(error)))


def _take_back(
    catalogue: Catalogue, store: ObjectStore, copies: list[Published], summary: WithdrawalSummary, run_id: str | None
) -> None:
    removed, left = [], []
    try:
        for one in copies:
            why = remove_copy(store, one)
            (removed if why is None else left).append(one)
            if why is not None:
                summary.left.append((store.object_url(one.key), why))
    finally:
        events = removal_events(store.url, removed, left, run_id=run_id)
        catalogue.record_removals([one.id for one in (*removed, *left)], events)
        summary.published += len(removed)
    write_manifest(catalogue, store)
