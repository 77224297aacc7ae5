"""Clean photos and textures for training: a folder is used where it lies, a bucket is fetched once.

What is fetched lies in `{home}/work/training-material/{hash of the listing}`, so the next retraining finds it there,
and one of a changed bucket fetches it anew.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from flows.errors import UsageError
from flows.patience import patient
from flows.progress import progress
from flows.settings import Settings
from storage.errors import ObjectStoreError
from storage.local_files import write_atomically
from storage.objects import SourceStore
from storage.records import SourceEntry
from storage.urls import local_folder

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
FEWEST = 8
"""Clean photos below which nothing is learned that holds for others."""
_WANTED = (
    "give a folder or s3://bucket/prefix of a few hundred photos without damage or more (the better scans of "
    "your own collections, or openly licensed ones) as OLDPHOTO_TRAINING_PHOTOS or training_photos in oldphoto.toml"
)


def require_clean_photos(settings: Settings) -> str:
    """Where the clean photos come from.

    Raises:
        UsageError: no place is set, or it is a folder that is not there or holds too few.
    """
    url = settings.training_photos
    if url is None:
        raise UsageError(f"training needs clean photos to damage and mend, and training_photos is not set; {_WANTED}")
    folder = local_folder(url)
    if folder is not None:
        if not folder.is_dir():
            raise UsageError(f"training_photos {url} is not a folder that is there; {_WANTED}")
        _require_enough(sum(_is_photo(path.name) for path in folder.rglob("*")), url)
        url = str(folder.resolve())
    textures = settings.training_textures and local_folder(settings.training_textures)
    if textures is not None and textures and not Path(textures).is_dir():
        raise UsageError(
            f"training_textures {settings.training_textures} is not a folder that is there; correct it, or leave it "
            "out and all damage is drawn"
        )
    return url


def fetched(settings: Settings, url: str) -> Path:
    """The folder of this place, fetched where it is a bucket.

    Raises:
        UsageError: it holds too few photos.
        storage.errors.ObjectStoreError: it cannot be read.
    """
    here = local_folder(url)
    if here is not None:
        return here
    store = SourceStore(url, settings.store_options(url, "sources"))
    entries = sorted((entry for entry in store.list() if _is_photo(entry.key)), key=lambda entry: entry.key)
    folder = settings.layout.work / "training-material" / _listing_hash(entries)
    missing = [entry for entry in entries if not (folder / entry.key).is_file()]
    if missing:
        progress().begin(f"Fetching {url}", len(missing))
    for entry in missing:
        data = patient(settings.store_patience_s, partial(store.read_bytes, entry.key))
        write_atomically(folder / entry.key, data, overwrite=True)
        progress().advance()
    return folder


def fetched_photos(settings: Settings, url: str) -> Path:
    """The same for clean photos, of which there must be enough."""
    folder = fetched(settings, url)
    _require_enough(sum(_is_photo(path.name) for path in folder.rglob("*")) if folder.is_dir() else 0, url)
    return folder


def is_there(settings: Settings, url: str) -> bool:
    """Whether the place can be looked at."""
    here = local_folder(url)
    if here is not None:
        return here.is_dir()
    try:
        next(iter(SourceStore(url, settings.store_options(url, "sources")).pages()), None)
    except ObjectStoreError:
        return False
    return True


def _require_enough(count: int, url: str) -> None:
    if count < FEWEST:
        raise UsageError(
            f"training_photos {url} holds {count} photos, and {FEWEST} are the fewest to train on (the originals of "
            f"`oldphoto sample` are too few, too); {_WANTED}"
        )


def _is_photo(key: str) -> bool:
    return key.lower().endswith(SUFFIXES)


def _listing_hash(entries: list[SourceEntry]) -> str:
    listing = "".join(f"{entry.key}\0{entry.size_bytes}\0{entry.etag}\n" for entry in entries)
    return hashlib.sha256(listing.encode()).hexdigest()[:16]
