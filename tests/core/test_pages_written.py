"""A TIFF of several pages is written with all that belongs to each; second readers agree on every page."""

from __future__ import annotations

import io
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import tifffile
from PIL import Image

from oldphoto_core import tiff_writing
from oldphoto_core.encoding import PagePicture, encode_image, write_pages
from oldphoto_core.errors import ConfigError
from oldphoto_core.images import open_image
from oldphoto_core.scan import ArrayScan
from oldphoto_core.xmp import DerivativeStatement, derivative_xmp
from tests import icc
from tests.images import deep_grey_picture, deep_picture, grey_picture, picture, rich_exif

exiv2 = pytest.importorskip("exiv2")

STATEMENT = DerivativeStatement(
    master_sha256="5e" * 32,
    release="archive-12345678",
    weights_hash="1234567890abcdef",
    mode="full",
    tone="correct",
    mending="normal",
    strength=1.0,
    software="oldphoto 0.1.0",
)
IPTC = b"\x1c\x02\x05\x00\x05Titel"


def exif_saying(words: str, order: str = "<") -> bytes:
    exif = Image.Exif()
    exif.load(rich_exif(order))
    exif.endian = order
    exif[0x010E] = words.encode()
    return exif.tobytes().removeprefix(b"Exif\0\0")


def page(pixels: np.ndarray, number: int, **how: object) -> PagePicture:
    grey = pixels.ndim == 2
    return replace(
        PagePicture(
            ArrayScan(pixels),
            icc_profile=icc.grey(1.8) if grey else icc.adobe_rgb(),
            dpi=(300.0 * number, 200.0 * number),
            exif=exif_saying(f"page {number}"),
            xmp=derivative_xmp(None, replace(STATEMENT, page=number, pixels_sha256=str(number))),
            iptc=IPTC,
        ),
        **how,
    )


RECTO, VERSO, SHEET = deep_picture(100, 130), grey_picture(64, 48), picture(80, 90)


def album() -> list[PagePicture]:
    return [
        page(RECTO, 1, alpha=ArrayScan(deep_grey_picture(100, 130))),
        page(VERSO, 2, exif=None),
        page(SHEET, 3, tile_px=32),
    ]


def written(pages: list[PagePicture]) -> bytes:
    out = io.BytesIO()
    write_pages(out, pages)
    return out.getvalue()


@pytest.mark.parametrize("big", [False, True])
def test_each_page_has_its_own_size_depth_profile_resolution_and_words(big: bool) -> None:
    with patch.object(tiff_writing, "CLASSIC_BYTES", 1000 if big else 1 << 30):
        data = written(album())
        assert data == written(album())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.is_bigtiff == big
        assert len(file.pages) == 3
        for number, (found, wanted, pixels) in enumerate(zip(file.pages, album(), (RECTO, VERSO, SHEET), strict=True)):
            planes = found.asarray()
            assert np.array_equal(planes[..., :3] if pixels.ndim == 3 else planes, pixels)
            assert planes.dtype == pixels.dtype
            assert (found.subfiletype, found.tags[297].value) == (2, (number, 3))
            assert found.tags[34675].value == wanted.icc_profile
            assert found.tags["XResolution"].value == (300 * (number + 1), 1)
            assert ("ExifTag" in found.tags) == (wanted.exif is not None)
            if wanted.exif:
                inner = found.tags["ExifTag"].value
                assert (inner["PixelXDimension"], inner["PixelYDimension"]) == pixels.shape[1::-1]
                assert inner["MakerNote"] == b"maker note, longer than four bytes"
                assert found.tags["GPSTag"].value["GPSLatitude"] == (48, 1, 8, 1, 29, 2)
                assert found.tags["ImageDescription"].value == f"page {number + 1}"
            codes = [tag.code for tag in found.tags]
            assert codes == sorted(codes)
        assert file.pages[2].tilewidth == 32


def test_pillow_and_exiv2_read_all_pages() -> None:
    data = written(album())
    with Image.open(io.BytesIO(data)) as file:
        assert file.n_frames == 3
        for number, (size, mode) in enumerate([((48, 64), "L"), ((90, 80), "RGB")], 1):
            file.seek(number)
            assert (file.size, file.mode) == (size, mode)
            assert file.info["dpi"] == (300 * (number + 1), 200 * (number + 1))
            assert file.info["icc_profile"] == album()[number].icc_profile
            assert f"page {number + 1} of the file with SHA-256".encode() in file.tag_v2[700]
    seen = exiv2.ImageFactory.open(data)
    seen.readMetadata()
    words = {datum.key(): str(datum.value()) for datum in seen.exifData()}
    assert (seen.pixelWidth(), seen.pixelHeight()) == (130, 100)
    assert words["Exif.Photo.DateTimeOriginal"] == "1931:05:04 03:02:01"
    second, third = "Exif.Thumbnail", "Exif.Image2"  # as exiv2 calls a TIFF's further directories
    assert (words[f"{second}.ImageWidth"], words[f"{second}.ImageLength"]) == ("48", "64")
    assert (words[f"{third}.ImageWidth"], words[f"{third}.ImageLength"]) == ("90", "80")
    assert (words[f"{second}.XResolution"], words[f"{third}.XResolution"]) == ("600/1", "900/1")
    assert words[f"{third}.ImageDescription"] == "page 3"
    assert "page 1" in str(seen.xmpPacket())


def test_what_was_written_is_what_is_read_again() -> None:
    with open_image(io.BytesIO(written(album())), "album.tif") as image:
        assert image.facts.capture["pages"] == "3"
        for number, (found, wanted) in enumerate(zip(image.pages, album(), strict=True), 1):
            height = wanted.scan.shape[0]
            assert np.array_equal(found.scan.rows(0, height), wanted.scan.rows(0, height))
            assert (found.icc_profile, found.dpi, found.iptc) == (wanted.icc_profile, wanted.dpi, IPTC)
            assert found.xmp == wanted.xmp
            assert found.facts.capture.get("description") == (f"page {number}" if wanted.exif else None)
            assert (found.alpha is None) == (wanted.alpha is None)
        assert image.pages[0].alpha is not None
        assert np.array_equal(image.pages[0].alpha.rows(0, 100), deep_grey_picture(100, 130))


def test_one_page_is_the_file_that_it_always_was() -> None:
    alone = page(SHEET, 1, tile_px=None)
    assert written([alone]) == encode_image(
        SHEET, format="tif", icc_profile=alone.icc_profile, dpi=alone.dpi, exif=alone.exif, xmp=alone.xmp, iptc=IPTC
    )


@pytest.mark.parametrize("orders", ["><", "<>", ">>"])
def test_words_of_any_byte_order_stay_readable(orders: str) -> None:
    pages = [page(SHEET, n, exif=exif_saying(f"page {n}", order)) for n, order in enumerate(orders, 1)]
    with tifffile.TiffFile(io.BytesIO(written(pages))) as file:
        assert [one.tags["ExifTag"].value["DateTimeOriginal"] for one in file.pages] == ["1931:05:04 03:02:01"] * 2
        assert all(np.array_equal(one.asarray(), SHEET) for one in file.pages)


def test_a_page_that_a_tiff_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="class RGB"):
        written([page(SHEET, 1), page(SHEET, 2, icc_profile=icc.grey(1.8))])
