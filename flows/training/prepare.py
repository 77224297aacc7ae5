"""A snapshot's photos and labels into the folder that training reads: fetched, decoded upright, reduced, to sRGB.

A photo is read by rows, so that a scan of 200 megapixels is no more than some strips, unless it has a label. One that
cannot be had any more is named in the run's record and left out: it never ends a retraining.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.errors import SourceChanged
from flows.patience import patient
from flows.progress import progress
from flows.runners import reader_threads
from flows.settings import Settings
from oldphoto_core.errors import ImageRefused, one_line
from oldphoto_core.images import DecodeLimits, open_image
from storage.errors import ObjectStoreError, StorageError, StoreUnavailable
from storage.keys import sha256_hex
from storage.local_files import write_atomically
from storage.objects import ObjectStore, SourceStore
from storage.records import SnapshotRow, SourceRef
from storage.whole_objects import WholeObject

if TYPE_CHECKING:
    import numpy as np

PREPARED = "prepared.json"
"""Written last: where it stands, the folder is whole."""
LEARNED_FROM = ("train", "validation")
"""Splits whose labelled photos stand among the old ones too: the VAEs learn what old photos look like."""


@dataclass(frozen=True)
class LeftOut:
    """A photo of the snapshot that training goes without."""

    photo_sha256: str
    source_key: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """What the folder holds.

    Attributes:
        labelled, old: photos with and without a label.
    """

    labelled: int
    old: int
    left_out: tuple[LeftOut, ...] = ()


def prepare_material(
    settings: Settings, rows: Sequence[SnapshotRow], places: Mapping[str, Sequence[SourceRef]], folder: Path
) -> Prepared:
    """Lays the snapshot's photos into the folder, going on where an earlier try ended.

    Args:
        rows: of the snapshot.
        places: where those photos can be read now that may still be used, by SHA-256.
        folder: the material folder.

    Raises:
        storage.errors.StoreUnavailable: a store stays away for longer than `store_patience_s`; nothing is said of the
            photos then, and the next try goes on.
    """
    whole = folder / PREPARED
    if _took_out(folder, [row for row in rows if not places.get(row.photo_sha256)]):
        whole.unlink(missing_ok=True)
    if whole.is_file():
        kept = json.loads(whole.read_text())
        return Prepared(kept["labelled"], kept["old"], tuple(LeftOut(**one) for one in kept["left_out"]))
    progress().begin("Preparing photos", len(rows))
    labels = ObjectStore(settings.labels_url, settings.store_options(settings.labels_url, "labels"))
    laying = _Laying(settings, labels, places, folder)
    with ThreadPoolExecutor(reader_threads(), "oldphoto-preparing") as pool:
        problems = list(_told(pool.map(laying.lay, rows)))
    left_out = tuple(one for one in problems if one is not None)
    gone = {one.photo_sha256 for one in left_out}
    labelled = sum(row.role == "labelled" and row.photo_sha256 not in gone for row in rows)
    made = Prepared(labelled, len(rows) - len(gone) - labelled, left_out)
    for one in left_out:
        progress().say(f"left out of training: {one.source_key}: {one.reason}")
    write_atomically(whole, json.dumps(asdict(made), indent=1).encode(), overwrite=True)
    return made


def _took_out(folder: Path, rows: Sequence[SnapshotRow]) -> bool:
    """Takes photos out again that were laid down and must not be used any more; False where there were none."""
    laid = [path for row in rows for path in folder.glob(f"*/*/{row.photo_sha256}*")]
    for path in laid:
        path.unlink()
    return bool(laid)


@dataclass(frozen=True)
class _Laying:
    """Where photos come from and go to."""

    settings: Settings
    labels: ObjectStore
    places: Mapping[str, Sequence[SourceRef]]
    folder: Path

    def lay(self, row: SnapshotRow) -> LeftOut | None:
        """Lays one photo down, and gives the reason where that cannot be."""
        from oldphoto_core.training.material_folder import write_labelled, write_old

        kind = "labelled" if row.role == "labelled" else "old"
        if (self.folder / kind / row.split / f"{row.photo_sha256}.png").is_file():
            return None
        places = self.places.get(row.photo_sha256, ())
        if not places:
            return LeftOut(row.photo_sha256, row.source_key, "held, withdrawn or gone since the snapshot was made")
        for place in places:
            try:
                photo = self._photo(row, place)
                break
            except StoreUnavailable:
                raise
            except (ImageRefused, SourceChanged, StorageError, OSError, MemoryError) as error:
                why = one_line(error)
        else:
            return LeftOut(row.photo_sha256, row.source_key, why)
        if kind == "old" or row.split in LEARNED_FROM:
            write_old(self.folder, row.split, row.photo_sha256, photo.picture)
        if photo.mask is not None:  # last, since its file says that the photo is laid down
            write_labelled(
                self.folder, row.split, row.photo_sha256, photo.picture, photo.mask, ignore=photo.disagreement
            )
        return None

    def _photo(self, row: SnapshotRow, place: SourceRef) -> _Photo:
        """The photo and its label, as large as they are held."""
        from oldphoto_core.training.real_photos import LABELLED_PX, UNLABELLED_PX, training_mask, training_picture

        store = SourceStore(place.collection_url, self.settings.store_options(place.collection_url, "sources"))
        limits = DecodeLimits(max_pixels=int(self.settings.max_megapixels * 1e6))
        is_labelled = row.label_mask_key is not None
        with self._opened(store, place.key, row) as whole, open_image(whole.file, place.key, limits) as image:
            picture = training_picture(image, long_side_px=LABELLED_PX if is_labelled else UNLABELLED_PX)
            shape = image.scan.shape
            whole.check_unchanged()
        if row.label_mask_key is None:
            return _Photo(picture)
        mask = self._label_object(row.label_mask_key, row.label_mask_sha256)
        disagreement = self._label_object(row.disagreement_key) if row.disagreement_key else None
        return _Photo(
            picture,
            training_mask(mask, shape, row.label_mask_key),
            None if disagreement is None else training_mask(disagreement, shape, str(row.disagreement_key)),
        )

    @contextmanager
    def _opened(self, store: SourceStore, key: str, row: SnapshotRow) -> Iterator[WholeObject]:
        """The master, which must be the one that is registered."""
        with ExitStack() as held:
            whole = patient(self.settings.store_patience_s, lambda: held.enter_context(store.open_whole(key)))
            if whole.sha256 != row.photo_sha256:
                raise SourceChanged(
                    f"{store.object_url(key)}: expected SHA-256 {row.photo_sha256[:12]}…, found "
                    f"{whole.sha256[:12]}…: it is another file by now; ingest the source again"
                )
            yield whole

    def _label_object(self, key: str, sha256: str | None = None) -> bytes:
        data = patient(self.settings.store_patience_s, lambda: self.labels.read_bytes(key))
        if sha256 is not None and sha256_hex(data) != sha256:
            raise ObjectStoreError(
                f"{self.labels.object_url(key)}: expected SHA-256 {sha256[:12]}…, found {sha256_hex(data)[:12]}…; "
                "import the label again"
            )
        return data


@dataclass(frozen=True)
class _Photo:
    """(H, W, 3) uint8 sRGB, and of the same size (H, W) bool: damage, and where annotators disagree."""

    picture: np.ndarray
    mask: np.ndarray | None = None
    disagreement: np.ndarray | None = None


def _told(results: Iterable[LeftOut | None]) -> Iterator[LeftOut | None]:
    for result in results:
        progress().advance()
        yield result
