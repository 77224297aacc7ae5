"""The page that `oldphoto evaluate` leaves behind: goals, tables with intervals, curves and pictures.

Like a run's page it needs nothing else, and a policy allows its own style alone. Everything comes in words and bytes:
what they mean is known where they were measured.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from markupsafe import Markup

from storage.reports.render import page_environment, page_policy, page_source


@dataclass(frozen=True)
class Cell:
    """A figure in a table.

    Attributes:
        words: the figure.
        interval: of it, in small print.
        shade: how good it is beside others, -3 to 3; 0 is not shaded.
        mark: a class of verdict, such as `passed`.
        prose: words to be read, not a figure.
        is_best: the best of its column.
    """

    words: str
    interval: str = ""
    shade: int = 0
    mark: str = ""
    prose: bool = False
    is_best: bool = False


@dataclass(frozen=True)
class PageTable:
    """A table; the first heading is that of the row's names."""

    headings: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    """(name, cells); a row without cells is a heading over those that follow."""
    caption: str = ""
    strong: frozenset[str] = frozenset()
    """Names of rows that are set off."""
    folded: str = ""
    """Words that open it; empty for a table that lies open."""

    @property
    def prose(self) -> Sequence[bool]:
        """Whether each column holds words to be read, by the first row that has cells."""
        first = next((cells for _, cells in self.rows if cells), ())
        return [cell.prose for cell in first] or [False] * len(self.headings)


@dataclass(frozen=True)
class Plot:
    """A curve as SVG."""

    shows: str
    svg: bytes


@dataclass(frozen=True)
class PictureRow:
    """One photo through all methods, side by side."""

    title: str
    pictures: Sequence[tuple[str, str, bytes]]
    """(what it is, its figures, JPEG)."""


@dataclass(frozen=True)
class PageSection:
    """A part of the page, in the order: words, plots, tables, pictures."""

    name: str
    title: str
    extent: str = ""
    plots: Sequence[Plot] = ()
    tables: Sequence[PageTable] = ()
    pictures: Sequence[PictureRow] = ()
    pictures_folded: str = ""
    """Words that open the pictures; empty where they lie open."""


@dataclass(frozen=True)
class EvaluationPage:
    """All that the page shows.

    Attributes:
        title: the release.
        verdict: a sentence or two.
        facts: label -> words.
        tiles: (figure, what it is, tone: restored, failed, or empty).
        notes: what a reader should know first.
    """

    title: str
    verdict: str
    facts: Mapping[str, str]
    tiles: Sequence[tuple[str, str, Literal["restored", "failed", ""]]]
    sections: Sequence[PageSection]
    notes: Sequence[str] = field(default_factory=tuple)


def render_evaluation_page(page: EvaluationPage) -> str:
    """Gives the page as HTML text, always encodable as UTF-8."""
    environment = page_environment()
    names = ("report.css", "training.css", "evaluation.css")
    style = "\n".join(page_source(environment, name) for name in names)
    html = environment.get_template("evaluation.html").render(
        page=page,
        style=Markup(style),
        policy=page_policy(style),
        sections=[
            {
                "section": section,
                "plots": [(plot.shows, _uri("svg+xml", plot.svg)) for plot in section.plots],
                "pictures": [
                    (row.title, [(what, figures, _uri("jpeg", data)) for what, figures, data in row.pictures])
                    for row in section.pictures
                ],
            }
            for section in page.sections
        ],
    )
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def _uri(kind: str, data: bytes) -> Any:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
