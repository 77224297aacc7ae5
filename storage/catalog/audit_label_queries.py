"""What an audit compares with the store of labels: masks that people painted, and maps of where they differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.statements import chunks
from storage.catalog.tables import label, label_annotation, photo

_HASH_IN_NAME = re.compile(r"([0-9a-f]{64})[^/]*$")


@dataclass(frozen=True, kw_only=True)
class LabelFileOnRecord:
    """A file of the labels store."""

    label_id: int
    key: str
    sha256: str


def has_label() -> sa.ColumnElement[bool]:
    """On photo: somebody labelled it. Labels are people's work: rejected ones are kept too."""
    return sa.select(label.c.id).where(label.c.photo_id == photo.c.id).correlate(photo).exists()


def label_files(connection: Connection, photo_ids: Sequence[int]) -> dict[int, list[LabelFileOnRecord]]:
    """Each file of these photos' labels once, by photo id; a map of differences has its SHA-256 in its name alone."""
    c, a = label.c, label_annotation.c
    found: dict[int, dict[str, LabelFileOnRecord]] = {}
    for chunk in chunks(photo_ids):
        own = sa.select(c.photo_id, c.id.label("label_id"), c.mask_key, c.mask_sha256, c.disagreement_key)
        painted = sa.select(c.photo_id, c.id.label("label_id"), a.mask_key, a.mask_sha256, sa.null())
        painted = painted.select_from(label.join(label_annotation, a.label_id == c.id))
        both = sa.union_all(*(part.where(c.photo_id.in_(chunk)) for part in (own, painted)))
        for photo_id, label_id, key, sha256, differing in connection.execute(both.order_by("label_id")):
            files = found.setdefault(photo_id, {})
            files.setdefault(key, LabelFileOnRecord(label_id=label_id, key=key, sha256=sha256))
            if differing is not None and (name := _HASH_IN_NAME.search(differing)) is not None:
                files.setdefault(differing, LabelFileOnRecord(label_id=label_id, key=differing, sha256=name[1]))
    return {photo_id: list(files.values()) for photo_id, files in found.items()}
