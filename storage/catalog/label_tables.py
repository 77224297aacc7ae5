"""Tables of labels: masks that people painted, and what each annotator's own was."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Float, Integer, Table, Text, UniqueConstraint, text

from storage.catalog.columns import day, metadata, reference, row_id

label = Table(
    "label", metadata, row_id(),
    reference("photo_id", "photo.id"),
    Column("mask_key", Text, nullable=False),
    Column("mask_sha256", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("coverage", Float(53), nullable=False),
    Column("labelled_at", Text, nullable=False),
    Column("reviewed", Integer, nullable=False, server_default=text("1")),
    Column("reviewed_by", Text),
    Column("reviewed_at", Text),
    Column("rejected_at", Text),
    Column("annotators", Integer, nullable=False, server_default=text("1")),
    Column("disagreement", Float(53), nullable=False, server_default=text("0")),
    Column("disagreement_key", Text),
    day("labelled_at"),
    UniqueConstraint("photo_id", "mask_sha256"),
    CheckConstraint("coverage >= 0 AND coverage <= 1", name="coverage"),
)  # fmt: skip

label_annotation = Table(
    "label_annotation", metadata, row_id(),
    reference("label_id", "label.id"),
    Column("author", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("mask_key", Text, nullable=False),
    Column("mask_sha256", Text, nullable=False),
    Column("coverage", Float(53), nullable=False),
    Column("labelled_at", Text, nullable=False),
    day("labelled_at"),
    UniqueConstraint("label_id", "author", "mask_sha256"),
    CheckConstraint("coverage >= 0 AND coverage <= 1", name="coverage"),
)  # fmt: skip
