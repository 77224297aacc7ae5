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

from oldphoto_core.errors import TrainingError
from oldphoto_core.training.material_folder import DAMAGED, MISTAKEN, NEITHER, SOUND, read_mask

MARKS = Path(__file__).parent
"""Where the masks lie."""
_SUFFIX = ".mask.png"


def marked_levels(sha256: str, marks: Path = MARKS) -> NDArray[np.uint8] | None:
    """Gives the mask (H, W) of a photo, in the values of a material folder; None where it was not marked.

    Raises:
        TrainingError: the mask cannot be decoded, or holds other values.
    """
    file = marks / f"{sha256}{_SUFFIX}"
    if not file.is_file():
        return None
    levels = read_mask(file)
    strange = sorted(set(np.unique(levels).tolist()) - {SOUND, MISTAKEN, NEITHER, DAMAGED})
    if strange:
        known = f"{SOUND}, {MISTAKEN}, {NEITHER} or {DAMAGED}"
        raise TrainingError(f"{file}: expected {known}, found {strange[0]}; mark it again")
    return levels


def marked_for_training(marks: Path = MARKS) -> list[str]:
    """Gives the SHA-256 of the photos that are marked, in order."""
    return sorted(file.name.removesuffix(_SUFFIX) for file in marks.glob("*" + _SUFFIX))
