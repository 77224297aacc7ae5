"""Which photos to label: unsure masks first, no two alike, none that is labelled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.cli.app import run_command
from flows.labels.suggesting import doubt_of, suggest
from flows.settings import Settings
from oldphoto_core.errors import CoreError
from oldphoto_core.previews import mask_png
from storage.catalog.catalogue import Catalogue
from storage.objects import ObjectStore
from tests.store.makers import label, photo, restored, seen, sha, with_photos

HASHES = {"sure": 0, "unsure": 0, "unsure too": 1, "unsure elsewhere": 2**40 - 1, "a little": 0xFFFF << 48}


def mask(probability: float, share: float = 0.05) -> bytes:
    """A mask that is sure of all but a share of its pixels."""
    pixels = np.zeros((100, 200), np.float32)
    pixels[: round(100 * share)] = probability
    pixels[60:63] = 1.0
    return mask_png(pixels)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Five restored photos, by how sure the detector was of them, and one of which the file of that is gone.

    `unsure` was restored before there was such a file: then the mask was it.
    """
    settings = Settings.load(tmp_path / "home")
    masks = {"sure": mask(1.0), "unsure": mask(0.5), "unsure too": mask(0.5), "unsure elsewhere": mask(0.45),
             "a little": mask(0.5, 0.01)}  # fmt: skip
    store = ObjectStore(settings.derivatives_url)
    with Catalogue.open(settings.catalogue_url) as catalogue:
        collection_id = with_photos(catalogue)
        names = [*masks, "gone"]
        catalogue.record_objects(
            collection_id, [seen(name) for name in names],
            [photo(name, perceptual_hash=f"{HASHES.get(name, 5):016x}") for name in names],
        )  # fmt: skip
        for name in names:
            record = restored(name)
            if name == "unsure":
                record = replace(record, found_key=None, found_sha256=None)
            catalogue.record_restorations([record])
            if name in masks:
                store.write_once(str(record.found_key or record.mask_key), masks[name])
    return settings.home


def test_the_doubtful_come_first_and_no_two_alike_side_by_side(home: Path) -> None:
    """`unsure too` looks like `unsure`, one bit of 64 apart, and so gives way to less doubtful ones."""
    settings = Settings.load(home)
    with Catalogue.open(settings.catalogue_url) as catalogue:
        found, problems = suggest(catalogue, settings, 4)
        assert [one.source_key for one in found][1:3] == ["unsure elsewhere", "a little"]
        assert {found[0].source_key, found[3].source_key} == {"unsure", "unsure too"}
        assert found[0].distance is None and found[1].distance in (39, 40) and found[3].distance == 1
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        assert "doubt 1.00, 5.00% of the photo near the threshold, the most doubtful" in found[0].why
        ((where, why),) = problems
        assert where == "gone" and "found.png" in why
        catalogue.record_labels([label(found[0].source_key)])
        keys = {one.source_key for one in suggest(catalogue, settings, 10)[0]}
        assert found[0].source_key not in keys and len(keys) == 4


def test_doubt_is_of_the_most_doubtful_hundredth() -> None:
    """A sure mask has none, whatever it covers; a coin's toss on a hundredth of the photo is doubt enough."""
    assert doubt_of(mask(1.0, 0.5)) == (0.0, 0.0)
    doubt, near = doubt_of(mask(0.5, 0.01))
    assert (doubt, near) == (pytest.approx(1, abs=0.01), pytest.approx(0.01))
    assert doubt_of(mask(0.9))[0] == pytest.approx(0.36, abs=0.01)
    with pytest.raises(CoreError):
        doubt_of(b"no picture")


def test_the_command_lists_them_for_people_and_for_programs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["labels", "suggest", "2", "--home", str(home), "--format", "jsonl"]) == 1
    out, err = capsys.readouterr()
    first, second = [json.loads(line) for line in out.splitlines()]
    assert first["score"] >= second["score"] and first["found_key"].startswith(sha(first["source_key"])[:2])
    assert "gone: " in err
    assert run_command(["labels", "suggest", "1", "--home", str(home)]) == 1
    assert "doubt 1.00" in capsys.readouterr().out
