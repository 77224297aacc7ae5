"""A snapshot's photos and labels as the folder that training reads: upright, sRGB, reduced, and none ends it."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from flows.settings import Settings
from flows.training.prepare import Prepared, prepare_material
from storage.keys import sha256_hex
from storage.objects import ObjectStore
from storage.records import SnapshotRow, SourceRef
from tests.orchestration.archives import picture


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(tmp_path / "home", store_patience_s=0)


class Archive:
    """Photos in a folder, and a snapshot of them."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.material = folder / "material"
        self.settings = settings
        self.rows: list[SnapshotRow] = []
        self.places: dict[str, tuple[SourceRef, ...]] = {}
        folder.mkdir()

    def add(self, name: str, data: bytes, *, split: str = "train", mask: np.ndarray | None = None,
            disagreement: np.ndarray | None = None) -> str:  # fmt: skip
        (self.folder / name).write_bytes(data)
        sha256 = sha256_hex(data)
        labels = ObjectStore(self.settings.labels_url)
        keys: dict[str, str] = {}
        for kind, marked in (("label_mask_key", mask), ("disagreement_key", disagreement)):
            if marked is not None:
                keys[kind] = f"{sha256[:8]}-{kind}.png"
                written = labels.write_bytes_atomic(keys[kind], png(marked.astype(np.uint8) * 255))
                if kind == "label_mask_key":
                    keys["label_mask_sha256"] = written
        self.rows.append(
            SnapshotRow(
                photo_sha256=sha256, collection_url=str(self.folder), source_key=name, split=split,  # type: ignore[arg-type]
                role="unlabelled" if mask is None else "labelled", **keys,
            )
        )  # fmt: skip
        self.places[sha256] = (SourceRef(collection_id=1, collection_url=str(self.folder), key=name, browse_folder=""),)
        return sha256

    def prepare(self) -> Prepared:
        return prepare_material(self.settings, self.rows, self.places, self.material)

    def laid(self, kind: str, sha256: str, *, split: str = "train", ending: str = ".png") -> np.ndarray:
        path = self.material / kind / split / f"{sha256}{ending}"
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert found is not None, path
        return found[..., ::-1] if found.ndim == 3 else found


@pytest.fixture
def archive(tmp_path: Path, settings: Settings) -> Archive:
    return Archive(tmp_path / "scans", settings)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_photos_and_masks_are_laid_down_and_labelled_ones_among_the_old_too(archive: Archive) -> None:
    pixels = picture(1)
    mask = np.zeros(pixels.shape[:2], bool)
    mask[10:20, 30:32] = True
    differs = np.zeros_like(mask)
    differs[40:45, 50:55] = True
    labelled = archive.add("a.png", png(pixels), mask=mask, disagreement=differs)
    plain = archive.add("b.png", png(picture(2)))
    assert archive.prepare() == Prepared(labelled=1, old=1)
    assert np.array_equal(archive.laid("labelled", labelled), pixels)
    levels = archive.laid("labelled", labelled, ending=".mask.png")
    assert (levels == 255).sum() == mask.sum() and np.all(levels[differs] == 128) and levels[0, 0] == 0
    assert np.array_equal(archive.laid("old", plain), picture(2))
    assert np.array_equal(archive.laid("old", labelled), pixels)


def test_a_labelled_test_photo_is_not_learned_from_as_an_old_one(archive: Archive) -> None:
    sha256 = archive.add("a.png", png(picture(1)), split="test", mask=np.ones((72, 96), bool))
    archive.prepare()
    assert (archive.material / "labelled/test" / f"{sha256}.png").is_file()
    assert not (archive.material / "old").exists()


def test_a_large_deep_turned_scan_comes_out_small_upright_and_in_eight_bits(archive: Archive) -> None:
    deep = (picture(3, height=1500, width=2400)[:, :, 0].astype(np.uint16)) * 257
    upright = np.rot90(deep, -1)
    out = io.BytesIO()
    Image.fromarray(deep).save(out, "TIFF", tiffinfo={274: 6})  # stored so that it is to be turned to the right
    mask = np.zeros(upright.shape, bool)
    mask[:, 700] = True  # a scratch of one pixel
    sha256 = archive.add("a.tif", out.getvalue(), mask=mask)
    archive.prepare()
    found = archive.laid("labelled", sha256)
    assert found.shape == (1024, 640, 3) and found.dtype == np.uint8
    expected = cv2.resize((upright / 257).astype(np.float32), (640, 1024), interpolation=cv2.INTER_AREA)
    assert np.abs(found[..., 0] - expected).mean() < 1
    levels = archive.laid("labelled", sha256, ending=".mask.png")
    columns = np.flatnonzero((levels == 255).all(axis=0))
    assert len(columns) == 1 and abs(columns[0] - 700 * 640 / 1500) < 1.5, "the scratch stays one line"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "it is another file by now"),
        (lambda path: path.unlink(), "a.png"),
    ],
    ids=["changed", "gone"],
)
def test_a_photo_that_cannot_be_had_is_named_and_left_out(archive: Archive, spoil, why: str) -> None:
    archive.add("a.png", png(picture(1)))
    archive.add("b.png", png(picture(2)))
    spoil(archive.folder / "a.png")
    prepared = archive.prepare()
    assert (prepared.labelled, prepared.old) == (0, 1)
    (left,) = prepared.left_out
    assert left.source_key == "a.png" and why in left.reason


def test_a_broken_image_and_a_mask_of_another_size_are_left_out(archive: Archive) -> None:
    archive.add("letter.jpg", b"Dear Sir,\n" * 40)
    archive.add("a.png", png(picture(1)), mask=np.ones((96, 72), bool))
    archive.add("b.png", png(picture(2)))
    reasons = {one.source_key: one.reason for one in archive.prepare().left_out}
    assert reasons.keys() == {"letter.jpg", "a.png"}
    assert "72 x 96" in reasons["a.png"]


def test_what_is_withdrawn_since_the_snapshot_is_not_learned_from(archive: Archive) -> None:
    sha256 = archive.add("a.png", png(picture(1)))
    archive.places.pop(sha256)
    (left,) = archive.prepare().left_out
    assert "withdrawn" in left.reason
    assert not list(archive.material.rglob("*.png"))


def test_what_is_withdrawn_while_a_retraining_lies_is_taken_out_again(archive: Archive) -> None:
    gone = archive.add("a.png", png(picture(1)), mask=np.ones((72, 96), bool))
    archive.add("b.png", png(picture(2)))
    assert archive.prepare() == Prepared(labelled=1, old=1)
    archive.places.pop(gone)
    again = archive.prepare()
    assert (again.labelled, again.old, len(again.left_out)) == (0, 1, 1)
    assert not list(archive.material.glob(f"*/*/{gone}*"))


def test_it_is_done_once_and_gone_on_with(archive: Archive) -> None:
    first = archive.add("a.png", png(picture(1)))
    archive.prepare()
    (archive.material / "prepared.json").unlink()  # as where a kill came before the end
    written = (archive.material / "old/train" / f"{first}.png").stat().st_mtime_ns
    archive.add("b.png", png(picture(2)))
    assert archive.prepare().old == 2
    assert (archive.material / "old/train" / f"{first}.png").stat().st_mtime_ns == written
    (archive.folder / "a.png").unlink()
    assert archive.prepare().left_out == (), "a folder that is whole is not made again"
