"""The do-no-harm figures as rows of the protocol; measured once for a release, code version and settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from oldphoto_core.evaluation.comparison.interface import RESTORED
from oldphoto_core.evaluation.comparison.release_methods import ReleaseChoice
from oldphoto_core.evaluation.comparison.rows import Row, key_of
from oldphoto_core.evaluation.comparison.settings import ComparisonSettings
from oldphoto_core.evaluation.do_no_harm import SECTIONS, Measurement
from oldphoto_core.evaluation.harm_checks import Check

if TYPE_CHECKING:
    from oldphoto_core import Restorer


@dataclass(frozen=True)
class Harm:
    """What a release does to photos with nothing wrong; see `oldphoto_core.evaluation.do_no_harm`."""

    rows: list[Row]
    checks: list[Check]
    notes: list[str]


def measured_harm(
    settings: ComparisonSettings,
    release: ReleaseChoice,
    out: Path,
    code_version: str,
    *,
    sections: Sequence[str] = SECTIONS,
) -> Harm:
    """Gives the figures, from the file of an earlier run where that was for the same.

    Args:
        settings: folders, count and role.
        release: `load` gives an `oldphoto_core.Restorer`.
        out: keeps do_no_harm.json, do_no_harm.md and sheets of the worst.
        code_version: part of the key.
        sections: what to measure; `twice` is left out where there are no old photos.
    """
    folders = {"clean": settings.photos_dir, "old": settings.old_dir, "texture": settings.textures_dir}
    given = {name: folder for name, folder in folders.items() if folder is not None}
    key = key_of(
        release=release.name, code=code_version, count=settings.harm_count, role=settings.role,
        sections=list(sections),
        folders={name: sorted(p.name for p in folder.rglob("*.*")) for name, folder in given.items()},
    )  # fmt: skip
    folder = out / "harm" / key
    path = folder / "do_no_harm.json"
    if not path.exists():
        measurement = Measurement(
            cast("Restorer", release.load()),
            given,
            count=settings.harm_count,
            role=settings.role,
            out=folder,
        )
        for section in sections:
            if section != "twice" or "old" in given:
                getattr(measurement, section)()
        measurement.result.save(folder)
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for number, found in enumerate(content["rows"]):
        figures = {name: float(value) for name, value in found.items() if name not in ("section", "photo")}
        rows.append(
            Row(
                key_of(harm=key, number=number), found["photo"], "", "none", f"harm/{found['section']}", "as found",
                RESTORED, further=figures, release=release.name, code_version=code_version,
            )
        )  # fmt: skip
    checks = [Check(**{name: value for name, value in check.items() if name != "met"}) for check in content["checks"]]
    return Harm(rows, checks, content["notes"])
