"""Scratches too fine for the working scale are found on the scan itself.

A line of one to three pixels of a scan is too faint once the scan is averaged down. The detector knows it at the scan's
own scale. What is wide there, stands in a crowd as print and handwriting do, or is acted on at the working scale
already, is left to the working scale. Tiles give what the whole scan would.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from oldphoto_core.colour_space import WorkingColour
from oldphoto_core.restoration.networks import Networks
from oldphoto_core.restoration.survey import Survey
from oldphoto_core.restoration.tiling import Tile, plan_tiles, tiles_with_pieces
from oldphoto_core.restoration.working import DirectPhoto
from oldphoto_core.row_spool import RowSpool
from oldphoto_core.scan import Scan

FROM_SCALE = 4
"""At half a scan's scale such lines are seen well enough, and print is still too like them."""
TILE_PX = 1_536
"""Side of a tile's core at most: with what is read around it no larger than a tile of the repair."""
WIDEST_PX = 10
"""What is wider, as the detector marks it, is no fine scratch; lines of up to 3 pixels are marked 5 to 9 wide."""
SURE_ABOVE = 0.85
"""Probability from which a mark may start."""
GROWN_ABOVE = 0.5
"""From where the detector is sure, a mark goes on along a line while it is more likely than not."""

CROWD_BELOW = 0.16
"""Mean probability, in a square around a pixel, from which nothing is marked there."""
CROWD_PX = 31
"""Side of that square, in working pixels."""

_GROWTH_PX = 32


@dataclass(frozen=True)
class FineMarks:
    """Where a scan has fine scratches.

    Attributes:
        rows: (H, W) uint8, 255 where marked.
        some: whether anything is marked.
    """

    rows: RowSpool
    some: bool


def find_fine_scratches(
    scan: Scan, colour: WorkingColour, networks: Networks, found: Survey, *, scale: int
) -> FineMarks | None:
    """Goes through a scan at its own scale; None where that is not done.

    Args:
        scan: of any size.
        colour: how its values become sRGB.
        networks: of the release.
        found: what was found at the working scale.
        scale: scan pixels a side for one working pixel.
    """
    reach = networks.detector_reach_px
    if reach is None or scale < FROM_SCALE:  # without a reach, the detector looks at the whole photo at once
        return None
    height, width = scan.shape[:2]
    photo = DirectPhoto(scan, colour)
    marks, some = RowSpool((height, width), np.uint8), False
    crowd_px = _crowd_px(scale)
    for row in fine_tiles(height, width, networks, scale=scale):
        marked = np.zeros((row[0].core[2] - row[0].core[0], width), np.uint8)
        for tile, piece in tiles_with_pieces(photo, row):
            taken = _taken(tile, found, scale, piece.shape[:2])
            here = fine_marks(networks.detect(piece), taken, crowd_px=crowd_px)
            marked[:, tile.columns] = tile.core_of(here)
        some = some or bool(marked.any())
        marks.append(marked)
    return FineMarks(marks, some)


def fine_tiles(height: int, width: int, networks: Networks, *, scale: int) -> list[list[Tile]]:
    """Gives the tiles that a scan is looked through in, in rows."""
    halo_px = (networks.detector_reach_px or 0) + _GROWTH_PX + _crowd_px(scale) // 2 + 2 * WIDEST_PX
    return plan_tiles(height, width, core_px=TILE_PX, halo_px=halo_px, stride=networks.stride)


def _crowd_px(scale: int) -> int:
    return CROWD_PX * scale | 1


def fine_marks(probability: np.ndarray, taken: np.ndarray, *, crowd_px: int) -> np.ndarray:
    """Gives (h, w) uint8, 255 on thin lines and specks.

    Args:
        probability: (h, w) float32, of damage.
        taken: (h, w) bool, what is repaired at the working scale.
        crowd_px: side of the square in which other thin marks count, odd.
    """
    likely = (probability > GROWN_ABOVE).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (WIDEST_PX + 1, WIDEST_PX + 1))
    wide = cv2.dilate(cv2.morphologyEx(likely, cv2.MORPH_OPEN, disc), disc)
    crowd = cv2.blur(np.where(wide > 0, np.float32(0), probability), (crowd_px, crowd_px))
    allowed = likely * (wide == 0) * ~taken * (crowd < CROWD_BELOW)
    marked = (probability > SURE_ABOVE).astype(np.uint8) * allowed
    step = np.ones((3, 3), np.uint8)
    for _ in range(_GROWTH_PX if marked.any() else 0):
        marked = cv2.dilate(marked, step) * allowed
    return marked * np.uint8(255)


def _taken(tile: Tile, found: Survey, scale: int, size: tuple[int, int]) -> np.ndarray:
    """Gives (h, w) bool of what a tile reads: what is mended at the working scale."""
    top, left, bottom, right = tile.read
    rows = np.minimum(np.arange(top, bottom) // scale, found.mended.shape[0] - 1)
    columns = np.minimum(np.arange(left, right) // scale, found.mended.shape[1] - 1)
    part = found.mended[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    taken = part[np.ix_(rows - rows[0], columns - columns[0])]
    assert taken.shape == size, (taken.shape, size)
    return taken
