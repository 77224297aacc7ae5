"""Grids of labelled pictures, for eyes: figures say how far, a sheet says what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_GAP_PX = 4
_TITLE_PX = 18
_BACKGROUND = (32, 32, 34)
_INK = (235, 235, 230)
_MASK_COLOUR = np.array([255, 70, 40], np.float32)


def as_picture(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Gives anything picture-like as (H, W, 3) uint8: bool or float masks in [0, 1], grey, colour, 16 bits."""
    levels: NDArray[np.uint8]
    if pixels.dtype == np.bool_:
        levels = pixels.astype(np.uint8) * 255
    elif pixels.dtype == np.uint16:
        levels = np.round(pixels / 257).astype(np.uint8)
    elif np.issubdtype(pixels.dtype, np.floating):
        levels = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    else:
        levels = pixels.astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2) if levels.ndim == 2 else levels[..., :3]


def overlay_mask(image: NDArray[np.generic], mask: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Gives the image, dimmed, with the mask in red over it, as strong as the mask's value."""
    share = np.clip(mask.astype(np.float32), 0, 1)[..., None]
    dimmed = as_picture(image).astype(np.float32) * 0.6
    return np.round(dimmed * (1 - share) + _MASK_COLOUR * share).astype(np.uint8)


def picture_grid(
    rows: Sequence[Sequence[NDArray[np.generic]]],
    *,
    column_titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    cell_px: int = 256,
) -> NDArray[np.uint8]:
    """Gives one picture of all, each shrunk (never enlarged) into a cell, titles above columns and under rows.

    Args:
        rows: pictures as `as_picture` takes them; rows may differ in length.
        column_titles: one a column, or none.
        row_titles: one a row, or none.
        cell_px: side of a cell in pixels.
    """
    columns = max((len(row) for row in rows), default=0)
    head = _TITLE_PX if column_titles else 0
    foot = _TITLE_PX if row_titles else 0
    fitted = [[_fit(as_picture(p), cell_px) for p in row] for row in rows]
    heights = [max((p.shape[0] for p in row), default=cell_px) + foot + _GAP_PX for row in fitted]
    sheet = Image.new(
        "RGB", (max(columns, 1) * (cell_px + _GAP_PX) + _GAP_PX, head + sum(heights) + _GAP_PX), _BACKGROUND
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for k, title in enumerate(column_titles):
        draw.text((_GAP_PX + k * (cell_px + _GAP_PX), 2), title, fill=_INK, font=font)
    top = head + _GAP_PX
    for r, row in enumerate(fitted):
        for k, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture), (_GAP_PX + k * (cell_px + _GAP_PX), top))
        if row_titles:
            draw.text((_GAP_PX, top + heights[r] - foot - _GAP_PX + 1), row_titles[r], fill=_INK, font=font)
        top += heights[r]
    return np.asarray(sheet)


def save_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Writes (H, W, 3) uint8 to `path` in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _fit(picture: NDArray[np.uint8], cell_px: int) -> NDArray[np.uint8]:
    scale = cell_px / max(picture.shape[:2])
    if scale >= 1:
        return np.ascontiguousarray(picture)
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA), np.uint8)
