"""A contact sheet: damage made here beside real old photos, to see what looks false.

    python -m oldphoto_core.degradation.sheet CLEAN OLD OUT.jpg [--textures FOLDER] [--seed 0]

Rows of three damaged pictures with their masks (white damaged, blue ignored), then two real photos, which have none.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from oldphoto_core.degradation.pipeline import Degradation, DegradedBatch
from oldphoto_core.degradation.recipe import MIXED, Recipe
from oldphoto_core.degradation.textures import TextureLibrary

log = logging.getLogger(__name__)

_GAP_PX = 4
_SUFFIXES = {".png", ".jpg", ".jpeg"}
_DAMAGED_A_ROW, _REAL_A_ROW = 3, 2


def load_squares(folder: Path, *, side_px: int, limit: int | None = None) -> Tensor:
    """Gives (B, 3, S, S) float32 in [0, 1]: the middles of a folder's pictures, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)[:limit]
    squares = []
    for path in paths:
        with Image.open(path) as opened:
            short = min(opened.size)
            left, top = (opened.width - short) // 2, (opened.height - short) // 2
            square = opened.convert("RGB").crop((left, top, left + short, top + short))
        squares.append(np.asarray(square.resize((side_px, side_px), Image.Resampling.LANCZOS)))
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255


def mask_picture(batch: DegradedBatch) -> Tensor:
    """Gives (B, 3, H, W): the target darkened, white where damaged, blue where ignored."""
    dim = batch.target * 0.4
    blue = torch.tensor([0.2, 0.4, 1.0], device=dim.device)[:, None, None]
    picture = dim + batch.ignore * (blue - dim)
    return picture + batch.mask * (1 - picture)


def contact_sheet(batch: DegradedBatch, real: Tensor) -> np.ndarray:
    """Gives (H, W, 3) uint8: damaged pictures with their masks at the left, real photos at the right."""
    masks = mask_picture(batch)
    rows = []
    for row in range(len(batch.image) // _DAMAGED_A_ROW):
        cells = []
        for number in range(row * _DAMAGED_A_ROW, (row + 1) * _DAMAGED_A_ROW):
            cells += [batch.image[number], masks[number]]
        cells += [real[(row * _REAL_A_ROW + number) % len(real)] for number in range(_REAL_A_ROW)]
        rows.append(torch.cat([_framed(cell) for cell in cells], 2))
    sheet = torch.cat(rows, 1).permute(1, 2, 0)
    return (sheet * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def _framed(picture: Tensor) -> Tensor:
    return torch.nn.functional.pad(picture, (0, _GAP_PX, 0, _GAP_PX), value=1.0)


def main() -> None:
    """Writes the sheet that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clean", type=Path, help="folder of clean photos; they repeat until the sheet is full")
    parser.add_argument("old", type=Path, help="folder of real old photos")
    parser.add_argument("out", type=Path, help="JPEG or PNG to write")
    parser.add_argument("--textures", type=Path, help="folder of damage textures; all is drawn where not given")
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--side-px", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    textures = TextureLibrary.from_folder(arguments.textures) if arguments.textures else TextureLibrary.procedural()
    wanted = arguments.rows * _DAMAGED_A_ROW
    clean = load_squares(arguments.clean, side_px=256, limit=wanted)
    clean = clean.repeat(-(-wanted // len(clean)), 1, 1, 1)[:wanted]
    damage = Degradation(Recipe.default().only(MIXED), textures)
    batch = damage(clean, torch.Generator().manual_seed(arguments.seed))
    real = load_squares(arguments.old, side_px=256, limit=arguments.rows * _REAL_A_ROW)
    sheet = Image.fromarray(contact_sheet(batch, real))
    share = arguments.side_px / 256
    sheet = sheet.resize((round(sheet.width * share), round(sheet.height * share)), Image.Resampling.LANCZOS)
    sheet.save(arguments.out, quality=85)
    log.info("%s: %d damaged pictures beside %d real ones", arguments.out, len(batch.image), len(real))


if __name__ == "__main__":
    main()
