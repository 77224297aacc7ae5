"""Which photos and textures are held out, decided by name alone so that every machine agrees.

A network must be judged on photos *and* on damage textures that it never trained on. Membership is a hash of the
file's group: names that come from one original (tiles of one film scan, frames of one video) share a group, so that
no near copy of a held-out item is ever trained on.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePath

HELD_OUT_SHARE = 0.1
"""Share of groups held out."""

_NUMBER = re.compile(r"^\d+_")
_FILM_SCAN = re.compile(r"(fds-realmask_Scan\d+)_")
_VIDEO = re.compile(r"^(camvid|rrtn|oldfilm|limin)", re.IGNORECASE)


def split_group(name: str) -> str:
    """Gives the group of a file name: items of one group are all trained on, or all held out."""
    stem = _NUMBER.sub("", PurePath(name).stem)
    scan = _FILM_SCAN.match(stem)
    if scan:
        return scan.group(1)
    video = _VIDEO.match(stem)
    return video.group(1).lower() if video else stem


def is_held_out(name: str, share: float = HELD_OUT_SHARE) -> bool:
    """Tells whether the file of this name is kept for measuring (True) or may be trained on (False)."""
    digest = hashlib.sha256(split_group(name).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
