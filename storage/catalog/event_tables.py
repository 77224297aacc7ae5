"""Tables of what happened, append-only and in PREMIS terms, and of what the catalogue's own words mean."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text, UniqueConstraint

from storage.catalog.columns import BigId, day, metadata, one_of, reference, row_id

agent = Table(
    "agent", metadata, row_id(),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("first_seen_at", Text, nullable=False),
    UniqueConstraint("name", "type"),
    one_of("type", ("software", "person")),
)  # fmt: skip

event = Table(
    "event", metadata, row_id(),
    Column("uid", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("at", Text, nullable=False),
    day("at"),
    reference("agent_id", "agent.id"),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("run_id", Text),
    Column("note", Text),
    Index("ix_event_run_id", "run_id", "id"),
    Index("ix_event_at", "at"),
    Index("ix_event_type_at", "type", "at"),
    sqlite_autoincrement=True,
)  # fmt: skip

event_object = Table(
    "event_object", metadata,
    Column("event_id", BigId, ForeignKey("event.id"), primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("object_id", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Index("ix_event_object_object_id", "object_id"),
)  # fmt: skip

catalogue_doc = Table(
    "catalogue_doc", metadata,
    Column("relation", Text, primary_key=True),
    Column("column_name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("description", Text, nullable=False),
    one_of("kind", ("table", "view")),
)  # fmt: skip
