"""Audits of real files and objects: what is damaged is told, masters stay as they are, derivatives are made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.app import run_command
from storage.catalog import Catalogue
from storage.keys import sha256_hex
from storage.provenance import read_provenance
from storage.urls import canonical_url
from tests.orchestration.archives import fingerprints, make_photos
from tests.orchestration.audited import FILES, PHOTOS, Archive, flip
from tests.store.s3_servers import ACCESS_KEY, REGION, SECRET_KEY, S3Server


def test_all_that_is_sound_is_counted_and_recorded(audited: Archive) -> None:
    before = fingerprints(audited.folder)
    found = audited.audit()
    assert (found.photos, found.masters, found.derivatives) == (PHOTOS, PHOTOS + 1, PHOTOS * FILES)
    assert (found.found.total(), found.to_be_made_again, found.exit_code()) == (0, 0, 0)
    linked = audited.ask(
        "SELECT object_type, COUNT(*) FROM event_history WHERE type = 'fixity check' AND outcome = 'success' "
        f"AND run_id = '{found.run_id}' GROUP BY 1 ORDER BY 1"
    )
    assert linked == [("derivative", PHOTOS), ("photo", PHOTOS), ("source_object", PHOTOS + 1)]
    [(kind, status)] = audited.ask(f"SELECT kind, status FROM run WHERE id = '{found.run_id}'")
    assert (kind, status) == ("audit", "finished")
    after = fingerprints(audited.folder)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} <= {
        "home/catalogue.db", "home/catalogue.db-wal", "home/catalogue.db-shm",
    }  # fmt: skip


def test_damaged_derivatives_are_kept_aside_and_made_again(audited: Archive) -> None:
    """Whichever file it is; and nothing is simply lost: somebody may have edited it on purpose."""
    names = ("restored", "mask", "found", "difference", "preview", "provenance")
    paths = [audited.derivative(name, f"photo-00{number}.png") for number, name in enumerate(names)]
    sound = [path.read_bytes() for path in paths]
    for path in paths[:-1]:
        flip(path)
    paths[-1].write_bytes(b"{}")
    damaged = {path.read_bytes() for path in paths}
    found = audited.audit()
    assert dict(found.found) == {("derivative", "changed"): PHOTOS}
    assert (found.to_be_made_again, found.exit_code(), found.derivatives) == (PHOTOS, 1, PHOTOS * (FILES - 1))
    for path, (_, message) in zip(paths, found.findings, strict=True):
        assert path.name in message
        assert "makes it again" in message
    kept = audited.ask(
        f"SELECT object_id FROM event_history WHERE run_id = '{found.run_id}' AND outcome = 'failure' "
        "AND object_type = 'derivative' AND role = 'outcome'"
    )
    assert {(audited.home / "derivatives" / str(key)).read_bytes() for (key,) in kept} == damaged
    assert audited.events() == [*[("failure",)] * PHOTOS, ("success",)]
    assert audited.ask("SELECT COUNT(*), COUNT(deleted_at) FROM restoration") == [(PHOTOS, PHOTOS)]

    made = audited.restore()
    assert (made.restored + made.unchanged, made.failed) == (PHOTOS, ())
    assert [path.read_bytes() for path in paths[:-1]] == sound[:-1]  # the last one holds times
    for key, run_id in audited.ask("SELECT provenance_key, run_id FROM restoration"):
        document = read_provenance((audited.home / "derivatives" / str(key)).read_bytes())
        assert document["made_by"]["run_id"] == run_id  # the new attempt's, not the old one's taken over
    again = audited.audit()
    assert (again.exit_code(), again.derivatives) == (0, PHOTOS * FILES)
    shown = audited.home / "browse" / "photo-000.png.png"
    assert shown.read_bytes() == sound[0]


def test_a_derivative_that_is_gone_is_made_again(audited: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one that an audit moved aside which was killed before it could record that."""
    damaged, gone = audited.derivative("restored", "photo-001.png"), audited.derivative("restored", "photo-002.png")
    sound = [damaged.read_bytes(), gone.read_bytes()]
    flip(damaged)
    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "record_audit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            audited.audit()
    assert not damaged.exists()
    gone.unlink()
    found = audited.audit()
    assert dict(found.found) == {("derivative", "gone"): 3}  # the moved one's provenance document too
    assert (found.to_be_made_again, audited.restore().failed) == (2, ())
    assert [damaged.read_bytes(), gone.read_bytes()] == sound
    assert audited.audit().exit_code() == 0


def interrupted(*arguments: object, **keywords: object) -> None:
    raise KeyboardInterrupt


def test_a_damaged_master_is_told_and_left_alone(audited: Archive) -> None:
    """With what was expected, what was found, and where a whole copy of it lies."""
    path = audited.source / "photo-000.png"
    flip(path)
    flip(audited.source / "photo-001.png", keep_time=False)
    (audited.source / "photo-002.png").unlink()
    before = fingerprints(audited.source)
    found = audited.audit()
    assert fingerprints(audited.source) == before
    assert dict(found.found) == {("master", "changed"): 2, ("master", "gone"): 1}
    damaged, replaced, gone = sorted(message for _, message in found.findings)
    [(expected,)] = audited.ask(
        "SELECT sha256 FROM photo JOIN source_object o ON o.photo_id = photo.id WHERE o.key = 'copy.png'"
    )
    assert damaged.startswith("photo-000.png: damaged")
    assert expected[:12] in damaged
    assert before["photo-000.png"].sha256[:12] in damaged
    assert f"{canonical_url(audited.source)}/copy.png, which is whole" in damaged
    assert "run `oldphoto ingest` if it was scanned anew, else bring it back from a backup" in replaced
    assert gone.startswith("photo-002.png: gone")
    assert audited.ask("SELECT DISTINCT status FROM source_object") == [("registered",)]
    assert audited.ask(
        "SELECT object_id FROM event_history WHERE outcome = 'failure' AND object_type = 'source_object' ORDER BY 1"
    ) == [(f"{canonical_url(audited.source)}/photo-00{number}.png",) for number in range(3)]


def test_nothing_is_taken_away_that_could_not_be_made_again(audited: Archive) -> None:
    """Where the master is damaged too, or the photo is held."""
    flip(audited.source / "photo-001.png")
    with Catalogue.open(audited.home / "catalogue.db") as catalogue:
        held = sha256_hex((audited.source / "photo-002.png").read_bytes())
        assert catalogue.set_photo_state(held, "held", by="Ada", reason="rights unclear")
    for key in ("photo-001.png", "photo-002.png"):
        flip(audited.derivative("preview", key))
    before = fingerprints(audited.home / "derivatives")
    found = audited.audit()
    assert fingerprints(audited.home / "derivatives") == before
    assert (found.found["derivative", "changed"], found.to_be_made_again) == (2, 0)
    assert audited.ask("SELECT COUNT(deleted_at) FROM restoration") == [(0,)]
    told = [message for _, message in found.findings if "left as it is" in message]
    assert ["no master" in message or "is held" in message for message in told] == [True, True]


def test_what_cannot_be_read_is_no_verdict(audited: Archive) -> None:
    """A disk's error, or a folder in the file's place: the file may be whole. What is beside it waits."""
    for path in (audited.source / "photo-003.png", audited.derivative("mask", "photo-001.png")):
        path.rename(path.with_name(f"{path.name}.away"))
        path.mkdir()
    flip(audited.derivative("preview", "photo-001.png"))
    found = audited.audit()
    assert dict(found.found) == {
        ("master", "unreadable"): 1, ("derivative", "unreadable"): 1, ("derivative", "changed"): 1,
    }  # fmt: skip
    assert (found.to_be_made_again, found.exit_code()) == (0, 1)
    assert audited.events() == [("failure",), ("warning",), ("success",)]
    assert audited.ask("SELECT COUNT(deleted_at) FROM restoration") == [(0,)]


def test_the_command_tells_all_and_exits_with_1(audited: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    home = ("--home", str(audited.home))
    assert run_command(["audit", *home]) == 0
    flip(audited.source / "photo-001.png")
    flip(audited.derivative("mask"))
    capsys.readouterr()
    assert run_command(["audit", "--limit", "50", *home]) == 1
    told = capsys.readouterr().out
    for words in ("photo-001.png: damaged", "mask.png: changed", "to be made again", "1 master, 1 derivative"):
        assert words in " ".join(told.split())
    assert run_command(["audit", "--source", str(audited.home), *home]) == 2


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
