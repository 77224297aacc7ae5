"""Which photo a label is for: by hash, by key, or by file name where only one photo can be meant."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from oldphoto_core.errors import LabelRefused
from storage.catalog.catalogue import Catalogue
from storage.records import NamedPhoto

_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_MASK_MARK = re.compile(r"[ ._-](?:mask|label|labels|scratches)$", re.IGNORECASE)
_EXTENSIONS = (
    "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "png", "bmp", "gif", "webp", "jp2", "j2k", "jpf", "jpx", "ppm", "pgm",
    "pnm", "avif", "heic",
)  # fmt: skip
"""Of photos, so that `a.png` finds `a.tif` by names that an index knows."""
_SHOWN = 5


@dataclass(frozen=True)
class _Wanted:
    """Names that may be the photo's, with how exactly they are: 2 the name itself, 1 without its extension, 0 less."""

    path: str
    names: dict[str, int]


@dataclass
class PhotoMatcher:
    """Finds photos for labels; the catalogue is asked for all of them at once."""

    _of_hash: dict[str, NamedPhoto] = field(default_factory=dict)
    _of_name: dict[str, list[NamedPhoto]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, catalogue: Catalogue, labels: Iterable[tuple[str, ...]]) -> PhotoMatcher:
        """Knows what the catalogue holds of all that these labels may name."""
        paths = {path for files in labels for path in files}
        matcher = cls(catalogue.photos_of_hashes({found for path in paths for found in _hashes(path)}))
        for photo in catalogue.photos_named({name for path in paths for name in _names(path).names}):
            matcher._of_name[_composed(photo.key.rpartition("/")[2])].append(photo)
        return matcher

    def match(self, files: tuple[str, ...]) -> NamedPhoto:
        """Gives the photo that these names mean.

        A hash decides. Else the first name that any file has: of several the one in the same folders, and with the
        same extension.

        Raises:
            LabelRefused: none is meant, or more than one.
        """
        if not files:
            raise LabelRefused("names no photo; export with the file names or with each photo's SHA-256")
        hashes = [found for path in files for found in _hashes(path)]
        known = [self._of_hash[found] for found in hashes if found in self._of_hash]
        if known:
            return known[0]
        if hashes:
            raise LabelRefused(f"is of a photo that is not in this catalogue: SHA-256 {hashes[0]}")
        for path in files:
            if found := self._nearest(_names(path)):
                return self._only(found)
        raise LabelRefused(f"is of no photo of this catalogue: no file is called {files[0]}; ingest it first")

    def _nearest(self, wanted: _Wanted) -> list[NamedPhoto]:
        """Of the photos with one of these names those that fit best, all that fit alike."""
        ranked: dict[tuple[bool, int, int], list[NamedPhoto]] = defaultdict(list)
        for name, exactness in wanted.names.items():
            for photo in self._of_name.get(_composed(name), ()) if name == _composed(name) else ():
                whole = f"{photo.collection_url}/{photo.key}"
                shared = _shared_folders(_composed(whole), _composed(wanted.path))
                ranked[_composed(photo.key) == _composed(wanted.path), shared, exactness].append(photo)
        return ranked[max(ranked)] if ranked else []

    def _only(self, photos: list[NamedPhoto]) -> NamedPhoto:
        distinct = {photo.photo_sha256: photo for photo in photos}
        if len(distinct) == 1:
            return photos[0]
        shown = ", ".join(sorted(photo.key for photo in distinct.values())[:_SHOWN])
        more = f" and {len(distinct) - _SHOWN} more" if len(distinct) > _SHOWN else ""
        raise LabelRefused(
            f"may be of {len(distinct)} photos: {shown}{more}; put it into the photo's folder, or name its SHA-256"
        )


def _hashes(path: str) -> list[str]:
    return _HASH.findall(path.lower())


def _names(path: str) -> _Wanted:
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    wanted = {name: 2}
    for exactness, start in ((1, stem), (0, _MASK_MARK.sub("", stem))):
        for one in (start, *(f"{start}.{end}" for ending in _EXTENSIONS for end in (ending, ending.upper()))):
            for form in (one, _composed(one), unicodedata.normalize("NFD", one)):  # as macOS writes names
                wanted.setdefault(form, exactness)
    return _Wanted(path, wanted)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _shared_folders(one: str, other: str) -> int:
    """How many folders above the file are called alike, from the file upwards."""
    count = 0
    for a, b in zip(reversed(one.split("/")[:-1]), reversed(other.split("/")[:-1]), strict=False):
        if a != b:
            break
        count += 1
    return count
