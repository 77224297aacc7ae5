"""What a look at sidecars has found so far: of each that is being read, and of all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flows.wording import counted
from storage.catalog.sidecar_queries import SidecarFile, SidecarWrite
from storage.sidecar_fields import Problems, Reading, Subject, shown
from storage.sidecars import named_after

_TOLD = 100
"""Problems told by name in the summary; the catalogue has them all."""


@dataclass(kw_only=True)
class SidecarSummary:
    """What became of a collection's sidecars in one look.

    Attributes:
        read: sidecars that were read; the others had not changed.
        photos: objects that were given fields, once for each sidecar.
        removed: sidecars that are gone, and their fields with them.
        problems: (key, problem) of the first hundred with one; `problem_count` counts all.
    """

    read: int = 0
    photos: int = 0
    fields: int = 0
    removed: int = 0
    problem_count: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    def line(self) -> str | None:
        """One line for a person; None where nothing happened."""
        parts = []
        if self.read:
            parts.append(f"{counted(self.fields, 'field')} for {counted(self.photos, 'photo')}")
        if self.problem_count:
            parts.append(f"{self.problem_count} with a problem")
        if self.removed:
            parts.append(f"{self.removed} gone, and their fields with them")
        return "; ".join(parts) or None

    def tell(self, key: str, problem: str) -> None:
        """Notes a problem."""
        self.problem_count += 1
        if len(self.problems) < _TOLD:
            self.problems.append((key, problem))


@dataclass(eq=False)
class OpenSidecar:
    """A sidecar whose subjects are being looked for."""

    file: SidecarFile
    reading: Reading
    sha256: str
    read_at: str
    has_begun: bool = False
    has_ended: bool = False
    unknown: list[str] = field(default_factory=list)
    unknown_count: int = 0
    ambiguous: int = 0
    names_nobody: bool = False
    field_count: int = 0
    next_position: dict[int, int] = field(default_factory=dict)
    """By the id of each object spoken of: where a second record of it goes on counting."""
    only_key: str = ""
    values: list[tuple[int, str, int, str]] = field(default_factory=list)

    def attach(self, subject: Subject, objects: Sequence[tuple[int, str]]) -> None:
        """Takes what is said of a photo for these objects."""
        for object_id, key in objects:
            start = self.next_position.get(object_id, 0)
            last = start
            for name, position, value in subject.fields:
                self.values.append((object_id, name, start + position, value))
                last = max(last, start + position + 1)
            self.next_position[object_id] = last
            self.field_count += len(subject.fields)
            self.only_key = key

    def miss(self, subject: Subject, *, is_ambiguous: bool) -> None:
        """Notes that nothing is known by the names that the sidecar gives."""
        self.unknown_count += 1
        self.names_nobody = not subject.names
        self.ambiguous += is_ambiguous
        if len(self.unknown) < 3:
            self.unknown.append(shown(subject.names[0] if subject.names else named_after(self.file.key)))

    @property
    def only_waits(self) -> bool:
        """Whether all that is wrong is that the photo it is named after is not there, as may be any day."""
        return self.names_nobody and not self.reading.problems.count

    def problem(self) -> str | None:
        """All that was refused and all that fits no photo, in one line."""
        problems = Problems()
        if self.unknown_count:
            more = f" and {self.unknown_count - len(self.unknown)} more" if self.unknown_count > 3 else ""
            case = ", by letter case several" if self.ambiguous == self.unknown_count else ""
            problems.add(f"no photo is known by {', '.join(self.unknown)}{more}{case}")
        refused = self.reading.problems.line()
        if refused:
            problems.add(refused)
        return problems.line()

    def detail(self) -> str:
        """What the sidecar's own object says of itself."""
        photos = len(self.next_position)
        fields = counted(self.field_count, "field")
        of = self.only_key.rpartition("/")[2] if photos == 1 else counted(photos, "photo")
        found = f"metadata of {of}: {fields}" if photos else ""
        return "; ".join(part for part in (found, self.problem()) if part) or "metadata, but there is none in it"

    def is_news(self) -> bool:
        """Whether this reading gave something else than the one before."""
        before = self.file
        facts = (before.read_sha256, before.read_problem, before.field_count)
        return facts != (self.sha256, self.problem(), self.field_count)

    def to_write(self) -> SidecarWrite:
        """What the next transaction records of it."""
        return SidecarWrite(
            object_id=self.file.object_id, format=self.reading.format, sha256=self.sha256, etag=self.file.etag,
            begins=not self.has_begun, ends=self.has_ended, read_at=self.read_at, problem=self.problem(),
            detail=self.detail(), values=self.values,
        )  # fmt: skip
