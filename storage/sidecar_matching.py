"""Which photo a sidecar means: by path and name, in whichever form of Unicode, and by letter case where nothing else
fits."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_CANDIDATES = 20
"""Objects kept for one name; with more of one quality the name is ambiguous anyway."""
_SAME, _SAME_LETTERS, _OTHER_CASE = 0, 1, 2
_WITHOUT_EXTENSION = 3


@dataclass(frozen=True, order=True)
class _Candidate:
    is_missing: bool
    rank: int
    quality: int
    object_id: int
    key: str


class NameMatcher:
    """First told what is wanted, then offered every object, then asked what was found.

    So that memory depends on what is wanted, not on how many objects a collection has.
    """

    def __init__(self) -> None:
        self._wanted: dict[str, list[tuple[int, int, str]]] = {}
        self._found: dict[int, list[_Candidate]] = {}

    def want(self, token: int, folder: str, names: Sequence[str]) -> None:
        """Asks for the object that one of the names stands for.

        Args:
            folder: of the sidecar, without a slash at its end; empty for the collection's root.
            names: as the sidecar has them, the surest first: paths from its folder or from the collection's root.
        """
        paths = [path for name in names for path in _paths(folder, name)]
        for rank, path in enumerate(dict.fromkeys(paths)):
            self._wanted.setdefault(_folded(path), []).append((token, rank, path))

    def offer(self, object_id: int, key: str, *, is_missing: bool = False) -> None:
        """An object that may be one of those wanted."""
        self._offer(object_id, key, key, is_missing, 0)
        stem = _stem(key)
        if stem != key:
            self._offer(object_id, key, stem, is_missing, _WITHOUT_EXTENSION)

    def _offer(self, object_id: int, key: str, path: str, is_missing: bool, at_best: int) -> None:
        for token, rank, wanted in self._wanted.get(_folded(path), ()):
            found = self._found.setdefault(token, [])
            if path == wanted:
                quality = _SAME
            else:
                quality = _SAME_LETTERS if _composed(path) == _composed(wanted) else _OTHER_CASE
            if len(found) < _CANDIDATES:
                found.append(_Candidate(is_missing, rank, at_best + quality, object_id, key))

    def found(self, token: int) -> tuple[list[tuple[int, str]], bool]:
        """(id, key) of the objects that fit best, and whether several fit but for letter case, so that none is taken.

        Several are right where the name has no extension: `photo.xmp` describes `photo.tif` and `photo.jpg`.
        """
        candidates = sorted(self._found.get(token, ()))
        if not candidates:
            return [], False
        best = candidates[0]
        grade = (best.is_missing, best.rank, best.quality)
        fitting = [(one.object_id, one.key) for one in candidates if (one.is_missing, one.rank, one.quality) == grade]
        is_by_case = best.quality % _WITHOUT_EXTENSION == _OTHER_CASE
        return ([], True) if is_by_case and len(fitting) > 1 else (fitting, False)


def _paths(folder: str, name: str) -> list[str]:
    """Keys that the name may stand for: from the sidecar's folder, from the root, and its last part in the folder."""
    path = name.strip().replace("\\", "/")
    is_absolute = path.startswith("/") or re.match(r"[A-Za-z]:/", path) is not None
    last = posixpath.join(folder, path.rpartition("/")[2])
    if is_absolute:
        return [last]
    paths = [posixpath.normpath(posixpath.join(folder, path)), posixpath.normpath(path), last]
    return [path for path in paths if path not in ("", ".") and not path.startswith("../")]


def _stem(key: str) -> str:
    folder, slash, name = key.rpartition("/")
    stem = name.rpartition(".")[0]
    return f"{folder}{slash}{stem}" if stem else key


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else _composed(_composed(text).casefold())
