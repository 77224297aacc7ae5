"""Releases behind their aliases, and copies of them, so that an archive outlives the installation that made it.

The packaged release is one folder, and an upgrade puts other weights into it. What a catalogue calls active must still
be there then: each release that is used is kept under its own name in the store of releases.
"""

from __future__ import annotations

from pathlib import Path

from flows.run_records import agent
from flows.settings import Settings
from oldphoto_core.errors import ReleaseError
from oldphoto_core.releases import ReleaseCard, find_release
from storage.catalog.catalogue import Catalogue
from storage.errors import CatalogueMissing, ObjectNotFound
from storage.keys import sha256_hex
from storage.objects import ObjectStore
from storage.records import ReleaseRecord
from storage.urls import local_folder

CARD = "card.json"


def resolve_release(catalogue: Catalogue, settings: Settings) -> ReleaseCard:
    """The release that stands behind the settings' name, registered in the catalogue.

    `default` is the packaged one, `active` the catalogue's. The packaged one becomes active in a catalogue that has
    none, and is a candidate in any other. A name or a folder is taken as it is.

    Raises:
        oldphoto_core.errors.ReleaseError: there is no such release.
    """
    if settings.release == "active":
        packaged = _packaged()
        if packaged is not None:
            _register(catalogue, settings, packaged, may_become_active=True)
    card = _named(settings, catalogue.active_release())
    _register(catalogue, settings, card, may_become_active=settings.release in ("active", "default"))
    return card


def release_without_catalogue(settings: Settings) -> ReleaseCard:
    """The same for a single file: a home that has a catalogue is asked which release is active, nothing is written."""
    if settings.release != "active":
        return _named(settings, None)
    try:
        with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
            return _named(settings, catalogue.active_release())
    except CatalogueMissing:
        return _named(settings, None)


def kept_release(settings: Settings, name: str) -> ReleaseCard:
    """The release of this name, from the package or the store of releases, its files on this machine.

    Raises:
        oldphoto_core.errors.ReleaseError: there is no such release.
    """
    return _find(settings, name)


def require_whole(settings: Settings, name: str) -> ReleaseCard:
    """The release of this name, once every file of it in the store of releases was read and compared with its card.

    Raises:
        oldphoto_core.errors.ReleaseError: there is no such release, or a file of it is missing or altered.
    """
    card, store = kept_release(settings, name), _store(settings)
    for file, expected in card.files.items():
        url = store.object_url(f"{name}/{file}")
        try:
            found = sha256_hex(store.read_bytes(f"{name}/{file}"))
        except ObjectNotFound:
            raise ReleaseError(f"release {name}: {url} is missing; put it back from a backup") from None
        if found != expected:
            raise ReleaseError(
                f"release {name}: {url} was altered: expected SHA-256 {expected[:12]}…, found {found[:12]}…; put it "
                "back from a backup"
            )
    card.verify()
    return card


def register_trained(catalogue: Catalogue, settings: Settings, card: ReleaseCard, *, parent: str) -> str:
    """Keeps a release that was just trained, registers it as a candidate, and gives its status."""
    return _register(catalogue, settings, card, may_become_active=False, parent=parent)


def _packaged() -> ReleaseCard | None:
    try:
        return find_release("default")
    except ReleaseError:  # an installation that was made without one
        return None


def _named(settings: Settings, active: ReleaseRecord | None) -> ReleaseCard:
    if settings.release != "active":
        return _find(settings, settings.release)
    return _find(settings, active.name if active is not None else "default")


def _find(settings: Settings, name_or_path: str) -> ReleaseCard:
    """The release, from the package, a folder, or the store of releases; from a bucket it is fetched first."""
    kept_in = local_folder(settings.releases_url)
    if kept_in is not None:
        return find_release(name_or_path, search=[kept_in])
    fetched_in = settings.layout.work / "releases"
    try:
        return find_release(name_or_path, search=[fetched_in])
    except ReleaseError:
        if not _fetch(settings, name_or_path, fetched_in):
            raise
    return find_release(name_or_path, search=[fetched_in])


def _register(
    catalogue: Catalogue, settings: Settings, card: ReleaseCard, *, may_become_active: bool, parent: str | None = None
) -> str:
    _keep(settings, card)
    record = ReleaseRecord(
        name=card.name,
        weights_hash=card.weights_hash,
        preset=card.preset,
        url=_store(settings).object_url(card.name),
        parent=parent,
        metrics=card.metrics,
        card=card.card,
    )
    return catalogue.register_release(record, activate_if_first=may_become_active, agent=agent())


def _keep(settings: Settings, card: ReleaseCard) -> None:
    """Copies the release into the store, its card last, unless it is there; a head it has got since goes there too."""
    store = _store(settings)
    if not store.exists(f"{card.name}/{CARD}"):
        names = (*card.files, *card.companions, CARD)
    elif card.companions and store.read_bytes(f"{card.name}/{CARD}") != (card.folder / CARD).read_bytes():
        names = (*card.companions, CARD)  # the weights are the name's, and stay
    else:
        return
    for name in names:
        store.write_bytes_atomic(f"{card.name}/{name}", (card.folder / name).read_bytes())


def _fetch(settings: Settings, name: str, folder: Path) -> bool:
    """Copies a release from a bucket; False where it is not there."""
    store = _store(settings)
    if "/" in name or not store.exists(f"{name}/{CARD}"):
        return False
    here = ObjectStore(folder)
    names = [entry.key for entry in store.list() if entry.key.startswith(f"{name}/")]
    for key in sorted(names, key=lambda key: key.endswith(CARD)):
        here.write_bytes_atomic(key, store.read_bytes(key))
    return True


def _store(settings: Settings) -> ObjectStore:
    return ObjectStore(settings.releases_url, settings.store_options(settings.releases_url, "releases"))
