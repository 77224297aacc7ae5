"""Measures what a catalogue of a million photos answers, and how fast 16 processes write to one.

    python -m tests.benchmarks.catalogue [--photos 1000000] [--database sqlite|postgresql|both] [--folder DIR]
        [--writers 16] [--only look-ups|pages|methods|whole|parquet|writers] [--asking WORDS]

The catalogues are built first (about 10 minutes and 20 GB for a million photos); with --folder they are kept, and taken
from there the next time. Tables are Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from storage.catalog import Catalogue
from tests.benchmarks.catalogue_fill import filled_postgresql, filled_sqlite
from tests.benchmarks.catalogue_parquet import measure_parquet
from tests.benchmarks.catalogue_plans import indexes, recorded_statements
from tests.benchmarks.catalogue_questions import FIRST_PAGES, LOOK_UPS, METHODS, WHOLE, Question, numbers
from tests.benchmarks.catalogue_rows import Archive
from tests.benchmarks.catalogue_writers import measure_writers

PARTS: dict[str, tuple[str, Sequence[Question], int]] = {
    "look-ups": ("Look-ups", LOOK_UPS, 20),
    "pages": ("First pages", FIRST_PAGES, 20),
    "methods": ("What flows ask", METHODS, 20),
    "whole": ("Over the whole archive", WHOLE, 2),
}
"""Title, questions, and how often each is asked after the first time."""

MORE = ("parquet", "writers")
"""Asked of PostgreSQL alone."""

SLOW_MS = 1_000
"""What takes longer is asked four times at most."""


@dataclass(frozen=True)
class Answer:
    """How long a question took, in milliseconds: at first, with its files out of memory, and then."""

    cold_ms: float
    taken_ms: list[float]
    rows: int
    plan: list[str]


def measure(catalogue: Catalogue, archive: Archive, question: Question, repeats: int, data: Path | None) -> Answer:
    """Asks with other arguments each time, at first with these files out of memory."""
    asked = [question.arguments(archive, number) for number in numbers(archive, repeats + 1)]
    with catalogue._engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))  # connecting is not what is measured
    if data is not None:
        forget(data)
    taken, rows = [], 0
    with recorded_statements(catalogue._engine) as statements:
        for given in asked:
            began = time.perf_counter()
            rows = max(rows, question.run(catalogue, given))
            taken.append(1000 * (time.perf_counter() - began))
            if len(taken) > 3 and taken[-1] > SLOW_MS:
                break
    with catalogue._engine.connect() as connection:
        return Answer(taken[0], taken[1:], rows, indexes(connection, statements))


def forget(data: Path) -> None:
    """Asks the system to drop its copies of these files (what the database itself holds in memory stays)."""
    for path in [data] if data.is_file() else data.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def ask_all(title: str, url: str, data: Path, archive: Archive, parts: Sequence[str], asking: str) -> None:
    """Prints a table a part."""
    with Catalogue.open(url, create=False) as catalogue:
        for part in parts:
            name, questions, repeats = PARTS[part]
            print(
                f"\n{name}, {title}\n\n"
                "| | Rows | First, ms | Median, ms | Worst, ms | Indexes |\n|---|--:|--:|--:|--:|---|"
            )
            for question in questions:
                if asking not in question.words:
                    continue
                found = measure(catalogue, archive, question, repeats, None if part == "whole" else data)
                times = (found.cold_ms, statistics.median(found.taken_ms), max(found.taken_ms))
                figures = " | ".join(f"{milliseconds:.{1 if milliseconds < 20 else 0}f}" for milliseconds in times)
                print(f"| {question.words} | {found.rows} | {figures} | {', '.join(found.plan)} |", flush=True)


def machine() -> str:
    """What the figures were taken on."""
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), {platform.system()}, " \
           f"Python {platform.python_version()}, {datetime.date.today()}"  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--folder", type=Path, help="where catalogues are kept; by default they go")
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--only", choices=(*PARTS, *MORE), nargs="+", default=(*PARTS, *MORE))
    parser.add_argument("--asking", default="", help="only questions in whose words this is")
    given = parser.parse_args()
    archive = Archive(given.photos)
    parts = [part for part in PARTS if part in given.only]
    print(f"{archive.photos:,} photos; {machine()}")
    with tempfile.TemporaryDirectory(prefix="oldphoto-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if given.database != "postgresql" and parts:
            with filled_sqlite(folder, archive, tell) as url:
                ask_all("SQLite", url, Path(url.removeprefix("sqlite:///")), archive, parts, given.asking)
        if given.database != "sqlite":
            with filled_postgresql(folder, archive, tell) as url:
                ask_all("PostgreSQL", url, folder / "postgresql" / "base", archive, parts, given.asking)
                if "parquet" in given.only:
                    measure_parquet(url, folder)
                if "writers" in given.only:
                    measure_writers(url, folder, archive, given.writers)
    return 0


def tell(line: str) -> None:
    """How the building goes on, beside the tables."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
