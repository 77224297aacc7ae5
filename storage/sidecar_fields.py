"""Fields of sidecar metadata: how they are collected, how much of them is taken, and how what is refused is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

SidecarFormat = Literal["csv", "json", "xmp"]

MAX_SIDECAR_BYTES = 8 * 2**20
"""Of a sidecar of one photo; what is larger is no description."""
MAX_TABLE_BYTES = 64 * 2**20
"""Of a table or a list of records for many photos."""
MAX_FIELDS = 2_000
"""Values that one sidecar may give one photo."""
MAX_VALUE_CHARACTERS = 20_000
MAX_NAME_CHARACTERS = 200
MAX_DEPTH = 24
"""Elements or objects within one another."""

_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")

_TOLD = 3
"""Problems of one sidecar that are told in words; the others are counted."""


class FieldValue(NamedTuple):
    """One value of one field; a list gives several positions, from 0."""

    field: str
    position: int
    value: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a sidecar says of one photo.

    Attributes:
        names: what the sidecar calls the photo's file, the surest first; empty where it is the photo that the sidecar
            itself is named after.
        place: where in the sidecar, such as `row 17`; empty where it holds one photo alone.
    """

    names: tuple[str, ...] = ()
    fields: tuple[FieldValue, ...] = ()
    place: str = ""


@dataclass
class Problems:
    """What was refused: the first few in words, all of them in number."""

    told: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, problem: str) -> None:
        """Notes one."""
        self.count += 1
        if len(self.told) < _TOLD:
            self.told.append(" ".join(problem.split()))

    def line(self) -> str | None:
        """All of them in one line, None where there is none."""
        if not self.count:
            return None
        more = self.count - len(self.told)
        return "; ".join([*self.told, *([f"and {more} more"] if more else [])])


@dataclass
class Reading:
    """A sidecar that is being read.

    Attributes:
        subjects: may be gone through once; the problems are complete only afterwards.
    """

    format: SidecarFormat
    subjects: Iterator[Subject]
    problems: Problems


class FieldCollector:
    """Takes values as they come and numbers those of the same field; what is past a limit is told, not taken."""

    def __init__(self, problems: Problems, place: str = "") -> None:
        self._problems = problems
        self._place = f"{place}: " if place else ""
        self._next: dict[str, int] = {}
        self._values: list[FieldValue] = []
        self._surplus = 0

    def add(self, name: str, value: str) -> None:
        """Takes a value; an empty one says nothing and is passed over."""
        name, value = storable(name).strip(), storable(value).strip()
        if not value:
            return
        if not name or len(name) > MAX_NAME_CHARACTERS:
            self._refuse(f"a field's name has {len(name)} characters, expected 1 to {MAX_NAME_CHARACTERS}")
        elif len(value) > MAX_VALUE_CHARACTERS:
            self._refuse(f"{shown(name)} has {len(value)} characters, at most {MAX_VALUE_CHARACTERS} are taken")
        elif len(self._values) >= MAX_FIELDS:
            self._surplus += 1
        else:
            position = self._next.get(name, 0)
            self._next[name] = position + 1
            self._values.append(FieldValue(name, position, value))

    def values(self) -> tuple[FieldValue, ...]:
        """All that was taken."""
        if self._surplus:
            self._refuse(f"{self._surplus} values past the {MAX_FIELDS} that one photo may have were left out")
            self._surplus = 0
        return tuple(self._values)

    def _refuse(self, problem: str) -> None:
        self._problems.add(self._place + problem)


def storable(text: str) -> str:
    """The text with what no database takes, zero characters and halves of surrogate pairs, as U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def shown(text: str, limit: int = 60) -> str:
    """The text as a message may hold it: quoted, printable and short."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
