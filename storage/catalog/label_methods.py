"""The catalogue's methods about labels: what people painted, who looked at it, and what is new in it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from storage.catalog import label_queries, untried_queries, waiting_queries
from storage.catalog.transactions import Transactions
from storage.records import LabelRecord


class LabelMethods(Transactions):
    """Scratch masks that people painted."""

    def record_labels(self, labels: Sequence[LabelRecord]) -> int:
        """Records labels with an event each, all or none; gives the number that are new."""
        return self.write(label_queries.record_labels, labels)

    def latest_labels(self, photos: Collection[str] | None = None) -> dict[str, LabelRecord]:
        """The label that applies to each photo (its latest reviewed one), by photo SHA-256."""
        return self.read(label_queries.latest_labels, photos)

    def known_masks(self, photos: Collection[str]) -> dict[tuple[str, str], int]:
        """Whether each label of these photos is reviewed, by (photo SHA-256, mask SHA-256)."""
        return self.read(label_queries.known_masks, photos)

    def review_label(self, label_id: int, *, accepted: bool, by: str, note: str | None = None) -> bool:
        """Accepts a label, so that it may be used, or rejects it; False where it was so already.

        Raises:
            RecordRefused: there is no such label.
        """
        return self.write(label_queries.review_label, label_id, accepted, by, note, uuid.uuid4().hex)

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
