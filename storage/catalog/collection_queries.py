"""What a nightly run asks about collections: which there are, by what policy, and what stands for each object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from storage.catalog.catalogue import Catalogue
from storage.catalog.tables import collection, photo, restoration, source_object
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
    """A registered object and the latest restoration of its photo."""

    key: str
    browse_folder: str
    restored_key: str
    output_format: str


def list_collections(catalogue: Catalogue) -> list[KnownCollection]:
    """All collections with their policies, oldest first."""
    with catalogue._read() as connection:
        rows = connection.execute(sa.select(collection).order_by(collection.c.id)).all()
    return [
        KnownCollection(
            id=row.id,
            browse_folder=row.browse_folder,
            state=row.state,
            policy=CollectionRecord(
                url=row.url,
                recursive=bool(row.is_recursive),
                ignore_patterns=tuple(json.loads(row.ignore_patterns)),
                mode=row.mode,
                tone=row.tone,
                strength=row.strength,
                output_format=row.output_format,
            ),
        )
        for row in rows
    ]


def placed_restorations(catalogue: Catalogue, collection_id: int) -> Iterator[PlacedRestoration]:
    """Every registered object whose photo is restored, with the latest of its restorations; for `browse/`."""
    r, o = restoration.c, source_object.c
    latest = (
        sa.select(r.id)
        .where(r.photo_id == o.photo_id, r.outcome.in_(("restored", "unchanged")))
        .order_by(r.finished_at.desc(), r.id.desc())
        .limit(1)
        .correlate(source_object)
        .scalar_subquery()
    )
    statement = (
        sa.select(o.key, collection.c.browse_folder, r.restored_key, r.output_format)
        .select_from(source_object.join(collection).join(photo).join(restoration, r.id == latest))
        .where(o.collection_id == collection_id, o.status == "registered", photo.c.state == "open")
        .order_by(o.id)
    )
    with catalogue._read() as connection:
        rows = connection.execute(statement).all()
    for key, browse_folder, restored_key, output_format in rows:
        yield PlacedRestoration(
            key=key, browse_folder=browse_folder, restored_key=restored_key, output_format=output_format
        )
