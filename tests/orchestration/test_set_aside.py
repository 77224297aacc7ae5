"""A photo that fails night after night is set aside, told by name, and tried again only when somebody says so."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from flows.planning import batches_of, fair_megapixels
from tests.orchestration.archives import make_photos


def test_a_photo_that_fails_every_night_is_set_aside_after_so_many(
    prefect_server: str, release_folder: Path, tmp_path: Path
) -> None:
    """The label of one photo has another size than the photo: that never comes off, and the others do."""
    from flows.ingest import ingest
    from flows.restore import restore
    from storage.catalog import Catalogue
    from storage.keys import sha256_hex
    from storage.objects import ObjectStore
    from storage.records import LabelRecord

    scans, home = tmp_path / "scans", tmp_path / "home"
    poisoned, _ = make_photos(scans, 2)
    settings = {"release": str(release_folder), "device": "cpu", "tries": 2}
    ingest(str(scans), home=str(home), settings=settings)
    mask_path = tmp_path / "mask.png"
    Image.new("L", (10, 10)).save(mask_path)
    mask = mask_path.read_bytes()
    ObjectStore(str(home / "labels")).write_once("mask.png", mask)
    with Catalogue.open(str(home / "catalogue.db")) as catalogue:
        catalogue.record_labels(
            [LabelRecord(photo_sha256=sha256_hex(poisoned.read_bytes()), mask_key="mask.png",
                         mask_sha256=sha256_hex(mask), author="Ada", tool="napari", coverage=0.0)]
        )  # fmt: skip

    nights = [restore(home=str(home), settings=settings).restore for _ in range(3)]
    assert [(len(night.failed), len(night.set_aside)) for night in nights if night] == [(1, 0), (1, 0), (0, 1)]
    third = nights[2]
    assert third is not None and third.set_aside[0][0] == poisoned.name
    assert "10" in third.set_aside[0][1], "the reason is told: the mask's size"

    again = restore(home=str(home), retry=True, settings=settings)
    assert again.restore is not None and len(again.restore.failed) == 1
    assert again.exit_code() == 1
    with Catalogue.open(str(home / "catalogue.db")) as catalogue, catalogue.connected() as connection:
        rows = connection.exec_driver_sql("SELECT outcome, tries FROM restoration ORDER BY outcome").all()
    assert [tuple(row) for row in rows] == [("failed", 1), ("unchanged", 0)]


def test_a_run_with_something_set_aside_asks_for_attention() -> None:
    from flows.summary import QUARANTINED, RestoreSummary, RunSummary

    summary = RunSummary(run_id="r", restore=RestoreSummary(release="x", set_aside=(("a.jpg", "why"),)))
    assert summary.exit_code() == QUARANTINED
    assert summary.exit_code(accept_quarantine=True) == 0
    assert summary.totals()["set_aside"] == 1


def test_batches_are_cut_by_pixels_and_leave_no_worker_idle() -> None:
    """A thousand thumbnails are few tasks, a hundred scans are one each, and a short run is spread over all workers."""
    from flows.planning import CollectionPlan
    from storage.records import PhotoWork, SourceRef

    def plan(count: int, side: int) -> CollectionPlan:
        source = SourceRef(collection_id=1, collection_url="file:///s", key="k", browse_folder="")
        works = [
            PhotoWork(
                photo_sha256=f"{number:064d}", work_hash="w", sources=(source,), size_bytes=1,
                format="png", height=side, width=side, channels=3, bit_depth=8, mask_source="detected",
            )
            for number in range(count)
        ]  # fmt: skip
        return CollectionPlan(None, None, works, 0)  # type: ignore[arg-type]

    def sizes(count: int, side: int, *, workers: int) -> list[int]:
        plans = [plan(count, side)]
        most = fair_megapixels(plans, most=8.0, workers=workers)
        return [len(batch.works) for batch in batches_of(plans, size=256, megapixels=most)]

    assert sizes(1000, 64, workers=1) == [250] * 4
    assert sizes(100, 5000, workers=2) == [1] * 100
    assert sizes(8, 500, workers=2) == [1] * 8
    assert sizes(64, 500, workers=2) == [8] * 8
