"""A small archive of old photos with a review of them, and film with masks, as the real ones lie on disk."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

SIZE = (80, 100)


def judged() -> np.ndarray:
    """Two findings, left and right, each sure in its middle, and some doubt below."""
    codes = np.zeros(SIZE, np.uint8)
    codes[20:24, 10:30], codes[20:24, 18:22] = 60, 220
    codes[20:24, 60:80], codes[20:24, 68:72] = 60, 220
    codes[60:64, 40:60] = 30
    return codes


def archive(folder: Path, count: int = 40) -> Path:
    """Old photos, a review of them and two sequences of film."""
    for name in ("old", "review/prob", "film/frames", "film/masks"):
        (folder / name).mkdir(parents=True)
    rows = []
    for number in range(count):
        rng = np.random.default_rng(number)
        photo = cv2.resize(rng.integers(0, 255, (9, 12, 3), np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"old/{number}.png"), photo)
        cv2.imwrite(str(folder / f"review/prob/{number}.png"), judged())
        rows.append([f"{number}.png", ("clean", "right", "unsure")[number % 3], "", "", "", ""])
    with (folder / "review/REVIEW.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["file", "verdict", "where", "ignore", "missed", "true_red"], *rows])
    with (folder / "film/LABELS.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["name", "sequence"], ["a1", "first"], ["b1", "second"]])
    for name in ("a1", "b1"):
        cv2.imwrite(str(folder / f"film/frames/{name}.jpg"), photo)
        cv2.imwrite(str(folder / f"film/masks/{name}.png"), judged())
    return folder
