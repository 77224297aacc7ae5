"""Where files keep what people wrote into them: packets of XMP and IPTC, and EXIF in JPEG 2000.

Packets are found and given back as they are; nobody reads their words here (see `oldphoto_core.xmp`). A container that
is broken gives what was found until then: its pixels are another reader's matter.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from oldphoto_core.xmp import joined

log = logging.getLogger(__name__)

XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
"""What an APP1 segment of JPEG begins with that holds XMP."""

PHOTOSHOP_SEGMENT = b"Photoshop 3.0\0"
"""What an APP13 segment of JPEG begins with; Photoshop's resources follow."""

XMP_KEYWORD = b"XML:com.adobe.xmp"
"""Keyword of a PNG's iTXt chunk that holds XMP."""

IPTC_KEYWORD = b"Raw profile type iptc"
"""Keyword of a PNG's zTXt chunk that holds IPTC in hexadecimal digits, as ImageMagick began it."""

_EXTENDED_SEGMENT = b"http://ns.adobe.com/xmp/extension/\0"
_IPTC_RESOURCE, _XMP_RESOURCE = 0x0404, 0x0424
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_IPTC_UUID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_EXIF_UUID = b"JpgTiffExif->JP2"
_MAX_TEXT_BYTES = 64 << 20


@dataclass(frozen=True)
class Packets:
    """What was found; None where there is none."""

    xmp: bytes | None = None
    """An XMP packet, without the padding of zeros around it."""

    iptc: bytes | None = None
    """IPTC datasets (IIM), without padding."""

    exif: bytes | None = None
    """An EXIF block; of JPEG 2000 alone, since other formats have readers of theirs."""


def find_packets(data: bytes, format: str) -> Packets:
    """Gives the packets of a file that is no TIFF.

    Args:
        data: The whole file.
        format: Pillow's name of its format.
    """
    finder = {"JPEG": _jpeg, "PNG": _png, "JPEG2000": _jpeg2000, "WEBP": _webp, "PSD": _photoshop}.get(format)
    if finder is None:
        return Packets()
    try:
        return finder(data)
    except (struct.error, IndexError, ValueError, zlib.error) as error:
        log.debug("Metadata that cannot be reached: %s", error)
        return Packets()


def whole_xmp(packet: bytes | None) -> bytes | None:
    """Gives a packet without zeros around it; None where nothing is left."""
    return (packet or b"").strip(b"\0") or None


def whole_iptc(data: bytes | None) -> bytes | None:
    """Gives the datasets that stand whole at the beginning; None where there are none."""
    at, data = 0, data or b""
    while at + 5 <= len(data) and data[at] == 0x1C:
        length, start = int.from_bytes(data[at + 3 : at + 5], "big"), at + 5
        if length & 0x8000:  # the length of the length
            start += length & 0x7FFF
            length = int.from_bytes(data[at + 5 : start], "big")
        if start + length > len(data):
            break
        at = start + length
    return data[:at] or None


def photoshop_resources(data: bytes) -> dict[int, bytes]:
    """Gives Photoshop's resources by number, up to the first that is broken."""
    found: dict[int, bytes] = {}
    at = 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        (number,) = struct.unpack_from(">H", data, at + 4)
        name_bytes = data[at + 6] + 1
        at += 6 + name_bytes + name_bytes % 2
        (size,) = struct.unpack_from(">I", data, at)
        if at + 4 + size > len(data):
            break
        found.setdefault(number, data[at + 4 : at + 4 + size])
        at += 4 + size + size % 2
    return found


def iptc_resource(iptc: bytes) -> bytes:
    """Gives IPTC as the resource of Photoshop's that holds it."""
    return b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)


def iptc_of_resources(data: bytes) -> bytes | None:
    """Gives the IPTC among Photoshop's resources."""
    return whole_iptc(photoshop_resources(data).get(_IPTC_RESOURCE))


def _jpeg(data: bytes) -> Packets:
    xmp, resources = None, b""
    parts: dict[bytes, dict[int, bytes]] = {}
    for marker, body in _segments(data):
        if marker == 0xE1 and body.startswith(XMP_SEGMENT):
            xmp = xmp or whole_xmp(body[len(XMP_SEGMENT) :])
        elif marker == 0xE1 and body.startswith(_EXTENDED_SEGMENT):
            at = len(_EXTENDED_SEGMENT)
            offset = int.from_bytes(body[at + 36 : at + 40], "big")
            parts.setdefault(body[at : at + 32], {})[offset] = body[at + 40 :]
        elif marker == 0xED and body.startswith(PHOTOSHOP_SEGMENT):
            resources += body[len(PHOTOSHOP_SEGMENT) :]  # long ones go on in the next segment
    for name, pieces in parts.items():
        if xmp and name in xmp:
            xmp = joined(xmp, b"".join(pieces[offset] for offset in sorted(pieces)))
    return Packets(xmp, iptc_of_resources(resources))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def _png(data: bytes) -> Packets:
    xmp = iptc = None
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"iTXt", b"zTXt", b"tEXt"):
            keyword, text = _png_text(kind, data[at + 8 : at + 8 + length])
            if keyword == XMP_KEYWORD:
                xmp = xmp or whole_xmp(text)
            elif keyword == IPTC_KEYWORD:
                profile = bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
                iptc = iptc or iptc_of_resources(profile) or whole_iptc(profile)
        at += 12 + length
    return Packets(xmp, iptc)


def _png_text(kind: bytes, body: bytes) -> tuple[bytes, bytes]:
    keyword, _, rest = body.partition(b"\0")
    if kind == b"tEXt":
        return keyword, rest
    if kind == b"zTXt":
        return keyword, _inflated(rest[1:])
    is_packed, (_language, _, rest) = rest[0], rest[2:].partition(b"\0")
    text = rest.partition(b"\0")[2]
    return keyword, _inflated(text) if is_packed else text


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, _MAX_TEXT_BYTES)


def _jpeg2000(data: bytes) -> Packets:
    found: dict[bytes, bytes] = {}
    at = 0
    while at + 8 <= len(data) and data[:1] == b"\0":
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = at + length if length else len(data)
        if kind == b"uuid":
            found.setdefault(data[start : start + 16], data[start + 16 : end])
        if end <= at:
            break
        at = end
    exif = found.get(_EXIF_UUID, b"").removeprefix(b"Exif\0\0") or None
    return Packets(whole_xmp(found.get(_XMP_UUID)), whole_iptc(found.get(_IPTC_UUID)), exif)


def _webp(data: bytes) -> Packets:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"XMP ":
            return Packets(whole_xmp(data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return Packets()


def _photoshop(data: bytes) -> Packets:
    (colours,) = struct.unpack_from(">I", data, 26)
    (length,) = struct.unpack_from(">I", data, 30 + colours)
    resources = photoshop_resources(data[34 + colours : 34 + colours + length])
    return Packets(whole_xmp(resources.get(_XMP_RESOURCE)), whole_iptc(resources.get(_IPTC_RESOURCE)))
