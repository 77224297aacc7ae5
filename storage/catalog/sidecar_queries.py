"""Sidecars of a collection, what was read in them, and the objects that they speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.engine import utc_now
from storage.catalog.event_queries import record_events
from storage.catalog.statements import chunks, insert
from storage.catalog.tables import object_metadata, sidecar, source_object
from storage.records import EventRecord
from storage.sidecar_fields import SidecarFormat
from storage.sidecars import SIDECAR_PATTERNS


@dataclass(frozen=True, kw_only=True)
class SidecarFile:
    """An object that is a sidecar, and what was read in it before.

    Attributes:
        etag, size_bytes: of the object as it was listed last.
        read_sha256, read_etag, read_problem, read_at: of the reading; None where it was never read to its end.
        field_count: values that it gave.
    """

    object_id: int
    key: str
    size_bytes: int
    etag: str | None
    detail: str | None
    read_sha256: str | None
    read_etag: str | None
    read_problem: str | None
    read_at: str | None
    field_count: int


@dataclass(frozen=True, kw_only=True)
class VanishedSidecar:
    """A sidecar that was read once and is no sidecar of the collection any more."""

    sidecar_id: int
    key: str
    field_count: int


@dataclass(kw_only=True)
class SidecarWrite:
    """What one transaction records of one sidecar; a long table takes several.

    Attributes:
        begins: whether what was read before is taken away first.
        ends: whether this is all of it; not until then does the sidecar count as read.
        values: (id of the object that is meant, field, position, value).
        detail: the line that the sidecar's own object then carries.
    """

    object_id: int
    format: SidecarFormat
    sha256: str
    etag: str | None
    begins: bool
    ends: bool = False
    read_at: str
    problem: str | None = None
    detail: str | None = None
    values: list[tuple[int, str, int, str]] = field(default_factory=list)


def clock(connection: Connection) -> str:
    """See ``Catalogue.clock``."""
    return str(connection.scalar(sa.select(utc_now())))


def sidecar_files(connection: Connection, collection_id: int, after_id: int, limit: int) -> list[SidecarFile]:
    """See ``Catalogue.sidecar_files``."""
    o, s = source_object.c, sidecar.c
    count = (
        sa.select(sa.func.count())
        .select_from(object_metadata)
        .where(object_metadata.c.sidecar_id == s.id)
        .correlate(sidecar)
        .scalar_subquery()
    )
    statement = (
        sa.select(o.id, o.key, o.size_bytes, o.etag, o.detail, s.sha256, s.etag, s.problem, s.read_at, count)
        .select_from(source_object.outerjoin(sidecar))
        .where(o.collection_id == collection_id, _is_sidecar(), o.id > after_id)
        .order_by(o.id)
        .limit(limit)
    )
    return [
        SidecarFile(
            object_id=id_, key=key, size_bytes=size_bytes, etag=etag, detail=detail, read_sha256=sha256,
            read_etag=read_etag, read_problem=problem, read_at=read_at, field_count=field_count,
        )
        for id_, key, size_bytes, etag, detail, sha256, read_etag, problem, read_at, field_count in connection.execute(
            statement
        )
    ]  # fmt: skip


def vanished_sidecars(connection: Connection, collection_id: int, limit: int) -> list[VanishedSidecar]:
    """See ``Catalogue.vanished_sidecars``."""
    o, s = source_object.c, sidecar.c
    count = sa.func.count(object_metadata.c.field)
    statement = (
        sa.select(s.id, o.key, count)
        .select_from(sidecar.join(source_object).outerjoin(object_metadata, object_metadata.c.sidecar_id == s.id))
        .where(o.collection_id == collection_id, ~_is_sidecar())
        .group_by(s.id, o.key)
        .order_by(s.id)
        .limit(limit)
    )
    return [
        VanishedSidecar(sidecar_id=id_, key=key, field_count=number)
        for id_, key, number in connection.execute(statement)
    ]


def drop_sidecars(connection: Connection, sidecar_ids: Sequence[int], events: Sequence[EventRecord]) -> None:
    """See ``Catalogue.drop_sidecars``."""
    for part in chunks(sorted(sidecar_ids)):
        connection.execute(sa.delete(object_metadata).where(object_metadata.c.sidecar_id.in_(part)))
        connection.execute(sa.delete(sidecar).where(sidecar.c.id.in_(part)))
    record_events(connection, events)


def named_objects(
    connection: Connection, collection_id: int, after_id: int, limit: int
) -> list[tuple[int, str, bool]]:
    """See ``Catalogue.named_objects``."""
    o = source_object.c
    statement = (
        sa.select(o.id, o.key, o.status == "missing")
        .where(o.collection_id == collection_id, o.status != "ignored", o.id > after_id)
        .order_by(o.id)
        .limit(limit)
    )
    return [(id_, key, bool(is_missing)) for id_, key, is_missing in connection.execute(statement)]


def newest_in_folders(connection: Connection, collection_id: int) -> dict[str, str]:
    """See ``Catalogue.newest_in_folders``."""
    o = source_object.c
    oldest = (
        sa.select(sa.func.min(sidecar.c.read_at))
        .select_from(sidecar.join(source_object))
        .where(o.collection_id == collection_id)
    )
    since = connection.scalar(oldest)
    if since is None:
        return {}
    statement = sa.select(o.key, o.first_seen_at).where(
        o.collection_id == collection_id, o.status != "ignored", o.first_seen_at >= since
    )
    newest: dict[str, str] = {}
    for key, seen_at in connection.execute(statement.execution_options(yield_per=10_000)):
        folder = key.rpartition("/")[0]
        newest[folder] = max(seen_at, newest.get(folder, ""))
    return newest


def write_sidecars(connection: Connection, writes: Sequence[SidecarWrite], events: Sequence[EventRecord]) -> None:
    """See ``Catalogue.write_sidecars``."""
    writes = sorted(writes, key=lambda write: write.object_id)
    ids = _begun(connection, writes)
    rows = [
        {"source_object_id": object_id, "sidecar_id": ids[write.object_id], "field": name, "position": position,
         "value": value}
        for write in writes
        for object_id, name, position, value in sorted(write.values)
    ]  # fmt: skip
    if rows:
        statement = insert(connection, object_metadata)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(object_metadata.primary_key), set_={"value": statement.excluded.value}
            ),
            rows,
        )
    ended = [write for write in writes if write.ends]
    if ended:
        facts = {name: sa.bindparam(f"new_{name}") for name in ("etag", "problem", "read_at")}
        connection.execute(
            sa.update(sidecar).where(sidecar.c.id == sa.bindparam("of_id")).values(**facts),
            [
                {"of_id": ids[write.object_id], "new_etag": write.etag, "new_problem": write.problem,
                 "new_read_at": write.read_at}
                for write in ended
            ],
        )  # fmt: skip
        _set_details(connection, [(write.object_id, write.detail) for write in ended])
    record_events(connection, events)


def refuse_sidecars(
    connection: Connection, details: Sequence[tuple[int, str]], events: Sequence[EventRecord]
) -> None:
    """See ``Catalogue.refuse_sidecars``."""
    for part in chunks(sorted(object_id for object_id, _ in details)):
        read_before = sa.select(sidecar.c.id).where(sidecar.c.source_object_id.in_(part))
        connection.execute(sa.delete(object_metadata).where(object_metadata.c.sidecar_id.in_(read_before)))
        connection.execute(sa.delete(sidecar).where(sidecar.c.source_object_id.in_(part)))
    _set_details(connection, sorted(details))
    record_events(connection, events)


def _begun(connection: Connection, writes: Sequence[SidecarWrite]) -> dict[int, int]:
    """Ids of the sidecars by their objects' ids; those that begin have a row, marked as unread, and no values."""
    begins = [write for write in writes if write.begins]
    if begins:
        statement = insert(connection, sidecar)
        changes = {name: statement.excluded[name] for name in ("format", "sha256", "etag", "problem", "read_at")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["source_object_id"], set_=changes),
            [
                {"source_object_id": write.object_id, "format": write.format, "sha256": write.sha256, "etag": None,
                 "problem": None, "read_at": write.read_at}
                for write in begins
            ],
        )  # fmt: skip
    ids: dict[int, int] = {}
    for part in chunks(write.object_id for write in writes):
        found = sa.select(sidecar.c.source_object_id, sidecar.c.id).where(sidecar.c.source_object_id.in_(part))
        ids.update(connection.execute(found).tuples().all())
    for part in chunks(sorted(ids[write.object_id] for write in begins)):
        connection.execute(sa.delete(object_metadata).where(object_metadata.c.sidecar_id.in_(part)))
    return ids


def _set_details(connection: Connection, details: Sequence[tuple[int, str | None]]) -> None:
    if details:
        connection.execute(
            sa.update(source_object)
            .where(source_object.c.id == sa.bindparam("of_id"))
            .values(detail=sa.bindparam("new_detail")),
            [{"of_id": object_id, "new_detail": detail} for object_id, detail in details],
        )


def _is_sidecar() -> sa.ColumnElement[bool]:
    """On source_object: passed over by one of the patterns that sidecars have."""
    return sa.and_(source_object.c.status == "ignored", source_object.c.reason.in_(SIDECAR_PATTERNS))
