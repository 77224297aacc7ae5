"""What a measurement found: a row a photo and method, means, and whether the requirements are met."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oldphoto_core.evaluation.detection import ScoreHistogram
from oldphoto_core.evaluation.metrics import mean_finite
from oldphoto_core.evaluation.sheet import save_picture

_FIGURES = ("psnr", "aligned_psnr", "masked_psnr", "unmasked_psnr", "ssim", "delta_e", "seconds")
_GAIN_DB = {"first": 3.0, "second": 2.0}
_LEAST_AUC = 0.90
_LEAST_CLEAN_DB = 30.0


@dataclass(frozen=True)
class PhotoFigures:
    """The figures of one method on one photo."""

    photo: str
    """File name."""

    method: str
    """input, restored, restored-true-mask, telea+nlm, or clean (the undamaged photo restored)."""

    kind: str
    """mixed, tone, marks, or untouched."""

    grey: bool
    """The target is neutral grey."""

    mask_coverage: float
    """Share of pixels truly damaged; for `clean`, the share that the restorer took for damaged."""

    psnr: float
    """dB, all pixels."""

    aligned_psnr: float
    """dB after the best 3x4 colour fit on unmasked pixels."""

    masked_psnr: float
    """dB, damaged pixels; NaN without any."""

    unmasked_psnr: float
    """dB, sound pixels."""

    ssim: float
    """Structural similarity."""

    delta_e: float
    """Mean CIEDE2000."""

    seconds: float
    """Time the method took."""


@dataclass(frozen=True)
class Requirement:
    """One thing that a release must reach."""

    name: str
    found: float
    needed: float

    @property
    def met(self) -> bool:
        """True when what was found is at least what is needed; NaN never is."""
        return self.found >= self.needed


@dataclass
class EvaluationResult:
    """All figures of one measurement."""

    generator: str
    """first or second."""

    rows: list[PhotoFigures]
    """A row a photo and method."""

    detection: ScoreHistogram | None = None
    """The detector's scores over all photos, ignored pixels left out; None without a restorer."""

    sheet: NDArray[np.uint8] | None = None
    """Pictures side by side."""

    def methods(self) -> list[str]:
        """Gives the methods in the order that they were measured."""
        return list(dict.fromkeys(row.method for row in self.rows))

    def mean(self, method: str, figure: str = "psnr") -> float:
        """Gives the mean of a figure over photos; NaN when the method was not measured."""
        return mean_finite(getattr(row, figure) for row in self.rows if row.method == method)

    def gain_db(self, method: str, *, over: str = "input", figure: str = "psnr") -> tuple[float, float]:
        """Gives the mean gain over another method, photo by photo, and its standard error."""
        base = {row.photo: getattr(row, figure) for row in self.rows if row.method == over}
        gains = np.array([getattr(r, figure) - base[r.photo] for r in self.rows if r.method == method])
        if len(gains) == 0:
            return math.nan, math.nan
        error = float(gains.std(ddof=1) / math.sqrt(len(gains))) if len(gains) > 1 else math.nan
        return float(gains.mean()), error

    def requirements(self) -> list[Requirement]:
        """Gives what a release must reach, and what was found; empty without a restorer."""
        if self.detection is None:
            return []
        classical = self.mean("telea+nlm", "aligned_psnr")
        return [
            Requirement(
                "PSNR gain over input, dB (detected mask)", self.gain_db("restored")[0], _GAIN_DB[self.generator]
            ),
            Requirement(
                "aligned PSNR, dB, over telea+nlm (both with the true mask)",
                self.mean("restored-true-mask", "aligned_psnr"),
                classical,
            ),
            Requirement(
                "aligned PSNR, dB, over telea+nlm (detected against true mask)",
                self.mean("restored", "aligned_psnr"),
                classical,
            ),
            Requirement("detection AUC", self.detection.auc(), _LEAST_AUC),
            Requirement("clean input PSNR, dB", self.mean("clean"), _LEAST_CLEAN_DB),
        ]

    def summary(self) -> dict[str, object]:
        """Gives means and verdicts as plain values for JSON; NaN becomes None."""
        methods = {m: {f: _plain(self.mean(m, f)) for f in _FIGURES} for m in self.methods()}
        for method, figures in methods.items():
            if method not in ("input", "clean"):
                gain, error = self.gain_db(method)
                figures |= {"psnr_gain": _plain(gain), "psnr_gain_standard_error": _plain(error)}
        by_kind = {
            kind: {
                m: _plain(mean_finite(r.psnr for r in self.rows if r.method == m and r.kind == kind))
                for m in self.methods()
                if m != "clean"
            }
            for kind in sorted({r.kind for r in self.rows if r.method != "clean"})
        }
        result: dict[str, object] = {
            "generator": self.generator,
            "photos": len({row.photo for row in self.rows}),
            "methods": methods,
            "psnr_by_kind": by_kind,
        }
        if self.detection is not None:
            f1, iou = self.detection.best_f1(), self.detection.best_iou()
            result["detection"] = {
                "auc": _plain(self.detection.auc()),
                "best_f1": f1.value,
                "best_f1_threshold": f1.threshold,
                "best_iou": iou.value,
                "best_iou_threshold": iou.threshold,
                "calibration_error": _plain(self.detection.calibration_error()),
                "calibration": [
                    {"score": s, "share_damaged": d, "pixels": n} for s, d, n in self.detection.calibration()
                ],
            }
            result["requirements"] = [
                {"name": r.name, "found": _plain(r.found), "needed": _plain(r.needed), "met": r.met}
                for r in self.requirements()
            ]
        return result

    def table(self) -> list[list[str]]:
        """Gives the table as text cells, header first."""
        header = ["method", "PSNR dB", "aligned dB", "in mask dB", "outside dB", "SSIM", "dE2000", "s/photo"]
        formats = ("{:.2f}", "{:.2f}", "{:.2f}", "{:.2f}", "{:.3f}", "{:.2f}", "{:.2f}")
        body = []
        for method in self.methods():
            values = [self.mean(method, figure) for figure in _FIGURES]
            cells = ["-" if math.isnan(v) else f.format(v) for v, f in zip(values, formats, strict=True)]
            body.append([method, *cells])
        return [header, *body]

    def markdown(self) -> str:
        """Gives the table and the requirements as Markdown."""
        header, *body = self.table()
        lines = [f"{len({r.photo for r in self.rows})} held-out photos, {self.generator} generator", ""]
        lines += ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
        lines += ["| " + " | ".join(cells) + " |" for cells in body]
        if self.detection is not None:
            f1 = self.detection.best_f1()
            lines += [
                "",
                f"Detection: AUC {self.detection.auc():.3f}, best F1 {f1.value:.3f} at {f1.threshold:.2f}.",
                "",
            ]
            for r in self.requirements():
                lines.append(f"- {'met' if r.met else 'NOT MET'}: {r.name}: {r.found:.3g} (needed {r.needed:.3g})")
        return "\n".join(lines) + "\n"

    def save(self, folder: Path) -> None:
        """Writes {generator}.parquet, .json, .md and .png into the folder."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist([asdict(row) for row in self.rows])
        pq.write_table(table, folder / f"{self.generator}.parquet")
        (folder / f"{self.generator}.json").write_text(json.dumps(self.summary(), indent=2, sort_keys=True) + "\n")
        (folder / f"{self.generator}.md").write_text(self.markdown())
        if self.sheet is not None:
            save_picture(folder / f"{self.generator}.png", self.sheet)


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
