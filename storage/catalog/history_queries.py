"""Restorations as people look for them: by photo, day, outcome, release, source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.restoration_queries import photos_called
from storage.catalog.tables import collection, photo, source_object
from storage.errors import RecordRefused


@dataclass(frozen=True, kw_only=True)
class HistoryFilter:
    """What is looked for; None is anything.

    Attributes:
        photo: a SHA-256 or the beginning of one (8 digits or more), or a source key, or its last part.
        since, until: first and last day, ``YYYY-MM-DD``, both of them with.
        outcome: restored, unchanged or failed.
        source_url: canonical URL of a collection in which the photo lies, or lay.
    """

    photo: str | None = None
    since: str | None = None
    until: str | None = None
    outcome: str | None = None
    release: str | None = None
    source_url: str | None = None


_view = sa.table(
    "restoration_history",
    *(sa.column(name, sa.Text) for name in ("photo_sha256", "outcome", "release", "finished_at")),
    sa.column("restoration_id", sa.BigInteger),
)


def history_rows(connection: Connection, wanted: HistoryFilter, limit: int | None) -> sa.Select[Any]:
    """The statement; see ``Catalogue.open_history``.

    Raises:
        RecordRefused: a source that the catalogue does not know.
    """
    h = _view.c
    rows = sa.select(sa.literal_column("*")).select_from(_view).order_by(h.finished_at.desc(), h.restoration_id.desc())
    if wanted.photo is not None:
        rows = rows.where(h.photo_sha256.in_(photos_called(connection, wanted.photo)[:1000]))
    if wanted.since is not None:
        rows = rows.where(h.finished_at >= wanted.since)
    if wanted.until is not None:
        rows = rows.where(h.finished_at < f"{wanted.until}U")  # after every time of that day: U comes after T
    if wanted.outcome is not None:
        rows = rows.where(h.outcome == wanted.outcome)
    if wanted.release is not None:
        rows = rows.where(h.release == wanted.release)
    if wanted.source_url is not None:
        _require_collection(connection, wanted.source_url)
        lies = sa.select(photo.c.id).select_from(photo.join(source_object).join(collection))
        here = lies.where(photo.c.sha256 == h.photo_sha256, collection.c.url == wanted.source_url)
        rows = rows.where(here.correlate(_view).exists())
    return rows.limit(limit)


def _require_collection(connection: Connection, url: str) -> None:
    known = connection.scalars(sa.select(collection.c.url).order_by(collection.c.id)).all()
    if url not in known:
        some = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
        raise RecordRefused(f"no source {url} in the catalogue; it knows {some or 'none yet'}")
