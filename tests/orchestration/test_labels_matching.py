"""Which photo a label is for, by what its export calls it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from flows.labels.matching import PhotoMatcher
from oldphoto_core.errors import LabelRefused
from oldphoto_core.labels.file_names import names_of
from storage.catalog import Catalogue
from storage.records import CollectionRecord
from tests.store.makers import photo, seen, sha, with_photos

KEYS = (
    "1931/wedding.jpg", "1932/wedding.tif", "wedding.png", "1931/Größe.jpg", "twin a.jpg", "harbour.JPG", "box.1.tif",
)  # fmt: skip


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Photos of which several are called alike, one twice, and a second collection in a bucket."""
    opened = Catalogue.open(tmp_path / "catalogue.db")
    collection_id = with_photos(opened, *KEYS)
    opened.record_objects(collection_id, [seen("copies/twin a.jpg", "twin a.jpg")])
    bucket = opened.upsert_collection(CollectionRecord(url="s3://museum/albums"))
    opened.record_objects(bucket, [seen("1931/harbour.tif", "bucket")], [photo("bucket")])
    return opened


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("1931/wedding.jpg", "1931/wedding.jpg"),
        ("export/masks/1932/wedding.png", "1932/wedding.tif"),
        ("wedding.png", "wedding.png"),
        ("/scans/1931/wedding.jpg", "1931/wedding.jpg"),
        ("twin a.jpg", "twin a.jpg"),
        ("/data/upload/3/0a1b2c3d-twin%20a.jpg", "twin a.jpg"),
        ("harbour.jpg.png", None),
        ("harbour_mask.png", None),
        ("s3://museum/albums/1931/harbour.tif", "bucket"),
        ("1931/harbour.png", "bucket"),
        ("box.1.png", "box.1.tif"),
        ("box.1-mask.png", "box.1.tif"),
        (unicodedata.normalize("NFD", "Größe.jpg"), "1931/Größe.jpg"),
        (unicodedata.normalize("NFC", "Größe.png"), "1931/Größe.jpg"),
        (f"anything.{sha('bucket')}.png", "bucket"),
        (sha("bucket").upper(), "bucket"),
        ("nobody.png", None),
        (f"{'0' * 64}.png", None),
        ("", None),
    ],
)
def test_a_label_finds_its_photo_or_none(catalogue: Catalogue, called: str, name: str | None) -> None:
    """By whole key or URL, by folders in common, by stem; the same content under two names is one photo."""
    files = names_of(called)
    matcher = PhotoMatcher.of(catalogue, [files])
    if name is not None:
        assert matcher.match(files).photo_sha256 == sha(name)
    else:
        with pytest.raises(LabelRefused):
            matcher.match(files)


def test_candidates_are_listed_where_several_are_meant(catalogue: Catalogue) -> None:
    files = names_of("harbour.png")
    with pytest.raises(LabelRefused, match=r"2 photos: 1931/harbour.tif, harbour.JPG; put it into"):
        PhotoMatcher.of(catalogue, [files]).match(files)
