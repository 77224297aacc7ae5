"""The measurement of harm: its pictures are what they are called, and its figures what they say."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from oldphoto_core.evaluation.do_no_harm import main
from oldphoto_core.evaluation.harm_checks import Check, HarmResult
from oldphoto_core.evaluation.harmless_pictures import KEYS, LOOKALIKES, WORDS, keyed, lettered
from oldphoto_core.evaluation.reading import can_read, character_errors, edit_distance, read_words
from oldphoto_core.splits import is_held_out


def scene(seed: int, height: int = 224, width: int = 320) -> np.ndarray:
    small = np.random.default_rng(seed).integers(60, 200, (5, 7, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height))


@pytest.mark.parametrize("key", KEYS)
def test_a_photo_in_another_light_clips_nothing_and_keeps_its_order(key: str) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    shown = keyed(ramp, key)[0, :, 0]
    assert (np.diff(shown.astype(int)) >= 0).all()
    assert np.ptp(shown) < 0.65 * 255
    assert (shown.mean() < 80) if key == "low-key" else (shown.mean() > 150)


@pytest.mark.parametrize("hand", [False, True])
def test_words_are_written_where_they_are_said_to_be_and_nowhere_else(hand: bool) -> None:
    ground = scene(1)
    page = lettered(ground, 3, hand=hand)
    top, left, bottom, right = page.place
    changed = np.abs(page.picture.astype(int) - ground).max(axis=2) > 30
    assert changed[top:bottom, left:right].mean() > 0.01
    changed[top:bottom, left:right] = False
    assert not changed.any()
    assert len(page.lines) == 4
    assert all(set(line.split()) <= set(WORDS) and line for line in page.lines)
    assert np.array_equal(lettered(ground, 3, hand=hand).picture, page.picture)


@pytest.mark.parametrize("sort", LOOKALIKES)
def test_things_that_look_like_damage_are_drawn_into_a_part_of_the_photo(sort: str) -> None:
    photo = scene(2)
    drawn = LOOKALIKES[sort](photo, np.random.default_rng(5))
    assert drawn.shape == photo.shape and drawn.dtype == np.uint8
    changed = (np.abs(drawn.astype(int) - photo).max(axis=2) > 8).mean()
    assert 0.005 < changed < 0.7
    again = LOOKALIKES[sort](photo, np.random.default_rng(5))
    assert np.array_equal(drawn, again)


def test_misread_characters_are_counted() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == 3
    assert character_errors("the quick fox", ("The  quick", "fix")) == (1, 13)


@pytest.mark.skipif(not can_read(), reason="there is no tesseract on the path")
def test_clean_print_is_read_without_errors() -> None:
    page = lettered(np.full((224, 420, 3), 240, np.uint8), 1)
    wrong, characters = character_errors(read_words(page.picture), page.lines)
    assert wrong <= 0.03 * characters


def test_a_limit_is_kept_on_its_own_side_and_a_figure_without_one_is_neither() -> None:
    assert Check("clean", "dB", 1, 35.0, 34.0).met is True
    assert Check("clean", "share", 1, 0.006, 0.005, at_most=True).met is False
    assert Check("clean", "dB", 1, 12.0).met is None
    assert Check("clean", "dB", 1, float("nan"), 34.0).met is False


def test_a_result_is_met_when_every_limit_is(tmp_path: Path) -> None:
    result = HarmResult("archive-x", notes=["Lettering was not measured."])
    result.add_spread("clean", "PSNR", [36.0, 38.0, 40.0], mean=34.0, low=30.0)
    assert result.met
    result.checks.append(Check("keys", "fog", 3, 0.4, 0.1, at_most=True))
    assert not result.met
    result.save(tmp_path)
    table = (tmp_path / "do_no_harm.md").read_text()
    assert "| clean | PSNR, mean | 3 | 38 | at least 34 | met |" in table
    assert "| keys | fog | 3 | 0.4 | at most 0.1 | **not met** |" in table
    assert table.endswith("Lettering was not measured.\n")
    stored = json.loads((tmp_path / "do_no_harm.json").read_text())
    assert [check["met"] for check in stored["checks"]] == [True, True, False]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of clean and old photos, three of each held out and three not."""
    folder = tmp_path_factory.mktemp("data")
    for kind in ("clean", "old"):
        (folder / kind).mkdir()
        names = [f"{k:04d}_{kind}{k}.png" for k in range(200)]
        held_out = [name for name in names if is_held_out(name)]
        others = [name for name in names if not is_held_out(name)]
        for k, name in enumerate(held_out[:3] + others[:3]):
            cv2.imwrite(str(folder / kind / name), scene(k))
    return folder


def test_the_command_measures_every_section_and_gives_its_verdict(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    common = ["--out", str(out), "--count", "2", "--role", "all", "--device", "cpu"]
    assert main(["--data", str(data), *common, "--sheets"]) in (0, 1)
    stored = json.loads((out / "do_no_harm.json").read_text())
    measured = {check["section"] for check in stored["checks"]}
    assert {"clean", "twice", "keys", "lookalikes"} <= measured
    assert ("lettering" in measured) == can_read()
    assert any("No held-out paper" in note or "tesseract" in note for note in stored["notes"])
    clean = {row["photo"]: row for row in stored["rows"] if row["section"] == "clean"}
    assert len(clean) == 2
    assert all(row["scratches"] > 30 for row in clean.values())
    assert {"clean.png", "twice.png", "keys-fog.png", "lookalikes-hair.png"} <= {p.name for p in out.iterdir()}
    assert "| clean | PSNR to the input, dB, full, mean | 2 |" in capsys.readouterr().out


def test_a_folder_without_photos_is_a_mistake_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--only", "clean", "--device", "cpu"]) == 2
    assert "no held-out photos" in capsys.readouterr().err
