"""Which labels no retraining has seen yet: what begins one by itself."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.tables import dataset_snapshot_label, label, training_run
from storage.catalog.waiting_queries import waiting_labels


def labels_untried(connection: Connection) -> int:
    """See ``Catalogue.labels_untried``."""
    x, t = dataset_snapshot_label.c, training_run.c
    tried = (
        sa.select(x.label_id)
        .select_from(dataset_snapshot_label.join(training_run, t.snapshot_id == x.snapshot_id))
        .where(t.status != "running")
    )
    untried = waiting_labels().where(label.c.id.not_in(tried))
    return connection.scalar(sa.select(sa.func.count()).select_from(untried.subquery())) or 0
