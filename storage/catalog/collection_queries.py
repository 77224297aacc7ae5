"""Collections: which there are, by what policy, and what stands for each of their objects."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.statements import insert, json_text, latest_first, one_at_a_time
from storage.catalog.tables import collection, photo, restoration, source_object
from storage.keys import sha256_hex
from storage.records import CollectionRecord


@dataclass(frozen=True, kw_only=True)
class KnownCollection:
    """A collection of the catalogue.

    Attributes:
        state: `open`; objects of a `held` or `withdrawn` one are not restored.
    """

    id: int
    browse_folder: str
    state: str
    policy: CollectionRecord


@dataclass(frozen=True, kw_only=True)
class PlacedRestoration:
    """A registered object and the latest restoration of its photo.

    Attributes:
        taken_up_at: when a release's return made the restoration the latest again; None where none did.
    """

    key: str
    browse_folder: str
    restored_key: str
    output_format: str
    taken_up_at: str | None = None


def upsert_collection(connection: Connection, record: CollectionRecord) -> int:
    """See ``Catalogue.upsert_collection``."""
    policy = {
        "is_recursive": int(record.recursive),
        "include_patterns": json_text(record.include_patterns),
        "ignore_patterns": json_text(record.ignore_patterns),
        "mode": record.mode,
        "tone": record.tone,
        "mending": record.mending,
        "strength": record.strength,
        "output_format": record.output_format,
    }
    one_at_a_time(connection, "collections")  # the first one's folder is empty, and only one can be the first
    known = connection.scalar(sa.select(collection.c.id).where(collection.c.url == record.url))
    if known is None:
        others = connection.scalar(sa.select(sa.func.count()).select_from(collection))
        statement = insert(connection, collection).values(
            url=record.url, browse_folder=_browse_folder(record.url) if others else "", created_at=utc_now(), **policy
        )
        connection.execute(statement.on_conflict_do_update(index_elements=["url"], set_=policy))
        return connection.execute(sa.select(collection.c.id).where(collection.c.url == record.url)).scalar_one()
    connection.execute(sa.update(collection).where(collection.c.id == known).values(**policy))
    return known


def _browse_folder(url: str) -> str:
    """A folder that a person recognises and that no other collection has: ``scans-1a2b3c4d``."""
    name = re.sub(r"[^\w.-]+", "-", url.rstrip("/").rsplit("/", 1)[-1]).strip("-.")[:60] or "source"
    return f"{name}-{sha256_hex(url.encode())[:8]}"


def browse_folder(connection: Connection, collection_id: int) -> str:
    """See ``Catalogue.browse_folder``."""
    statement = sa.select(collection.c.browse_folder).where(collection.c.id == collection_id)
    return connection.execute(statement).scalar_one()


def collections(connection: Connection) -> list[KnownCollection]:
    """See ``Catalogue.collections``."""
    rows = connection.execute(sa.select(collection).order_by(collection.c.id)).all()
    return [
        KnownCollection(
            id=row.id,
            browse_folder=row.browse_folder,
            state=row.state,
            policy=CollectionRecord(
                url=row.url,
                recursive=bool(row.is_recursive),
                include_patterns=tuple(json.loads(row.include_patterns)),
                ignore_patterns=tuple(json.loads(row.ignore_patterns)),
                mode=row.mode,
                tone=row.tone,
                mending=row.mending,
                strength=row.strength,
                output_format=row.output_format,
            ),
        )
        for row in rows
    ]


def placed_restorations(
    connection: Connection, collection_id: int | None, photo_sha256: str | None
) -> list[PlacedRestoration]:
    """See ``Catalogue.placed_restorations``."""
    r, o = restoration.c, source_object.c
    latest = (
        sa.select(r.id)
        .where(r.photo_id == o.photo_id, r.outcome.in_(("restored", "unchanged")), r.deleted_at.is_(None))
        .order_by(*latest_first(r))
        .limit(1)
        .correlate(source_object)
        .scalar_subquery()
    )
    statement = (
        sa.select(o.key, collection.c.browse_folder, r.restored_key, r.output_format, r.taken_up_at)
        .select_from(source_object.join(collection).join(photo).join(restoration, r.id == latest))
        .where(o.status == "registered", photo.c.state == "open", collection.c.state == "open")
        .order_by(o.id)
    )
    if collection_id is not None:
        statement = statement.where(o.collection_id == collection_id)
    if photo_sha256 is not None:
        statement = statement.where(photo.c.sha256 == photo_sha256)
    return [PlacedRestoration(**row) for row in connection.execute(statement).mappings()]
