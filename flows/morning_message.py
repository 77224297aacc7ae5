"""The words of the morning summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.file_locks import is_locked
from flows.wording import counted
from storage.records import RunRecord

_SHOWN = 60
"""Runs that a message has a line for; messages have limits of their own."""

_TROUBLE = {
    "failed": "failed", "quarantined": "in quarantine", "unlisted": "folders not listed", "missing": "missing",
    "foreign": "places held by others", "set_aside": "set aside", "needs_review": "waiting for a review",
    "left_out": "photos left out of training", "to_promote": "release waiting to be promoted",
}  # fmt: skip
"""Totals that a person should look at, and their words. An audit's are known by how their names end."""
_URGENT = {"failed", "quarantined", "unlisted", "foreign", "set_aside", "needs_review", "to_promote"}
_AUDIT_ENDS = ("_changed", "_gone", "_unreadable")
_DONE = {
    "restored": "restored", "unchanged": "unchanged", "already_done": "done before", "registered": "registered",
    "ignored": "ignored", "published": "published", "replaced": "replaced", "removed": "removed", "photos": "audited",
    "labels": "labels learned from", "promoted": "release promoted", "rejected": "candidate rejected by the rules",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ToldRun:
    """A run as the message has it.

    Attributes:
        goes_on: it is at work on this machine right now.
    """

    record: RunRecord
    goes_on: bool

    @property
    def name(self) -> str:
        """What ran, on what, and from when to when."""
        began, ended = (_clock(moment) for moment in (self.record.started_at, self.record.finished_at))
        return f"**{self.record.kind} {self.record.title}** ({began} to {ended})"

    @property
    def trouble(self) -> list[str]:
        """What a person should know of it; none where all went well."""
        said = []
        if self.record.status == "failed":
            said.append("the run failed or was stopped; its message is on Prefect's page, and the next run goes on")
        elif self.record.status == "running":
            said.append("goes on still" if self.goes_on else "did not end: it runs elsewhere or was killed")
        totals = self.record.totals
        said += [f"{totals[name]:,} {words}" for name, words in _TROUBLE.items() if totals.get(name)]
        said += [
            f"{count:,} {name.replace('_', ' ')}" for name, count in totals.items()
            if count and name.endswith(_AUDIT_ENDS)
        ]  # fmt: skip
        return said

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody has to do something; what is merely missing or goes on is only told."""
        urgent = any(
            count and (name in _URGENT or name.endswith(_AUDIT_ENDS)) for name, count in self.record.totals.items()
        )
        return urgent or self.record.status == "failed" or (self.record.status == "running" and not self.goes_on)

    @property
    def done(self) -> list[str]:
        """Counts of what was done."""
        return [
            f"{self.record.totals[name]:,} {words}" for name, words in _DONE.items() if self.record.totals.get(name)
        ]

    def line(self) -> str:
        """One line of the message."""
        return f"- {self.name}: {', '.join([*self.trouble, *self.done]) or 'nothing was left to do'}"

    def weight(self) -> tuple[bool, int]:
        """What orders runs that need a person: those that did not end first, then by how much is wrong."""
        amount = sum(
            count for name, count in self.record.totals.items() if name in _URGENT or name.endswith(_AUDIT_ENDS)
        )
        return self.record.status == "finished", -amount


def told_run(record: RunRecord, runs_folder: Path) -> ToldRun:
    """The run, and whether a process of this machine is at it: such a one holds a lock file by its name."""
    running = record.status == "running"
    return ToldRun(record=record, goes_on=running and is_locked(runs_folder / f"{record.run_id}.lock"))


@dataclass(frozen=True, kw_only=True)
class MorningMessage:
    """The one message of a morning."""

    since: str
    subject: str
    body: str
    runs: tuple[ToldRun, ...]

    def totals(self) -> dict[str, int]:
        """Counts under the names that the run's record uses."""
        return {"runs": len(self.runs), "need_a_person": sum(run.needs_a_person for run in self.runs)}

    def facts(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "since": self.since,
            **self.totals(),
            "of_runs": [
                {
                    "id": run.record.run_id, "kind": run.record.kind, "title": run.record.title,
                    "source": run.record.source_url, "status": run.record.status, "goes_on": run.goes_on,
                    "needs_a_person": run.needs_a_person, "totals": dict(run.record.totals),
                }
                for run in self.runs
            ],
        }  # fmt: skip


def compose(runs: Sequence[ToldRun], *, since: str, reports: Path, told_to_somebody: bool = True) -> MorningMessage:
    """The message about these runs.

    Args:
        since: when the time that it tells of began.
        reports: folder of the runs' pages.
        told_to_somebody: False puts in that nobody is configured to be told.
    """
    pressing = sorted((run for run in runs if run.needs_a_person), key=ToldRun.weight)
    others = [run for run in runs if not run.needs_a_person]
    if not runs:
        subject = f"oldphoto: nothing ran since {since}"
        parts = ["Nothing ran. Is `oldphoto serve`, or the worker, still up?"]
    elif pressing:
        verb = "needs" if len(pressing) == 1 else "need"
        subject = f"oldphoto: {counted(len(pressing), 'run')} of {len(runs):,} {verb} a person"
        parts = []
    else:
        subject = f"oldphoto: {counted(len(runs), 'run')}, all in order"
        parts = []
    lines = [*(["**Needs a person**", ""] if pressing else []), *(run.line() for run in pressing[:_SHOWN])]
    room = _SHOWN - len(pressing)
    if others and room > 0:
        lines += [*([""] if lines else []), "**In order**", "", *(run.line() for run in others[:room])]
    if len(runs) > _SHOWN:
        lines += ["", f'and {len(runs) - _SHOWN:,} more: `oldphoto sql "SELECT * FROM run ORDER BY number DESC"`']
    parts += ["\n".join(lines)] if lines else []
    pages = [run for run in [*pressing, *others] if (reports / f"{run.record.run_id}.html").exists()]
    if pages:
        parts.append("Reports: " + ", ".join(f"`{reports / run.record.run_id}.html`" for run in pages[:5]))
    if not told_to_somebody:
        parts.append("_Told to nobody: neither notify_block nor notify_webhook is set._")
    parts.append(f"_Since {since}._")
    return MorningMessage(since=since, subject=subject, body="\n\n".join(parts), runs=tuple(runs))


def _clock(moment: str | None) -> str:
    return f"{moment[5:10]} {moment[11:16]}" if moment else "now"
