"""An archive of small real files, registered without reading them again: what a benchmark starts from."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from storage.catalog import Catalogue
from storage.local_files import file_entry
from storage.records import CollectionRecord, PhotoRecord, SourceObjectRecord
from storage.urls import canonical_url

_PAGE = 1000


def png_files(folder: Path, count: int, *, height: int, width: int, start: int = 0) -> Iterator[tuple[Path, str]]:
    """So many different PNGs of soft shapes, a hundred in a folder; each with its SHA-256."""
    generator = np.random.default_rng(start)
    for number in range(start, start + count):
        shapes = Image.fromarray(generator.integers(40, 216, (5, 7, 3), dtype=np.uint8))
        data = io.BytesIO()
        shapes.resize((width, height), Image.Resampling.BICUBIC).save(data, "PNG", compress_level=1)
        path = folder / f"box {number // 100:05d}" / f"photo {number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.getvalue())
        yield path, hashlib.sha256(data.getvalue()).hexdigest()


def register(catalogue: Catalogue, folder: Path, files: Iterable[tuple[Path, str]], *, height: int, width: int) -> int:
    """Records the files as photos of a collection, as ingestion would; gives their number."""
    collection_id = catalogue.upsert_collection(CollectionRecord(url=canonical_url(str(folder))))
    remaining, registered = iter(files), 0
    while page := list(islice(remaining, _PAGE)):
        objects, photos = [], []
        for path, sha256 in page:
            entry = file_entry(path.relative_to(folder).as_posix(), path)
            objects.append(SourceObjectRecord.from_entry(entry, status="registered", photo_sha256=sha256))
            photos.append(
                PhotoRecord(
                    sha256=sha256, size_bytes=entry.size_bytes, format="png", height=height, width=width, channels=3,
                    bit_depth=8, source_mode="RGB",
                )
            )  # fmt: skip
        catalogue.record_objects(collection_id, objects, photos)
        registered += len(page)
    return registered
