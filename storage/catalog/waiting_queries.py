"""Which labels the release in use was not trained with yet."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.label_queries import latest_label_id
from storage.catalog.tables import (
    collection,
    dataset_snapshot_label,
    label,
    model_release,
    model_release_run,
    photo,
    photo_split,
    source_object,
    training_run,
)


def labels_waiting(connection: Connection) -> int:
    """See ``Catalogue.labels_waiting``."""
    return connection.scalar(sa.select(sa.func.count()).select_from(waiting_labels().subquery())) or 0


def waiting_labels() -> sa.Select[tuple[int]]:
    """Ids of the labels that apply, to photos that may be trained on, and that no ancestor of the active one saw.

    A photo on no side of training yet counts; one on the side of the test, or on none for good, does not.
    """
    o, s = source_object.c, photo_split.c
    never_learned_from = sa.select(s.photo_id).where(s.split.not_in(("train", "validation")))
    objects = (
        sa.select(o.id)
        .select_from(source_object.join(collection))
        .where(o.photo_id == photo.c.id, o.status == "registered", collection.c.state == "open")
    )
    return (
        sa.select(label.c.id)
        .select_from(label.join(photo))
        .where(
            label.c.id == latest_label_id(),
            photo.c.state == "open",
            objects.correlate(photo).exists(),
            photo.c.id.not_in(never_learned_from),
            label.c.id.not_in(seen_labels()),
        )
    )


def seen_labels() -> sa.Select[tuple[int]]:
    """Ids of the labels in snapshots that the active release, or one that it descends from, was trained with."""
    m = model_release.c
    lineage = sa.select(m.id, m.parent_id).where(m.status == "active").cte("lineage", recursive=True)
    older = model_release.alias("older")
    lineage = lineage.union(sa.select(older.c.id, older.c.parent_id).where(older.c.id == lineage.c.parent_id))
    return (
        sa.select(dataset_snapshot_label.c.label_id)
        .select_from(
            dataset_snapshot_label.join(
                training_run, training_run.c.snapshot_id == dataset_snapshot_label.c.snapshot_id
            ).join(model_release_run, model_release_run.c.training_run_id == training_run.c.id)
        )
        .where(model_release_run.c.release_id.in_(sa.select(lineage.c.id)))
    )
