"""What the tables of `event_tables` and their columns mean, in one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from storage.catalog.archive_words import ROW_ID, day_of
from storage.records import EventType

EVENT_WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "agent": (
        "Who did something: a person or a program. Append-only.",
        {
            "id": ROW_ID,
            "name": "A person's name, or a program's name and version.",
            "type": "software or person.",
            "first_seen_at": "When an event first named it, by the database's clock.",
        },
    ),
    "event": (
        "Something that happened, in the terms of PREMIS. Append-only: the database refuses every change.",
        {
            "id": "Number of the event, in the order in which events were written.",
            "uid": "Identity of the event, so that it is not recorded twice after a lost connection.",
            "type": f"{', '.join(get_args(EventType)[:-1])} or {get_args(EventType)[-1]}.",
            "at": "When it happened; where that was not told, when it was recorded, by the database's clock.",
            "day": day_of("at"),
            "agent_id": "Who did it.",
            "outcome": "success, failure or warning.",
            "detail": "JSON object of all else, different by type.",
            "run_id": "The run that it happened in; null outside of runs.",
            "note": "One line for a person: a reason, an error; null where there is none.",
        },
    ),
    "event_object": (
        "What an event was about: a row an object. Append-only.",
        {
            "event_id": "The event.",
            "object_type": "What kind of object: photo, source_object, derivative, mask, model_release and others.",
            "object_id": "Which: a photo's SHA-256, a source object's whole URL, a derivative's key, a name.",
            "role": "Its part in the event: source, outcome, previous, missing.",
        },
    ),
    "catalogue_doc": (
        "These words: what every table, view and column means. Written by each upgrade.",
        {
            "relation": "Name of the table or view.",
            "column_name": "Name of the column; empty where the table or view itself is described.",
            "kind": "table or view.",
            "description": "What it means.",
        },
    ),
    "alembic_version": (
        "The schema's revision, one row; kept by the migrations.",
        {"version_num": "The revision, such as 0002."},
    ),
}  # fmt: skip
