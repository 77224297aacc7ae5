"""A home with photos to label, and masks as people's tools write them."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flows.ingest import ingest
from flows.labels.importing import LabelImport, LabelWishes, import_labels
from flows.settings import Settings
from oldphoto_core.labels.brush_rle import encode_brush
from storage.catalog.catalogue import Catalogue
from storage.objects import ObjectStore
from tests.orchestration.archives import make_photos, picture

HEIGHT, WIDTH = 72, 96


class Archive:
    """A home with ingested photos."""

    def __init__(self, home: Path, source: Path, **changes: Any) -> None:
        self.home, self.source = home, source
        self.settings = Settings.load(home, **changes)
        self.catalogue = Catalogue.open(self.settings.catalogue_url)

    def take(self, source: Path | str, format: Any = "png", dry_run: bool = False, **wishes: Any) -> LabelImport:
        """Imports labels, painted by Ada where nothing else is said."""
        given = LabelWishes(format=format, **{"author": "Ada", **wishes})
        return import_labels(self.catalogue, self.settings, str(source), given, dry_run=dry_run)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.home / "catalogue.db")) as connection:
            return connection.execute(sql).fetchall()

    def trained_on(self) -> int:
        """Number of photos in use for training or validation; which those are, their hashes decide."""
        return int(self.ask("SELECT count(*) FROM photo_split WHERE split IN ('train', 'validation')")[0][0])

    def objects(self) -> dict[str, bytes]:
        """What lies in the label store."""
        store = ObjectStore(self.settings.labels_url, self.settings.store_options(self.settings.labels_url, "labels"))
        if store.root is not None and not store.root.exists():
            return {}
        return {entry.key: store.read_bytes(entry.key) for entry in store.list()}


def label_archive(tmp_path: Path) -> Archive:
    """Four photos, two of the same name in different folders, and one that EXIF turns by a quarter."""
    source = tmp_path / "scans"
    make_photos(source / "1931", 2)
    make_photos(source / "1932", 1, start=1)
    Image.fromarray(picture(9)).save(source / "1932/photo-001.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(7)).save(source / "turned.jpg", exif=exif, quality=90)
    ingest(str(source), home=str(tmp_path / "home"))
    return Archive(tmp_path / "home", source)


def stroke(height: int = HEIGHT, width: int = WIDTH, row: int = 50) -> np.ndarray:
    """(H, W) uint8: a scratch across."""
    mask = np.zeros((height, width), np.uint8)
    mask[row : row + 2, 10 : width - 10] = 255
    return mask


def save(mask: np.ndarray, path: Path) -> Path:
    """The mask as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
    return path


def read_png(data: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(data)))


def studio(*tasks: tuple[str, list[tuple[str, np.ndarray]]]) -> str:
    """A Label Studio export: for each image who painted what."""
    return json.dumps([
        {"id": number, "data": {"image": image}, "annotations": [
            {"id": 10 * number + place, "completed_by": {"id": place, "email": email}, "was_cancelled": False,
             "created_at": "2026-03-01T09:00:00Z", "result": [
                 {"type": "brushlabels", "original_height": mask.shape[0], "original_width": mask.shape[1],
                  "image_rotation": 0,
                  "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": ["scratch"]}}
            ]} for place, (email, mask) in enumerate(painted)
        ]} for number, (image, painted) in enumerate(tasks, 1)
    ])  # fmt: skip
