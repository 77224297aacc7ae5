"""The whole history as partitioned Parquet, of one moment, in a folder or a bucket.

    restoration_history/month=2026-11/part-0-<export>.parquet   event_history/month=.../   object_outcome/   ...
    manifest.json    written last: the files that belong together, with rows, sizes and SHA-256

An export beside an earlier one writes its files, then the manifest, then removes the earlier manifest's files.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.catalogue import Catalogue
from storage.catalog.engine import utc_now
from storage.catalog.schema_version import HEAD
from storage.errors import ExportRefused, ObjectNotFound, SourceUnreadable, StorageError
from storage.history_parts import ExportedFile, PartWriter
from storage.history_schema import RELATIONS, Relation, arrow_schema
from storage.objects import ObjectStore
from storage.records import EventRecord

log = logging.getLogger(__name__)

FETCHED_ROWS = 10_000
"""Rows that are Python's at once; what waits to be written is Arrow's."""

MANIFEST_KEY = "manifest.json"
FORMAT = "oldphoto history"

_OURS = re.compile(
    rf"(?:{'|'.join(relation.name for relation in RELATIONS)})/(?:month=\d{{4}}-\d\d/)?"
    r"part-\d+-(\d{8}T\d{6}Z)-[0-9a-f]{6}\.parquet"
)
_HALF_WRITTEN = re.compile(r"(?:.*/)?\.oldphoto-[0-9a-f]{32}\.part")
"""What a killed export leaves in a folder."""

_UNFINISHED_AFTER = timedelta(days=1)
"""How old files of an export must be that no manifest names, so that nobody can still be writing them."""


@dataclass(frozen=True)
class HistoryExport:
    """What was exported.

    Attributes:
        rows: by table or view.
        removed: files of earlier exports that are gone now.
    """

    url: str
    snapshot_at: str
    rows: dict[str, int]
    files: tuple[ExportedFile, ...]
    removed: int


def export_history(catalogue: Catalogue, store: ObjectStore, *, code_version: str, agent: str) -> HistoryExport:
    """Writes every table and view of `RELATIONS` and records the event.

    Args:
        code_version: for the manifest.
        agent: who does it, for the event.

    Raises:
        ExportRefused: the store holds something that is no export of ours.
        ObjectStoreError, CatalogueError: it could not be written, or read; what was written is removed again.
    """
    _require_ours(store)
    export_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    files: list[ExportedFile] = []
    rows: dict[str, int] = {}
    described: dict[str, Any] = {}
    try:
        with catalogue.snapshot() as connection, tempfile.TemporaryDirectory(prefix="oldphoto-export-") as work:
            snapshot_at = str(connection.scalar(sa.select(utc_now())))
            for relation in RELATIONS:
                schema, batches = _rows(connection, relation)
                writer = PartWriter(relation, schema, store, suffix=export_id, work=Path(work))
                try:
                    rows[relation.name] = writer.write(batches)
                finally:
                    files += writer.files
                    writer.close()
                described[relation.name] = {
                    "rows": rows[relation.name],
                    "columns": [{"name": field.name, "type": str(field.type)} for field in schema],
                    "files": [asdict(file) for file in writer.files],
                }
        manifest = {
            "format": FORMAT, "version": 1, "export": export_id, "snapshot_at": snapshot_at, "schema_revision": HEAD,
            "code_version": code_version, "relations": described,
        }  # fmt: skip
        earlier = _manifest_files(store)
        store.write_bytes_atomic(MANIFEST_KEY, json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n")
    except BaseException:
        for file in files:
            with contextlib.suppress(StorageError):
                store.delete(file.key)
        raise
    removed = _remove(store, earlier, keep={file.key for file in files})
    exported = HistoryExport(store.url, snapshot_at, rows, tuple(files), removed)
    catalogue.record_event(_event(exported, export_id, agent))
    return exported


def _rows(connection: Connection, relation: Relation) -> tuple[Any, Iterator[Sequence[Sequence[Any]]]]:
    """The relation's Arrow schema and its rows."""
    statement = sa.select(sa.literal_column("*")).select_from(sa.table(relation.name))
    result = connection.execute(statement.order_by(*(sa.column(name) for name in relation.order_by)))
    return arrow_schema(relation.name, list(result.keys())), result.partitions(FETCHED_ROWS)


def _event(exported: HistoryExport, export_id: str, agent: str) -> EventRecord:
    total = sum(exported.rows.values())
    return EventRecord(
        type="export", agent=agent, uid=f"export/{export_id}", detail={"rows": exported.rows, "export": export_id},
        objects=(("history_export", f"{exported.url.rstrip('/')}/{MANIFEST_KEY}", "outcome"),),
        note=f"{total} rows in {len(exported.files)} files to {exported.url}",
    )  # fmt: skip


def _require_ours(store: ObjectStore) -> None:
    """Raises ExportRefused on the first thing that no export of ours wrote; a place that is not there yet is fine."""
    if store.root is not None and not store.root.exists():
        return
    for entry in store.list():
        if not (entry.key == MANIFEST_KEY or _OURS.fullmatch(entry.key) or _HALF_WRITTEN.fullmatch(entry.key)):
            raise ExportRefused(
                f"{store.url} holds {entry.key!r}, which is no part of an export of the history; name an empty place"
            )
    _manifest_files(store)


def _manifest_files(store: ObjectStore) -> list[str]:
    """Keys of the files of the export that is there; none where there is none."""
    try:
        manifest = json.loads(store.read_bytes(MANIFEST_KEY))
        if manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']!r}")
        keys = [file["key"] for relation in manifest["relations"].values() for file in relation["files"]]
    except ObjectNotFound:
        return []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportRefused(
            f"{store.url} holds a {MANIFEST_KEY} of something else ({error!r}); name an empty place"
        ) from error
    return [key for key in keys if isinstance(key, str) and _OURS.fullmatch(key)]


def _remove(store: ObjectStore, earlier: Sequence[str], *, keep: set[str]) -> int:
    """Removes the earlier export's files, and what an export of another day left unfinished."""
    gone = set(earlier) - keep
    before = datetime.now(UTC) - _UNFINISHED_AFTER
    with contextlib.suppress(SourceUnreadable):
        for entry in store.list():
            match = _OURS.fullmatch(entry.key)
            if match and entry.key not in keep and f"{before:%Y%m%dT%H%M%SZ}" > match.group(1):
                gone.add(entry.key)
    for key in sorted(gone):
        store.delete(key)
    return len(gone)
