"""URLs of sources, stores and catalogues; text only, nothing is opened."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

from storage.local_files import key_to_name, name_to_key

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^@]*@")
_PASSWORD_OPTION = re.compile(r"(?<=[?&])(password|secret)=[^&]*", re.IGNORECASE)


def canonical_url(location: str | Path) -> str:
    """The URL that a source or store goes by: ``file:///whole/path`` or ``s3://bucket/prefix``, no slash at its end.

    A local path stands in the URL as it is, without percent codes.
    """
    text = os.fspath(location)
    protocol, separator, rest = text.partition("://")
    if separator and protocol != "file":
        return f"{protocol}://{rest.rstrip('/')}"
    path = rest if separator else text
    if separator and "%" in path and not os.path.exists(key_to_name(path)):
        path = unquote(path)  # a file: URL from another program
    return "file://" + name_to_key(os.path.abspath(key_to_name(path)))


def local_folder(url: str | Path) -> Path | None:
    """The folder behind a URL or path, None where it is not a local one."""
    canonical = canonical_url(url)
    return Path(key_to_name(canonical.removeprefix("file://"))) if canonical.startswith("file://") else None


def sqlite_path(url: str | Path) -> Path | None:
    """The file behind a SQLite URL or a path; None for another database.

    All behind ``sqlite:///`` is the path as it is, so that a home may hold ``?``, ``#`` and ``%``.
    """
    text = str(url)
    for prefix in ("sqlite:///", "sqlite+pysqlite:///"):
        if text.startswith(prefix):
            return Path(text.removeprefix(prefix))
    return None if "://" in text else Path(text)


def masked_url(url: str | Path) -> str:
    """The URL with its password hidden, for messages and ``repr``."""
    if sqlite_path(url) is not None:
        return str(url)
    return _PASSWORD_OPTION.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", str(url)))
