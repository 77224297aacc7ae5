"""The figures: a row a photo, method, generator, kind and severity, in one Parquet file that grows as they come.

Each row has a key, the hash of all that decides its figures; a row whose key is there is not computed again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from oldphoto_core.errors import ConfigError

NOT_MEASURED = math.nan

FIGURES = ("psnr", "aligned_psnr", "masked_psnr", "aligned_masked_psnr", "ssim", "delta_e", "lpips")
"""Figures of a method against the truth."""

DETECTOR = "detector"
"""The method of rows that count scores in place of figures."""


@dataclass(frozen=True)
class Row:
    """What was found of one method on one photo; NaN, or an empty list, where a figure does not apply."""

    key: str
    photo: str
    photo_sha256: str
    generator: str
    """second, first, or none for real photos and harm."""
    kind: str
    """A kind of damage; `old` for real photos; `harm/...` for photos with nothing wrong."""
    severity: str
    """drawn, mild, medium, bad; `as found` for what is no damage of ours."""
    method: str
    seed: int = 0
    """Of the damage."""
    side_px: int = 0
    """Side of the square that the photo was reduced to; 0 for a whole photo."""
    mask_coverage: float = NOT_MEASURED
    """Share of pixels truly damaged; of real photos, the share that the release took for damaged."""
    psnr: float = NOT_MEASURED
    """dB."""
    aligned_psnr: float = NOT_MEASURED
    """dB after the one 3x4 colour fit that is best on unmasked pixels."""
    masked_psnr: float = NOT_MEASURED
    """dB inside the true mask."""
    aligned_masked_psnr: float = NOT_MEASURED
    """dB inside the true mask, after the same fit."""
    ssim: float = NOT_MEASURED
    delta_e: float = NOT_MEASURED
    """Mean CIEDE2000."""
    lpips: float = NOT_MEASURED
    """Where its weights are at hand."""
    seconds: float = NOT_MEASURED
    damaged_by_score: tuple[int, ...] = ()
    """Of the detector: damaged pixels by score, in 1,024 bins over [0, 1]; ignored ones left out."""
    sound_by_score: tuple[int, ...] = ()
    further: Mapping[str, float] = field(default_factory=dict)
    """Figures without a reference, and those of harm, by name."""
    release: str = ""
    code_version: str = ""


def key_of(**identity: object) -> str:
    """Gives the key of what is so described, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


class RowStore:
    """The Parquet file of a measurement.

    Args:
        path: read where it is there.

    Raises:
        ConfigError: the file there is no table of figures.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, Row] = {}
        if path.exists():
            self._rows = {row.key: row for row in _read(path)}

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Takes rows; an older one with the same key is replaced."""
        self._rows |= {row.key: row for row in rows}

    def rows(self, keys: Iterable[str] | None = None) -> list[Row]:
        """Gives all rows, or those with these keys that are there, in their order."""
        if keys is None:
            return list(self._rows.values())
        return [self._rows[key] for key in keys if key in self._rows]

    def save(self) -> None:
        """Writes the file, whole or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist([_plain(row) for row in self._rows.values()], schema=_schema())
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        pq.write_table(table, partial, compression="zstd")
        partial.replace(self.path)


def _schema() -> Any:
    import pyarrow as pa

    kinds = {"float": pa.float64(), "int": pa.int64(), "str": pa.string(), "tuple[int, ...]": pa.list_(pa.int64())}
    kinds["Mapping[str, float]"] = pa.map_(pa.string(), pa.float64())
    return pa.schema([(f.name, kinds[str(f.type)]) for f in fields(Row)])


def _plain(row: Row) -> dict[str, Any]:
    values = asdict(row) | {"further": list(row.further.items())}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}


def _read(path: Path) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path).cast(_schema())
    except (pa.ArrowException, ValueError) as error:
        raise ConfigError(
            f"{path} is no table of this protocol's figures: {error}; name another --out, or remove the file"
        ) from error
    rows = []
    for values in table.to_pylist():
        known = {name: value for name, value in values.items() if value is not None}
        lists = {name: tuple(known.get(name, ())) for name in ("damaged_by_score", "sound_by_score")}
        rows.append(Row(**{**known, **lists, "further": dict(known.get("further", []))}))
    return rows
