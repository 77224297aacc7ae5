"""The catalogue's methods about reviews: what waits for a person, and what the person said."""

from __future__ import annotations

from collections.abc import Sequence

from storage.catalog import review_queries
from storage.catalog.event_queries import identified
from storage.catalog.review_queries import Judged, Reviewable
from storage.catalog.transactions import Transactions
from storage.records import EventRecord, Verdict


class ReviewMethods(Transactions):
    """Reviews of restorations, and the judgement that asks for them."""

    def reviews_wanted(
        self, collection_id: int | None = None, *, reviewed: bool = False, after_id: int = 0, limit: int
    ) -> list[Reviewable]:
        """A page, by restoration, of photos whose latest restoration waits for a person.

        Args:
            reviewed: those that were accepted or rejected instead, whether or not a figure asked for it.
        """
        return self.read(review_queries.reviews_wanted, collection_id, reviewed, after_id, limit)

    def reviewable(self, photo_sha256: str) -> Reviewable | None:
        """The latest restoration of the photo; None where it has none whose files are there."""
        return self.read(review_queries.reviewable, photo_sha256)

    def record_review(self, item: Reviewable, verdict: Verdict, *, by: str, note: str | None = None) -> None:
        """Records a person's verdict with its event; the latest verdict on a restoration counts."""
        events = identified([review_queries.review_event(item, verdict, by, note)])
        self.write(review_queries.record_review, item.restoration_id, verdict, by, note, events)

    def restorations_to_judge(self, *, after_id: int, limit: int) -> list[Judged]:
        """A page of restorations, by id, with their figures and what was past a limit when they were judged last."""
        return self.read(review_queries.restorations_to_judge, after_id, limit)

    def record_judgements(
        self, judgements: Sequence[tuple[int, str | None]], events: Sequence[EventRecord] = ()
    ) -> None:
        """Notes of restorations (id, what is past a limit) whether they need a review; None: they do not."""
        self.write(review_queries.record_judgements, judgements, identified(events))

    def left_out(self, collection_id: int | None = None) -> tuple[int, int]:
        """Objects that could be published but for a review: (that wait for one, whose restoration was rejected)."""
        return self.read(review_queries.left_out, collection_id)
