"""The home's ``browse/`` folder: restorations under their source's own paths, by hard link."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from storage.errors import KeyRefused
from storage.local_files import key_to_name, write_atomically


def place_in_browse(home: Path, browse_path: str, restored: Path | bytes) -> bool:
    """Shows a restoration at its browse path, in place of an earlier one. Gives whether it is a hard link.

    A copy stands in where the derivative lies on another disk, in a bucket, or on a file system without links. An
    earlier restoration in another format (``a.jpg.png`` beside ``a.jpg.tif``) is taken away.

    Args:
        browse_path: what ``storage.keys.browse_path`` gave.
        restored: the derivative's file, or its bytes where it lies in a bucket.
    """
    parts = browse_path.split("/")
    if parts[0] != "browse" or any(part in ("", ".", "..") for part in parts):
        raise KeyRefused(f"{browse_path!r} is no browse path; make it with storage.keys.browse_path", key=browse_path)
    target = home / key_to_name(browse_path)
    linked = isinstance(restored, Path) and _link(restored, target)
    if not linked:
        data = restored.read_bytes() if isinstance(restored, Path) else restored
        write_atomically(target, data, overwrite=True)
    stem = target.name.rpartition(".")[0]
    for extension in ("tif", "png", "jpg"):
        other = target.with_name(f"{stem}.{extension}")
        if other != target:
            other.unlink(missing_ok=True)
    return linked


def _link(restored: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(restored):
        return True  # a rename onto another name of the same file would do nothing and leave the part behind
    part = target.parent / f".oldphoto-{uuid.uuid4().hex}.part"
    try:
        os.link(restored, part)
        os.replace(part, target)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    finally:
        part.unlink(missing_ok=True)
    return True


def remove_from_browse(home: Path, browse_path: str) -> bool:
    """Takes what is shown at this browse path away, and folders that are empty then. Gives whether there was anything.
    """
    target = home / key_to_name(browse_path)
    try:
        target.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    remove_empty_folders(target.parent, below=home / "browse")
    return True


def remove_links(home: Path, files: Iterable[Path]) -> int:
    """Takes every further name of these files away from ``browse/``: links under paths that sources had once.

    Walks all of ``browse/``, and only where one of the files still has another name.
    """
    linked = {(status.st_dev, status.st_ino) for file in files if (status := file.stat()).st_nlink > 1}
    removed = 0
    if linked:
        for folder, _, names in os.walk(home / "browse"):
            for path in (Path(folder, name) for name in names):
                status = path.lstat()
                if (status.st_dev, status.st_ino) in linked:
                    path.unlink()
                    removed += 1
    return removed


def remove_empty_folders(folder: Path, *, below: Path) -> None:
    """Removes the folder where it is empty, and those above it that are empty then, up to ``below``, which stays."""
    while folder != below and below in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
