"""Looks at a folder, one after the other: new, changed, moved, gone, back, alike, left out, left for later."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image

from flows.dry_run import dry_run
from flows.errors import SourceEmptied
from flows.listing import NOT_A_FILE
from flows.settings import Settings
from flows.summary import IngestSummary
from flows.validation import PASSING_REASONS
from oldphoto_core.errors import REFUSAL_REASONS
from storage.catalog import Catalogue
from tests.orchestration.archives import fingerprints, make_photos, picture
from tests.orchestration.fixtures import REPOSITORY


@dataclass
class Archive:
    """A folder of scans, and a home that it is ingested into."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "scans"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def ingest(self, **options: Any) -> IngestSummary:
        from flows.ingest import ingest

        found = ingest(str(self.source), home=str(self.home), settings=self.settings, **options).ingest
        assert found is not None
        return found

    def dry_run(self, **options: Any) -> Any:
        return dry_run(Settings.load(self.home, **self.settings), str(self.source), **options)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with Catalogue.open(self.home / "catalogue.db") as catalogue, catalogue.connected() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    def statuses(self) -> dict[str, str]:
        return dict(self.ask("SELECT key, status FROM source_object"))  # type: ignore[arg-type]


@pytest.fixture
def archive(prefect_server: str, tmp_path: Path) -> Archive:
    made = Archive(tmp_path)
    make_photos(made.source, 4)
    return made


def test_new_changed_moved_gone_and_back_are_told_and_recorded(archive: Archive) -> None:
    """Four photos, a night in which three of them change their lot, and a night after that."""
    first = archive.ingest()
    assert (first.listed, first.registered, first.photos_new, first.read, first.gone) == (4, 4, 4, 4, 0)

    changed, moved, gone, kept = sorted(archive.source.iterdir())
    Image.fromarray(picture(50)).save(changed)
    moved.rename(archive.source / "renamed.png")
    aside = gone.rename(archive.folder / "aside.png")
    second = archive.ingest()
    assert (second.photos_new, second.read, second.changed, second.moved, second.gone) == (1, 2, 1, 1, 2)
    assert (second.registered, second.missing) == (3, 2)
    assert archive.statuses()[kept.name] == "registered"

    aside.rename(gone)
    third = archive.ingest()
    assert (third.reappeared, third.photos_new, third.missing) == (1, 0, 1)

    rows = archive.ask("SELECT detail, note, run_id FROM event WHERE type = 'ingestion' ORDER BY id")
    changes = {json.loads(detail).get("change"): (json.loads(detail), note) for detail, note, _ in rows}
    assert changes["moved"][0] == {"change": "moved", "from": moved.name, "to": "renamed.png"}
    assert set(changes["content"][0]["before_and_after"]) >= {"etag"}
    assert changes["reappeared"][1] == f"{gone.name}: it is back"
    assert {run_id for *_, run_id in rows} == {run_id for (run_id,) in archive.ask("SELECT id FROM run")}


def test_a_night_without_changes_reads_nothing_and_adds_no_event(archive: Archive) -> None:
    archive.ingest()
    before = archive.ask("SELECT COUNT(*) FROM event")
    again = archive.ingest()
    assert (again.listed, again.read, again.registered) == (4, 0, 4)
    assert archive.ask("SELECT COUNT(*) FROM event") == before
    assert archive.ask("SELECT status, objects_seen FROM listing") == [("finished", 4), ("finished", 4)]


def test_versions_of_a_picture_are_linked_and_stay_photos_of_their_own(archive: Archive) -> None:
    """A smaller JPEG beside the scan, added on another night."""
    photo = Image.fromarray(skimage.data.astronaut())
    photo.save(archive.source / "scan.png")
    assert archive.ingest().near_duplicates == 0
    photo.resize((256, 256)).save(archive.source / "for the web.jpg", quality=70)
    found = archive.ingest()
    assert (found.near_duplicates, found.photos_new) == (1, 1)
    ((one, other, distance),) = archive.ask("SELECT photo_key, other_key, distance FROM photo_near_duplicates")
    assert {one, other} == {"scan.png", "for the web.jpg"}
    assert distance <= 4
    assert archive.ask("SELECT COUNT(*) FROM photo WHERE near_checked_at IS NULL") == [(0,)]


def test_patterns_say_what_is_taken_and_are_remembered(archive: Archive) -> None:
    """Until others are given; what was left out is read then."""
    Image.fromarray(picture(9)).save(archive.source / "proof.jpg")
    Image.fromarray(picture(8)).save(archive.source / "a.jpg")
    archive.settings = {"include_patterns": ["*.jpg"], "ignore_patterns": ["proof*"]}
    first = archive.ingest()
    assert (first.registered, first.ignored) == (1, 5)
    reasons = dict(archive.ask("SELECT key, reason FROM source_object WHERE status = 'ignored'"))
    assert reasons["proof.jpg"] == "proof*"
    assert reasons["photo-000.png"] == "not included"
    archive.settings = {}
    assert archive.ingest().registered == 1
    archive.settings = {"include_patterns": [], "ignore_patterns": []}
    everything = archive.ingest()
    assert (everything.registered, everything.ignored, everything.read) == (6, 0, 5)


def test_a_limit_leaves_the_rest_for_the_next_run_and_nothing_is_missing(archive: Archive) -> None:
    """Not even what is gone: the look did not take everything."""
    archive.ingest()
    make_photos(archive.source, 3, start=20)
    (archive.source / "photo-000.png").unlink()
    limited = archive.ingest(limit=2)
    assert (limited.read, limited.left, limited.registered, limited.missing) == (2, 1, 6, 0)
    assert "1 new or changed" in str(limited.note)
    rest = archive.ingest(limit=2)
    assert (rest.read, rest.left, rest.registered, rest.missing) == (1, 0, 6, 1)
    assert [status for (status,) in archive.ask("SELECT status FROM listing ORDER BY id")] == [
        "finished", "abandoned", "finished",
    ]  # fmt: skip


def test_a_dry_run_tells_what_would_be_done_and_writes_nothing(archive: Archive) -> None:
    """At first not even a home; later not a byte of it."""
    found = archive.dry_run()
    assert (found.new, found.read, found.unchanged, found.gone) == (4, 4, 0, 0)
    assert not archive.home.exists()

    archive.ingest()
    (archive.source / "photo-000.png").unlink()
    archive.ingest()
    make_photos(archive.source, 2, start=40)
    make_photos(archive.source, 1, start=0)
    Image.fromarray(picture(60)).save(archive.source / "photo-001.png")
    (archive.source / "photo-002.png").unlink()
    (archive.source / "notes.txt").write_text("box 4")
    before = fingerprints(archive.folder)
    found = archive.dry_run()
    counts = (found.new, found.changed, found.reappeared, found.unchanged, found.ignored, found.gone)
    assert counts == (2, 1, 1, 1, 1, 1)
    assert found.to_restore is None
    limited = archive.dry_run(limit=1)
    assert (limited.gone, limited.note) == (
        0, "3 more would be left by the limit; what is gone shows only where a look is whole",
    )  # fmt: skip
    assert {name: print_ for name, print_ in fingerprints(archive.folder).items() if "catalogue.db-" not in name} == {
        name: print_ for name, print_ in before.items() if "catalogue.db-" not in name
    }


def test_a_dry_run_of_a_whole_run_counts_the_photos_to_restore(
    archive: Archive, release_folder: Path
) -> None:
    """Those on record and those to come, as far as the limit goes."""
    archive.settings = {"release": str(release_folder)}
    archive.ingest()
    make_photos(archive.source, 2, start=40)
    assert archive.dry_run(restoring=True).to_restore == 6
    assert archive.dry_run(restoring=True, limit=3).to_restore == 3


def test_an_empty_folder_is_no_error_and_an_emptied_one_is(archive: Archive) -> None:
    """An unmounted disk looks like this; nothing is missing until somebody means it."""
    (archive.folder / "empty").mkdir()
    nothing = Archive(archive.folder / "empty")
    nothing.source.mkdir()
    assert "shows no object" in str(nothing.ingest().note)

    archive.ingest()
    for path in archive.source.iterdir():
        path.unlink()
    with pytest.raises(SourceEmptied, match=r"4 were registered.*--accept-empty"):
        archive.ingest()
    assert set(archive.statuses().values()) == {"registered"}
    assert archive.ingest(accept_empty=True).missing == 4


def test_a_withdrawn_collection_is_not_read(archive: Archive) -> None:
    archive.ingest()
    with Catalogue.open(archive.home / "catalogue.db") as catalogue:
        catalogue.write(
            lambda connection: connection.exec_driver_sql(
                "UPDATE collection SET state = 'withdrawn', state_by = 'Ada', state_reason = 'rights', state_at = ''"
            )
        )
    make_photos(archive.source, 1, start=70)
    found = archive.ingest()
    assert (found.read, found.listed, found.note is not None) == (0, 0, True)
    assert "withdrawn" in str(found.note)
    assert len(archive.statuses()) == 4
    assert "withdrawn" in str(archive.dry_run().note)


def test_times_in_the_future_change_nothing(archive: Archive) -> None:
    """A scanner's clock is years ahead; a file is new or not by being other than it was."""
    for path in archive.source.iterdir():
        os.utime(path, (4_000_000_000, 4_000_000_000))
    assert archive.ingest().registered == 4
    again = archive.ingest()
    assert (again.read, again.registered, again.missing) == (0, 4, 0)
    next(archive.source.iterdir()).unlink()
    assert archive.ingest().missing == 1


def test_a_folder_that_may_not_be_listed_is_told_and_nothing_in_it_is_missing(archive: Archive) -> None:
    """A link into nothing is one file; a folder that leads back above the source is not followed."""
    (archive.source / "lost.png").symlink_to(archive.folder / "nowhere.png")
    (archive.source / "loop").symlink_to(archive.folder)
    found = archive.ingest()
    assert (found.registered, found.set_aside, found.reasons) == (4, 1, {"not-a-file": 1})
    assert [prefix for prefix, _ in found.unlisted] == ["loop/"]
    again = archive.ingest()
    assert (again.read, again.set_aside, again.missing) == (0, 1, 0)


def test_the_bars_total_grows_with_the_listing(archive: Archive) -> None:
    """A person sees how far it is, as far as the source is listed by then."""
    from flows.progress import Progress, telling

    class Counted(Progress):
        expected = done = 0

        def expect(self, count: int) -> None:
            self.expected += count

        def advance(self, count: int = 1) -> None:
            self.done += count

    bar = Counted()
    (archive.source / "notes.txt").write_text("box 4")
    with telling(bar):
        archive.ingest()
        archive.ingest()
    assert (bar.expected, bar.done) == (10, 10)


def test_two_runs_at_once_lose_nothing_and_miss_no_pair(archive: Archive) -> None:
    """Of the same source into the same catalogue: each object once, each photo once, and near-duplicates linked."""
    photo = Image.fromarray(skimage.data.astronaut())
    photo.save(archive.source / "scan.png")
    photo.resize((256, 256)).save(archive.source / "for the web.jpg", quality=70)
    make_photos(archive.source, 40, start=100)
    program = (
        "import sys\nfrom flows.ingest import ingest\n"
        "print(ingest(sys.argv[1], home=sys.argv[2]).ingest.registered)"
    )
    command = [sys.executable, "-c", program, str(archive.source), str(archive.home)]
    runs = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [int(run.communicate(timeout=200)[0]) for run in runs] == [46, 46]
    assert archive.ask("SELECT COUNT(*), COUNT(DISTINCT photo_id) FROM source_object WHERE status = 'registered'") == [
        (46, 46)
    ]
    assert archive.ask("SELECT COUNT(*) FROM photo") == [(46,)]
    pairs = [set(row) for row in archive.ask("SELECT photo_key, other_key FROM photo_near_duplicates")]
    assert {"scan.png", "for the web.jpg"} in pairs
    assert archive.ask("SELECT status FROM listing") == [("finished",), ("finished",)]


def test_every_reason_is_explained_in_the_documentation() -> None:
    """Those that decoding gives, and those of reading and listing."""
    text = (REPOSITORY / "docs/ingestion.md").read_text()
    assert [reason for reason in (*REFUSAL_REASONS, *PASSING_REASONS, NOT_A_FILE) if f"`{reason}`" not in text] == []


def test_truncated_copies_are_found_among_good_ones(archive: Archive) -> None:
    """Every file is decoded to its end, in whichever thread."""
    data = io.BytesIO()
    Image.fromarray(picture(1)).save(data, "JPEG")
    for number in range(60):
        whole = data.getvalue() if number % 20 else data.getvalue()[:-200]
        (archive.source / f"{number:02d}.jpg").write_bytes(whole)
    found = archive.ingest()
    assert (found.registered, found.reasons) == (61, {"truncated": 3})
    assert [key for key, _ in found.quarantined] == ["00.jpg", "20.jpg", "40.jpg"]
