"""A second reader (exiv2) agrees on size, profile, resolution, EXIF, IPTC and XMP of what was decoded and written."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from oldphoto_core.color import srgb_profile
from oldphoto_core.images import DecodedImage, decode_image, encode_image
from oldphoto_core.packets import iptc_resource
from oldphoto_core.xmp import RESTORED_TYPE, DerivativeStatement, derivative_xmp
from tests import icc
from tests.core.test_xmp import with_properties
from tests.images import HEIGHT, WIDTH, deep_grey_picture, deep_picture, grey_picture, picture, rich_exif, save, tiff

exiv2 = pytest.importorskip("exiv2")

IPTC = b"".join(
    b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(text)) + text
    for number, text in [(5, b"Titel"), (80, b"Atelier Nord"), (120, "Großmutter am Hafen".encode())]
)
XMP = with_properties(
    'tiff:Orientation="6" mm:DocumentID="xmp.did:scan"',
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Hafen</rdf:li></rdf:Alt></dc:title>',
)
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
_XMP_UUID, _IPTC_UUID = "be7acfcb97a942e89c71999491e3afac", "33c7a4d2b81d4723a0baf1a3e097ad38"


def _exif(orientation: int) -> bytes:
    block = bytearray(rich_exif().removeprefix(b"Exif\0\0"))
    at = block.index(struct.pack("<HHI", 0x0112, 3, 1))
    struct.pack_into("<H", block, at + 8, orientation)
    return bytes(block)


def _tiff_master(pixels: np.ndarray, profile: bytes | None, orientation: int) -> bytes:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    tags = [
        (270, 2, None, "Hafen 1931", True),
        (274, 3, 1, orientation, True),
        (700, 1, len(XMP), XMP, True),
        (33723, 7, len(IPTC), IPTC, True),
    ]
    return tiff(
        pixels,
        photometric="minisblack" if channels < 3 else "rgb",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="lzw",
        iccprofile=profile,
        resolution=(600, 300),
        resolutionunit=2,
        extratags=tags,
    )


def _png_master(pixels: np.ndarray, profile: bytes | None, orientation: int) -> bytes:
    chunks = {b"pHYs": struct.pack(">IIB", 23622, 11811, 1), b"eXIf": _exif(orientation)}
    if profile:
        chunks[b"iCCP"] = b"x\0\0" + zlib.compress(profile)
    chunks[b"iTXt"] = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)
    profile_text = f"\niptc\n{len(IPTC):8}\n{IPTC.hex()}\n".encode()
    chunks[b"tEXt"] = b"Raw profile type iptc\0" + profile_text
    data = bytes(imagecodecs.png_encode(pixels))
    packed = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )
    return data[:33] + packed + data[33:]


def _jpeg_master(pixels: np.ndarray, profile: bytes | None, orientation: int) -> bytes:
    extras = {"icc_profile": profile} if profile else {}
    exif = b"Exif\0\0" + _exif(orientation)
    data = save(pixels, "JPEG", quality=95, subsampling=0, dpi=(600, 300), exif=exif, xmp=XMP, **extras)
    resources = b"Photoshop 3.0\0" + b"8BIM\x03\xed\0\0\0\0\0\x02ab" + iptc_resource(IPTC)
    return data[:2] + struct.pack(">BBH", 0xFF, 0xED, len(resources) + 2) + resources + data[2:]


def _jp2_master(pixels: np.ndarray, profile: bytes | None, orientation: int) -> bytes:
    data = bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", reversible=True))
    bodies = [
        bytes.fromhex(_XMP_UUID) + XMP,
        bytes.fromhex(_IPTC_UUID) + IPTC,
        b"JpgTiffExif->JP2" + _exif(orientation),
    ]
    boxes = b"".join(struct.pack(">I4s", len(body) + 8, b"uuid") + body for body in bodies)
    if profile:
        at = data.index(b"colr") - 4
        length, header = int.from_bytes(data[at : at + 4], "big"), data.index(b"jp2h") - 4
        colour = struct.pack(">I4s", len(profile) + 11, b"colr") + b"\2\0\0" + profile
        outer = int.from_bytes(data[header : header + 4], "big") + len(colour) - length
        data = data[:header] + outer.to_bytes(4, "big") + data[header + 4 : at] + colour + data[at + length :]
    return data + boxes


MASTERS: dict[str, Callable[[np.ndarray, bytes | None, int], bytes]] = {
    "tiff": _tiff_master,
    "png": _png_master,
    "jpeg": _jpeg_master,
    "jp2": _jp2_master,
}
PIXELS: dict[str, np.ndarray] = {
    "grey 8": grey_picture(),
    "grey 16": deep_grey_picture(),
    "colour 8": picture(),
    "colour 16": deep_picture(),
    "colour 8 with alpha": np.dstack([picture(), grey_picture()]),
    "colour 16 with alpha": np.dstack([deep_picture(), deep_grey_picture()]),
}
CASES = [
    (format, kind)
    for format, kind in itertools.product(MASTERS, PIXELS)
    if not (format == "jpeg" and ("16" in kind or "alpha" in kind))
]


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Gives the pixels as a file with this orientation stores them."""
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[::-1],
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a.swapaxes(0, 1)[:, ::-1],
    }[orientation](pixels)
    return np.ascontiguousarray(stored)


def derivative_of(master: DecodedImage, format: str) -> bytes:
    """Gives what is written of a master whose pixels did not change."""
    shallow = format == "jpg"
    pixels = master.pixels
    if shallow and pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return encode_image(
        pixels,
        format=format,  # type: ignore[arg-type]
        icc_profile=master.icc_profile,
        dpi=master.dpi,
        exif=master.exif,
        alpha=None if shallow else master.alpha,
        xmp=derivative_xmp(master.xmp, STATEMENT),
        iptc=master.iptc,
    )


def read_by_another(data: bytes) -> object:
    """Gives exiv2's view of a file."""
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    return image


def words_of(metadata: object) -> dict[str, str]:
    """Gives exiv2's metadata as text by key."""
    return {datum.key(): str(datum.value()) for datum in metadata}  # type: ignore[attr-defined]


def embedded_profile(data: bytes) -> bytes | None:
    """Gives the ICC profile, read by tifffile or Pillow."""
    if data[:2] in (b"II", b"MM"):
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return file.pages[0].tags.valueof(34675) or None  # type: ignore[union-attr]
    with Image.open(io.BytesIO(data)) as image:
        return image.info.get("icc_profile")


@pytest.mark.parametrize("target", ["tif", "png", "jpg"])
@pytest.mark.parametrize(("format", "kind"), CASES)
def test_a_second_reader_agrees(format: str, kind: str, target: str) -> None:
    pixels = PIXELS[kind]
    profile = icc.grey(1.8) if pixels.ndim == 2 else icc.adobe_rgb()
    orientation = 6
    master = decode_image(MASTERS[format](turned(pixels, orientation), profile, orientation), "master")
    planes = master.pixels if master.alpha is None else np.dstack([master.pixels, master.alpha])
    assert planes.dtype == pixels.dtype
    assert planes.shape == pixels.shape
    assert np.abs(planes.astype(int) - pixels).max() <= (60 if format == "jpeg" else 0)
    data = derivative_of(master, target)
    seen = read_by_another(data)
    assert (seen.pixelWidth(), seen.pixelHeight()) == (WIDTH, HEIGHT)
    assert embedded_profile(data) == master.icc_profile == profile
    again = decode_image(data, "derivative")
    assert again.facts.orientation == 1
    if format != "jp2":
        assert again.dpi == pytest.approx((300, 600), abs=0.05)  # turned with the photo
    exif, iptc, xmp = words_of(seen.exifData()), words_of(seen.iptcData()), words_of(seen.xmpData())
    assert exif.get("Exif.Image.Orientation", "1") == "1"
    assert exif["Exif.Image.ImageDescription"] == ("Hafen 1931" if format == "tiff" else "Großmutter, 1931")
    if format != "tiff":
        assert exif["Exif.Photo.DateTimeOriginal"] == "1931:05:04 03:02:01"
        assert (exif["Exif.Photo.PixelXDimension"], exif["Exif.Photo.PixelYDimension"]) == (str(WIDTH), str(HEIGHT))
        assert exif["Exif.GPSInfo.GPSLatitudeRef"] == "N"
    assert iptc["Iptc.Application2.ObjectName"] == "Titel"
    assert iptc["Iptc.Application2.Byline"] == "Atelier Nord"
    assert iptc["Iptc.Application2.Caption"] == "Großmutter am Hafen"
    assert xmp["Xmp.tiff.Orientation"] == "1"
    assert "Hafen" in xmp["Xmp.dc.title"]
    assert xmp["Xmp.xmpMM.DerivedFrom/stRef:instanceID"] == f"nih:sha-256;{STATEMENT.master_sha256}"
    assert xmp["Xmp.xmpMM.DerivedFrom/stRef:documentID"] == "xmp.did:scan"
    assert xmp["Xmp.xmpMM.History[1]/stEvt:softwareAgent"] == STATEMENT.software
    assert STATEMENT.release in xmp["Xmp.xmpMM.History[1]/stEvt:parameters"]
    assert xmp["Xmp.iptcExt.DigitalSourceType"] == RESTORED_TYPE
    assert data == derivative_of(master, target)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", MASTERS)
def test_every_orientation_is_applied_once_and_cleared(format: str, orientation: int) -> None:
    stored = turned(picture(), orientation)
    master = decode_image(MASTERS[format](stored, srgb_profile(), orientation), "master")
    assert np.abs(master.pixels.astype(int) - picture()).max() <= (60 if format == "jpeg" else 0)
    for target in ("tif", "png", "jpg"):
        data = derivative_of(master, target)
        seen = read_by_another(data)
        assert (seen.pixelWidth(), seen.pixelHeight()) == (WIDTH, HEIGHT)
        assert words_of(seen.exifData()).get("Exif.Image.Orientation", "1") == "1"
        assert words_of(seen.xmpData())["Xmp.tiff.Orientation"] == "1"
        assert np.array_equal(decode_image(data, "derivative").pixels.shape, master.pixels.shape)


def test_packets_as_other_programs_write_them_are_found() -> None:
    """exiv2 writes; we read."""
    for data in (
        tiff(picture(), photometric="rgb"),
        save(picture(), "PNG"),
        save(picture(), "JPEG"),
        save(picture(), "WEBP"),
    ):
        image = exiv2.ImageFactory.open(data)
        image.readMetadata()
        image.xmpData()["Xmp.dc.source"] = "shelf B 12"
        if data[8:12] != b"WEBP":
            image.iptcData()["Iptc.Application2.City"] = "Bergen"
        image.writeMetadata()
        written = bytes(image.io().data()) if not isinstance(image.io(), bytes) else image.io()
        found = decode_image(written, "photo")
        assert found.xmp is not None and b"shelf B 12" in found.xmp
        if data[8:12] != b"WEBP":
            assert found.iptc is not None and b"Bergen" in found.iptc


def test_long_packets_of_a_jpeg_are_joined_or_left_out() -> None:
    further = with_properties("", "<dc:source>" + "x" * 70_000 + "</dc:source>")
    name = b"0123456789ABCDEF0123456789ABCDEF"
    main = with_properties('dc:rights="ours"').replace(
        b"dc:rights", b'xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="' + name + b'" dc:rights'
    )
    segments = b""
    for at in range(0, len(further), 40_000):
        body = b"http://ns.adobe.com/xmp/extension/\0" + name + struct.pack(">II", len(further), at)
        body += further[at : at + 40_000]
        segments += struct.pack(">BBH", 0xFF, 0xE1, len(body) + 2) + body
    plain = save(picture(), "JPEG", xmp=main)
    at = plain.index(b"\xff\xe1")
    end = at + 2 + int.from_bytes(plain[at + 2 : at + 4], "big")
    found = decode_image(plain[:end] + segments + plain[end:], "photo").xmp
    assert found is not None
    assert b"x" * 70_000 in found and b"ours" in found and b"HasExtendedXMP" not in found
    assert decode_image(encode_image(picture(), format="jpg", xmp=found), "photo").xmp is None
    assert decode_image(encode_image(picture(), format="tif", xmp=found), "photo").xmp == found
