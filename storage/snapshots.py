"""Snapshots: immutable Parquet lists of what a training run sees, in the manifests store under their own SHA-256.

The same rows give the same bytes: rows sorted by the photo's SHA-256, one row group, nothing compressed (a compressor's
version would show), no time and no place of making. What may show is the version of PyArrow, which writes its name into
every file; so the catalogue keeps that too, and beside the file's hash one of the rows alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, fields

from storage.catalog.catalogue import Catalogue
from storage.errors import SnapshotError
from storage.keys import canonical_json, sha256_hex
from storage.objects import ObjectStore
from storage.records import SnapshotRecord, SnapshotRow

FORMAT_VERSION = 1
"""Raised whenever the same rows would give another file."""

MOST_UNLABELLED = 2000
_COLUMNS = tuple(field.name for field in fields(SnapshotRow))
_MAY_BE_NULL = frozenset({"label_mask_key", "label_mask_sha256", "disagreement_key"})


def make_snapshot(
    catalogue: Catalogue, store: ObjectStore, *, most_unlabelled: int = MOST_UNLABELLED, agent: str = "oldphoto"
) -> SnapshotRecord:
    """What may be learned from now, decided, stored and recorded; the same photos and labels give the same snapshot.

    Killed anywhere it is made again: the file comes before the row, and under a key that its bytes decide.

    Args:
        store: of manifests.
        most_unlabelled: photos without a label in it, at most; which ones, their hashes decide.

    Raises:
        SnapshotError: there is nothing to learn from.
        storage.errors.ObjectStoreError: the store does not take it.
    """
    rows = catalogue.choose_snapshot(most_unlabelled=most_unlabelled)
    if not rows:
        raise SnapshotError(
            "no photo to learn from: every photo is held, withdrawn, missing, or not compared with the others yet; "
            "run `oldphoto ingest` on a source first"
        )
    data = snapshot_bytes(rows)
    sha256 = sha256_hex(data)
    record = SnapshotRecord(
        sha256=sha256,
        key=snapshot_key(sha256),
        photo_count=len(rows),
        label_count=sum(row.role == "labelled" for row in rows),
        rows_sha256=rows_sha256(rows),
        written_with=writer(),
        rows=tuple(rows),
    )
    store.write_once(record.key, data)
    catalogue.record_snapshot(record, agent=agent)
    return record


def read_snapshot(store: ObjectStore, key: str, sha256: str) -> list[SnapshotRow]:
    """The rows of a snapshot's file.

    Raises:
        SnapshotError: its bytes are not those that were recorded, or it is of a format that is not known here.
        storage.errors.ObjectStoreError: it cannot be had.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = store.read_bytes(key)
    found = sha256_hex(data)
    if found != sha256:
        raise SnapshotError(
            f"{store.object_url(key)}: SHA-256 is {found}, expected {sha256}; write it anew from the catalogue "
            f"(`oldphoto snapshots rebuild {sha256[:12]}`)"
        )
    table = pq.read_table(pa.BufferReader(data))
    version = (table.schema.metadata or {}).get(b"oldphoto.snapshot", b"none").decode()
    if version != str(FORMAT_VERSION):
        raise SnapshotError(
            f"{store.object_url(key)}: a snapshot of format {version}, expected {FORMAT_VERSION}; use the version of "
            "oldphoto that made it"
        )
    return [SnapshotRow(**row) for row in table.to_pylist()]


def rebuild_snapshot(catalogue: Catalogue, sha256: str) -> bytes:
    """The snapshot's file, byte for byte, from the catalogue's rows alone.

    Raises:
        SnapshotError: there is no such snapshot; its rows are not those it was made of; or they are, and another
            version of PyArrow is at work here than the one that wrote the file, so that the bytes differ.
    """
    known = catalogue.get_snapshot(sha256)
    if known is None:
        raise SnapshotError(f"no snapshot {sha256} in the catalogue {catalogue.url}")
    if known.rows_sha256 is None:
        raise SnapshotError(f"snapshot {sha256} is from before revision 0006; only its file has its photos")
    found = rows_sha256(known.rows)
    if found != known.rows_sha256:
        raise SnapshotError(
            f"the rows of snapshot {sha256} were changed: their SHA-256 is {found}, expected {known.rows_sha256}; "
            "run `oldphoto db check`"
        )
    data = snapshot_bytes(known.rows)
    if sha256_hex(data) != sha256:
        raise SnapshotError(
            f"snapshot {sha256} was written with {known.written_with}, and here is {writer()}, which writes the same "
            f"rows as other bytes; the rows are whole; for the same bytes install {known.written_with}"
        )
    return data


def snapshot_key(sha256: str) -> str:
    """Where the file lies in the manifests store."""
    return f"snapshots/{sha256[:2]}/{sha256}.parquet"


def snapshot_bytes(rows: Sequence[SnapshotRow]) -> bytes:
    """The rows as a Parquet file; the same rows in any order give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [pa.field(name, pa.string(), nullable=name in _MAY_BE_NULL) for name in _COLUMNS],
        metadata={"oldphoto.snapshot": str(FORMAT_VERSION)},
    )
    table = pa.Table.from_pylist([asdict(row) for row in _in_order(rows)], schema=schema)
    file = io.BytesIO()
    pq.write_table(
        table, file, row_group_size=max(1, len(rows)), version="2.6", data_page_version="1.0", compression="none",
        use_dictionary=["collection_url", "split", "role"],
    )  # fmt: skip
    return file.getvalue()


def rows_sha256(rows: Sequence[SnapshotRow]) -> str:
    """SHA-256 of the rows as lines of canonical JSON, in the file's order."""
    return sha256_hex(b"".join(canonical_json(asdict(row)) + b"\n" for row in _in_order(rows)))


def writer() -> str:
    """The program that writes the files, with its version."""
    from importlib.metadata import version

    return f"pyarrow {version('pyarrow')}"


def _in_order(rows: Sequence[SnapshotRow]) -> list[SnapshotRow]:
    return sorted(rows, key=lambda row: row.photo_sha256)
