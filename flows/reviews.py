"""The gate: which restorations a person must look at before they are published, and what the person says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from flows.errors import UsageError
from flows.run_records import agent
from flows.states import find_meant
from flows.wording import counted
from storage.catalog.catalogue import Catalogue
from storage.catalog.review_queries import Judged, Reviewable
from storage.fidelity_limits import FidelityLimits
from storage.records import FIDELITY, EventRecord, RestorationRecord, Verdict

_PAGE = 500


def judged(record: RestorationRecord, limits: FidelityLimits) -> RestorationRecord:
    """The record with whether it needs a review, and why: kept and stored it is in any case."""
    if record.outcome != "restored":
        return record
    reasons = limits.reasons({name: getattr(record, name) for name in ("mask_coverage", *FIDELITY)})
    return replace(record, needs_review=bool(reasons), review_reasons=_joined(reasons))


def waiting(catalogue: Catalogue, collection_id: int | None = None, *, reviewed: bool = False) -> Iterator[Reviewable]:
    """Photos whose latest restoration waits for a person, or was reviewed."""
    after_id = 0
    while page := catalogue.reviews_wanted(collection_id, reviewed=reviewed, after_id=after_id, limit=_PAGE):
        after_id = page[-1].restoration_id
        yield from page


def give_verdict(catalogue: Catalogue, what: str, verdict: Verdict, *, by: str, note: str | None = None) -> Reviewable:
    """Records what a person says of a photo's latest restoration, and gives that restoration as it was before.

    Args:
        what: the photo: its path in its source, its file's name, or its SHA-256 or the start of it.

    Raises:
        UsageError: nobody is named, the words mean no photo or several, or it was not restored.
    """
    if not by.strip():
        raise UsageError("say who (--by); it is kept in the catalogue")
    meant = find_meant(catalogue, what)
    if meant.kind != "photo":
        raise UsageError(f"{what} is a collection; restorations are reviewed a photo at a time")
    item = catalogue.reviewable(meant.id)
    if item is None:
        raise UsageError(f"{meant.name} has no restoration to review; see `oldphoto history --photo {meant.id[:12]}`")
    catalogue.record_review(item, verdict, by=by.strip(), note=" ".join((note or "").split()) or None)
    return item


@dataclass(kw_only=True)
class Judgement:
    """What judging all restorations once more came to: `asked` need a review now and did not before."""

    restorations: int = 0
    need_review: int = 0
    asked: int = 0
    cleared: int = 0


def judge_all(catalogue: Catalogue, limits: FidelityLimits) -> Judgement:
    """Judges every restoration by these limits, from the figures on record; no pixel is looked at."""
    found = Judgement()
    after_id = 0
    while page := catalogue.restorations_to_judge(after_id=after_id, limit=_PAGE):
        after_id = page[-1].restoration_id
        changes = [change for one in page if (change := _change(one, limits, found)) is not None]
        if changes:
            catalogue.record_judgements(changes)
    if found.asked or found.cleared:
        note = f"judged by other limits: {counted(found.asked, 'restoration')} past one now, {found.cleared:,} no more"
        detail = {"limits": limits.model_dump(), "asked": found.asked, "cleared": found.cleared}
        catalogue.record_event(EventRecord(type="review", agent=agent(), detail=detail, note=note))
    return found


def _change(one: Judged, limits: FidelityLimits, found: Judgement) -> tuple[int, str | None] | None:
    """The new judgement where it differs from the one before; counts either way."""
    reasons = _joined(limits.reasons(one.figures))
    found.restorations += 1
    found.need_review += reasons is not None
    found.asked += reasons is not None and one.reasons is None
    found.cleared += reasons is None and one.reasons is not None
    return None if reasons == one.reasons else (one.restoration_id, reasons)


def _joined(reasons: tuple[str, ...]) -> str | None:
    return "; ".join(reasons) or None
