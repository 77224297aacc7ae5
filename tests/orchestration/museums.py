"""A small museum that retrains: an archive on record, labels of its scratches, clean photos, a toy release in use."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.release_store import resolve_release
from flows.settings import Settings
from flows.training.checkpoints import releases_store, training_keys
from storage.catalog.catalogue import Catalogue
from storage.keys import sha256_hex
from storage.objects import ObjectStore
from storage.records import LabelRecord
from tests.orchestration.accounts import catalogue_at
from tests.orchestration.archives import make_photos, picture

SCRATCH_PX = 2


@dataclass(frozen=True)
class Museum:
    """Its home, its scans, and what a command's environment holds for it."""

    home: Path
    scans: Path
    environment: dict[str, str]

    def settings(self, **given: object) -> Settings:
        """As a command has them."""
        with environment_of(self):
            return Settings.load(self.home, **given)

    def ask(self, sql: str) -> Sequence[Sequence[object]]:
        """Rows of a question to the catalogue."""
        return catalogue_at(self.environment.get("OLDPHOTO_CATALOGUE_URL") or self.home / "catalogue.db")(sql)

    def trained_objects(self) -> list[str]:
        """Keys of everything of training in the releases store."""
        return sorted(training_keys(releases_store(self.settings())))


def copied(museum: Museum, folder: Path) -> Museum:
    """The same museum with a home of its own; the scans are shared, which are only read."""
    shutil.copytree(museum.home, folder / "home")
    return replace(museum, home=folder / "home")


@contextmanager
def environment_of(museum: Museum, **changes: str) -> Iterator[None]:
    """The museum's environment, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**museum.environment, **changes}.items():
            patch.setenv(name, value)
        yield


def make_clean_photos(folder: Path, count: int) -> Path:
    """Photos without a scratch."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(picture(1000 + number, height=96, width=96, scratched=False)).save(
            folder / f"clean-{number:03d}.png"
        )
    return folder


def make_museum(
    folder: Path, release: Path, *, photos: int = 24, labels: int = 14, steps: int = 12, **more: str
) -> Museum:
    """Ingests an archive, labels the scratches of its first photos, and puts the release in use.

    The master of its last photo is broken afterwards.

    Args:
        more: of its environment, such as where the catalogue and the stores are.
    """
    from flows.ingest import ingest

    environment = {
        "OLDPHOTO_TRAINING_PHOTOS": str(make_clean_photos(folder / "clean", 12)),
        "OLDPHOTO_TRAINING_STEPS": str(steps),
        "OLDPHOTO_TRAINING_SEED": "5",
        "OLDPHOTO_TRAINING_THREADS": "1",
        "OLDPHOTO_TRAINING_DEVICE": "cpu",
        "OLDPHOTO_RETRAIN_AFTER": "5",
        **more,
    }
    museum = Museum(folder / "home", folder / "scans", environment)
    paths = make_photos(museum.scans, photos)
    settings = museum.settings()
    with environment_of(museum):
        ingest(str(museum.scans), home=str(museum.home))
    with Catalogue.open(settings.catalogue_url) as catalogue:
        card = resolve_release(catalogue, museum.settings(release=str(release)))
        catalogue.promote_release(card.name, expected_active=None, agent="a test")
        paint_labels(catalogue, settings, paths[:labels])
    paths[-1].write_bytes(paths[-1].read_bytes()[:-20])
    return museum


def paint_labels(catalogue: Catalogue, settings: Settings, photos: Sequence[Path], *, author: str = "Ada") -> None:
    """Records a reviewed label of each photo's scratch."""
    store = ObjectStore(settings.labels_url, settings.store_options(settings.labels_url, "labels"))
    records = []
    for path in photos:
        sha256 = sha256_hex(path.read_bytes())
        mask = scratch_mask(path)
        key = f"{sha256[:2]}/{sha256}/{sha256_hex(mask)[:12]}.png"
        store.write_bytes_atomic(key, mask)
        records.append(
            LabelRecord(photo_sha256=sha256, mask_key=key, mask_sha256=sha256_hex(mask), author=author, tool="test",
                        coverage=0.02)
        )  # fmt: skip
    catalogue.record_labels(records)


def scratch_mask(photo: Path) -> bytes:
    """PNG of where `picture` has its scratch."""
    with Image.open(photo) as opened:
        width, height = opened.size
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 3 : width // 3 + SCRATCH_PX] = 255
    out = io.BytesIO()
    Image.fromarray(mask).save(out, "PNG")
    return out.getvalue()
