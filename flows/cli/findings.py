"""How an examination is shown: a table of findings, a line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

import typer

from flows.summary import FAILED

_COLOURS = {"ok": "green", "note": "yellow", "bad": "red"}


class Finding(Protocol):
    """One line of an examination."""

    @property
    def what(self) -> str:
        """What was looked at."""
        ...

    @property
    def verdict(self) -> Literal["ok", "note", "bad"]:
        """How it is."""
        ...

    @property
    def detail(self) -> str:
        """What was found, and what to do about it."""
        ...


def show_findings(findings: Iterable[Finding]) -> None:
    """Prints them; a bad one among them ends the command as failed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_column(overflow="fold")
    shown = list(findings)
    for finding in shown:
        verdict = f"[{_COLOURS[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(escape(finding.what), verdict, escape(finding.detail))
    Console(highlight=False).print(table)
    if any(finding.verdict == "bad" for finding in shown):
        raise typer.Exit(FAILED)
