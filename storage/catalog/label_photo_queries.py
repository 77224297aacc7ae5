"""Photos as labels name them: by hash, or by the name of a registered file."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.statements import chunks
from storage.catalog.tables import collection, photo, source_object
from storage.records import NamedPhoto


def photos_named(connection: Connection, names: Collection[str]) -> list[NamedPhoto]:
    """See ``Catalogue.photos_named``."""
    found: list[NamedPhoto] = []
    for chunk in chunks(sorted(set(names))):
        found += _photos(connection, sa.and_(source_object.c.name.in_(chunk), source_object.c.status == "registered"))
    return found


def photos_of_hashes(connection: Connection, hashes: Collection[str]) -> dict[str, NamedPhoto]:
    """See ``Catalogue.photos_of_hashes``."""
    found: dict[str, NamedPhoto] = {}
    for chunk in chunks(sorted(set(hashes))):
        for one in _photos(connection, photo.c.sha256.in_(chunk)):
            found.setdefault(one.photo_sha256, one)
    return found


def _photos(connection: Connection, wanted: sa.ColumnElement[bool]) -> list[NamedPhoto]:
    """Registered objects first, then by age."""
    p, o = photo.c, source_object.c
    statement = (
        sa.select(p.sha256, collection.c.url, o.key, p.height, p.width, p.orientation)
        .select_from(photo.outerjoin(source_object, o.photo_id == p.id).outerjoin(collection))
        .where(wanted)
        .order_by(sa.case((o.status == "registered", 0), else_=1), o.id)
    )
    return [
        NamedPhoto(
            photo_sha256=sha256, collection_url=url or "", key=key or "", height=height, width=width,
            orientation=orientation,
        )
        for sha256, url, key, height, width, orientation in connection.execute(statement)
    ]  # fmt: skip
