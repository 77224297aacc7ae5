"""The catalogue's methods about labels: what people painted, who looked at it, and what is new in it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from storage.catalog import (
    label_photo_queries,
    label_queries,
    label_review_queries,
    label_status_queries,
    untried_queries,
    waiting_queries,
)
from storage.catalog.label_status_queries import Unlabelled
from storage.catalog.transactions import Transactions
from storage.records import LabelRecord, LabelRow, NamedPhoto, RecordedMask


class LabelMethods(Transactions):
    """Scratch masks that people painted."""

    def record_labels(self, labels: Sequence[LabelRecord]) -> int:
        """Records labels with an event each, all or none; gives the number that are new.

        A mask that is on record for the photo already, in use and now by more people than before, becomes that label
        anew: with what they painted, where they differ, and as the photo's latest.
        """
        return self.write(label_queries.record_labels, labels)

    def latest_labels(self, photos: Collection[str] | None = None) -> dict[str, LabelRecord]:
        """The label that applies to each photo (its latest reviewed one), by photo SHA-256."""
        return self.read(label_queries.latest_labels, photos)

    def recorded_masks(self, photos: Collection[str]) -> dict[str, list[RecordedMask]]:
        """Every label's mask, and every mask that a person painted for one, oldest label first, by photo SHA-256."""
        return self.read(label_queries.recorded_masks, photos)

    def review_label(self, label_id: int, *, accepted: bool, by: str, note: str | None = None) -> bool:
        """Accepts a label, so that it may be used, or rejects it; False where it was so already.

        Where the photo was restored before as it is to be now, that restoration is its latest again.

        Raises:
            RecordRefused: there is no such label.
        """
        return self.write(label_review_queries.review_label, label_id, accepted, by, note, uuid.uuid4().hex)

    def photos_named(self, names: Collection[str]) -> list[NamedPhoto]:
        """Registered objects whose files have one of these names, in whatever folder."""
        return self.read(label_photo_queries.photos_named, names)

    def photos_of_hashes(self, hashes: Collection[str]) -> dict[str, NamedPhoto]:
        """Those photos that are recorded, by SHA-256, each with its first object."""
        return self.read(label_photo_queries.photos_of_hashes, hashes)

    def label_rows(
        self, photos: Sequence[str] | None = None, *, after_id: int = 0, limit: int = 1000
    ) -> list[LabelRow]:
        """A page of labels, by id: of these photos (SHA-256), or of all."""
        return self.read(label_status_queries.label_rows, photos, after_id=after_id, limit=limit)

    def unlabelled(self, *, after_id: int = 0, limit: int = 1000) -> list[Unlabelled]:
        """A page of photos, by id, that nobody labelled and that are neither held nor withdrawn.

        Each has a registered object and a latest restoration whose mask was detected.
        """
        return self.read(label_status_queries.unlabelled, after_id=after_id, limit=limit)

    def labels_waiting(self) -> int:
        """Number of labels that the release in use was not trained with.

        Counted are labels that apply (the latest reviewed one of a photo), of photos that are registered, neither held
        nor withdrawn, and that are in no snapshot which the active release or one that it descends from was trained
        with.
        """
        return self.read(waiting_queries.labels_waiting)

    def labels_untried(self) -> int:
        """Number of waiting labels that no retraining has ended with, whatever became of its candidate.

        They begin a retraining by themselves; where its candidate was rejected, none is begun until new labels come.
        """
        return self.read(untried_queries.labels_untried)
