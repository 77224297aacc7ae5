"""`oldphoto restore-file`, `detect`, `sample`: single files, without Prefect and without a catalogue."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from flows.cli.app import run_command
from oldphoto_core.images import decode_image, open_image
from oldphoto_core.scan import ArrayScan, pixels_sha256
from storage.keys import sha256_hex
from tests import icc
from tests.images import deep_picture, tiff
from tests.orchestration.archives import picture
from tests.orchestration.fixtures import REPOSITORY


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "grandma.png"
    Image.fromarray(picture(1)).save(path)
    return path


@pytest.fixture(autouse=True)
def _toy_release(release_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLDPHOTO_RELEASE", str(release_folder))
    monkeypatch.setenv("OLDPHOTO_HOME", str(tmp_path / "home"))


def test_a_file_is_restored_beside_its_master(photo: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = photo.read_bytes()
    target, mask, seen = tmp_path / "out/restored.tif", tmp_path / "mask.png", tmp_path / "found.png"
    arguments = ["restore-file", str(photo), str(target), "--mask-out", str(mask), "--found-out", str(seen)]
    assert run_command([*arguments[:-1], str(mask)]) == 2, "two pictures cannot be one file"
    assert run_command([*arguments, "--mending", "all"]) == 2
    capfd.readouterr()
    assert run_command([*arguments, "--mending", "sure"]) == 0
    with Image.open(target) as restored, Image.open(mask) as mended, Image.open(seen) as found:
        assert restored.size == mended.size == found.size == (96, 72)
        assert (restored.mode, mended.mode, found.mode) == ("RGB", "L", "L")
    assert photo.read_bytes() == before
    assert str(target) in capfd.readouterr().out
    assert not (tmp_path / "home").exists()


def test_a_map_of_uncertainty_is_written_on_request(
    photo: Path, release_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from oldphoto_core.models.uncertainty import FLOOR, UncertaintyHead
    from oldphoto_core.releases.uncertainty import attach_uncertainty

    arguments = ["restore-file", str(photo), str(tmp_path / "restored.png")]
    expected = tmp_path / "expected.png"
    assert run_command([*arguments, "--uncertainty-out", str(expected)]) != 0
    assert "has no uncertainty head" in capfd.readouterr().err
    assert not (tmp_path / "restored.png").exists()
    with_head = tmp_path / "with-head"
    shutil.copytree(release_folder, with_head)
    attach_uncertainty(with_head, UncertaintyHead(), {})
    release = ["--release", str(with_head)]
    assert run_command([*arguments, "--uncertainty-out", str(tmp_path / "map.jpg"), *release]) == 2
    assert run_command([*arguments, "--uncertainty-out", str(expected), *release]) == 0
    with Image.open(expected) as found:
        levels = np.asarray(found).astype(float) / 256
    assert levels.shape == (72, 96)
    assert 255 * FLOOR < levels.min() < levels.max() < 64
    assert run_command(["restore-file", str(photo), str(tmp_path / "plain.png"), *release]) == 0
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "restored.png").read_bytes()


def test_scratches_mode_keeps_every_pixel_outside_the_given_mask(photo: Path, tmp_path: Path) -> None:
    painted = np.zeros((72, 96), np.uint8)
    painted[20:30, 30:40] = 255
    mask, target = tmp_path / "painted.png", tmp_path / "restored.png"
    Image.fromarray(painted).save(mask)
    arguments = ["restore-file", str(photo), str(target), "--mask", str(mask), "--mode", "scratches"]
    assert run_command(arguments) == 0
    with Image.open(photo) as master, Image.open(target) as restored:
        changed = (np.asarray(master) != np.asarray(restored)).any(axis=2)
    assert not changed[:, 60:].any()
    assert not changed[45:].any()


def test_a_deep_wide_gamut_scan_stays_one_and_its_restoration_says_what_it_is(tmp_path: Path) -> None:
    deep = deep_picture(72, 96)
    deep[50:, 60:] = (0, 65_535, 300)  # a green outside sRGB
    scan, target = tmp_path / "scan.tif", tmp_path / "restored.tif"
    scan.write_bytes(tiff(deep, photometric="rgb", iccprofile=icc.adobe_rgb(), resolution=(600, 600)))
    mask = tmp_path / "painted.png"
    painted = np.zeros((72, 96), np.uint8)
    painted[20:30, 30:40] = 255
    Image.fromarray(painted).save(mask)
    arguments = ["restore-file", str(scan), str(target), "--mask", str(mask), "--mode", "scratches"]
    assert run_command(arguments) == 0
    restored = decode_image(target.read_bytes(), "restored.tif")
    assert restored.pixels.dtype == np.uint16
    assert restored.icc_profile == icc.adobe_rgb()
    assert restored.dpi == (600, 600)
    changed = (restored.pixels != deep).any(axis=2)
    assert not changed[:, 60:].any()
    assert restored.xmp is not None
    said = restored.xmp.decode()
    for words in (sha256_hex(scan.read_bytes()), sha256_hex(mask.read_bytes()), "mode scratches", "DerivedFrom"):
        assert words in said


def test_a_mask_of_another_size_is_refused(photo: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mask = tmp_path / "small.png"
    Image.new("L", (50, 50)).save(mask)
    assert run_command(["restore-file", str(photo), str(tmp_path / "out.png"), "--mask", str(mask)]) == 1
    assert "small.png" in capfd.readouterr().err


def test_a_mask_with_nothing_painted_in_it_is_refused(
    photo: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mask = tmp_path / "empty.png"
    Image.new("L", (96, 72), 40).save(mask)  # grey this dark is not damaged
    assert run_command(["restore-file", str(photo), str(tmp_path / "out.png"), "--mask", str(mask)]) == 1
    said = capfd.readouterr().err
    assert "empty.png: nothing is painted in it" in said and said.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("name", ["grandma.png", "link.png", "hard.png", "./sub/../grandma.png"])
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_the_master_is_never_overwritten(photo: Path, name: str, more: list[str]) -> None:
    (photo.parent / "sub").mkdir()
    (photo.parent / "link.png").symlink_to(photo)
    (photo.parent / "hard.png").hardlink_to(photo)
    before = photo.read_bytes()
    assert run_command(["restore-file", str(photo), f"{photo.parent}/{name}", *more]) == 2
    assert run_command(["detect", str(photo), f"{photo.parent}/{name}", *more]) == 2
    assert photo.read_bytes() == before
    assert (photo.parent / "link.png").is_symlink()


def test_a_file_that_is_there_is_replaced_only_when_told(photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_text("precious")
    assert run_command(["restore-file", str(photo), str(target)]) == 2
    assert target.read_text() == "precious"
    assert run_command(["restore-file", str(photo), str(target), "--overwrite"]) == 0
    with Image.open(target) as restored:
        assert restored.size == (96, 72)


@pytest.mark.parametrize("mending", ["sure", "normal", "everything"])
def test_detect_writes_the_mask_that_restore_file_mends(
    mending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    scratched = picture(1, height=128, width=160)
    scratched[60:63, 10:150] = 255
    photo, mask, found, mended, seen = (tmp_path / f"{name}.png" for name in ("photo", "mask", "found", "done", "seen"))
    Image.fromarray(scratched).save(photo)
    how = ["--release", "default", "--mending", mending]
    assert run_command(["restore-file", str(photo), str(tmp_path / "out.png"), "--mask-out", str(mended),
                        "--found-out", str(seen), *how]) == 0  # fmt: skip
    monkeypatch.setattr("oldphoto_core.restoration.networks.Networks.mend", None)
    monkeypatch.setattr("oldphoto_core.restoration.networks.Networks.restore", None)
    capfd.readouterr()
    assert run_command(["detect", str(photo), str(mask), "--found-out", str(found), *how]) == 0
    with Image.open(mask) as written:
        white = np.asarray(written)
        assert written.mode == "L" and set(np.unique(white)) == {0, 255}
    assert mask.read_bytes() == mended.read_bytes() and found.read_bytes() == seen.read_bytes()
    assert f"{(white > 0).mean():.2%} of the photo would be mended" in capfd.readouterr().out


def test_the_pictures_of_detect_are_png_and_not_one_file(photo: Path, tmp_path: Path) -> None:
    mask = str(tmp_path / "mask.png")
    assert run_command(["detect", str(photo), str(tmp_path / "mask.jpg")]) == 2
    assert run_command(["detect", str(photo), mask, "--found-out", mask]) == 2
    assert run_command(["detect", str(photo), mask, "--found-out", str(photo), "--overwrite"]) == 2
    assert run_command(["detect", str(photo), mask, "--mending", "all"]) == 2
    assert not Path(mask).exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{missing}", "{out}"], 1, "No such file"),
        (["{letter}", "{out}"], 1, "not-an-image"),
        (["{photo}", "out.gif"], 2, ".tif, .png or .jpg"),
        (["{photo}", "{jpeg}", "--mode", "scratches"], 2, "bit for bit"),
        (["{photo}", "{out}", "--device", "cuda:99"], 2, "cuda"),
    ],
)
def test_bad_input_is_told_in_one_line(
    photo: Path, tmp_path: Path, arguments: list[str], code: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    letter = tmp_path / "letter.jpg"
    letter.write_text("Dear Sir,\n" * 40)
    names = {"missing": tmp_path / "none.png", "letter": letter, "photo": photo}
    names |= {"out": tmp_path / "out.png", "jpeg": tmp_path / "out.jpg"}
    assert run_command(["restore-file", *(argument.format(**names) for argument in arguments)]) == code
    said = capfd.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_single_files_and_queries_need_no_prefect(photo: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom flows.cli.app import run_command\n"
        f"assert run_command(['detect', {str(photo)!r}, {str(tmp_path / 'm.png')!r}]) == 0\n"
        "run_command(['sql', 'SELECT 1'])\nrun_command(['history'])\n"
        "assert not {'prefect', 'dask', 'distributed'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_sample_archive_is_not_laid_over_other_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.jpg").touch()
    assert run_command(["sample", str(tmp_path / "mine")]) == 2
    assert "holds other files" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["a.jpg"]


@pytest.mark.parametrize(("tile", "expected"), [((64, 64), (64, 64)), ((64, 128), None), (None, None)])
def test_a_large_tiled_tiff_comes_back_in_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tile: tuple[int, int] | None, expected: tuple[int, int] | None
) -> None:
    """Of the same side where they are square; else in strips."""
    monkeypatch.setattr("oldphoto_core.opening.LARGE_PX", 0)
    pixels = np.random.default_rng(0).integers(20_000, 40_000, (150, 200, 3)).astype(np.uint16)
    scan, target = tmp_path / "scan.tif", tmp_path / "restored.tif"
    tifffile.imwrite(scan, pixels, photometric="rgb", tile=tile, resolution=(600, 600))
    assert run_command(["restore-file", str(scan), str(target)]) == 0
    with tifffile.TiffFile(target) as file:
        page = file.pages.first
        assert (page.tile[:2] if page.is_tiled else None) == expected
        assert page.shape == pixels.shape and page.dtype == np.uint16
        assert page.tags["XResolution"].value == (600, 1)


def test_recto_and_verso_are_restored_page_by_page(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scan, target, seen = tmp_path / "print.tif", tmp_path / "restored.tif", tmp_path / "seen.png"
    mended = tmp_path / "mended.png"
    recto, verso = deep_picture(72, 96), picture(2, height=64, width=120)
    with tifffile.TiffWriter(scan) as writer:
        how = {"photometric": "rgb", "metadata": None}
        writer.write(recto, iccprofile=icc.adobe_rgb(), resolution=(600, 600), description="recto", **how)
        writer.write(verso, resolution=(300, 300), description="verso", **how)
    packaged = ["--release", "default"]
    assert run_command(["restore-file", str(scan), str(target), "--found-out", str(seen), "--mask-out", str(mended),
                        *packaged]) == 0  # fmt: skip
    with open_image(target.open("rb"), "restored.tif") as restored:
        first, second = restored.pages
        assert [(page.scan.shape, page.scan.dtype) for page in (first, second)] == [
            ((72, 96, 3), np.uint16), ((64, 120, 3), np.uint8)
        ]  # fmt: skip
        assert (first.icc_profile, first.dpi, second.dpi) == (icc.adobe_rgb(), (600, 600), (300, 300))
        assert [page.facts.capture["description"] for page in (first, second)] == ["recto", "verso"]
        for number, page in enumerate((first, second), 1):
            said = f"page {number} of the file with SHA-256 {sha256_hex(scan.read_bytes())}"
            assert page.xmp is not None and said.encode() in page.xmp
            assert pixels_sha256(page.scan) != pixels_sha256(ArrayScan(recto if number == 1 else verso))
    with Image.open(seen) as found:
        assert found.size == (120, 136)
    mask, found_out = tmp_path / "mask.png", tmp_path / "found.png"
    assert run_command(["detect", str(scan), str(mask), "--found-out", str(found_out), *packaged]) == 0
    assert found_out.read_bytes() == seen.read_bytes() and mask.read_bytes() == mended.read_bytes()
    for name in ("restored.png", "restored.jpg"):
        assert run_command(["restore-file", str(scan), str(tmp_path / name)]) == 2
        assert "has 2 pages" in capfd.readouterr().err
        assert not (tmp_path / name).exists()
