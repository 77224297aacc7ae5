"""Published copies: how each is called, whether what stands at its place is ours, and the manifest of them all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows.errors import UsageError
from flows.run_records import agent
from flows.settings import Settings
from flows.wording import counted
from storage.browse import remove_empty_folders
from storage.catalog.catalogue import Catalogue
from storage.catalog.publication_queries import Publishable, Published
from storage.errors import ObjectNotFound, ObjectStoreError
from storage.keys import publication_key, publication_names, sha256_hex
from storage.objects import ObjectStore
from storage.records import EventRecord
from storage.urls import canonical_url, local_folder

MANIFEST = "manifest-sha256.txt"
_PAGE = 1000

Action = Literal["write", "replace", "adopt", "unchanged", "foreign"]
"""`adopt`: the very bytes are there already, left by a run that ended before it could record them."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A derivative and where its copy belongs.

    Attributes:
        before: what stands there by our account.
    """

    item: Publishable
    key: str
    before: Published | None


@dataclass(frozen=True, kw_only=True)
class CopyOutcome:
    """What became of a copy; `problem` says why it was not made."""

    copy: Copy
    action: Action | Literal["failed", "altered"]
    size_bytes: int = 0
    problem: str = ""


def destination_store(settings: Settings, destination: str) -> ObjectStore:
    """The store that copies go to, with the S3 settings of restorations."""
    return ObjectStore(destination, settings.store_options(canonical_url(destination), "derivatives"))


def refuse_destination(catalogue: Catalogue, settings: Settings, destination: str) -> None:
    """Refuses a destination where a copy could meet a master, or something of the installation's own.

    Raises:
        UsageError: it lies in a source, in the home or in a store of results, or one of them lies in it.
    """
    place = _place(settings, destination, "derivatives")
    sources = [known.policy.url for known in catalogue.collections()]
    for url in sources:
        if _overlap(place, _place(settings, url, "sources")):
            raise UsageError(f"{destination} meets the source {url}; name a place apart from it, masters are only read")
    for url in settings.result_locations():
        if _overlap(place, _place(settings, url, "derivatives")):
            raise UsageError(f"{destination} meets {url}, which is oldphoto's own; name a place apart from it")


def _place(settings: Settings, url: str, purpose: Literal["sources", "derivatives"]) -> str:
    """A text that begins alike for a place and for all that lies in it, with links followed."""
    folder = local_folder(url)
    if folder is not None:
        return f"file://{os.path.realpath(folder).rstrip('/')}/"
    options = settings.store_options(canonical_url(url), purpose)
    return f"{options.get('endpoint_url')} {canonical_url(url)}/"


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def copies_of(catalogue: Catalogue, destination: str, items: Sequence[Publishable]) -> list[Copy]:
    """Where each item's copy belongs and what stands there."""
    keys = keys_of(catalogue, items)
    before = catalogue.published_at(destination, list(keys.values()))
    pairs = [(item, keys[item.source_object_id]) for item in items]
    return [Copy(item=item, key=key, before=before.get(key)) for item, key in pairs]


def keys_of(catalogue: Catalogue, items: Sequence[Publishable]) -> dict[int, str]:
    """Each item's key at a destination, by the id of its source object.

    A name that another object of the collection has is left to that one.
    """
    asked: dict[int, set[str]] = {}
    names = {item.source_object_id: publication_names(item.key, item.extension) for item in items}
    for item in items:
        asked.setdefault(item.collection_id, set()).update(names[item.source_object_id])
    taken = {id_: catalogue.keys_present(id_, sorted(wanted)) for id_, wanted in asked.items()}
    keys = {}
    for item in items:
        others = taken[item.collection_id] - {item.key}
        free = [name for name in names[item.source_object_id] if name not in others]
        name = free[0] if free else f"{item.key}.{item.photo_sha256[:8]}.{item.extension}"
        keys[item.source_object_id] = publication_key(name, browse_folder=item.browse_folder)
    return keys


def decide(destination: ObjectStore, copy: Copy) -> tuple[Action, str]:
    """What is to be done for a copy, and why where nothing may be."""
    try:
        there = destination.entry(copy.key)
    except ObjectNotFound:
        return "write", ""
    before = copy.before
    # A restoration whose files were deleted and that was made again keeps its row, while its bytes may differ.
    is_latest = before is not None and before.sha256 == copy.item.restored_sha256
    if before is not None and is_latest and before.restoration_id == copy.item.restoration_id:
        if there.size_bytes == before.size_bytes:
            return "unchanged", ""
        return "foreign", "was changed since it was published; it was left alone"
    found = sha256_hex(destination.read_bytes(copy.key))
    if found == copy.item.restored_sha256:
        return "adopt", ""
    if before is not None and found == before.sha256:
        return "replace", ""
    what = "was changed since it was published" if before is not None else "is there already, and not from here"
    return "foreign", f"{what}; it was left alone"


def make_copy(derivatives: ObjectStore, destination: ObjectStore, copy: Copy) -> CopyOutcome:
    """Makes one copy, of bytes that were compared with their SHA-256; never over anything that is not ours."""
    before = copy.before
    if before is not None and before.source_object_id != copy.item.source_object_id and before.wanted is not None:
        return CopyOutcome(copy=copy, action="failed", problem=f"is meant for {before.wanted.key} too; rename one")
    try:
        action, why = decide(destination, copy)
        if action == "foreign":
            return CopyOutcome(copy=copy, action=action, problem=why)
        if action == "unchanged":
            return CopyOutcome(copy=copy, action=action)
        data = derivatives.read_bytes(copy.item.restored_key)
        if (found := sha256_hex(data)) != copy.item.restored_sha256:
            return CopyOutcome(
                copy=copy, action="altered",
                problem=f"the derivative {copy.item.restored_key} is not what was recorded (expected SHA-256 "
                f"{copy.item.restored_sha256[:12]}…, found {found[:12]}…); it was not published",
            )  # fmt: skip
        if action != "adopt":
            destination.write_bytes_atomic(copy.key, data, overwrite=action == "replace")
    except ObjectStoreError as error:
        return CopyOutcome(copy=copy, action="failed", problem=str(error))
    return CopyOutcome(copy=copy, action=action, size_bytes=len(data))


def remove_copy(destination: ObjectStore, copy: Published) -> str | None:
    """Deletes a published copy; None where it is gone now, else why it was left.

    Raises:
        ObjectStoreError: the destination does not answer.
    """
    try:
        if sha256_hex(destination.read_bytes(copy.key)) != copy.sha256:
            return "was changed since it was published; it was left alone"
        destination.delete(copy.key)
    except ObjectNotFound:
        return None
    path = destination.local_path(copy.key)
    if path is not None and destination.root is not None:
        remove_empty_folders(path.parent, below=Path(destination.root))
    return None


def removal_events(
    destination: str, removed: Sequence[Published], left: Sequence[Published], *, run_id: str | None
) -> list[EventRecord]:
    """One event for copies that were deleted, and one for those that somebody changed and that were left."""
    events = []
    kinds = ((removed, "success", "removed from"), (left, "warning", "changed by others and left at"))
    for copies, outcome, what in kinds:
        if copies:
            keys = [one.key for one in copies]
            events.append(
                EventRecord(
                    type="publication", agent=agent(), outcome=outcome,
                    detail={"destination": destination, "change": what.split()[0], "count": len(keys)},
                    objects=tuple(("publication", f"{destination}/{key}", "source") for key in keys),
                    run_id=run_id, note=f"{counted(len(keys), 'copy')} {what} {destination}",
                )
            )  # fmt: skip
    return events


def published_pages(
    catalogue: Catalogue, destination: str, collection_id: int | None = None
) -> Iterator[list[Published]]:
    """All that stands at the destination by our account, a page at a time."""
    after_id = 0
    while page := catalogue.published(destination, collection_id, after_id=after_id, limit=_PAGE):
        after_id = page[-1].id
        yield page


def write_manifest(catalogue: Catalogue, destination: ObjectStore) -> None:
    """Lists every copy with its SHA-256, as BagIt and `sha256sum --check` have it; written only where it changed."""
    lines = [
        f"{one.sha256}  {_manifest_path(one.key)}\n".encode("utf-8", "surrogateescape")
        for page in published_pages(catalogue, destination.url)
        for one in page
    ]
    text = b"".join(sorted(lines, key=lambda line: line[66:]))  # by path
    try:
        if destination.read_bytes(MANIFEST) == text:
            return
    except ObjectNotFound:
        if not text:
            return
    destination.write_bytes_atomic(MANIFEST, text)


def _manifest_path(key: str) -> str:
    """BagIt's way with line breaks in names."""
    return key.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
