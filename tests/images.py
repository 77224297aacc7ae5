"""Makers of image files: whole ones of every kind that is carried, and bad ones of every kind that is refused.

write_odd_files(folder)      # ODD: each is restored rightly
write_bad_files(folder)      # BAD: each is quarantined, with the reason given here
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oldphoto_core.color import srgb_profile

HEIGHT, WIDTH = 48, 72


def picture(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """Gives a smooth (H, W, 3) uint8 picture without symmetry, so that a wrong turn or order of channels shows."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    phase = np.random.default_rng(seed).uniform(0, 3, 3)
    planes = [
        0.15 + 0.7 * rows,
        0.5 + 0.4 * np.sin(4 * columns + phase[0]) * np.cos(2 * rows + phase[1]),
        0.2 + 0.6 * columns * (1 - 0.5 * rows) + 0.05 * np.sin(9 * rows + phase[2]),
    ]
    colour = np.clip(np.stack(planes, axis=-1), 0, 1)
    colour[: height // 4, : width // 6] = (0.9, 0.1, 0.1)  # a red corner, top left
    return np.rint(colour * 255).astype(np.uint8)


def grey_picture(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """Gives a (H, W) uint8 picture."""
    return np.rint(picture(height, width, seed).mean(axis=2)).astype(np.uint8)


def deep_grey_picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Gives a (H, W) uint16 picture that uses the low bits too."""
    return np.linspace(3, 65_530, height * width).reshape(height, width).astype(np.uint16)


def deep_picture(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """Gives a (H, W, 3) uint16 picture that uses the low bits too."""
    noise = np.random.default_rng(seed).integers(-128, 129, (height, width, 3))
    return np.clip(picture(height, width, seed).astype(int) * 257 + noise, 0, 65_535).astype(np.uint16)


def save(image: Image.Image | np.ndarray, format: str, **options: Any) -> bytes:
    """Gives the bytes of a file written by Pillow."""
    out = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(out, format, **options)
    return out.getvalue()


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    """Gives the bytes of a TIFF written by tifffile."""
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(out, samples, **({"metadata": None} | options))
    return out.getvalue()


def tiff_pages(*pages: tuple[np.ndarray, int]) -> bytes:
    """Gives a TIFF of several pages, each with its NewSubfileType."""
    import tifffile

    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for samples, subfile_type in pages:
            writer.write(samples, metadata=None, photometric="rgb", subfiletype=subfile_type)
    return out.getvalue()


def deep_png(samples: np.ndarray) -> bytes:
    """Gives a 16-bit PNG of grey, grey with alpha, RGB or RGBA."""
    import imagecodecs

    return bytes(imagecodecs.png_encode(samples))


def jpeg2000(samples: np.ndarray) -> bytes:
    """Gives a lossless JP2."""
    import imagecodecs

    return bytes(imagecodecs.jpeg2k_encode(samples, level=0, codecformat="jp2", reversible=True))


def deep_ppm(samples: np.ndarray, largest: int = 65_535) -> bytes:
    """Gives a binary PGM or PPM of 16-bit words."""
    kind = 5 if samples.ndim == 2 else 6
    header = f"P{kind}\n# a comment\n{samples.shape[1]} {samples.shape[0]}\n{largest}\n"
    return header.encode() + samples.astype(">u2").tobytes()


def ten_bit_avif(samples: np.ndarray) -> bytes:
    """Gives an AVIF of 10 bits a sample."""
    import imagecodecs

    return bytes(imagecodecs.avif_encode(samples >> 6, level=80, bitspersample=10))


def turned_jpeg(orientation: int, pixels: np.ndarray | None = None) -> bytes:
    """Gives a JPEG stored so that its EXIF orientation makes it `pixels` again."""
    upright = Image.fromarray(picture() if pixels is None else pixels)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(stored, "JPEG", quality=95, subsampling=0, exif=exif, dpi=(300, 200))


def cmyk_jpeg() -> bytes:
    """Gives an Adobe CMYK JPEG, whose samples are stored inverted."""
    return save(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=95, subsampling=0)


def rich_exif(order: str = "<") -> bytes:
    """Gives an EXIF block with a description, a thumbnail, an EXIF directory with a maker note, and GPS."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010E] = "Großmutter, 1931".encode()
    exif[0x0112] = 6
    exif[0x011A] = 72.0
    inner = exif.get_ifd(0x8769)
    inner[0x9003] = "1931:05:04 03:02:01"
    inner[0xA002], inner[0xA003] = 4000, 3000
    inner[0x927C] = b"maker note, longer than four bytes"
    inner[0x829A] = 0.004
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (48.0, 8.0, 14.5)
    return exif.tobytes()


def bomb_png(height: int = 60_000, width: int = 60_000) -> bytes:
    """Gives a PNG of a few bytes that declares a huge picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def bomb_tiff() -> bytes:
    """Gives a TIFF of a few bytes that declares a huge picture."""
    data = bytearray(tiff(grey_picture()))
    for tag in (256, 257):
        at = data.index(struct.pack("<HH", tag, 4))
        struct.pack_into("<I", data, at + 8, 100_000)
    return bytes(data)


def animation(format: str) -> bytes:
    """Gives a GIF, PNG or WebP of two frames."""
    frames = [Image.fromarray(picture(seed=seed)) for seed in (1, 2)]
    return save(frames[0], format, save_all=True, append_images=frames[1:], duration=100)


def flipped_byte(data: bytes, at: float = 0.5) -> bytes:
    """Gives the data with one byte changed."""
    damaged = bytearray(data)
    damaged[int(len(data) * at)] ^= 0xFF
    return bytes(damaged)


def _palette_png() -> bytes:
    return save(Image.fromarray(picture()).quantize(64), "PNG")


def _palette_with_alpha() -> bytes:
    return save(Image.fromarray(picture()).quantize(64), "PNG", transparency=3)


def _grey_with_alpha() -> bytes:
    return save(np.dstack([grey_picture(), 255 - grey_picture()]), "PNG")


def _colour_with_alpha() -> bytes:
    return save(np.dstack([picture(), grey_picture()]), "PNG")


ODD: dict[str, Callable[[], bytes]] = {
    "cmyk.jpg": cmyk_jpeg,
    "palette.png": _palette_png,
    "palette with alpha.png": _palette_with_alpha,
    "still.gif": lambda: save(picture(), "GIF"),
    "one bit.png": lambda: save(Image.fromarray(grey_picture()).convert("1"), "PNG"),
    "fax.tif": lambda: save(Image.fromarray(grey_picture()).convert("1"), "TIFF", compression="group4"),
    "grey with alpha.png": _grey_with_alpha,
    "colour with alpha.png": _colour_with_alpha,
    "deep grey.png": lambda: deep_png(deep_grey_picture()),
    "deep grey.tif": lambda: tiff(deep_grey_picture(), compression="zlib", predictor=True),
    "big-endian min-is-white.tif": lambda: tiff(deep_grey_picture(), byteorder=">", photometric="miniswhite"),
    "deep colour.png": lambda: deep_png(deep_picture()),
    "deep colour.tif": lambda: tiff(deep_picture(), photometric="rgb", compression="zlib", predictor=True),
    "deep colour, big-endian tiles.tif": lambda: tiff(deep_picture(), photometric="rgb", byteorder=">", tile=(32, 32)),
    "deep colour with alpha.tif": lambda: tiff(
        np.dstack([deep_picture(), deep_grey_picture()]), photometric="rgb", extrasamples=["unassalpha"]
    ),
    "deep colour.jp2": lambda: jpeg2000(deep_picture()),
    "deep colour.ppm": lambda: deep_ppm(deep_picture()),
    "turned 6.jpg": lambda: turned_jpeg(6),
    "with a thumbnail.tif": lambda: tiff_pages((picture(), 0), (picture(24, 36), 1)),
    "grey in colour.jpg": lambda: save(np.dstack([grey_picture()] * 3), "JPEG"),
    "Müller’s  Straße\u2003写真.jpg": lambda: save(picture(seed=5), "JPEG"),
    "actually a png.jpg": lambda: save(picture(seed=6), "PNG"),
    "profile.jpg": lambda: save(picture(seed=7), "JPEG", icc_profile=srgb_profile()),
    "smallest.png": lambda: save(picture(32, 32), "PNG"),
    "photo.jp2": lambda: jpeg2000(picture(seed=8)),
    "photo.webp": lambda: save(picture(seed=9), "WEBP"),
    "photo.bmp": lambda: save(picture(seed=10), "BMP"),
}
"""Whole files of odd kinds, by name: each is carried."""

BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "nothing.jpg": ("empty", lambda: b""),
    "text.jpg": ("not-an-image", lambda: b"Dear Sir,\nthe photos are on their way.\n"),
    "page.jpg": ("not-an-image", lambda: b"<!DOCTYPE html><html><title>404</title></html>"),
    "document.tif": ("not-an-image", lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"),
    "zeros.tif": ("not-an-image", lambda: bytes(5000)),
    "cut.jpg": ("truncated", lambda: save(picture(), "JPEG")[:-400]),
    "cut.png": ("truncated", lambda: save(picture(), "PNG")[:-700]),
    "cut.tif": ("truncated", lambda: tiff(picture(), photometric="rgb", compression="zlib")[:-900]),
    "no end marker.jpg": ("truncated", lambda: save(picture(), "JPEG")[:-2]),
    "flipped.png": ("corrupt", lambda: flipped_byte(save(picture(), "PNG"))),
    "bomb.png": ("bomb", bomb_png),
    "bomb.tif": ("bomb", bomb_tiff),
    "animation.gif": ("animated", lambda: animation("GIF")),
    "animation.png": ("animated", lambda: animation("PNG")),
    "animation.webp": ("animated", lambda: animation("WEBP")),
    "a book.tif": ("animated", lambda: tiff_pages(*[(picture(32, 32), 0)] * 300)),
    "deep and lossy.tif": ("sixteen-bit-colour", lambda: tiff(deep_picture(), photometric="rgb", compression="lerc")),
    "ten bits.avif": ("sixteen-bit-colour", lambda: ten_bit_avif(deep_picture())),
    "float.tif": ("unsupported-mode", lambda: tiff(grey_picture().astype(np.float32))),
    "phone.heic": ("unsupported-mode", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)),
    "dot.png": ("too-small", lambda: save(picture(31, 40), "PNG")),
}
"""Files that are refused, by name: the reason, and what makes the file."""


def write_odd_files(folder: Path) -> list[Path]:
    """Writes every odd file into a folder; gives their paths."""
    return [_write(folder / name, make()) for name, make in ODD.items()]


def write_bad_files(folder: Path) -> dict[Path, str]:
    """Writes every bad file into a folder; gives the reason that each is to be refused for."""
    return {_write(folder / name, make()): reason for name, (reason, make) in BAD.items()}


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
