"""What an audit came to: counts of everything, the first findings by name, and the exit code that follows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from flows.audit_findings import BatchFindings
from flows.summary import DONE, FAILED

_NAMED = 100
"""Findings of a kind that a summary names; the catalogue's events have them all."""

KINDS = ("master", "derivative", "label")
"""What files are audited."""


@dataclass(kw_only=True)
class AuditSummary:
    """What an audit found.

    Attributes:
        photos: audited; `left` of the round are for the next audit.
        masters, derivatives, labels: files that are sound.
        found: number of findings by (kind, verdict): kind is one of `KINDS`; verdict is `changed`, `gone` or
            `unreadable`.
        findings: verdict and message of the first findings of each (kind, verdict), in the order in which they came.
        to_be_made_again: restorations with a damaged file, marked for the next restore.
        absent: (store, reason) of whole stores that are not there, so that nothing of them was audited.
        went_on: whether this audit finished the round of one that was stopped.
    """

    run_id: str
    photos: int = 0
    left: int = 0
    masters: int = 0
    derivatives: int = 0
    labels: int = 0
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[tuple[str, str]] = field(default_factory=list)
    to_be_made_again: int = 0
    absent: list[tuple[str, str]] = field(default_factory=list)
    went_on: bool = False

    def count(self, batch: BatchFindings) -> None:
        """Adds a batch."""
        self.photos += batch.photos
        self.masters += len(batch.sound_masters)
        self.derivatives += batch.derivatives
        self.labels += len(batch.sound_labels)
        self.to_be_made_again += len(batch.damaged)
        for finding in batch.findings:
            kind = finding.checked.name if finding.checked.name in KINDS else "derivative"
            key = (kind, finding.checked.verdict)
            self.found[key] += 1
            if self.found[key] <= _NAMED:
                self.findings.append((finding.checked.verdict, finding.message))

    def of(self, verdict: str) -> int:
        """Number of files that were found so."""
        return sum(count for (_, found), count in self.found.items() if found == verdict)

    def totals(self) -> dict[str, int]:
        """Counts under the names that the run's record uses."""
        return {
            "photos": self.photos,
            "masters_sound": self.masters,
            "derivatives_sound": self.derivatives,
            "labels_sound": self.labels,
            **{f"{kind}s_{verdict}": self.found[kind, verdict]
               for kind in KINDS for verdict in ("changed", "gone", "unreadable")},
            "to_be_made_again": self.to_be_made_again,
            "stores_absent": len(self.absent),
            "left": self.left,
        }  # fmt: skip

    def exit_code(self) -> int:
        """0 everything that was read is sound, 1 something is changed, gone or could not be read."""
        return FAILED if self.found.total() or self.absent else DONE
