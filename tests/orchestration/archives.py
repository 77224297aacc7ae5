"""Small archives of real files, and a real release of toy size, for tests of whole runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

DUPLICATES = ("same/one.jpg", "same/two.jpg", "same/three copy.jpg", "same/Größe.jpg", "same/五.jpg")
"""The same picture under five names."""
QUARANTINED = {
    "bad/empty.jpg": "empty",
    "bad/letter.jpg": "not-an-image",
    "bad/half.jpg": "truncated",
    "bad/moving.gif": "animated",
}
IGNORED = ("Thumbs.db", "a.xmp", "bad/list.pdf")
PHOTOS = ("a.jpg", "a.png", "grey.tif", "sepia photo.jpg", *DUPLICATES)


@dataclass(frozen=True)
class Fingerprint:
    """What must not change in a master."""

    sha256: str
    modified_ns: int


def picture(seed: int, *, height: int = 72, width: int = 96, scratched: bool = True) -> np.ndarray:
    """(H, W, 3) uint8: soft shapes, a little grain, and a scratch."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    channels = []
    for _ in range(3):
        a, b, c = generator.uniform(0.02, 0.2, 3)
        channels.append(128 + 60 * np.sin(a * x + c) + 50 * np.cos(b * y - c))
    image = np.stack(channels, axis=2) + generator.normal(0, 4, (height, width, 1))
    if scratched:
        image[:, width // 3 : width // 3 + 2] = 250
    return np.clip(image, 0, 255).astype(np.uint8)


def make_photos(folder: Path, count: int, *, height: int = 72, width: int = 96, start: int = 0) -> list[Path]:
    """So many different photos."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"photo-{number:03d}.png" for number in range(start, start + count)]
    for number, path in enumerate(paths, start):
        Image.fromarray(picture(number, height=height, width=width)).save(path)
    return paths


def make_scans(folder: Path) -> Path:
    """An archive as people have them: photos, copies, near namesakes, sidecars, and files that are no photos."""
    for sub in ("same", "bad"):
        (folder / sub).mkdir(parents=True)
    Image.fromarray(picture(1)).save(folder / "a.jpg", quality=90)
    Image.fromarray(picture(2)).save(folder / "a.png")
    grey = picture(3)[:, :, 0].astype(np.uint16) * 257
    Image.fromarray(grey).save(folder / "grey.tif")
    sepia = picture(4)[:, :, :1].astype(np.float32) / 255
    Image.fromarray((sepia * np.array([235, 205, 160])).astype(np.uint8)).save(folder / "sepia photo.jpg")
    Image.fromarray(picture(5)).save(folder / DUPLICATES[0])
    for name in DUPLICATES[1:]:
        (folder / name).write_bytes((folder / DUPLICATES[0]).read_bytes())

    (folder / "bad/empty.jpg").touch()
    (folder / "bad/letter.jpg").write_text("Dear Sir,\n" * 40)
    whole = (folder / "a.jpg").read_bytes()
    (folder / "bad/half.jpg").write_bytes(whole[: len(whole) // 2])
    frames = [Image.fromarray(picture(seed)) for seed in (6, 7)]
    frames[0].save(folder / "bad/moving.gif", save_all=True, append_images=frames[1:], duration=100)

    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "a.xmp").write_text("<x:xmpmeta/>")
    (folder / "bad/list.pdf").write_bytes(b"%PDF-1.4\n")
    return folder


def fingerprints(folder: Path) -> dict[str, Fingerprint]:
    """Content and time of every file below a folder."""
    return {
        str(path.relative_to(folder)): Fingerprint(
            hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_tiny_release(folder: Path, *, seed: int = 0) -> Path:
    """A real release of toy size, its networks as they are initialised."""
    import torch

    from oldphoto_core.models.presets import build_detector, build_restoration, preset
    from oldphoto_core.releases.bundle import save_release

    torch.manual_seed(seed)
    sizes = preset("tiny")
    save_release(folder, sizes=sizes, detector=build_detector(sizes), network=build_restoration(sizes), card={})
    return folder
