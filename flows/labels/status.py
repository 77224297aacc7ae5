"""What is labelled, by whom, and how much of it the release in use does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from storage.catalog.catalogue import Catalogue
from storage.records import LabelRow

_PAGE = 1000


@dataclass(kw_only=True)
class LabelStatus:
    """Counts of labels.

    Attributes:
        states: labels by state: in use, replaced, waits for review, rejected.
        authors: labels in use by who painted them; a label of several counts for each.
        tools: labels in use by tool; splits: by side of training, `undecided` before the first.
        coverage: mean share of the photo that labels in use mark.
        several: labels in use that several annotators painted; disagreement: their mean, 0 to 1.
        waiting: labels that the active release was not trained with.
        untried: those of them that no retraining has ended with.
        release: the active release; None where there is none.
    """

    states: Counter[str] = field(default_factory=Counter)
    authors: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    coverage: float = 0.0
    several: int = 0
    disagreement: float = 0.0
    waiting: int = 0
    untried: int = 0
    release: str | None = None


def label_rows(catalogue: Catalogue) -> Iterator[LabelRow]:
    """Every label, oldest first, a page at a time."""
    after_id = 0
    while page := catalogue.label_rows(after_id=after_id, limit=_PAGE):
        after_id = page[-1].label_id
        yield from page


def label_status(catalogue: Catalogue) -> LabelStatus:
    """Counts all labels."""
    found, coverage, disagreement = LabelStatus(), 0.0, 0.0
    for row in label_rows(catalogue):
        found.states[row.state] += 1
        if row.state != "in use":
            continue
        found.authors.update(row.author.split(", "))
        found.tools.update(row.tool.split(", "))
        found.splits[row.split or "undecided"] += 1
        coverage += row.coverage
        if row.annotators > 1:
            found.several += 1
            disagreement += row.disagreement
    found.coverage = coverage / max(1, found.states["in use"])
    found.disagreement = disagreement / max(1, found.several)
    found.waiting, found.untried = catalogue.labels_waiting(), catalogue.labels_untried()
    active = catalogue.active_release()
    found.release = active.name if active is not None else None
    return found
