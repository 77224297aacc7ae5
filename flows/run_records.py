"""Runs as the catalogue keeps them, and the software that acts in them."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from flows.interrupts import let_go
from flows.runners import usable_cores
from flows.settings import Settings
from storage.catalog.catalogue import Catalogue
from storage.records import RunRecord
from storage.urls import canonical_url


@cache
def code_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("oldphoto")
    except PackageNotFoundError:
        return "0+unknown"


def agent() -> str:
    """What events name as their doer."""
    return f"oldphoto {code_version()}"


def new_run_id() -> str:
    """Sorts by time, and two runs in one second differ."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def machine_facts() -> dict[str, str]:
    """What a run's page says of the machine and the software."""
    return {
        "oldphoto": code_version(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(usable_cores()),
    }


def title_of(source: str) -> str:
    """The last name of a source, as a person knows it: a folder's, or a bucket's."""
    return canonical_url(source).rstrip("/").rsplit("/", 1)[-1] or source


class Counted(Protocol):
    """What a run ends with: anything that has totals."""

    def totals(self) -> dict[str, int]:
        """Counts by name."""


@dataclass
class OpenRun:
    """A run that goes on.

    Attributes:
        catalogue: open for as long as the run.
        is_part: whether another run holds it, and will finish it.
        summary: set before the run ends; its totals are recorded.
    """

    run_id: str
    catalogue: Catalogue
    is_part: bool = False
    summary: Counted | None = None


@contextmanager
def recorded_run(
    settings: Settings, *, kind: str, title: str, source: str | None = None, run_id: str | None = None
) -> Iterator[OpenRun]:
    """Opens the catalogue and records that a run began, and how it ended.

    Args:
        run_id: a run that began already and that this is part of.
    """
    settings.layout.home.mkdir(parents=True, exist_ok=True)
    with Catalogue.open(settings.catalogue_url) as catalogue:
        if run_id is not None:
            yield OpenRun(run_id, catalogue, is_part=True)
            return
        run = OpenRun(new_run_id(), catalogue)
        catalogue.start_run(
            RunRecord(
                run_id=run.run_id,
                kind=kind,
                title=title,
                source_url=canonical_url(source) if source is not None else None,
                flow_run_id=flow_run_id(),
                machine=machine_facts(),
            )
        )
        try:
            yield run
        except BaseException as error:
            let_go(error)
            catalogue.finish_run(run.run_id, totals=_totals(run), status="failed")
            raise
        catalogue.finish_run(run.run_id, totals=_totals(run), status="finished")


def flow_run_id() -> str | None:
    """Prefect's id of the flow run that we are in."""
    from prefect.runtime import flow_run

    return str(flow_run.id) if flow_run.id else None


def _totals(run: OpenRun) -> dict[str, int]:
    return run.summary.totals() if run.summary is not None else {}
