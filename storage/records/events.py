"""What happened and by what: events in PREMIS terms, runs, and the releases they used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

ReleaseStatus = Literal["candidate", "active", "retired"]
EventType = Literal[
    "ingestion", "validation", "fixity check", "restoration", "review", "labelling", "training", "promotion",
    "hold", "withdrawal", "deletion", "metadata", "publication", "export",
]  # fmt: skip


def utc_text(moment: datetime | None = None) -> str:
    """The moment (now where None) as ISO-8601 UTC text with seconds."""
    return (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """Something that happened, in PREMIS terms.

    Attributes:
        agent: who did it: ``oldphoto 0.1.0``, a person's name.
        outcome: one word: success, failure, warning.
        objects: (type, id, role), such as ("photo", sha256, "source"); a source object's id is its whole URL, as
            ``source_object_id`` gives it.
        at: when. With a time, two events alike in all fields are one, so that a batch may be recorded again after a
            crash. None takes the database's clock, and the event is a new one each time.
        uid: identity of the event, where the other fields are not enough.
        run_id: the run that it happened in.
        note: one line for a person: a reason, an error.
    """

    type: EventType
    agent: str
    outcome: str = "success"
    detail: Mapping[str, Any] = field(default_factory=dict)
    objects: tuple[tuple[str, str, str], ...] = ()
    at: str | None = None
    agent_type: Literal["software", "person"] = "software"
    uid: str | None = None
    run_id: str | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseRecord:
    """A model release: detector, VAEs and translation as one bundle.

    Attributes:
        verdict: of the evaluation beside the release that was active then: the rules, what was found, what was needed.
        rejected_reason: why a candidate was not promoted, in one line; it is kept all the same.
    """

    name: str
    weights_hash: str
    preset: str
    url: str = ""
    parent: str | None = None
    status: ReleaseStatus = "candidate"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    registered_at: str | None = None
    activated_at: str | None = None
    retired_at: str | None = None
    verdict: Mapping[str, Any] = field(default_factory=dict)
    rejected_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run of a flow, as the catalogue and the report know it."""

    run_id: str
    kind: str
    title: str = ""
    source_url: str | None = None
    collection_id: int | None = None
    release: str | None = None
    mode: str | None = None
    tone: str | None = None
    mending: str | None = None
    strength: float | None = None
    flow_run_id: str | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    started_at: str | None = None
    finished_at: str | None = None
    status: Literal["running", "finished", "failed"] = "running"
    totals: Mapping[str, int] = field(default_factory=dict)
