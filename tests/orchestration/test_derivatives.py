"""The objects of two attempts that made the same restored photo: row and objects always fit each other."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.derivatives import write_derivatives, write_provenance
from oldphoto_core.previews import mask_png
from oldphoto_core.restoration.fidelity import RestorationReport
from oldphoto_core.restoration.scan_result import ScanResult
from oldphoto_core.scan import ArrayScan
from storage.errors import ObjectExists, ProvenanceError
from storage.keys import WorkParameters, sha256_hex, work_hash
from storage.objects import ObjectStore
from storage.provenance import read_provenance
from storage.records import PhotoWork, RestorationRecord, SourceRef

PARAMETERS = WorkParameters(weights_hash="c" * 64)
RESTORED = b"the restored photo, the same of both attempts"
BEFORE = ArrayScan(np.zeros((8, 8), np.uint8))


def attempt(run_id: str, *, damaged: int) -> tuple[RestorationRecord, ScanResult]:
    """An attempt that mended so many rows, and of one more was half sure."""
    mask = np.zeros((8, 8), np.uint8)
    mask[:damaged] = 255
    found = mask.copy()
    found[damaged] = 128
    report = RestorationReport(
        seconds=float(damaged), device="cpu", precision="float32", tiles=1, mask_coverage=damaged / 8,
        change_outside_mask=0.0, mean_change=0.0, left_alone=False, monochrome="neutral", mode="full",
        tone="correct", strength=1.0, mending="normal",
    )  # fmt: skip
    record = RestorationRecord(
        photo_sha256="a" * 64, work_hash=work_hash(PARAMETERS), release="archive-1", weights_hash="c" * 64,
        outcome="restored", mode="full", tone="correct", strength=1.0, mask_source="detected", output_format="png",
        mask_coverage=damaged / 8, seconds=float(damaged), run_id=run_id, report=report.as_dict(),
        finished_at="2026-01-02T03:04:05Z",
    )  # fmt: skip
    return record, ScanResult(image=BEFORE, mask=ArrayScan(mask), found=ArrayScan(found), report=report)


def photo_work() -> PhotoWork:
    source = SourceRef(collection_id=1, collection_url="file:///scans", key="a.png", browse_folder="")
    return PhotoWork(
        photo_sha256="a" * 64, work_hash=work_hash(PARAMETERS), sources=(source,), size_bytes=10, format="png",
        height=8, width=8, channels=1, bit_depth=8, mask_sha256=None, mask_source="detected",
    )  # fmt: skip


def written(store: ObjectStore, run_id: str, *, damaged: int) -> RestorationRecord:
    """The record of an attempt that wrote all six."""
    record, result = attempt(run_id, damaged=damaged)
    record = write_derivatives(store, record, restored=io.BytesIO(RESTORED), before=BEFORE, result=result)
    return write_provenance(store, record, photo_work(), PARAMETERS)


def test_a_second_attempt_takes_over_what_stands(tmp_path: Path) -> None:
    """Its own mask is another; the record has the hash of the one that stands, and says what provenance.json says."""
    store = ObjectStore(tmp_path)
    first = written(store, "run-1", damaged=1)
    again = written(store, "run-2", damaged=5)
    assert again == replace(first, run_id="run-2")
    for name in ("restored", "mask", "found", "difference", "preview"):
        assert sha256_hex(store.read_bytes(getattr(again, f"{name}_key"))) == getattr(again, f"{name}_sha256")
    document = read_provenance(store.read_bytes(str(again.provenance_key)))
    assert document["derivatives"]["mask"]["sha256"] == again.mask_sha256
    assert document["figures"]["mask_coverage"] == again.mask_coverage == 1 / 8
    assert document["parameters"]["mending"] == again.mending == "normal"


def test_what_was_mended_and_what_was_found_are_two_files(tmp_path: Path) -> None:
    """The second has the probabilities."""
    store = ObjectStore(tmp_path)
    record = written(store, "run-1", damaged=2)
    mended, found = (
        np.array(Image.open(io.BytesIO(store.read_bytes(str(key))))) for key in (record.mask_key, record.found_key)
    )
    assert str(record.found_key).endswith("/found.png")
    assert mended[:, 0].tolist() == [255, 255, 0, 0, 0, 0, 0, 0]
    assert found[:, 0].tolist() == [255, 255, 128, 0, 0, 0, 0, 0]


def test_an_attempt_that_was_cut_off_is_completed_with_what_it_left(tmp_path: Path) -> None:
    """It wrote photo and mask and died: the next one's document names that mask, not its own."""
    store = ObjectStore(tmp_path)
    record, result = attempt("run-1", damaged=1)
    dead = write_derivatives(store, record, restored=io.BytesIO(RESTORED), before=BEFORE, result=result)
    for key in (dead.difference_key, dead.preview_key):
        store.delete(str(key))
    done = written(store, "run-2", damaged=5)
    assert done.mask_sha256 == sha256_hex(mask_png(result.mask.rows(0, 8) / 255)) == dead.mask_sha256
    document = read_provenance(store.read_bytes(str(done.provenance_key)))
    assert document["derivatives"]["mask"]["sha256"] == done.mask_sha256
    assert document["made_by"]["run_id"] == "run-2"


def test_a_restored_photo_that_is_another_is_never_replaced(tmp_path: Path) -> None:
    """Nor is a provenance.json that is none."""
    store = ObjectStore(tmp_path)
    first = written(store, "run-1", damaged=1)
    store.write_bytes_atomic(str(first.provenance_key), b"{}")
    with pytest.raises(ProvenanceError):
        written(store, "run-2", damaged=1)
    store.write_bytes_atomic(str(first.restored_key), b"other bytes under a name that begins the same")
    with pytest.raises(ObjectExists):
        written(store, "run-3", damaged=1)
