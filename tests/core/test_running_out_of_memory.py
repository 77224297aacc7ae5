"""Memory that runs out in the middle: the photo comes out as if it had not, or the failure is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from oldphoto_core import Restorer
from oldphoto_core.errors import is_out_of_memory
from oldphoto_core.restoration import repair, scan_restoration
from oldphoto_core.restoration.fidelity_meter import FidelityMeter
from oldphoto_core.restoration.fine_mending import FineMender
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.sample_archive import SAMPLES
from tests.core.test_fine_scratches import SCALE, scan, scratched


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.from_release("default", device="cpu", tile_px=512)


def photo(height: int, width: int) -> np.ndarray:
    """Soft shapes and scratches."""
    random = np.random.default_rng(5)
    image = cv2.resize(random.random((7, 9, 3), dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image, 0.1, 0.9)
    for _ in range(5):
        ends = [(int(random.integers(0, width)), int(random.integers(0, height))) for _ in range(2)]
        cv2.line(image, *ends, (0.98, 0.98, 0.98), 2)
    return np.rint(image * 255).astype(np.uint8)


def runs_out_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool = False) -> None:
    """The first call of a function ends for want of memory, before its work or after it."""
    work: Callable[..., Any] = getattr(owner, name)
    calls = []

    def once(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            return work(*given, **named)
        if after:
            work(*given, **named)
        raise MemoryError("as if there were none left")

    monkeypatch.setattr(owner, name, once)


PLACES = [
    (scan_restoration, "survey"), (Networks, "detect"), (Networks, "mend"), (Networks, "restore"), (repair, "mend"),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "name"), PLACES)
def test_what_is_restored_after_memory_ran_out_is_what_would_have_been(restorer, monkeypatch, owner, name):
    before = photo(200, 260)
    calm = restorer.restore(before)
    runs_out_once(monkeypatch, owner, name)
    eased = restorer.restore(before)
    assert any("ran out of memory" in note for note in eased.report.notes)
    assert np.array_equal(eased.mask, calm.mask) and np.array_equal(eased.found, calm.found)
    assert np.abs(eased.image.astype(int) - calm.image).max() <= 1


def test_fine_scratches_are_looked_for_once_more_and_the_photo_is_not(restorer, monkeypatch):
    before = np.tile(scratched(scan(SAMPLES[1]))[0], (2, 2, 1))  # large enough for smaller tiles to help
    calm = restorer.restore(before, scale=SCALE)
    runs_out_once(monkeypatch, FineMender, "put_into_working", after=True)
    eased = restorer.restore(before, scale=SCALE)
    assert any("ran out of memory" in note for note in eased.report.notes), "fine scratches must be found for this"
    assert np.array_equal(eased.found, calm.found) and np.array_equal(eased.mask, calm.mask)
    assert np.abs(eased.image.astype(int) - calm.image).max() <= 1


def test_no_row_is_lost_where_measuring_runs_out_of_memory(restorer, monkeypatch):
    runs_out_once(monkeypatch, FidelityMeter, "add")
    with pytest.raises(MemoryError):
        restorer.restore(photo(80, 100))


def test_opencv_runs_out_of_memory_too():
    assert is_out_of_memory(cv2.error("OpenCV(5.0.0) alloc.cpp: error: (-4:Insufficient memory) Failed to allocate"))
    assert not is_out_of_memory(cv2.error("(-215:Assertion failed) !ssize.empty()"))
