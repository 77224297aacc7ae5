"""What a label's photo may be called: the paths and URLs of exports, without what tools put in front of them."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that was uploaded."""

_WITHOUT_PATH = ("data:", "blob:")


def names_of(text: str) -> tuple[str, ...]:
    """Gives the names that a text of an export may stand for, the most telling first; none where it is no name.

    `s3://bucket/1931/a.jpg` stays whole, and is `1931/a.jpg` too; `/data/local-files/?d=1931/a.jpg` is what comes after
    `d=`; `/data/upload/7/0a1b2c3d-a.jpg` is `a.jpg` as well.
    """
    text = text.strip().replace("\\", "/")
    if not text or len(text) > 4096 or text.startswith(_WITHOUT_PATH) or "\0" in text or "\n" in text:
        return ()
    found = [text] if "://" in text else []
    try:
        parts = urlsplit(text) if "://" in text or "?" in text else None
    except ValueError:
        parts = None
    paths = [text] if parts is None else [*parse_qs(parts.query).get("d", ()), parts.path]
    if parts is not None and "://" not in text:
        paths.append(text)  # a name may have a question mark in it
    for path in paths:
        for one in dict.fromkeys((path, unquote(path))):
            whole = one.lstrip("/")
            folder, _, name = whole.rpartition("/")
            found.append(whole)
            if _UPLOAD.match(name):
                found.append(f"{folder}/{_UPLOAD.sub('', name, count=1)}".lstrip("/"))
    return tuple(name for name in dict.fromkeys(found) if name.strip("/"))
