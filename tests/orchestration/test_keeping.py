"""Keeping, through the flows and the command: sidecars, holding and withdrawing, publishing to folders and buckets."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest

from flows.cli.app import run_command
from flows.errors import UsageError
from flows.publications import MANIFEST
from flows.settings import Settings
from storage.queries import read_only_query
from tests.orchestration.archives import fingerprints, make_photos


@dataclass(frozen=True)
class Archive:
    """A source of three photos, with sidecars, that was run once."""

    source: Path
    home: Path
    settings: dict[str, Any]

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        return read_only_query(self.home / "catalogue.db", sql).rows

    def shown(self) -> set[str]:
        browse = self.home / "browse"
        return {str(path.relative_to(browse)) for path in browse.rglob("*") if path.is_file()}

    def restore(self) -> Any:
        from flows.restore import restore

        return restore(home=str(self.home), settings=self.settings)

    def command(self, *arguments: str) -> int:
        return run_command([*arguments, "--home", str(self.home)])


def make_archive(folder: Path, release_folder: Path, dask_scheduler: str) -> Archive:
    """Runs a new source into a new home."""
    from flows.run import run

    source = folder / "scans"
    make_photos(source / "box", 3)
    (source / "box" / "photo-000.png.json").write_text('{"title": "The harbour", "keywords": ["ship", "sea"]}')
    (source / "list.csv").write_text("file;year\nbox/photo-001.png;1912\nbox/photo-009.png;1913\n")
    made = Archive(source, folder / "home", {"release": str(release_folder), "scheduler": dask_scheduler})
    run(str(source), home=str(made.home), settings=made.settings)
    return made


@pytest.fixture
def archive(prefect_server: str, dask_scheduler: str, release_folder: Path, tmp_path: Path) -> Archive:
    """An archive that the test may take things away from."""
    return make_archive(tmp_path, release_folder, dask_scheduler)


@pytest.fixture(scope="module")
def standing(
    prefect_server: str, dask_scheduler: str, release_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Archive:
    """An archive that no test takes anything away from."""
    return make_archive(tmp_path_factory.mktemp("standing"), release_folder, dask_scheduler)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_withdrawn_photo_is_deleted_everywhere_and_never_restored(archive: Archive, tmp_path: Path) -> None:
    from flows.publish import publish

    shown = tmp_path / "shown"
    before = fingerprints(archive.source)
    assert publish(str(shown), home=str(archive.home)).published == 3
    said = ("--by", "Ada", "--reason", "family asked")
    assert archive.command("withdraw", "photo-000.png", *said, "--yes") == 0
    assert archive.shown() == {"box/photo-001.png.png", "box/photo-002.png.png"}
    assert files_below(shown) == {"box/photo-001.png", "box/photo-002.png", MANIFEST}
    assert len((shown / MANIFEST).read_text().splitlines()) == 2
    made = archive.restore().restore
    assert (made.restored, made.unchanged, made.failed) == (0, 0, ())
    assert archive.ask("SELECT COUNT(*) FROM restoration WHERE deleted_at IS NOT NULL") == [(1,)]
    assert fingerprints(archive.source) == before

    assert archive.command("reopen", "box/photo-000.png", "--by", "Eva", "--reason", "cleared") == 0
    made = archive.restore().restore
    assert made.restored + made.unchanged == 1
    assert "box/photo-000.png.png" in archive.shown()
    assert publish(str(shown), home=str(archive.home)).totals() == {
        "published": 1, "replaced": 0, "unchanged": 2, "removed": 0, "foreign": 0, "failed": 0,
        "needs_review": 0, "rejected": 0,
    }  # fmt: skip
    agents = archive.ask("SELECT type, agent FROM event_history WHERE type IN ('withdrawal', 'hold') ORDER BY event_id")
    assert agents == [("withdrawal", "Ada"), ("hold", "Eva")]


def test_a_photo_withdrawn_while_it_is_restored_leaves_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.ingest import ingest
    from storage.catalog.catalogue import Catalogue

    make_photos(archive.source / "box", 1, start=7)
    ingest(str(archive.source), home=str(archive.home))
    ordinary = Catalogue.record_restorations

    def withdrawn_first(self: Catalogue, restorations: Any, *others: Any, **limits: Any) -> Any:
        for record in restorations:
            assert self.set_photo_state(record.photo_sha256, "withdrawn", by="Ada", reason="family asked")
        return ordinary(self, restorations, *others, **limits)

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "record_restorations", withdrawn_first)
        made = archive.restore().restore
    assert made.restored + made.unchanged == 1
    [(key, deleted)] = archive.ask(
        "SELECT restored_key, deleted_at IS NOT NULL FROM restoration_history WHERE source_key = 'box/photo-007.png'"
    )
    assert (bool(deleted), (archive.home / "derivatives" / str(key)).exists()) == (True, False)
    assert "box/photo-007.png.png" not in archive.shown()


def test_a_held_collection_is_registered_and_not_restored(archive: Archive) -> None:
    from flows.run import run

    assert archive.command("hold", str(archive.source), "--by", "Ada", "--reason", "rights unclear") == 0
    make_photos(archive.source / "box", 1, start=7)
    summary = run(str(archive.source), home=str(archive.home), settings=archive.settings)
    assert summary.ingest is not None
    assert summary.restore is not None
    assert (summary.ingest.photos_new, summary.restore.restored + summary.restore.unchanged) == (1, 0)
    assert archive.ask("SELECT DISTINCT outcome FROM object_outcome WHERE status = 'registered'") == [("held",)]
    assert len(archive.shown()) == 3


def test_commands_refuse_what_they_cannot_know(standing: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert standing.command("hold", "photo", "--by", "Ada", "--reason", "x") == 2
    assert standing.command("withdraw", "photo-000.png", "--by", " ", "--reason", "x") == 2
    assert standing.command("withdraw", "photo-000.png") == 2
    assert standing.command("publish", str(standing.source / "shown")) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 4
    assert "--by" in told
    assert "meets the source" in told
    assert len(standing.shown()) == 3


def test_publishing_is_incremental_and_leaves_what_others_put_there(archive: Archive, tmp_path: Path) -> None:
    from flows.publish import publish

    shown = tmp_path / "shown"
    (shown / "box").mkdir(parents=True)
    (shown / "box" / "photo-001.png").write_bytes(b"somebody's")
    preview = publish(str(shown), home=str(archive.home), dry_run=True)
    assert (preview.published, len(preview.foreign), files_below(shown)) == (2, 1, {"box/photo-001.png"})
    first = publish(str(shown), home=str(archive.home))
    assert (first.published, first.exit_code(), [key for key, _ in first.foreign]) == (2, 1, ["box/photo-001.png"])
    assert (shown / "box" / "photo-001.png").read_bytes() == b"somebody's"
    times = fingerprints(shown)
    (shown / "box" / "photo-001.png").unlink()
    (archive.source / "box" / "photo-002.png").unlink()
    from flows.ingest import ingest

    ingest(str(archive.source), home=str(archive.home))
    second = publish(str(shown), home=str(archive.home), source=str(archive.source))
    assert second.totals() == {
        "published": 1, "replaced": 0, "unchanged": 1, "removed": 1, "foreign": 0, "failed": 0,
        "needs_review": 0, "rejected": 0,
    }  # fmt: skip
    assert files_below(shown) == {"box/photo-000.png", "box/photo-001.png", MANIFEST}
    assert fingerprints(shown)["box/photo-000.png"] == times["box/photo-000.png"]
    checked = subprocess.run(["sha256sum", "--check", "--strict", MANIFEST], cwd=shown, capture_output=True)
    assert checked.returncode == 0
    runs = archive.ask("SELECT status FROM run WHERE kind = 'publish'")
    assert runs == [("finished",), ("finished",)]
    events = archive.ask("SELECT COUNT(*) FROM event WHERE type = 'publication' AND run_id IS NOT NULL")
    assert events == [(3,)]


def test_a_manifest_of_others_is_never_written_over(standing: Archive, tmp_path: Path) -> None:
    from flows.publish import publish

    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / MANIFEST).write_text("theirs")
    with pytest.raises(UsageError, match="not from here"):
        publish(str(shown), home=str(standing.home))
    assert files_below(shown) == {MANIFEST}


def test_a_publication_that_was_killed_goes_on(
    standing: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.publish import publish
    from storage.catalog.catalogue import Catalogue

    def killed(*arguments: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "record_publications", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(str(tmp_path / "shown"), home=str(standing.home))
    again = publish(str(tmp_path / "shown"), home=str(standing.home))
    assert (again.published, again.exit_code()) == (3, 0)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket `reading-room` on a real S3 server (moto's); gives its file system."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "S3_ENDPOINT_URL": f"http://{host}:{port}", "S3_REGION": "eu-west-1", "S3_ACCESS_KEY": "key",
        "S3_SECRET_KEY": "secret",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"OLDPHOTO_{name}", value)
    fs = fsspec.filesystem("s3", **Settings.load("unused").store_options("s3://reading-room"))
    fs.mkdir("reading-room")
    yield fs
    server.stop()


def test_a_bucket_is_published_to_and_a_withdrawal_reaches_it(archive: Archive, bucket: Any) -> None:
    from flows.publish import publish

    place = "s3://reading-room/restored"
    assert publish(place, home=str(archive.home)).published == 3
    assert publish(place, home=str(archive.home)).unchanged == 3
    assert archive.command("withdraw", "photo-000.png", "--by", "Ada", "--reason", "family asked", "--yes") == 0
    bucket.invalidate_cache()
    assert sorted(bucket.find("reading-room")) == [
        f"reading-room/restored/{key}" for key in ("box/photo-001.png", "box/photo-002.png", MANIFEST)
    ]
    assert bucket.cat_file(f"reading-room/restored/{MANIFEST}").count(b"\n") == 2


def test_sidecars_are_attached_by_an_ingestion(archive: Archive) -> None:
    fields = archive.ask("SELECT source_key, field, value FROM photo_metadata ORDER BY source_key, field, position")
    assert fields == [
        ("box/photo-000.png", "keywords", "ship"), ("box/photo-000.png", "keywords", "sea"),
        ("box/photo-000.png", "title", "The harbour"), ("box/photo-001.png", "file", "box/photo-001.png"),
        ("box/photo-001.png", "year", "1912"),
    ]  # fmt: skip
    (archive.source / "list.csv").write_text("file;year\nbox/photo-001.png;about 1913\n")
    from flows.ingest import ingest

    ingest(str(archive.source), home=str(archive.home))
    assert archive.ask("SELECT value FROM photo_metadata WHERE field = 'year'") == [("about 1913",)]
    with closing(sqlite3.connect(archive.home / "catalogue.db")) as connection:
        [(detail,)] = connection.execute("SELECT detail FROM source_object WHERE key = 'list.csv'")
    assert detail == "metadata of photo-001.png: 2 fields"
