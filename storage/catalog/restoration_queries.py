"""What is still to restore, what was restored, and how."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.label_queries import latest_label_id, latest_label_mask
from storage.catalog.statements import chunks, insert, json_text, photo_ids
from storage.catalog.tables import collection, label, photo, restoration, source_object
from storage.errors import RecordRefused
from storage.keys import WorkParameters, work_hash
from storage.records import EventRecord, PhotoWork, RestorationRecord, RestorationRow, SourceRef

DONE = ("restored", "unchanged")
_RECORDED = tuple(field.name for field in fields(RestorationRecord) if field.name != "photo_sha256")
_HASH_START = re.compile(r"[0-9a-f]{8,64}")


def _is_settled() -> sa.ColumnElement[bool]:
    """On restoration: done, or set aside after too many tries."""
    return sa.or_(_is_done(), restoration.c.set_aside_at.is_not(None))


def _is_done() -> sa.ColumnElement[bool]:
    """On restoration: made, and its files are still there."""
    return sa.and_(restoration.c.outcome.in_(DONE), restoration.c.deleted_at.is_(None))


def photos_to_restore(
    connection: Connection, collection_id: int | None, parameters: WorkParameters, limit: int | None
) -> list[PhotoWork]:
    """See ``Catalogue.photos_to_restore``. Set-based: two statements, and two for every 500 photos wanted."""
    wanted = _plain_work(connection, collection_id, parameters, limit)
    wanted.update(_labelled_work(connection, collection_id, parameters))
    ids = sorted(wanted)[:limit]
    works: list[PhotoWork] = []
    p, o = photo.c, source_object.c
    for chunk in chunks(ids):
        sources: dict[int, list[SourceRef]] = {}
        statement = (
            sa.select(o.photo_id, collection.c.id, collection.c.url, o.key, collection.c.browse_folder)
            .select_from(source_object.join(collection))
            .where(o.photo_id.in_(chunk), _usable(collection_id))
            .order_by(o.id)
        )
        for photo_id, id_, url, key, folder in connection.execute(statement):
            ref = SourceRef(collection_id=id_, collection_url=url, key=key, browse_folder=folder)
            sources.setdefault(photo_id, []).append(ref)
        rows = connection.execute(
            sa.select(p.id, p.sha256, p.size_bytes, p.format, p.height, p.width, p.channels, p.bit_depth)
            .where(p.id.in_(chunk))
            .order_by(p.id)
        )
        works += (
            PhotoWork(
                photo_sha256=sha256, sources=tuple(sources[id_]), size_bytes=size_bytes, format=format_, height=height,
                width=width, channels=channels, bit_depth=bit_depth, **wanted[id_],
            )
            for id_, sha256, size_bytes, format_, height, width, channels, bit_depth in rows
        )  # fmt: skip
    return works


def count_done(connection: Connection, collection_id: int | None, parameters: WorkParameters) -> int:
    """See ``Catalogue.count_done``."""
    count = sa.select(sa.func.count()).select_from(photo)
    total = connection.scalar(count.where(_restorable(collection_id))) or 0
    undone = connection.scalar(count.where(_plainly_undone(collection_id, parameters))) or 0
    undone += len(_labelled_work(connection, collection_id, parameters))
    return total - undone - len(set_aside_work(connection, collection_id, parameters))


def set_aside_work(
    connection: Connection, collection_id: int | None, parameters: WorkParameters
) -> list[tuple[str, str]]:
    """See ``Catalogue.set_aside_work``."""
    r, o = restoration.c, source_object.c
    key = sa.select(sa.func.min(o.key)).select_from(source_object.join(collection))
    key = key.where(o.photo_id == photo.c.id, _usable(collection_id)).correlate(photo)
    own = latest_label_mask()
    statement = (
        sa.select(key.scalar_subquery(), r.error, r.work_hash, own)
        .select_from(restoration.join(photo))
        .where(r.set_aside_at.is_not(None), _restorable(collection_id))
        .order_by(r.set_aside_at, r.id)
    )
    found = []
    for source_key, error, aside_hash, mask_sha256 in connection.execute(statement):
        labelled = mask_sha256 is not None and parameters.mask_sha256 is None
        if aside_hash == work_hash(parameters.with_label(mask_sha256) if labelled else parameters):
            found.append((source_key, error))
    return found


def try_again(connection: Connection, collection_id: int | None) -> int:
    """See ``Catalogue.try_again``."""
    aside = restoration.c.set_aside_at.is_not(None)
    if collection_id is not None:
        held = sa.select(source_object.c.photo_id).where(source_object.c.collection_id == collection_id)
        aside = sa.and_(aside, restoration.c.photo_id.in_(held))
    return connection.execute(sa.update(restoration).where(aside).values(tries=0, set_aside_at=None)).rowcount


def _usable(collection_id: int | None) -> sa.ColumnElement[bool]:
    """On source_object joined with collection: an object that may be read for restoration."""
    usable = sa.and_(source_object.c.status == "registered", collection.c.state == "open")
    return usable if collection_id is None else sa.and_(usable, source_object.c.collection_id == collection_id)


def _restorable(collection_id: int | None) -> sa.ColumnElement[bool]:
    """On photo: neither held nor withdrawn, and with an object to read."""
    o = source_object.c
    objects = sa.select(o.photo_id).select_from(source_object.join(collection)).where(_usable(collection_id))
    if collection_id is not None:  # SQLite then starts from the collection's objects, and looks at no other photos
        return sa.and_(photo.c.state == "open", photo.c.id.in_(objects))
    return sa.and_(photo.c.state == "open", objects.where(o.photo_id == photo.c.id).correlate(photo).exists())


def _plainly_undone(collection_id: int | None, parameters: WorkParameters) -> sa.ColumnElement[bool]:
    """On photo: its work has the parameters' own hash, and is not settled. The rarest condition comes first."""
    r = restoration.c
    settled = sa.select(r.id).where(r.photo_id == photo.c.id, r.work_hash == work_hash(parameters), _is_settled())
    undone = sa.and_(~settled.correlate(photo).exists(), _restorable(collection_id))
    if parameters.mask_sha256 is None:
        labels = sa.select(label.c.id).where(label.c.photo_id == photo.c.id, label.c.reviewed == 1)
        undone = sa.and_(undone, ~labels.correlate(photo).exists())
    return undone


def _plain_work(
    connection: Connection, collection_id: int | None, parameters: WorkParameters, limit: int | None
) -> dict[int, dict[str, Any]]:
    """Undone work whose hash is the parameters' own, by photo id: where no label applies, or a mask is supplied."""
    statement = sa.select(photo.c.id).where(_plainly_undone(collection_id, parameters))
    if limit is not None:
        statement = statement.order_by(photo.c.id).limit(limit)
    work = {
        "work_hash": work_hash(parameters),
        "mask_source": "detected" if parameters.mask_sha256 is None else "supplied",
        "mask_sha256": parameters.mask_sha256,
    }
    return dict.fromkeys(connection.execute(statement).scalars(), work)


def _labelled_work(
    connection: Connection, collection_id: int | None, parameters: WorkParameters
) -> dict[int, dict[str, Any]]:
    """Undone work on photos to which a label applies: each has a hash of its own."""
    if parameters.mask_sha256 is not None:
        return {}
    r = restoration.c
    statement = (
        sa.select(photo.c.id, label.c.mask_sha256, label.c.mask_key)
        # The first condition follows from the second, but lets the database start from labels, which are few.
        .select_from(photo.join(label, sa.and_(label.c.photo_id == photo.c.id, label.c.id == latest_label_id())))
        .where(_restorable(collection_id))
    )
    wanted: dict[int, dict[str, Any]] = {
        photo_id: {
            "work_hash": work_hash(parameters.with_label(mask_sha256)),
            "mask_source": "label",
            "mask_sha256": mask_sha256,
            "label_mask_key": mask_key,
        }
        for photo_id, mask_sha256, mask_key in connection.execute(statement)
    }
    for chunk in chunks(list(wanted)):
        settled = sa.select(r.photo_id, r.work_hash).where(r.photo_id.in_(chunk), _is_settled())
        for photo_id, done_hash in connection.execute(settled).all():
            if photo_id in wanted and wanted[photo_id]["work_hash"] == done_hash:
                del wanted[photo_id]
    return wanted


def finished_work(connection: Connection, works: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """See ``Catalogue.finished_work``."""
    asked = set(works)
    found: set[tuple[str, str]] = set()
    r = restoration.c
    for chunk in chunks(sorted({sha256 for sha256, _ in asked})):
        statement = (
            sa.select(photo.c.sha256, r.work_hash)
            .select_from(restoration.join(photo))
            .where(photo.c.sha256.in_(chunk), _is_done())
        )
        found.update((sha256, done_hash) for sha256, done_hash in connection.execute(statement))
    return asked & found


def record_restorations(
    connection: Connection,
    restorations: Sequence[RestorationRecord],
    events: Sequence[EventRecord],
    tries_limit: int | None,
) -> set[tuple[str, str]]:
    """See ``Catalogue.record_restorations``."""
    unique: dict[tuple[str, str], RestorationRecord] = {}
    for record in restorations:
        key = (record.photo_sha256, record.work_hash)
        if key not in unique or unique[key].outcome == "failed":
            unique[key] = record
    ids = photo_ids(connection, (sha256 for sha256, _ in unique))
    unknown = {sha256 for sha256, _ in unique} - ids.keys()
    if unknown:
        raise RecordRefused(f"restorations of {len(unknown)} photos that are not recorded, such as {min(unknown)}")
    by_id = {id_: sha256 for sha256, id_ in ids.items()}
    now = connection.scalar(sa.select(utc_now()))
    rows = []
    for key in sorted(unique):  # in one order everywhere, so that two writers cannot wait for each other
        record = unique[key]
        row = {name: getattr(record, name) for name in _RECORDED}
        row |= {"photo_id": ids[record.photo_sha256], "report": json_text(record.report)}
        row |= {"needs_review": int(record.needs_review), "mask_joined": int(record.mask_joined)}
        row["finished_at"] = record.finished_at or now
        row["set_aside_at"] = now if tries_limit is not None and record.tries >= tries_limit else None
        rows.append(row)
    if rows:
        statement = insert(connection, restoration)
        changes = {name: statement.excluded[name] for name in rows[0] if name not in ("photo_id", "work_hash")}
        changes["deleted_at"] = None
        changes["tries"], changes["set_aside_at"] = _after_one_more(statement.excluded, now, tries_limit)
        gone = sa.or_(restoration.c.outcome == "failed", restoration.c.deleted_at.is_not(None))
        statement = statement.on_conflict_do_update(index_elements=["photo_id", "work_hash"], set_=changes, where=gone)
        connection.execute(statement, rows)
    record_events(connection, events)
    return {(by_id[photo_id], done_hash) for photo_id, done_hash in _standing(connection, rows)}


def _after_one_more(new: Any, now: str | None, tries_limit: int | None) -> tuple[Any, Any]:
    """Tries, and since when set aside, of a row that is written once more; after the same attempt nothing is added."""
    r = restoration.c
    again = sa.and_(r.outcome == "failed", r.run_id == new.run_id, r.finished_at == new.finished_at)
    tries = sa.case((new.outcome != "failed", 0), (again, r.tries), else_=r.tries + new.tries)
    if tries_limit is None:
        return tries, sa.case((new.outcome != "failed", None), else_=r.set_aside_at)
    return tries, sa.case((tries >= tries_limit, sa.func.coalesce(r.set_aside_at, now)), else_=None)


def _standing(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[tuple[int, str]]:
    """(photo id, work hash) of those rows that stand in the catalogue as they are here.

    Read back, not taken from the INSERT: when that one is repeated after a lost answer, it changes nothing.
    """
    r = restoration.c
    ours = {(row["photo_id"], row["work_hash"]): (row["run_id"], row["outcome"], row["restored_key"]) for row in rows}
    standing: set[tuple[int, str]] = set()
    for chunk in chunks(sorted({photo_id for photo_id, _ in ours})):
        found = sa.select(r.photo_id, r.work_hash, r.run_id, r.outcome, r.restored_key).where(r.photo_id.in_(chunk))
        for photo_id, done_hash, *facts in connection.execute(found):
            if ours.get((photo_id, done_hash)) == tuple(facts):
                standing.add((photo_id, done_hash))
    return standing


def most_changed(
    connection: Connection, run_id: str, limit: int, most_megapixels: float
) -> list[tuple[str, str, str]]:
    """See ``Catalogue.most_changed``."""
    r, o = restoration.c, source_object.c
    first = sa.select(sa.func.min(o.id)).where(o.photo_id == r.photo_id, o.status == "registered")
    statement = (
        sa.select(collection.c.url, o.key, r.preview_key)
        .select_from(restoration.join(source_object, o.photo_id == r.photo_id).join(collection))
        .where(r.run_id == run_id, r.outcome == "restored", r.preview_key.is_not(None))
        .where(r.megapixels <= most_megapixels, o.id == first.correlate(restoration).scalar_subquery())
        .order_by(r.mean_change.desc(), r.id)
        .limit(limit)
    )
    return [(url, key, preview_key) for url, key, preview_key in connection.execute(statement)]


_history = sa.table("restoration_history", *(sa.column(field.name) for field in fields(RestorationRow)))


def history(connection: Connection, wanted: str | None, limit: int | None) -> list[RestorationRow]:
    """See ``Catalogue.history``."""
    h = _history.c
    statement = sa.select(_history).order_by(h.finished_at.desc(), h.restoration_id.desc()).limit(limit)
    if wanted is not None:
        hashes = photos_called(connection, wanted)
        statement = statement.where(h.photo_sha256.in_(hashes[:1000]))
    return [RestorationRow(**row) for row in connection.execute(statement).mappings()]


def photos_called(connection: Connection, wanted: str) -> list[str]:
    """Photos whose SHA-256 begins so, or that lie at this key; failing these, whose file has this name."""
    hashes: set[str] = set()
    if _HASH_START.fullmatch(wanted.lower()):
        start = wanted.lower()
        statement = sa.select(photo.c.sha256).where(photo.c.sha256 >= start, photo.c.sha256 < f"{start}g")
        hashes.update(connection.execute(statement).scalars())
    located = sa.select(photo.c.sha256).distinct().select_from(photo.join(source_object))
    hashes.update(connection.execute(located.where(source_object.c.key == wanted)).scalars())
    if not hashes:
        # The column of names has an index; the end of a key could only be found by reading them all.
        o = source_object.c
        named = sa.and_(o.name == wanted.rsplit("/", 1)[-1], o.key.endswith(f"/{wanted}", autoescape=True))
        hashes.update(connection.execute(located.where(named)).scalars())
    return sorted(hashes)
