"""What was marked by eye on old photos that the detector is trained on: damage, and what was falsely taken for it.

Beside this file lies a mask for each photo, named by the photo's SHA-256, in the values of a material folder: 0 sound,
64 sound and yet found by a detector, 128 neither, 255 damaged. The photos themselves are not here.

How they were marked (1 December 2026): two detectors' findings in all photos of the review but those that are marked
for testing (`oldphoto_core.evaluation.hand_marks`) were outlined and numbered. Photos with damage were looked at twice
enlarged, doubtful places more; each finding was judged, and what had been missed was drawn: lines of a width, and
polygons, often only what in them is brighter or darker than a level. In photos without damage the findings were judged
alone. Each photo was marked once, by one of eight vision-language models, and its marks drawn over it and corrected.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.training.material_folder import read_mask

MARKS = Path(__file__).parent
"""Where the masks lie."""
_SUFFIX = ".mask.png"


def marked_levels(sha256: str, marks: Path = MARKS) -> NDArray[np.uint8] | None:
    """Gives the mask (H, W) of a photo, in the values of a material folder; None where it was not marked."""
    file = marks / f"{sha256}{_SUFFIX}"
    return read_mask(file) if file.is_file() else None


def marked_for_training(marks: Path = MARKS) -> list[str]:
    """Gives the SHA-256 of the photos that are marked, in order."""
    return sorted(file.name.removesuffix(_SUFFIX) for file in marks.glob("*" + _SUFFIX))
