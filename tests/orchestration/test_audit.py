"""Audits of real files and objects: what is damaged is told, masters stay as they are, derivatives are made again."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flows.audit_summary import AuditSummary
from flows.cli.app import run_command
from flows.errors import UsageError
from storage.catalog import Catalogue
from storage.errors import StoreUnavailable
from storage.keys import sha256_hex
from storage.provenance import read_provenance
from storage.queries import read_only_query
from storage.urls import canonical_url
from tests.orchestration.archives import fingerprints, make_photos
from tests.store.s3_servers import ACCESS_KEY, REGION, SECRET_KEY, S3Server

PHOTOS = 5
FILES = 5
"""Of a restoration."""


@dataclass
class Archive:
    """A source of photos and one more copy, restored."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "scans"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def audit(self, **given: Any) -> AuditSummary:
        from flows.audit import audit

        return audit(home=str(self.home), settings=self.settings, **given)

    def restore(self) -> Any:
        from flows.restore import restore

        return restore(home=str(self.home), settings=self.settings).restore

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return read_only_query(self.home / "catalogue.db", sql).rows

    def derivative(self, name: str, source_key: str = "photo-000.png") -> Path:
        """The file of this name (`restored`, `mask`…) of a photo's restoration."""
        [(key,)] = self.ask(
            f"SELECT r.{name}_key FROM restoration r JOIN source_object o ON o.photo_id = r.photo_id "
            f"WHERE o.key = '{source_key}'"
        )
        return self.home / "derivatives" / str(key)

    def events(self) -> list[tuple[Any, ...]]:
        """Outcomes of the latest audit's fixity checks."""
        return self.ask(
            "SELECT outcome FROM event WHERE type = 'fixity check' AND run_id = "
            "(SELECT id FROM run WHERE kind = 'audit' ORDER BY number DESC LIMIT 1) ORDER BY id"
        )


@pytest.fixture(scope="module")
def restored(
    prefect_server: str, dask_scheduler: str, release_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Archive:
    """The archive that each test gets a copy of."""
    from flows.run import run

    settings = {"release": str(release_folder), "scheduler": dask_scheduler}
    made = Archive(tmp_path_factory.mktemp("audited"), settings)
    first, *_ = make_photos(made.source, PHOTOS)
    shutil.copyfile(first, made.source / "copy.png")
    run(str(made.source), home=str(made.home), settings=settings)
    return made


@pytest.fixture
def archive(restored: Archive, tmp_path: Path) -> Archive:
    """A restored archive that the test may damage."""
    shutil.copytree(restored.folder, tmp_path / "archive")
    copy = Archive(tmp_path / "archive", restored.settings)
    with closing(sqlite3.connect(copy.home / "catalogue.db")) as connection, connection:
        connection.execute("UPDATE collection SET url = ?", [canonical_url(copy.source)])
    return copy


def flip(path: Path, *, keep_time: bool = True) -> None:
    """Changes one bit in the middle, as a disk does, which keeps size and time."""
    data, status = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    if keep_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_all_that_is_sound_is_counted_and_recorded(archive: Archive) -> None:
    before = fingerprints(archive.folder)
    found = archive.audit()
    assert (found.photos, found.masters, found.derivatives) == (PHOTOS, PHOTOS + 1, PHOTOS * FILES)
    assert (found.found.total(), found.to_be_made_again, found.exit_code()) == (0, 0, 0)
    linked = archive.ask(
        "SELECT object_type, COUNT(*) FROM event_history WHERE type = 'fixity check' AND outcome = 'success' "
        f"AND run_id = '{found.run_id}' GROUP BY 1 ORDER BY 1"
    )
    assert linked == [("derivative", PHOTOS), ("photo", PHOTOS), ("source_object", PHOTOS + 1)]
    [(kind, status)] = archive.ask(f"SELECT kind, status FROM run WHERE id = '{found.run_id}'")
    assert (kind, status) == ("audit", "finished")
    after = fingerprints(archive.folder)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} <= {
        "home/catalogue.db", "home/catalogue.db-wal", "home/catalogue.db-shm",
    }  # fmt: skip


def test_damaged_derivatives_are_kept_aside_and_made_again(archive: Archive) -> None:
    """Whichever file it is; and nothing is simply lost: somebody may have edited it on purpose."""
    names = ("restored", "mask", "difference", "preview", "provenance")
    paths = [archive.derivative(name, f"photo-00{number}.png") for number, name in enumerate(names)]
    sound = [path.read_bytes() for path in paths]
    for path in paths[:-1]:
        flip(path)
    paths[-1].write_bytes(b"{}")
    damaged = {path.read_bytes() for path in paths}
    found = archive.audit()
    assert dict(found.found) == {("derivative", "changed"): PHOTOS}
    assert (found.to_be_made_again, found.exit_code(), found.derivatives) == (PHOTOS, 1, PHOTOS * (FILES - 1))
    for path, (_, message) in zip(paths, found.findings, strict=True):
        assert path.name in message
        assert "makes it again" in message
    kept = archive.ask(
        f"SELECT object_id FROM event_history WHERE run_id = '{found.run_id}' AND outcome = 'failure' "
        "AND object_type = 'derivative' AND role = 'outcome'"
    )
    assert {(archive.home / "derivatives" / str(key)).read_bytes() for (key,) in kept} == damaged
    assert archive.events() == [*[("failure",)] * PHOTOS, ("success",)]
    assert archive.ask("SELECT COUNT(*), COUNT(deleted_at) FROM restoration") == [(PHOTOS, PHOTOS)]

    made = archive.restore()
    assert (made.restored + made.unchanged, made.failed) == (PHOTOS, ())
    assert [path.read_bytes() for path in paths[:-1]] == sound[:-1]  # the last one holds times
    for key, run_id in archive.ask("SELECT provenance_key, run_id FROM restoration"):
        document = read_provenance((archive.home / "derivatives" / str(key)).read_bytes())
        assert document["made_by"]["run_id"] == run_id  # the new attempt's, not the old one's taken over
    again = archive.audit()
    assert (again.exit_code(), again.derivatives) == (0, PHOTOS * FILES)
    shown = archive.home / "browse" / "photo-000.png.png"
    assert shown.read_bytes() == sound[0]


def test_a_derivative_that_is_gone_is_made_again(archive: Archive) -> None:
    path = archive.derivative("restored", "photo-002.png")
    sound = path.read_bytes()
    path.unlink()
    found = archive.audit()
    assert (dict(found.found), found.to_be_made_again) == ({("derivative", "gone"): 1}, 1)
    assert archive.restore().failed == ()
    assert path.read_bytes() == sound
    assert archive.audit().exit_code() == 0


def test_a_damaged_master_is_told_and_left_alone(archive: Archive) -> None:
    """With what was expected, what was found, and where a whole copy of it lies."""
    path = archive.source / "photo-000.png"
    flip(path)
    flip(archive.source / "photo-001.png", keep_time=False)
    (archive.source / "photo-002.png").unlink()
    before = fingerprints(archive.source)
    found = archive.audit()
    assert fingerprints(archive.source) == before
    assert dict(found.found) == {("master", "changed"): 2, ("master", "gone"): 1}
    damaged, replaced, gone = sorted(message for _, message in found.findings)
    [(expected,)] = archive.ask(
        "SELECT sha256 FROM photo JOIN source_object o ON o.photo_id = photo.id WHERE o.key = 'copy.png'"
    )
    assert damaged.startswith("photo-000.png: damaged")
    assert expected[:12] in damaged
    assert before["photo-000.png"].sha256[:12] in damaged
    assert f"{canonical_url(archive.source)}/copy.png, which is whole" in damaged
    assert "run `oldphoto ingest` if it was scanned anew, else bring it back from a backup" in replaced
    assert gone.startswith("photo-002.png: gone")
    assert archive.ask("SELECT DISTINCT status FROM source_object") == [("registered",)]
    assert archive.ask(
        "SELECT object_id FROM event_history WHERE outcome = 'failure' AND object_type = 'source_object' ORDER BY 1"
    ) == [(f"{canonical_url(archive.source)}/photo-00{number}.png",) for number in range(3)]


def test_nothing_is_taken_away_that_could_not_be_made_again(archive: Archive) -> None:
    """Where the master is damaged too, or the photo is held."""
    flip(archive.source / "photo-001.png")
    with Catalogue.open(archive.home / "catalogue.db") as catalogue:
        held = sha256_hex((archive.source / "photo-002.png").read_bytes())
        assert catalogue.set_photo_state(held, "held", by="Ada", reason="rights unclear")
    for key in ("photo-001.png", "photo-002.png"):
        flip(archive.derivative("preview", key))
    before = fingerprints(archive.home / "derivatives")
    found = archive.audit()
    assert fingerprints(archive.home / "derivatives") == before
    assert (found.found["derivative", "changed"], found.to_be_made_again) == (2, 0)
    assert archive.ask("SELECT COUNT(deleted_at) FROM restoration") == [(0,)]
    told = [message for _, message in found.findings if "left as it is" in message]
    assert ["no master" in message or "is held" in message for message in told] == [True, True]


def test_what_cannot_be_read_is_no_verdict(archive: Archive) -> None:
    """A disk's error, or a folder in the file's place: the file may be whole."""
    for path in (archive.source / "photo-003.png", archive.derivative("mask", "photo-001.png")):
        path.rename(path.with_name(f"{path.name}.away"))
        path.mkdir()
    found = archive.audit()
    assert dict(found.found) == {("master", "unreadable"): 1, ("derivative", "unreadable"): 1}
    assert (found.to_be_made_again, found.exit_code()) == (0, 1)
    assert archive.events() == [("warning",), ("success",)]
    assert archive.ask("SELECT COUNT(deleted_at) FROM restoration") == [(0,)]


@pytest.mark.parametrize("store", ["scans", "home/derivatives"])
def test_a_store_that_is_not_mounted_is_told_as_a_whole(archive: Archive, store: str) -> None:
    folder = archive.folder / store
    folder.rename(archive.folder / "unmounted")
    folder.mkdir()
    found = archive.audit()
    assert [url for url, _ in found.absent] == [canonical_url(folder)]
    assert (found.found.total(), found.exit_code()) == (0, 1)
    assert (found.masters, found.derivatives) == ((0, PHOTOS * FILES) if store == "scans" else (PHOTOS + 1, 0))
    assert archive.ask("SELECT COUNT(deleted_at) FROM restoration") == [(0,)]
    if store != "scans":
        accepted = archive.audit(accept_empty=True)
        assert (accepted.of("gone"), accepted.to_be_made_again) == (PHOTOS * FILES, PHOTOS)


def test_another_place_than_the_right_one_marks_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.audit_checks._GONE_ALLOWED", 2 * FILES)
    (archive.folder / "elsewhere").mkdir()
    (archive.folder / "elsewhere" / "notes.txt").write_text("not the store")
    archive.settings = archive.settings | {"derivatives_url": str(archive.folder / "elsewhere")}
    with pytest.raises(StoreUnavailable, match="is it the right place"):
        archive.audit()
    assert archive.ask("SELECT COUNT(deleted_at) FROM restoration") == [(0,)]
    assert archive.ask("SELECT status FROM run WHERE kind = 'audit'") == [("failed",)]


def test_a_part_each_time_comes_to_every_photo_in_turn(archive: Archive) -> None:
    """And begins again from the first; a share is a part too, and a source has a round of its own."""
    seen = []
    for _ in range(PHOTOS):
        found = archive.audit(limit=2)
        assert (found.photos, found.left, found.went_on) == (2, PHOTOS - 2, False)
        seen += archive.ask(
            "SELECT object_id FROM event_history WHERE type = 'fixity check' AND object_type = 'derivative' "
            f"AND run_id = '{found.run_id}' ORDER BY object_id"
        )
    assert [seen.count(one) for one in set(seen)] == [2] * PHOTOS
    assert archive.audit(share=0.5).photos == 3
    assert archive.audit(source=str(archive.source), limit=1).photos == 1
    for wrong in ({"limit": 0}, {"share": 0.0}, {"source": str(archive.home)}):
        with pytest.raises(UsageError):
            archive.audit(**wrong)


def test_an_audit_that_was_killed_goes_on(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.audit._BATCH", 1)
    flip(archive.source / "photo-001.png")
    ordinary = Catalogue.record_audit
    recorded = []

    def killed(self: Catalogue, *arguments: Any, **keywords: Any) -> None:
        if len(recorded) == 3:
            raise KeyboardInterrupt
        recorded.append(arguments)
        ordinary(self, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "record_audit", killed)
        with pytest.raises(KeyboardInterrupt):
            archive.audit()
    rest = archive.audit()
    assert (rest.photos, rest.went_on, rest.exit_code()) == (PHOTOS - 3, True, 0)
    whole = archive.audit()
    assert (whole.photos, whole.went_on, whole.of("changed")) == (PHOTOS, False, 1)


def test_what_is_withdrawn_or_ingested_anew_meanwhile_is_no_finding(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue is asked once more before anything is told."""
    from flows.audit_checks import Auditor
    from flows.states import change_state, find_meant, finish_withdrawals

    ordinary = Auditor.check_photo
    key = "photo-003.png"

    def withdrawn_first(self: Auditor, photo: Any) -> Any:
        if photo.masters[0].entry.key == key:
            with Catalogue.open(archive.home / "catalogue.db") as catalogue:
                change_state(catalogue, find_meant(catalogue, key), "withdrawn", by="Ada", reason="family asked")
                from flows.settings import Settings

                finish_withdrawals(catalogue, Settings.load(archive.home))
        return ordinary(self, photo)

    monkeypatch.setattr(Auditor, "check_photo", withdrawn_first)
    found = archive.audit()
    assert (found.found.total(), found.masters, found.derivatives) == (0, PHOTOS + 1, (PHOTOS - 1) * FILES)


def test_the_command_tells_all_and_exits_with_1(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    home = ("--home", str(archive.home))
    assert run_command(["audit", *home]) == 0
    flip(archive.source / "photo-001.png")
    flip(archive.derivative("mask"))
    capsys.readouterr()
    assert run_command(["audit", "--limit", "50", *home]) == 1
    told = capsys.readouterr().out
    for words in ("photo-001.png: damaged", "mask.png: changed", "to be made again", "1 master, 1 derivative"):
        assert words in " ".join(told.split())
    assert run_command(["audit", "--source", str(archive.home), *home]) == 2


def test_masters_and_derivatives_in_buckets_are_audited_alike(
    prefect_server: str, dask_scheduler: str, release_folder: Path, moto: S3Server, tmp_path: Path
) -> None:
    from flows.run import run

    masters, results = moto.new_bucket(), moto.new_bucket()
    named = {"endpoint_url": moto.endpoint_url, "region": REGION, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    settings = {
        "release": str(release_folder), "scheduler": dask_scheduler, "derivatives_url": results, "s3": named,
    }  # fmt: skip
    archive = Archive(tmp_path, settings)
    (tmp_path / "home").mkdir()
    for path in make_photos(tmp_path / "made", 3):
        moto.store(masters).write_bytes_atomic(path.name, path.read_bytes())
    run(masters, home=str(archive.home), settings=settings)
    found = archive.audit()
    assert (found.masters, found.derivatives, found.exit_code()) == (3, 3 * FILES, 0)

    store = moto.store(results)
    [(restored_key, mask_key), *_] = archive.ask("SELECT restored_key, mask_key FROM restoration ORDER BY photo_id")
    sound = store.read_bytes(restored_key)
    store.write_bytes_atomic(restored_key, b"damaged")
    store.delete(mask_key)
    moto.store(masters).write_bytes_atomic("photo-002.png", b"another scan")
    found = archive.audit()
    assert dict(found.found) == {
        ("derivative", "changed"): 1, ("derivative", "gone"): 1, ("master", "changed"): 1,
    }  # fmt: skip
    assert "replaced since it was registered" in " ".join(message for _, message in found.findings)
    assert moto.store(masters).read_bytes("photo-002.png") == b"another scan"
    made = archive.restore()
    assert (made.restored + made.unchanged, made.failed) == (1, ())
    assert store.read_bytes(restored_key) == sound
    again = archive.audit()
    assert (again.of("gone"), again.found["derivative", "changed"], again.masters) == (0, 0, 2)

    archive.settings = settings | {"s3": named | {"endpoint_url": "http://127.0.0.1:9", "attempts": 1}}
    silent = archive.audit()
    assert ([url for url, _ in silent.absent], silent.photos, silent.exit_code()) == ([masters, results], 0, 1)
