"""Work hashes, derivative keys and browse paths."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import WorkParametersError
from storage.keys import WorkParameters, browse_path, canonical_json, derivative_keys, derivative_prefix, work_hash
from tests.store.makers import sha

BASE = WorkParameters(weights_hash="w")
NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=("Cs",)), max_size=300)
ODD_NAMES = st.one_of(
    NAMES, st.sampled_from(["", ".", "..", "_", "_..", "a", "a.jpg", "a.jpg.tif", "a.jpg.tif_", "a.jpg.png", "x" * 255])
)
KEYS = st.lists(ODD_NAMES, min_size=1, max_size=5).map("/".join)


def test_work_hash_is_the_one_in_catalogues() -> None:
    """The hash of known parameters never changes; work that was done before there was a choice of mending keeps its."""
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
    document = (
        '{"mending":"normal","mode":"full","output_format":"auto","pixel_version":1,"strength":1.0,"tone":"correct",'
        '"weights_hash":"w"}'
    )
    assert work_hash(BASE) == sha(document)
    assert work_hash(BASE, with_mending=False) == sha(document.replace('"mending":"normal",', ""))
    with_mask = document.replace('{"mending"', f'{{"mask_sha256":"{sha("mask")}","mending"')
    assert work_hash(BASE.with_mask(sha("mask"))) == sha(with_mask)
    with_label = with_mask.replace('"mask_sha256"', '"mask_joined":true,"mask_sha256"')
    assert work_hash(BASE.with_label(sha("mask"))) == sha(with_label)


@pytest.mark.parametrize(
    "other",
    [
        WorkParameters(weights_hash="v"),
        WorkParameters(weights_hash="w", mode="scratches"),
        WorkParameters(weights_hash="w", tone="keep"),
        WorkParameters(weights_hash="w", tone="neutral"),
        WorkParameters(weights_hash="w", mending="sure"),
        WorkParameters(weights_hash="w", mending="everything"),
        WorkParameters(weights_hash="w", strength=0.5),
        WorkParameters(weights_hash="w", output_format="tif"),
        WorkParameters(weights_hash="w", pixel_version=2),
        BASE.with_mask(sha("mask")),
        BASE.with_label(sha("mask")),
    ],
)
def test_every_parameter_is_in_the_work_hash(other: WorkParameters) -> None:
    """Changing any one gives other work."""
    assert work_hash(other) != work_hash(BASE)


def test_strength_one_is_the_same_work_as_an_integer_or_a_float() -> None:
    """A setting may come as 1 or as 1.0."""
    assert work_hash(WorkParameters(weights_hash="w", strength=1)) == work_hash(BASE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights_hash": ""},
        {"mode": "half"},
        {"tone": "sepia"},
        {"mending": "all"},
        {"strength": 1.5},
        {"strength": float("nan")},
        {"output_format": "gif"},
        {"mode": "scratches", "output_format": "jpg"},
        {"mask_sha256": "abc"},
        {"mask_joined": True},
    ],
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    """JPEG with scratches mode among them: it cannot keep pixels bit for bit."""
    with pytest.raises(WorkParametersError):
        WorkParameters(**({"weights_hash": "w"} | wrong))  # type: ignore[arg-type]


def test_derivative_keys_follow_the_design() -> None:
    """``{sha[:2]}/{sha}/{release}-{work hash[:12]}/{restored sha[:8]}/``."""
    photo, work, result = sha("photo"), sha("work"), sha("result")
    prefix = derivative_prefix(photo, release="archive-0a1b2c3d", work_hash=work, restored_sha256=result)
    assert prefix == f"{photo[:2]}/{photo}/archive-0a1b2c3d-{work[:12]}/{result[:8]}/"
    keys = derivative_keys(prefix, "tif")
    assert keys.restored == prefix + "restored.tif"
    assert keys.provenance == prefix + "provenance.json"
    assert (keys.mask, keys.found) == (prefix + "mask.png", prefix + "found.png")
    with pytest.raises(WorkParametersError):
        derivative_prefix(photo, release="../x", work_hash=work, restored_sha256=result)


def test_browse_keeps_ordinary_paths() -> None:
    """A person finds the photo they know, ``a.jpg`` beside ``a.png``."""
    assert browse_path("1912/Räder & Co/a b.jpg", "png") == "browse/1912/Räder & Co/a b.jpg.png"
    assert browse_path("a.png", "tif") == "browse/a.png.tif"
    assert browse_path("a.jpg", "tif", browse_folder="second-0a1b2c3d") == "browse/second-0a1b2c3d/a.jpg.tif"


@given(KEYS, st.sampled_from(["tif", "png", "jpg"]))
def test_browse_never_leaves_its_folder_and_fits_a_file_system(key: str, extension: str) -> None:
    """Whatever a bucket's keys look like."""
    path = browse_path(key, extension)
    assert path.startswith("browse/")
    assert posixpath.normpath(path) == path
    assert "\0" not in path
    assert all(len(part.encode()) <= 255 for part in path.split("/"))


@given(st.sets(KEYS.filter(lambda key: "\0" not in key and "\ufffd" not in key), max_size=8))
def test_browse_paths_of_different_keys_never_meet(keys: set[str]) -> None:
    """Neither as the same file, nor as a file where another needs a folder."""
    paths = {browse_path(key, extension) for key in keys for extension in ("tif", "png", "jpg")}
    assert len(paths) == 3 * len(keys)
    folders = {path[:i] for path in paths for i, character in enumerate(path) if character == "/"}
    assert not paths & folders
