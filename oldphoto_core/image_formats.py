"""What a file is, by its bytes alone: names and extensions are never believed.

Carried: JPEG (MPO too), PNG, TIFF (BigTIFF too), JPEG 2000, WebP, AVIF, GIF, BMP, PBM/PGM/PPM and flattened
Photoshop files. Everything else is named as well as its first bytes allow, so that a person knows what to do with it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

CARRIED = "JPEG, PNG, TIFF, JPEG 2000, WebP, AVIF, GIF, BMP, PNM or PSD"
"""The formats, for messages."""

_SIGNATURES: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in [
        ("JPEG", rb"\xff\xd8\xff"),
        ("PNG", rb"\x89PNG\r\n\x1a\n"),
        ("TIFF", rb"II\*\0(?!\x10\0\0\0CR)|MM\0\*|II\+\0\x08\0|MM\0\+\0\x08"),
        ("JPEG2000", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
        ("WEBP", rb"RIFF....WEBP"),
        ("AVIF", rb"....ftypavi[fs]"),
        ("GIF", rb"GIF8[79]a"),
        ("BMP", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
        ("PPM", rb"P[1-6][\s#]"),
        ("PSD", rb"8BPS\0\x01"),
    ]
)

_FOREIGN: tuple[tuple[str, bool, re.Pattern[bytes]], ...] = tuple(
    (name, is_picture, re.compile(pattern, re.DOTALL | re.IGNORECASE))
    for name, is_picture, pattern in [
        ("a HEIF picture", True, rb"....ftyp(?:hei[cfmsvx]|hevc|mif1|msf1)"),
        ("a JPEG XL picture", True, rb"\xff\x0a|\0\0\0\x0cJXL "),
        ("a camera's raw file", True, rb"II\*\0\x10\0\0\0CR|....ftypcrx |FUJIFILMCCD-RAW|IIU\0|IIR[OS]|MMOR"),
        ("a large Photoshop document (PSB)", True, rb"8BPS\0\x02"),
        ("an icon", True, rb"\0\0[\x01\x02]\0"),
        ("a DirectDraw surface", True, rb"DDS "),
        ("an OpenEXR picture", True, rb"v/1\x01"),
        ("a DjVu document", False, rb"AT&TFORM"),
        ("a PDF document", False, rb"[\s\xef\xbb\xbf]*%PDF-"),
        ("a PostScript document", False, rb"%!PS|\xc5\xd0\xd3\xc6"),
        ("an SVG drawing", False, rb"[\s\xef\xbb\xbf]*(?:<\?xml.{0,400}?)?<svg"),
        ("a web page", False, rb"[\s\xef\xbb\xbf]*<(?:!doctype html|html|head|body)"),
        ("an XML document", False, rb"[\s\xef\xbb\xbf]*<\?xml"),
        ("a film or sound file", False, rb"....ftyp|RIFF....(?:AVI |WAVE)|\x1aE\xdf\xa3|ID3|OggS"),
        ("an archive", False, rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ"),
        ("a program", False, rb"MZ|\x7fELF|\xcf\xfa\xed\xfe|#!"),
    ]
)

_JP2_SRGB, _JP2_GREY = 16, 17

WEAK_SIGNATURES = frozenset({"PPM"})
"""Formats whose signature a text may bear by chance: a header that makes no sense is then no image."""


def sniff(data: bytes) -> str | None:
    """Gives Pillow's name of the format that the first bytes announce; None where it is none of the carried."""
    return next((name for name, signature in _SIGNATURES if signature.match(data)), None)


def describe_foreign(data: bytes) -> tuple[str, bool]:
    """Gives what a file that is not carried seems to be, and whether that is a picture."""
    head = data[:1024]
    for name, is_picture, signature in _FOREIGN:
        if signature.match(head):
            return name, is_picture
    if not any(head):
        return "zeros only", False
    if _is_text(head):
        return "plain text", False
    return f"unknown bytes beginning {head[:8].hex(' ')}", False


@dataclass(frozen=True)
class DeclaredDepth:
    """Bits a sample, as the file declares them: Pillow cuts most of them to 8 without a word."""

    bits: int
    """Bits of the deepest channel."""

    colour: bool
    """Whether the samples are of a colour, rather than of grey with or without alpha."""


def declared_depth(data: bytes, format: str) -> DeclaredDepth | None:
    """Gives the declared depth, or None where the format knows 8 bits only, or the header ends early.

    TIFF is not asked here: see `oldphoto_core.tiff_pages`.
    """
    reader = {"PNG": _png, "JPEG": _jpeg, "JPEG2000": _jpeg2000, "PSD": _psd, "PPM": _ppm, "AVIF": _avif}.get(format)
    try:
        return reader(data) if reader else None
    except (struct.error, IndexError):
        return None


def declared_length(data: bytes, format: str) -> int:
    """Gives how many bytes the file says that it has at least; 0 where the format does not say."""
    if format == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8
    if format == "AVIF" or (format == "JPEG2000" and data[:1] == b"\0"):
        return _boxes_length(data)
    return 0


def jpeg2000_profile(data: bytes) -> bytes | None:
    """Gives the ICC profile in a JP2 file's `colr` box, which Pillow passes over."""
    end = data.find(b"jp2c")
    at = data.find(b"colr", 0, end if end >= 0 else None)
    if at < 4 or data[at + 4 : at + 5] != b"\2":
        return None
    length = int.from_bytes(data[at - 4 : at], "big")
    return data[at + 7 : at - 4 + length] or None


@dataclass(frozen=True)
class Jpeg2000Components:
    """What a JPEG 2000 file says of its samples."""

    bits: tuple[int, ...]
    """Bits a sample, by component."""

    is_plain: bool
    """Whether all are unsigned, at full resolution, and grey or RGB as they stand."""


def jpeg2000_components(data: bytes) -> Jpeg2000Components:
    """Gives depth and kind of the components. Raises struct.error or IndexError where the header ends early."""
    at = data.index(b"\xff\x4f\xff\x51")
    (channels,) = struct.unpack_from(">H", data, at + 40)
    fields = [data[at + 42 + 3 * channel : at + 45 + 3 * channel] for channel in range(channels)]
    is_plain = all(field[0] < 0x80 and field[1:] == b"\1\1" for field in fields)
    head = data[:at]
    colour = head.find(b"colr")
    if colour >= 0 and head[colour + 4 : colour + 5] == b"\1":
        is_plain &= int.from_bytes(head[colour + 7 : colour + 11], "big") in (_JP2_SRGB, _JP2_GREY)
    return Jpeg2000Components(tuple((field[0] & 0x7F) + 1 for field in fields), is_plain and b"pclr" not in head)


def _boxes_length(data: bytes) -> int:
    at = 0
    while at + 16 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length < 8:  # 0: to the end of the file
            break
        at += length
    return at


def _is_text(head: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)


def _png(data: bytes) -> DeclaredDepth:
    bits, colour_type = struct.unpack_from(">BB", data, 24)
    return DeclaredDepth(bits, colour_type in (2, 6))


def _jpeg(data: bytes) -> DeclaredDepth | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, channels = data[at + 4], data[at + 9]
            return DeclaredDepth(bits, channels >= 3)
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


def _jpeg2000(data: bytes) -> DeclaredDepth | None:
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return None
    (channels,) = struct.unpack_from(">H", data, at + 40)
    depths = [(data[at + 42 + 3 * channel] & 0x7F) + 1 for channel in range(min(channels, 8))]
    return DeclaredDepth(max(depths, default=8), channels >= 3)


def _psd(data: bytes) -> DeclaredDepth:
    bits, mode = struct.unpack_from(">HH", data, 22)
    return DeclaredDepth(bits, mode not in (0, 1, 8))


def _ppm(data: bytes) -> DeclaredDepth | None:
    fields = re.findall(rb"\d+", re.sub(rb"#[^\n]*", b"", data[:1024][2:]))
    if data[1:2] in b"14" or len(fields) < 3:
        return None
    return DeclaredDepth(8 if int(fields[2]) < 256 else 16, data[1:2] in b"36")


def _avif(data: bytes) -> DeclaredDepth | None:
    at = data.find(b"av1C")
    if at < 0:
        return None
    flags = data[at + 6]
    return DeclaredDepth(8 if not flags & 0x40 else 12 if flags & 0x20 else 10, not flags & 0x10)
