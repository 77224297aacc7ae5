"""Snapshots: what a training run sees is chosen once, kept, and can be written anew byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from storage.catalog import Catalogue
from storage.catalog.checks import check_catalogue
from storage.catalog.split_queries import split_of_hash
from storage.errors import CatalogueError, SnapshotError
from storage.keys import sha256_hex
from storage.objects import ObjectStore
from storage.records import CollectionRecord, SnapshotRecord, SnapshotRow
from storage.snapshots import make_snapshot, read_snapshot, rebuild_snapshot, snapshot_bytes
from tests.store.makers import label, photo, restored, rows, seen, sha, whole_look, with_photos
from tests.store.snapshot_makers import compared, fill, splits


def test_a_snapshot_holds_labelled_photos_and_some_without(catalogue: Catalogue, manifests: ObjectStore) -> None:
    fill(catalogue)
    made = make_snapshot(catalogue, manifests, most_unlabelled=10)
    assert (made.photo_count, made.label_count, len(made.rows)) == (14, 4, 14)
    assert read_snapshot(manifests, made.key, made.sha256) == list(made.rows)
    assert made.key == f"snapshots/{made.sha256[:2]}/{made.sha256}.parquet"
    assert catalogue.get_snapshot(made.sha256) is not None
    assert catalogue.get_snapshot("0" * 64) is None
    three = next(row for row in made.rows if row.photo_sha256 == sha("3"))
    assert three == SnapshotRow(
        photo_sha256=sha("3"), collection_url="file:///scans", source_key="3", split=split_of_hash(sha("3")),  # type: ignore[arg-type]
        role="labelled", label_mask_key="mask 3.png", label_mask_sha256=sha("mask 3"), disagreement_key="d.png",
    )  # fmt: skip
    again = make_snapshot(catalogue, manifests, most_unlabelled=10)
    assert (again.sha256, len(catalogue.snapshots())) == (made.sha256, 1)
    counts = "SELECT COUNT(*) FROM event WHERE type = 'training'"
    assert rows(catalogue, counts) == [(1,)]


def change_everything(catalogue: Catalogue, collection_id: int) -> None:
    """More photos, labels and restorations; a photo withdrawn, one moved, one gone, and a collection's new policy."""
    new = [str(name) for name in range(30, 40)]
    catalogue.record_objects(collection_id, [seen(key) for key in new], [photo(key) for key in new])
    compared(catalogue, ("5", "31"), ("6", "7"))
    catalogue.record_labels([label("1", "a later mask"), label("35", "mask 35"), label("8", "mask 8")])
    catalogue.record_restorations([restored("2")])
    catalogue.set_photo_state(sha("3"), "withdrawn", by="Ada", reason="the family asked")
    catalogue.record_objects(collection_id, [seen("moved/2", "2")])
    here = [str(name) for name in range(40) if name not in (2, 9)]
    assert whole_look(catalogue, collection_id, [*here, "moved/2"]).missing == 2
    catalogue.upsert_collection(CollectionRecord(url="file:///scans", tone="keep"))


def test_a_snapshot_is_written_anew_byte_for_byte_whatever_happened_since(
    catalogue: Catalogue, manifests: ObjectStore
) -> None:
    collection_id = fill(catalogue)
    made = make_snapshot(catalogue, manifests)
    written = manifests.read_bytes(made.key)
    assert rebuild_snapshot(catalogue, made.sha256) == written
    change_everything(catalogue, collection_id)
    assert rebuild_snapshot(catalogue, made.sha256) == written
    assert sha256_hex(written) == made.sha256
    later = make_snapshot(catalogue, manifests)
    assert rebuild_snapshot(catalogue, later.sha256) == manifests.read_bytes(later.key)
    assert later.sha256 != made.sha256
    found = {row.photo_sha256: row for row in later.rows}
    assert {sha("3"), sha("9")} & set(found) == set()  # withdrawn, gone
    assert found[sha("2")].source_key == "moved/2"
    assert found[sha("1")].label_mask_sha256 == sha("a later mask")
    assert found[sha("8")].role == "labelled"
    assert {sha("3"), sha("9")} <= set(splits(made))


def test_both_databases_give_the_same_bytes(catalogue_path: Path, postgres_url: str, manifests: ObjectStore) -> None:
    made = []
    for url in (f"sqlite:///{catalogue_path}", postgres_url):
        with Catalogue.open(url) as catalogue:
            change_everything(catalogue, fill(catalogue))
            snapshot = make_snapshot(catalogue, manifests, most_unlabelled=20)
            made.append((snapshot.sha256, rebuild_snapshot(catalogue, snapshot.sha256)))
    assert made[0] == made[1]


def test_the_order_of_rows_makes_no_difference(catalogue: Catalogue, manifests: ObjectStore) -> None:
    fill(catalogue)
    made = make_snapshot(catalogue, manifests)
    assert snapshot_bytes(made.rows[::-1]) == manifests.read_bytes(made.key)
    table = pq.read_table(manifests.root / made.key)
    assert table.column_names == [
        "photo_sha256", "collection_url", "source_key", "split", "role", "label_mask_key", "label_mask_sha256",
        "disagreement_key",
    ]  # fmt: skip


def test_a_snapshot_of_another_writer_is_told_from_one_that_was_changed(
    catalogue: Catalogue, manifests: ObjectStore
) -> None:
    """The rows are whole, and only the bytes would be others: the message says what to install."""
    fill(catalogue)
    ours = make_snapshot(catalogue, manifests)
    theirs = SnapshotRecord(
        sha256=sha("their bytes"), key="x", photo_count=ours.photo_count, label_count=ours.label_count,
        rows_sha256=ours.rows_sha256, written_with="pyarrow 1.0", rows=ours.rows,
    )  # fmt: skip
    catalogue.record_snapshot(theirs)
    with pytest.raises(SnapshotError, match="install pyarrow 1.0"):
        rebuild_snapshot(catalogue, theirs.sha256)
    catalogue.record_snapshot(SnapshotRecord(
        sha256=sha("changed"), key="x", photo_count=1, label_count=0, rows_sha256=sha("others"),
        written_with="pyarrow 1.0", rows=ours.rows[:1],
    ))  # fmt: skip
    with pytest.raises(SnapshotError, match="were changed"):
        rebuild_snapshot(catalogue, sha("changed"))
    with pytest.raises(SnapshotError, match="no snapshot"):
        rebuild_snapshot(catalogue, "0" * 64)
    manifests.write_bytes_atomic(ours.key, b"PAR1 no more")
    with pytest.raises(SnapshotError, match=f"expected {ours.sha256}"):
        read_snapshot(manifests, ours.key, ours.sha256)


def test_a_check_finds_a_photo_that_is_tested_here_and_trained_there(
    catalogue_path: Path, manifests: ObjectStore
) -> None:
    """Nobody writes so, but somebody may have."""
    with Catalogue.open(catalogue_path) as catalogue:
        fill(catalogue)
        made = make_snapshot(catalogue, manifests)
        [found] = [finding for finding in check_catalogue(catalogue_path) if finding.what == "rows"]
        assert found.verdict == "ok"
        wrong = tuple(replace(row, split="train") for row in made.rows if row.split == "test")
        catalogue.record_snapshot(replace(made, sha256=sha("wrong"), rows=wrong))
    [found] = [finding for finding in check_catalogue(catalogue_path) if finding.what == "rows"]
    assert found.verdict == "bad"
    assert f"{len(wrong)} photos that one snapshot trains on and another tests on" in found.detail
    assert "1 snapshots that hold another number of photos" in found.detail


def test_without_photos_there_is_no_snapshot(catalogue: Catalogue, manifests: ObjectStore) -> None:
    with pytest.raises(SnapshotError, match="oldphoto ingest"):
        make_snapshot(catalogue, manifests)
    with_photos(catalogue, "not compared yet")
    with pytest.raises(SnapshotError, match="not compared"):
        make_snapshot(catalogue, manifests)
    assert not (manifests.root / "snapshots").exists()


def test_what_may_still_be_trained_on_is_asked_by_hash(catalogue: Catalogue) -> None:
    collection_id = with_photos(catalogue, "a", "b", "c")
    catalogue.record_objects(collection_id, [seen("b again", "b"), seen("b", "b", status="missing")])
    catalogue.set_photo_state(sha("c"), "held", by="Ada", reason="rights")
    found = catalogue.usable_sources([sha(name) for name in "abcx"])
    assert {sha256: [source.key for source in sources] for sha256, sources in found.items()} == {
        sha("a"): ["a"], sha("b"): ["b again"],
    }  # fmt: skip
    catalogue.set_collection_state("file:///scans", "withdrawn", by="Ada", reason="rights")
    assert catalogue.usable_sources([sha("a")]) == {}


def test_nobody_changes_a_side_or_a_snapshot(catalogue: Catalogue, manifests: ObjectStore) -> None:
    """Not in SQL either; on PostgreSQL a writer has not even the right."""
    fill(catalogue)
    make_snapshot(catalogue, manifests)
    before = [rows(catalogue, f"SELECT * FROM {table} ORDER BY 1, 2") for table in KEPT_TABLES]
    for statement in ATTACKS:
        with pytest.raises(CatalogueError):
            catalogue.write(lambda connection, sql=statement: connection.execute(sa.text(sql)))
    assert [rows(catalogue, f"SELECT * FROM {table} ORDER BY 1, 2") for table in KEPT_TABLES] == before


KEPT_TABLES = ("photo_split", "dataset_snapshot", "dataset_snapshot_photo", "dataset_snapshot_label")
ATTACKS = (
    "UPDATE photo_split SET split = 'train'",
    "UPDATE photo_split SET photo_id = photo_id + 100, split = 'excluded'",
    "DELETE FROM photo_split",
    "INSERT INTO photo_split (photo_id, split, decided_by, decided_at) SELECT photo_id, 'train', 'hash', 'x' "
    "FROM photo_split WHERE true ON CONFLICT (photo_id) DO UPDATE SET split = 'train'",
    *(f"DELETE FROM {table}" for table in KEPT_TABLES[1:]),
    "UPDATE dataset_snapshot SET photo_count = 1",
    "UPDATE dataset_snapshot_photo SET split = 'train'",
    "UPDATE dataset_snapshot_label SET label_id = 1",
)
