"""Makers of ICC profiles: matrices, grey curves, and tables with and without a way back."""

from __future__ import annotations

import struct
from functools import cache

import imagecodecs
import numpy as np
from PIL import ImageCms

from oldphoto_core.color import srgb_profile

_D50 = [0.3457, 0.3585, 1.0]
_PROPHOTO = [0.7347, 0.2653, 1.0, 0.1596, 0.8404, 1.0, 0.0366, 0.0001, 1.0]
_GRID, _GRID_BACK = 9, 17
_LAB_ZERO, _LAB_UNIT = np.array([0, 128, 128]), np.array([65280 / 100, 256, 256])
"""How a table of ICC version 2 counts L*, a* and b* in 16 bits."""


@cache
def adobe_rgb() -> bytes:
    """Gives a profile with the primaries and the gamma of Adobe RGB (1998)."""
    return bytes(imagecodecs.cms_profile("adobergb"))


@cache
def prophoto() -> bytes:
    """Gives a profile with the primaries of ProPhoto RGB and a gamma of 1.8: colours that no screen shows."""
    return bytes(imagecodecs.cms_profile("rgb", whitepoint=_D50, primaries=_PROPHOTO, gamma=1.8))


@cache
def grey(gamma: float) -> bytes:
    """Gives a grey profile of a pure power curve."""
    return bytes(imagecodecs.cms_profile("gray", gamma=gamma))


def with_curve(icc: bytes, body: bytes) -> bytes:
    """Gives a small RGB profile with the colorants of another and this curve, in bytes, for all three channels."""
    count = int.from_bytes(icc[128:132], "big")
    old = {icc[at : at + 4]: struct.unpack_from(">II", icc, at + 4) for at in range(132, 132 + 12 * count, 12)}
    kept = {name: icc[old[name][0] : sum(old[name])] for name in (b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt")}
    return _profile(icc[16:20], icc[20:24], kept | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), body))


@cache
def tables(*, back: bool = True) -> bytes:
    """Gives a profile that says in tables what Adobe RGB is; `back` also the way from Lab to its values."""
    tags = {b"A2B0": _table(_GRID, _adobe_to_lab), b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)}
    if back:
        tags[b"B2A0"] = _table(_GRID_BACK, _lab_to_adobe)
    return _profile(b"RGB ", b"Lab ", tags)


@cache
def inks() -> bytes:
    """Gives a CMYK profile of tables, whose inks are duller than those of the plain formula."""

    def to_lab(cube: np.ndarray) -> np.ndarray:
        light = (1 - 0.85 * cube[:, :3]) * (1 - 0.9 * cube[:, 3:])
        lab = _transform(light, srgb_profile(), _lab(), "rgb", "lab")
        return (lab + _LAB_ZERO) * _LAB_UNIT

    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    return _profile(b"CMYK", b"Lab ", {b"A2B0": _table(7, to_lab, inputs=4), b"wtpt": white}, kind=b"prtr")


def _lab() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def _adobe_to_lab(cube: np.ndarray) -> np.ndarray:
    lab = _transform(cube, adobe_rgb(), _lab(), "rgb", "lab")
    return (lab + _LAB_ZERO) * _LAB_UNIT


def _lab_to_adobe(cube: np.ndarray) -> np.ndarray:
    lab = cube * 65535 / _LAB_UNIT - _LAB_ZERO
    return _transform(lab, _lab(), adobe_rgb(), "lab", "rgb") * 65535


def _transform(values: np.ndarray, icc: bytes, out_icc: bytes, space: str, out_space: str) -> np.ndarray:
    return imagecodecs.cms_transform(
        np.ascontiguousarray(values[None], np.float32),
        icc,
        out_icc,
        colorspace=space,
        outcolorspace=out_space,
        outdtype="float32",
        intent=1,
    )[0].astype(np.float64)


def _table(side: int, convert: object, *, inputs: int = 3) -> bytes:
    steps = np.linspace(0, 1, side)
    cube = np.stack(np.meshgrid(*[steps] * inputs, indexing="ij"), axis=-1).reshape(-1, inputs)
    values = np.clip(np.rint(convert(cube)), 0, 65535).astype(">u2")  # type: ignore[operator]
    unit = struct.pack(">9i", *(np.eye(3, dtype=int) * 65536).ravel())
    straight = np.array([0, 65535], ">u2").tobytes()
    head = b"mft2\0\0\0\0" + bytes([inputs, 3, side, 0]) + unit + struct.pack(">HH", 2, 2)
    return head + straight * inputs + values.tobytes() + straight * 3


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr") -> bytes:
    header = bytearray(srgb_profile()[:128])
    header[8:24] = bytes([2, 0x40, 0, 0]) + kind + space + connection
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, content in sorted(tags.items()):
        padded = content + b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += padded
    header[0:4] = struct.pack(">I", at + len(body))
    return bytes(header) + struct.pack(">I", len(tags)) + table + body
