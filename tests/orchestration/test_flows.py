"""Whole flows in this process: a real Prefect server, a real Dask worker, real files, a release of toy size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from flows.summary import RunSummary
from oldphoto_core.images import decode_image, open_image
from oldphoto_core.xmp import RESTORED_TYPE
from storage.catalog.catalogue import Catalogue
from storage.keys import sha256_hex
from storage.provenance import read_provenance
from storage.queries import read_only_query
from tests.orchestration.archives import (
    DUPLICATES,
    IGNORED,
    PHOTOS,
    QUARANTINED,
    Fingerprint,
    fingerprints,
    make_photos,
    make_scans,
    picture,
)
from tests.orchestration.fixtures import REPOSITORY

HEAVY = ("torch", "dask", "distributed", "prefect_dask")


@dataclass(frozen=True)
class Archive:
    """A source that was run once."""

    source: Path
    home: Path
    release: Path
    before: dict[str, Fingerprint]
    summary: RunSummary

    @property
    def settings(self) -> dict[str, str]:
        return {"release": str(self.release)}

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        return read_only_query(self.home / "catalogue.db", sql).rows


@pytest.fixture(scope="module")
def archive(prefect_server: str, release_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """The scans of `archives.make_scans` after one run."""
    from flows.run import run

    folder = tmp_path_factory.mktemp("archive")
    source = make_scans(folder / "scans")
    before = fingerprints(source)
    summary = run(str(source), home=str(folder / "home"), settings={"release": str(release_folder)})
    return Archive(source, folder / "home", release_folder, before, summary)


def test_every_file_is_accounted_for(archive: Archive) -> None:
    found, made = archive.summary.ingest, archive.summary.restore
    assert found is not None
    assert made is not None
    assert (found.registered, found.ignored, dict(found.quarantined)) == (len(PHOTOS), len(IGNORED), QUARANTINED)
    assert found.photos_new == len(PHOTOS) - len(DUPLICATES) + 1 == made.restored + made.unchanged
    assert (made.failed, made.already_done, found.unlisted) == ((), 0, ())
    assert archive.summary.exit_code() == 3
    assert archive.summary.exit_code(accept_quarantine=True) == 0
    statuses = dict(archive.ask("SELECT key, status FROM source_object"))  # type: ignore[arg-type]
    assert statuses.keys() == archive.before.keys()


def test_masters_keep_their_bytes_and_times(archive: Archive) -> None:
    assert fingerprints(archive.source) == archive.before


def test_five_names_of_one_picture_are_one_photo_and_five_files_to_browse(archive: Archive) -> None:
    rows = archive.ask("SELECT DISTINCT photo_id FROM source_object WHERE key LIKE 'same/%'")
    assert len(rows) == 1
    shown = [archive.home / "browse" / f"{name}.png" for name in DUPLICATES]
    assert len({path.stat().st_ino for path in shown}) == 1


def test_near_namesakes_do_not_meet(archive: Archive) -> None:
    jpg, png = archive.home / "browse/a.jpg.png", archive.home / "browse/a.png.png"
    assert jpg.stat().st_ino != png.stat().st_ino


def test_every_photo_can_be_found_by_the_name_that_a_person_knows(archive: Archive) -> None:
    extensions = {"grey.tif": "tif"}
    for name in PHOTOS:
        path = archive.home / "browse" / f"{name}.{extensions.get(name, 'png')}"
        with Image.open(path) as shown, Image.open(archive.source / name) as master:
            assert shown.size == master.size


def test_sixteen_bit_grey_stays_so(archive: Archive) -> None:
    with Image.open(archive.home / "browse/grey.tif.tif") as shown:
        assert shown.mode.startswith("I;16")


def test_derivatives_are_the_ones_on_record(archive: Archive) -> None:
    names = ("restored", "mask", "found", "difference", "preview")
    columns = ", ".join(f"{name}_key, {name}_sha256" for name in names)
    rows = archive.ask(f"SELECT {columns}, provenance_key, outcome, work_hash FROM restoration")
    assert rows
    for *pairs, provenance_key, outcome, work_hash in rows:
        for key, sha256 in zip(pairs[::2], pairs[1::2], strict=True):
            assert sha256_hex((archive.home / "derivatives" / str(key)).read_bytes()) == sha256
        document = read_provenance((archive.home / "derivatives" / str(provenance_key)).read_bytes())
        assert (document["outcome"], document["work_hash"]) == (outcome, work_hash)


def test_derivatives_say_of_which_master_and_by_which_release_they_are(archive: Archive) -> None:
    columns = "restored_key, photo_sha256, release, weights_hash, outcome"
    rows = archive.ask(f"SELECT {columns} FROM restoration_history")
    assert rows
    for key, photo_sha256, release, weights_hash, outcome in rows:
        packet = decode_image((archive.home / "derivatives" / str(key)).read_bytes(), str(key)).xmp
        assert packet is not None
        for words in (f"nih:sha-256;{photo_sha256}", f"release {release}", f"weights {weights_hash}"):
            assert words in packet.decode()
        assert (RESTORED_TYPE in packet.decode()) == (outcome == "restored")


def test_an_unchanged_photo_has_its_masters_pixels(archive: Archive) -> None:
    rows = archive.ask(
        "SELECT source_key, restored_key FROM restoration_history WHERE outcome = 'unchanged' AND format = 'png'"
    )
    for source_key, restored_key in rows:
        restored_path = archive.home / "derivatives" / str(restored_key)
        with Image.open(archive.source / str(source_key)) as master, Image.open(restored_path) as restored:
            assert master.tobytes() == restored.tobytes()


def test_what_happened_is_on_record_in_premis_terms(archive: Archive) -> None:
    counts = dict(archive.ask("SELECT type || ' ' || outcome, COUNT(*) FROM event GROUP BY 1"))  # type: ignore[arg-type]
    photos = len(PHOTOS) - len(DUPLICATES) + 1
    assert counts["restoration success"] == photos
    assert counts["validation failure"] == len(QUARANTINED)
    assert counts["ingestion success"] >= 1
    assert counts["fixity check success"] >= 1
    checked = archive.ask(
        "SELECT COUNT(DISTINCT object_id) FROM event_object JOIN event ON event.id = event_id "
        "WHERE type = 'fixity check' AND object_type = 'photo'"
    )
    assert checked == [(photos,)]


def test_no_lease_and_no_lock_outlive_the_run(archive: Archive) -> None:
    assert archive.ask("SELECT * FROM lease") == []
    assert list((archive.home / "work/runs").iterdir()) == []


def test_the_run_leaves_a_page(archive: Archive) -> None:
    assert archive.summary.report_path is not None
    page = archive.summary.report_path.read_text()
    assert page == (archive.home / "reports/latest.html").read_text()
    for name in ("a.jpg", "bad/half.jpg", "truncated"):
        assert name in page
    totals = json.loads(str(archive.ask("SELECT totals FROM run")[0][0]))
    assert totals == archive.summary.totals()


def test_a_second_run_does_nothing_and_loads_neither_torch_nor_dask(archive: Archive) -> None:
    program = (
        "import json, sys\nfrom flows.run import run\n"
        "source, home, release = sys.argv[1:]\n"
        "summary = run(source, home=home, settings={'release': release})\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps([summary.totals(), summary.ingest.read, summary.restore.did_nothing, loaded]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(archive.source), str(archive.home), str(archive.release)],
        cwd=REPOSITORY, env=dict(os.environ), capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    totals, read, did_nothing, loaded = json.loads(done.stdout)
    assert (read, did_nothing, loaded) == (0, True, [])
    assert totals["already_done"] == len(PHOTOS) - len(DUPLICATES) + 1
    assert (totals["restored"], totals["unchanged"], totals["failed"]) == (0, 0, 0)


def test_one_bad_photo_fails_alone_and_a_moved_one_is_shown_where_it_is(
    prefect_server: str, dask_scheduler: str, release_folder: Path, tmp_path: Path
) -> None:
    from flows.ingest import ingest
    from flows.restore import restore

    source, home = tmp_path / "scans", tmp_path / "home"
    _, second, third = make_photos(source, 3)
    ingest(str(source), home=str(home), settings={"mode": "scratches"})
    settings = {"release": str(release_folder), "scheduler": dask_scheduler}
    kept = second.read_bytes()
    Image.fromarray(picture(99)).save(second)

    made = restore(home=str(home), settings=settings).restore
    assert made is not None
    assert made.restored + made.unchanged == 2
    ((name, error),) = made.failed
    assert name == second.name
    assert "changed since it was registered" in error
    assert "\n" not in error
    with Catalogue.open(home / "catalogue.db") as catalogue:
        assert {row.mode for row in catalogue.history()} == {"scratches"}  # as it was said at ingestion

    second.write_bytes(kept)
    third.rename(source / "renamed.png")
    found = ingest(str(source), home=str(home)).ingest
    assert found is not None
    assert (found.registered, found.missing, found.photos_new) == (3, 1, 0)
    again = restore(home=str(home), settings=settings).restore
    assert again is not None
    assert (again.failed, again.already_done, again.restored + again.unchanged) == ((), 2, 1)
    assert (home / "browse/renamed.png.png").exists()


def test_recto_and_verso_in_one_tiff_are_one_photo_restored_page_by_page(
    prefect_server: str, release_folder: Path, tmp_path: Path
) -> None:
    """A PNG was asked for, which holds one page: they are a TIFF all the same, and the report says so."""
    from flows.run import run

    source, home = tmp_path / "scans", tmp_path / "home"
    source.mkdir()
    pages = picture(1), picture(2, height=120, width=80)[:, :, 0].astype(np.uint16) * 257
    with tifffile.TiffWriter(source / "print.tif") as writer:
        for pixels in pages:
            writer.write(pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", metadata=None)
    settings = {"release": str(release_folder), "output_format": "png"}
    made = run(str(source), home=str(home), settings=settings)
    assert made.exit_code() == 0
    columns = "width, height, bit_depth, capture, report, restored_key, megapixels"
    ((*facts, capture, report, key, megapixels),) = read_only_query(
        home / "catalogue.db", f"SELECT p.{columns} FROM restoration r JOIN photo p ON p.id = r.photo_id"
    ).rows
    assert (facts, json.loads(str(capture))["pages"]) == ([96, 72 + 120, 16], "2")
    told = json.loads(str(report))
    assert len(told["pages"]) == 2
    assert "written as TIFF, since png holds one page" in told["notes"]
    assert megapixels == (72 * 96 + 120 * 80) / 1e6
    with (home / "derivatives" / str(key)).open("rb") as file, open_image(file, "restored.tif") as restored:
        shapes = [(page.scan.shape, page.scan.dtype.itemsize) for page in restored.pages]
        assert shapes == [((72, 96, 3), 1), ((120, 80), 2)]
    assert (home / "browse/print.tif.tif").samefile(home / "derivatives" / str(key))
    names = ("mask.png", "found.png", "difference.png")
    parts = [Image.open((home / "derivatives" / str(key)).with_name(name)) for name in names]
    assert {part.size for part in parts} == {(96, 192)}
