"""Whether lettering can still be read: Debian's `tesseract`, where it is on the path, and the errors that it makes.

It is called as a program, for measuring by hand; nothing of ours depends on it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from oldphoto_core.errors import ConfigError

ENLARGED = 2
"""Small type is enlarged so many times before it is read, the same way before and after."""
_TIMEOUT_S = 60


def can_read() -> bool:
    """Whether there is a `tesseract` to read with."""
    return shutil.which("tesseract") is not None


def read_words(picture: NDArray[np.uint8]) -> str:
    """Gives what tesseract reads in a block of lines, in lower case, with single spaces.

    Args:
        picture: (H, W, 3) sRGB.

    Raises:
        ConfigError: tesseract failed.
    """
    size = (picture.shape[1] * ENLARGED, picture.shape[0] * ENLARGED)
    large = cv2.resize(np.ascontiguousarray(picture[..., ::-1]), size, interpolation=cv2.INTER_CUBIC)
    _, data = cv2.imencode(".png", large)
    command = ["tesseract", "stdin", "stdout", "--psm", "6", "-l", "eng"]
    ended = subprocess.run(command, input=data.tobytes(), capture_output=True, timeout=_TIMEOUT_S, check=False)
    if ended.returncode != 0:
        message = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ConfigError(f"tesseract ended with {ended.returncode}: {' '.join(message)}; is its English installed?")
    return " ".join(ended.stdout.decode(errors="replace").lower().split())


def character_errors(read: str, lines: Sequence[str]) -> tuple[int, int]:
    """Gives the least number of characters to change, add or take out, and the number that there are to read."""
    truth = " ".join(" ".join(lines).lower().split())
    return edit_distance(read, truth), len(truth)


def edit_distance(one: str, other: str) -> int:
    """Gives Levenshtein's distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]
