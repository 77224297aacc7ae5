"""Batches in a worker: stages that overlap, photos that fail alone, and stores that are busy for a while."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from flows.errors import DerivativesUnwritable, FlowsError, SourceChanged
from flows.overlap import UNDER_WAY_MEGAPIXELS, restore_photos
from flows.patience import patient
from flows.restore_job import RestoreJob
from flows.restore_stages import StoppableScan, fetch, keep, mend
from oldphoto_core import Restorer
from oldphoto_core.restoration.scan_restoration import Wanted
from oldphoto_core.scan import ArrayScan
from storage.errors import ObjectNotFound, StoreUnavailable
from storage.keys import WorkParameters, sha256_hex, work_hash
from storage.objects import ObjectStore
from storage.records import PhotoWork, SourceRef
from tests.orchestration.archives import make_photos


@pytest.fixture(scope="module")
def restorer(release_folder: Path) -> Restorer:
    return Restorer.from_release(str(release_folder), device="cpu")


def job_for(restorer: Restorer, release_folder: Path, derivatives: Path) -> RestoreJob:
    parameters = WorkParameters(weights_hash=restorer.card.weights_hash)
    return RestoreJob(
        parameters=parameters, release=restorer.card.name, release_folder=str(release_folder),
        derivatives_url=str(derivatives), labels_url=str(derivatives.parent / "labels"), patience_s=0.5,
    )  # fmt: skip


def works_of(scans: Path, paths: list[Path], job: RestoreJob) -> list[PhotoWork]:
    return [
        PhotoWork(
            photo_sha256=sha256_hex(path.read_bytes()), work_hash=work_hash(job.parameters), size_bytes=1,
            sources=(SourceRef(collection_id=1, collection_url=f"file://{scans}", key=path.name, browse_folder=""),),
            format="png", height=72, width=96, channels=3, bit_depth=8,
        )
        for path in paths
    ]  # fmt: skip


def test_records_come_in_order_and_a_bad_photo_fails_alone(
    restorer: Restorer, release_folder: Path, tmp_path: Path
) -> None:
    """One master was changed since it was registered, which is not the photo's doing; another is no picture."""
    paths = make_photos(tmp_path / "scans", 9)
    paths[3].write_text("not a picture any more")
    job = job_for(restorer, release_folder, tmp_path / "derivatives")
    works = works_of(tmp_path / "scans", paths, job)
    paths[6].write_bytes(paths[5].read_bytes())
    records = restore_photos(job, works, restorer)
    assert [record.photo_sha256 for record in records] == [work.photo_sha256 for work in works]
    outcomes = {number: record for number, record in enumerate(records) if record.outcome == "failed"}
    assert outcomes.keys() == {3, 6}
    assert (outcomes[3].tries, outcomes[6].tries) == (1, 0)
    assert "changed since it was registered" in str(outcomes[6].error)
    store = ObjectStore(str(tmp_path / "derivatives"))
    kept = [record for record in records if record.outcome != "failed"]
    assert all(store.exists(str(record.provenance_key)) for record in kept) and len(kept) == 7


def test_a_master_that_is_written_to_while_it_is_restored_is_told(
    restorer: Restorer, release_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large one in a folder is not copied: what was read of it may be of neither the old nor the new."""
    monkeypatch.setattr("storage.whole_objects.HELD_BYTES", 0)
    monkeypatch.setattr("oldphoto_core.opening.LARGE_PX", 0)
    scan = tmp_path / "scans" / "a.tif"
    scan.parent.mkdir()
    tifffile.imwrite(scan, np.full((90, 120, 3), 90, np.uint8), photometric="rgb")
    job = job_for(restorer, release_folder, tmp_path / "derivatives")
    [work] = works_of(scan.parent, [scan], job)
    fetched = fetch(job, replace(work, format="tiff"))
    with scan.open("r+b") as file:
        file.seek(-100, 2)
        file.write(bytes(100))
    os.utime(scan, ns=(1, 1))
    result = mend(job, fetched, restorer, threading.Event())
    with pytest.raises(SourceChanged, match=r"a\.tif: was written to while it was restored"):
        keep(job, fetched, result)
    assert not list((tmp_path / "derivatives").rglob("provenance.json"))
    fetched.close()


class SeveralAtOnce(Restorer):
    """Restores several photos at once, as beside a GPU."""

    @property
    def photos_at_once(self) -> int:
        return 4


def test_photos_mended_at_once_come_out_as_one_by_one(
    restorer: Restorer, release_folder: Path, tmp_path: Path
) -> None:
    paths = make_photos(tmp_path / "scans", 12)
    job = job_for(restorer, release_folder, tmp_path / "derivatives")
    works = works_of(tmp_path / "scans", paths, job)
    alone = restore_photos(job, works, restorer)
    several = SeveralAtOnce(restorer.release, device=restorer.device, precision=restorer.precision)
    job = job_for(restorer, release_folder, tmp_path / "others")
    together = restore_photos(job, works, several)
    assert [record.restored_sha256 for record in together] == [record.restored_sha256 for record in alone]
    assert {record.outcome for record in together} <= {"restored", "unchanged"}


def test_a_batch_that_is_given_up_ends_within_a_photo(
    restorer: Restorer, release_folder: Path, tmp_path: Path
) -> None:
    """The photo in work asks for its next rows, and gets none."""
    scan = StoppableScan(ArrayScan(np.zeros((640, 64, 3), np.uint8)), threading.Event())
    begun = Restorer(restorer.release, device=restorer.device, tile_px=64).begin(scan, Wanted())
    rows = begun.rows()
    next(rows)
    scan.stopping.set()
    with pytest.raises(FlowsError, match="given up"):
        list(rows)


def test_photos_larger_than_the_bound_go_one_by_one(restorer: Restorer, release_folder: Path, tmp_path: Path) -> None:
    """Each of them alone is more than may be under way, and they are all restored nevertheless."""
    paths = make_photos(tmp_path / "scans", 4)
    job = job_for(restorer, release_folder, tmp_path / "derivatives")
    side = int((UNDER_WAY_MEGAPIXELS * 1e6) ** 0.5) + 1
    huge = [replace(work, height=side, width=side) for work in works_of(tmp_path / "scans", paths, job)]
    assert {record.outcome for record in restore_photos(job, huge, restorer)} <= {"restored", "unchanged"}


def test_a_place_that_cannot_be_written_ends_the_batch(
    restorer: Restorer, release_folder: Path, tmp_path: Path
) -> None:
    paths = make_photos(tmp_path / "scans", 5)
    (tmp_path / "derivatives").write_text("a file where the folder should be")
    job = job_for(restorer, release_folder, tmp_path / "derivatives")
    with pytest.raises(DerivativesUnwritable):
        restore_photos(job, works_of(tmp_path / "scans", paths, job), restorer)


def test_a_busy_store_is_asked_again_until_patience_ends() -> None:
    """Any other refusal is final at once."""
    asked: list[int] = []

    def busy_twice() -> str:
        asked.append(1)
        if len(asked) < 3:
            raise StoreUnavailable("SlowDown")
        return "here it is"

    assert patient(30, busy_twice) == "here it is"
    assert len(asked) == 3

    def always_busy() -> None:
        asked.append(1)
        raise StoreUnavailable("SlowDown")

    with pytest.raises(StoreUnavailable):
        patient(0.3, always_busy)
    asked.clear()

    def gone() -> None:
        asked.append(1)
        raise ObjectNotFound("gone")

    with pytest.raises(ObjectNotFound):
        patient(30, gone)
    assert len(asked) == 1
