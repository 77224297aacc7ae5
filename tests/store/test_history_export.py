"""The history as Parquet: DuckDB and pandas read what the catalogue holds, of one moment, from a folder and from S3."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from storage import history_export, history_parts
from storage.catalog import Catalogue
from storage.catalog.schema_version import HEAD
from storage.errors import ExportRefused, ObjectStoreError
from storage.history_export import HistoryExport, export_history
from storage.history_schema import RELATIONS, arrow_schema
from storage.objects import ObjectStore
from storage.queries import read_only_query
from storage.settings import StorageSettings
from tests.store.history_makers import fill_catalogue
from tests.store.makers import photo, seen

DOC = (Path(__file__).parents[2] / "docs/history.md").read_text(encoding="utf-8")


@pytest.fixture
def filled(catalogue: Catalogue, catalogue_url: str) -> Catalogue:
    """A catalogue with something in every table, on each database."""
    fill_catalogue(catalogue_url)
    return catalogue


@pytest.fixture
def filled_path(catalogue_path: Path) -> Iterator[Catalogue]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    fill_catalogue(f"sqlite:///{catalogue_path}")
    with Catalogue.open(catalogue_path) as catalogue:
        yield catalogue


def exported(catalogue: Catalogue, dest: Path | ObjectStore) -> HistoryExport:
    store = dest if isinstance(dest, ObjectStore) else ObjectStore(dest)
    return export_history(catalogue, store, code_version="0.1.0", agent="oldphoto 0.1.0")


def files_of(dest: Path) -> set[str]:
    return {path.relative_to(dest).as_posix() for path in dest.rglob("*") if path.is_file()}


def asked(catalogue_url: str, sql: str) -> list[tuple[Any, ...]]:
    return read_only_query(catalogue_url, sql).rows


def test_duckdb_reads_the_rows_that_the_catalogue_holds(filled: Catalogue, catalogue_url: str, tmp_path: Path) -> None:
    """Every row and value of every table and view, with the columns in their order."""
    done = exported(filled, tmp_path / "out")
    for relation in RELATIONS:
        told = read_only_query(catalogue_url, f"SELECT * FROM {relation.name}")
        if relation.name == "event_history":  # the export's own event came after
            told.rows[:] = [row for row in told.rows if row[told.columns.index("type")] != "export"]
        columns = ", ".join(f'"{name}"' for name in told.columns)
        files = f"read_parquet('{tmp_path}/out/{relation.name}/**/*.parquet', hive_partitioning = true)"
        found = duckdb.sql(f"SELECT {columns} FROM {files}").fetchall()
        assert sorted(found, key=repr) == sorted(told.rows, key=repr), relation.name
        assert done.rows[relation.name] == len(found)
        assert duckdb.sql(f"SELECT * FROM {files}").columns[: len(told.columns)] == list(told.columns)


def test_pandas_reads_the_same_totals(filled: Catalogue, catalogue_url: str, tmp_path: Path) -> None:
    """Sums, and counts by month."""
    exported(filled, tmp_path / "out")
    frame = pd.read_parquet(tmp_path / "out/restoration_history")
    ((rows, seconds, coverage),) = asked(
        catalogue_url, "SELECT COUNT(*), SUM(seconds), SUM(mask_coverage) FROM restoration_history"
    )
    assert len(frame) == rows
    assert (frame["seconds"].sum(), frame["mask_coverage"].sum()) == pytest.approx((seconds, coverage))
    by_month = dict(asked(catalogue_url, "SELECT substr(day, 1, 7), COUNT(*) FROM restoration_history GROUP BY 1"))
    assert frame.groupby("month", observed=True).size().to_dict() == by_month == {"2026-10": 5, "2026-11": 5}


def test_types_are_those_of_the_tables(filled: Catalogue, tmp_path: Path) -> None:
    """Also in columns that hold nothing but nulls; the same from both databases."""
    exported(filled, tmp_path / "out")
    schema = pq.read_schema(next((tmp_path / "out/restoration_history/month=2026-10").iterdir()))
    assert {name: str(schema.field(name).type) for name in ("restoration_id", "height", "seconds", "error", "day")} == {
        "restoration_id": "int64", "height": "int32", "seconds": "double", "error": "string", "day": "string",
    }  # fmt: skip
    assert pq.read_table(tmp_path / "out/restoration_history/month=2026-10")["error"].null_count == 5


def test_every_type_is_the_one_that_postgresql_gives_the_column(postgres_url: str) -> None:
    """A view's new column that is no text must be named in the schema."""
    types = {"bigint": "int64", "integer": "int32", "double precision": "double", "text": "string"}
    for relation in RELATIONS:
        told = asked(
            postgres_url,
            "SELECT column_name::text, data_type::text FROM information_schema.columns "
            f"WHERE table_name = '{relation.name}' ORDER BY ordinal_position",
        )
        schema = arrow_schema(relation.name, [name for name, _ in told])
        assert [(field.name, str(field.type)) for field in schema] == [(name, types[kind]) for name, kind in told]


def test_the_manifest_names_every_file_with_its_hash(filled_path: Catalogue, tmp_path: Path) -> None:
    done = exported(filled_path, tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert {key: manifest[key] for key in ("format", "schema_revision", "code_version", "snapshot_at")} == {
        "format": "oldphoto history", "schema_revision": HEAD, "code_version": "0.1.0",
        "snapshot_at": done.snapshot_at,
    }  # fmt: skip
    named = [file for relation in manifest["relations"].values() for file in relation["files"]]
    assert {file["key"] for file in named} | {"manifest.json"} == files_of(tmp_path / "out")
    for file in named:
        data = (tmp_path / "out" / file["key"]).read_bytes()
        assert (file["size_bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    for relation in manifest["relations"].values():
        assert relation["rows"] == sum(file["rows"] for file in relation["files"])


def test_the_export_is_an_event(filled: Catalogue, catalogue_url: str, tmp_path: Path) -> None:
    exported(filled, tmp_path / "out")
    ((outcome, note, object_id),) = asked(
        catalogue_url, "SELECT outcome, note, object_id FROM event_history WHERE type = 'export'"
    )
    assert (outcome, object_id) == ("success", f"file://{tmp_path}/out/manifest.json")
    assert re.fullmatch(r"\d+ rows in 18 files to file://.*/out", note)


def test_an_export_takes_the_place_of_the_one_before(filled_path: Catalogue, tmp_path: Path) -> None:
    """And of what a killed one left behind, once it is old; never of a younger one's files."""
    first = exported(filled_path, tmp_path / "out")
    old = tmp_path / "out/label/part-0-20240101T000000Z-aaaaaa.parquet"
    young = tmp_path / "out/label/part-0-20990101T000000Z-aaaaaa.parquet"
    half = tmp_path / "out/label" / f".oldphoto-{'0' * 32}.part"
    for path in (old, young, half):
        path.write_bytes(b"x")
    second = exported(filled_path, tmp_path / "out")
    assert second.removed == len(first.files) + 1
    others = {path.relative_to(tmp_path / "out").as_posix() for path in (young, half)}
    assert files_of(tmp_path / "out") == {file.key for file in second.files} | others | {"manifest.json"}


@pytest.mark.parametrize(
    ("name", "content"),
    [("notes.txt", "mine"), ("label/part-0.parquet", "mine"), ("manifest.json", "{}"), ("manifest.json", "[1]"),
     ("manifest.json", '{"format": "other", "relations": {}}'), ("manifest.json", "no json")],
)  # fmt: skip
def test_a_place_that_holds_something_else_is_refused_and_left_alone(
    filled_path: Catalogue, tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ExportRefused, match="name an empty place"):
        exported(filled_path, tmp_path / "out")
    assert files_of(tmp_path / "out") == {name}
    assert path.read_text() == content


def test_a_manifest_cannot_have_other_files_removed(filled_path: Catalogue, tmp_path: Path) -> None:
    """Only what has the name of a part is ever deleted."""
    exported(filled_path, tmp_path / "out")
    path = tmp_path / "out/manifest.json"
    manifest = json.loads(path.read_text())
    (tmp_path / "precious.txt").write_text("mine")
    manifest["relations"]["label"]["files"].append({"key": "../precious.txt"})
    path.write_text(json.dumps(manifest))
    exported(filled_path, tmp_path / "out")
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_months_parts_and_row_groups_split_where_they_should(
    filled_path: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With limits small enough to be met: no row is lost on an edge."""
    monkeypatch.setattr(history_parts, "GROUP_ROWS", 2)
    monkeypatch.setattr(history_parts, "PART_ROWS", 4)
    monkeypatch.setattr(history_export, "FETCHED_ROWS", 3)
    done = exported(filled_path, tmp_path / "out")
    october = [file for file in done.files if file.key.startswith("restoration_history/month=2026-10")]
    assert [file.rows for file in october] == [5]  # a batch is not torn apart: a part is full when the next one comes
    events = [file for file in done.files if file.key.startswith("event_history/")]
    assert sum(file.rows for file in events) == done.rows["event_history"] == 43
    assert len(events) > 6
    ids = pd.read_parquet(tmp_path / "out/event_history")["event_id"]
    assert sorted(set(ids)) == list(range(1, 21))


def test_an_export_sees_one_moment(filled: Catalogue, catalogue_url: str, tmp_path: Path) -> None:
    """What is written meanwhile is not in it: here a photo, as soon as the first file is stored."""

    class Meanwhile(ObjectStore):
        def write_stream(self, key: str, chunks: Any) -> Any:
            if not writes:
                writes.append(key)
                with Catalogue.open(catalogue_url) as other:
                    other.record_objects(1, [seen("late.jpg")], [photo("late.jpg")])
            return super().write_stream(key, chunks)

    writes: list[str] = []
    before = {name: asked(catalogue_url, f"SELECT COUNT(*) FROM {name}") for name in ("object_outcome", "photo_latest")}
    done = exported(filled, Meanwhile(tmp_path / "out"))
    for name, counted in before.items():
        assert [(done.rows[name],)] == counted
        assert asked(catalogue_url, f"SELECT COUNT(*) FROM {name}") == [(counted[0][0] + 1,)]


def test_an_export_that_fails_leaves_the_one_before_as_it_was(filled_path: Catalogue, tmp_path: Path) -> None:
    """And none of its own files."""

    class Full(ObjectStore):
        def write_stream(self, key: str, chunks: Any) -> Any:
            if key.startswith("review"):
                raise ObjectStoreError("No space left on device", url=self.url, key=key)
            return super().write_stream(key, chunks)

    exported(filled_path, tmp_path / "out")
    before = files_of(tmp_path / "out")
    with pytest.raises(ObjectStoreError, match="No space"):
        exported(filled_path, Full(tmp_path / "out"))
    assert files_of(tmp_path / "out") == before


def test_an_empty_catalogue_is_exported_with_its_columns(catalogue: Catalogue, tmp_path: Path) -> None:
    done = exported(catalogue, tmp_path / "out")
    assert done.rows["label"] == 0
    assert duckdb.sql(f"SELECT * FROM '{tmp_path}/out/label/*.parquet'").columns[:2] == ["id", "photo_id"]


def test_a_bucket_holds_the_same_export(filled_path: Catalogue, tmp_path: Path) -> None:
    """Written and replaced on a real S3 server."""
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = StorageSettings.load(
            s3={"endpoint_url": f"http://{host}:{port}", "region": "eu-west-1", "access_key": "key",
                "secret_key": SecretStr("secret")},
        )  # fmt: skip
        options = settings.store_options("s3://museum")
        import fsspec

        fsspec.filesystem("s3", **options).mkdir("museum")
        store = ObjectStore("s3://museum/history", options)
        exported(filled_path, store)
        done = exported(filled_path, store)
        assert {entry.key for entry in store.list()} == {file.key for file in done.files} | {"manifest.json"}
        for file in done.files:
            (tmp_path / "back" / file.key).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "back" / file.key).write_bytes(store.read_bytes(file.key))
        assert len(pd.read_parquet(tmp_path / "back/restoration_history")) == done.rows["restoration_history"]
        ObjectStore("s3://museum/other", options).write_bytes_atomic("x.txt", b"mine")
        with pytest.raises(ExportRefused, match="x.txt"):
            exported(filled_path, ObjectStore("s3://museum/other", options))
    finally:
        server.stop()


def test_the_snippets_of_the_page_run(
    filled_path: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As they are written there, and say the same."""
    exported(filled_path, tmp_path / "archive-history")
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", DOC, flags=re.DOTALL)
    assert len(snippets) == 2
    said = []
    for snippet in snippets:
        exec(compile(snippet, "docs/history.md", "exec"), {})
        said.append(re.findall(r"(restored|unchanged|failed)\D*?(\d+)", capfd.readouterr().out))
    wanted = [("restored", "5"), ("failed", "1"), ("restored", "3"), ("unchanged", "1")]
    assert said == [wanted, wanted]
