"""Releases as a person sees them: what there is, how two of them compare, and which one is in use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.browsing import show_again
from flows.errors import UsageError
from flows.release_store import require_whole
from flows.settings import Settings
from storage.catalog.catalogue import Catalogue
from storage.records import ReleaseLineage, ReleaseRecord

HIGHER = frozenset({"psnr", "ssim", "auc", "ap", "f1", "precision", "recall", "iou", "gain", "aligned"})
LOWER = frozenset({"lpips", "fid", "niqe", "loss", "error", "wasserstein", "probe"})
"""Words in a figure's name that say whether more of it is better; of a figure that has none nobody says so."""

BASELINES = frozenset({"input", "telea", "nlm"})
"""Words of figures that are not the release's own."""

MAIN = {
    "AUC": ("labelled/auc", "second/auc", "second.auc"),
    "PSNR": ("second/psnr", "second.restored_psnr"),
    "clean PSNR": ("clean/psnr", "clean_psnr"),
}
"""What the list of releases shows, under what names it may be found; the first that is there."""


@dataclass(frozen=True, kw_only=True)
class ReleaseLine:
    """A release in the list of them.

    Attributes:
        labels, photos: that its own training runs saw.
        figures: all numbers that are known of it, by path: its verdict's (``labelled/auc``), then those of its card's
            metrics (``second.auc``).
    """

    release: ReleaseRecord
    labels: int
    photos: int
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One figure of two releases.

    Attributes:
        better: ``A`` or ``B``; None where they are equal, one is missing, or nobody says what is better.
    """

    name: str
    a: Any
    b: Any
    better: str | None = None


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Another release came into use.

    Attributes:
        stale: photos whose latest restoration is by another release, or without their label.
    """

    before: str | None
    now: str
    stale: int


def release_lines(catalogue: Catalogue) -> list[ReleaseLine]:
    """All releases, newest first."""
    return [_line(catalogue, release) for release in reversed(catalogue.releases())]


def find_release_record(catalogue: Catalogue, name: str) -> ReleaseRecord:
    """The release that is called so, or whose name or weights' hash begins so; ``active`` is the one in use.

    Raises:
        UsageError: there is none, or more than one.
    """
    known = catalogue.releases()
    found = [release for release in known if release.name == name or (name == release.status == "active")]
    if not found and len(name) >= 4:
        found = [release for release in known if release.name.startswith(name) or release.weights_hash.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name} may mean {', '.join(release.name for release in found)}; give the whole name")
    names = ", ".join(release.name for release in known) or "none yet"
    raise UsageError(f"no release {name} in this catalogue; it has {names}")


def lineage_of(catalogue: Catalogue, release: ReleaseRecord) -> ReleaseLineage:
    """What it learned from, by its own training runs."""
    return catalogue.release_lineage(release.name)


def compare_releases(catalogue: Catalogue, a: ReleaseRecord, b: ReleaseRecord) -> tuple[list[Compared], list[Compared]]:
    """(facts, figures) of two releases: where they come from, and every figure that one of them has.

    Where the two were judged beside each other, these figures come first: the same photos, the same day.
    """
    one, other = _line(catalogue, a), _line(catalogue, b)
    facts = [
        Compared(name="status", a=a.status, b=b.status),
        Compared(name="parent", a=a.parent, b=b.parent),
        Compared(name="registered", a=a.registered_at, b=b.registered_at),
        Compared(name="labels", a=one.labels, b=other.labels),
        Compared(name="photos", a=one.photos, b=other.photos),
        Compared(name="code version", a=_code_version(catalogue, a), b=_code_version(catalogue, b)),
        Compared(name="rejected", a=a.rejected_reason, b=b.rejected_reason),
    ]
    together = _judged_together(a, b)
    others = [dict(figures_of(release.metrics)) if together else line.figures
              for release, line in ((a, one), (b, other))]  # fmt: skip
    return facts, [*together, *_compared(*others)]


def promote(
    catalogue: Catalogue, settings: Settings, release: ReleaseRecord, *, by: str, reason: str | None, force: str | None
) -> Changed:
    """Makes a release active, once its files are found whole.

    Raises:
        UsageError: it is active already, or was rejected and nobody says why it should be promoted all the same.
        storage.errors.PromotionConflict: another one was promoted meanwhile.
        oldphoto_core.errors.ReleaseError: its files are not there, or not whole.
    """
    before = catalogue.active_release()
    if before is not None and before.name == release.name:
        raise UsageError(f"{release.name} is active already; nothing was changed")
    if release.rejected_reason is not None and not (force or "").strip():
        raise UsageError(
            f"{release.name} was rejected: {release.rejected_reason}; to promote it all the same add --force 'why'"
        )
    require_whole(settings, release.name)
    expected = before.name if before is not None else None
    catalogue.promote_release(
        release.name, expected_active=expected, agent=by, reason=force or reason, force=force is not None
    )
    return _changed(catalogue, settings, expected, release.name)


def roll_back(
    catalogue: Catalogue, settings: Settings, *, to: ReleaseRecord | None, by: str, reason: str | None
) -> Changed:
    """Makes an earlier release active again; its files must be whole.

    Raises:
        UsageError: no release is active.
        storage.errors.RecordRefused: there is none to go back to.
        storage.errors.PromotionConflict: another one was promoted meanwhile.
        oldphoto_core.errors.ReleaseError: its files are not there, or not whole.
    """
    active = catalogue.active_release()
    if active is None:
        raise UsageError("no release is active in this catalogue; nothing was changed")
    target = to.name if to is not None else catalogue.release_before(active.name)
    if target is not None:
        require_whole(settings, target)
    before, now = catalogue.rollback_release(by, target, expected_active=active.name, reason=reason)
    return _changed(catalogue, settings, before, now)


def figures_of(metrics: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    """Every number in the metrics, with its path."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from figures_of(value, f"{path}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{path}{name}", float(value)


def which_is_better(name: str, a: float, b: float) -> str | None:
    """``A`` or ``B``; None where they are equal, or the name does not say whether more is better."""
    words = set(re.split(r"[/._]", name.lower()))
    lower, higher = bool(words & LOWER), bool(words & HIGHER)
    if a == b or lower == higher or words & BASELINES:
        return None
    return "A" if (a > b) == higher else "B"


def main_figures(line: ReleaseLine) -> str:
    """The figures to compare releases by at a glance: ``AUC 0.741, PSNR 20.2``."""
    found = {title: next((line.figures[name] for name in names if name in line.figures), None)
             for title, names in MAIN.items()}  # fmt: skip
    return ", ".join(f"{title} {value:.4g}" for title, value in found.items() if value is not None)


def _line(catalogue: Catalogue, release: ReleaseRecord) -> ReleaseLine:
    lineage = catalogue.release_lineage(release.name)
    judged = release.verdict.get("figures", {}).get("candidate", {})
    figures = dict(figures_of(release.metrics)) | dict(figures_of(judged))
    return ReleaseLine(release=release, labels=lineage.labels, photos=lineage.photos, figures=figures)


def _code_version(catalogue: Catalogue, release: ReleaseRecord) -> str | None:
    versions = {run.code_version for run in catalogue.release_lineage(release.name).runs if run.code_version}
    return ", ".join(sorted(versions)) or release.card.get("code_version")


def _compared(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Compared]:
    compared = []
    for name in dict.fromkeys((*a, *b)):
        both = name in a and name in b
        better = which_is_better(name, a[name], b[name]) if both else None
        compared.append(Compared(name=name, a=a.get(name), b=b.get(name), better=better))
    return compared


def _judged_together(a: ReleaseRecord, b: ReleaseRecord) -> list[Compared]:
    """The figures of the verdict in which one of the two was the candidate and the other the release in use."""
    for candidate, other, order in ((a, b, ("candidate", "active")), (b, a, ("active", "candidate"))):
        if candidate.verdict.get("beside") == other.name:
            sides = candidate.verdict.get("figures", {})
            return _compared(*(dict(figures_of(sides.get(side, {}))) for side in order))
    return []


def _changed(catalogue: Catalogue, settings: Settings, before: str | None, now: str) -> Changed:
    active = catalogue.active_release()
    if active is not None and active.activated_at is not None:
        show_again(settings, catalogue, since=active.activated_at)
    return Changed(before=before, now=now, stale=catalogue.count_stale())
