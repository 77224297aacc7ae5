"""Joins what several people painted of a photo, where the label that applies lacks somebody's latest mask."""

from __future__ import annotations

from collections.abc import Collection

from flows.endpoints import honours_conditions
from flows.labels.before import PaintedBefore
from flows.labels.making import MadeLabel, join_people
from flows.settings import Settings
from oldphoto_core.errors import LabelRefused
from storage.catalog.catalogue import Catalogue
from storage.errors import ObjectExists
from storage.objects import ObjectStore


def open_label_store(catalogue: Catalogue, settings: Settings) -> ObjectStore:
    """The store of masks, to be written to."""
    url = settings.labels_url
    conditional = honours_conditions(catalogue, settings, url, "labels")
    return ObjectStore(url, settings.store_options(url, "labels"), conditional_writes=conditional)


def join_labels(catalogue: Catalogue, store: ObjectStore, photos: Collection[str]) -> int:
    """Joins the labels of these photos (SHA-256), and gives the number of new ones.

    A label that was accepted comes so to those before it, and so do those of two imports at once, of which neither
    saw the other.

    Raises:
        LabelRefused: a mask on record cannot be read.
    """
    on_record = catalogue.recorded_masks(photos)
    named = catalogue.photos_of_hashes(list(on_record))
    before = [PaintedBefore(named[sha256], tuple(masks), store) for sha256, masks in sorted(on_record.items())]
    made = [label for one in before if (label := join_people(one)) is not None]
    for label in made:
        store_masks(store, label)
    return catalogue.record_labels([label.record for label in made])


def store_masks(store: ObjectStore, label: MadeLabel) -> None:
    """Writes what is not there yet of a label's files; rows come after.

    Raises:
        LabelRefused: other bytes stand in the place of one.
    """
    for key, data in label.files.items():
        try:
            store.write_once(key, data)
        except ObjectExists as error:
            problem = f"its mask on record, {key}, was changed; take that file away and import again"
            raise LabelRefused(problem) from error
