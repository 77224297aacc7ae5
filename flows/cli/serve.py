"""`oldphoto serve`: nights, audits and morning summaries on one machine, with Prefect's page to look at."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from flows.cli.options import Home
from flows.settings import Settings
from flows.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from flows.serve import Served
    from flows.serve_plan import Planned, ServePlan

_LOOK_S = 2.0
_WHEN = "When"


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    example = "Example: oldphoto serve scans/ s3://scans/1912 --home archive/ --at 02:00 --time-zone Europe/Berlin. "
    app.command("serve", epilog=example + "Ctrl-C ends it, and all that it started; exit code 130.")(serve)


def serve(
    sources: Annotated[
        list[str], typer.Argument(help="Folders, or s3://bucket/prefix. They are only ever read.", metavar="SOURCE...")
    ],
    home: Home = None,
    at: Annotated[
        str, typer.Option(help="Time of the nightly runs.", rich_help_panel=_WHEN, metavar="HH:MM")
    ] = "02:00",
    time_zone: Annotated[
        str | None,
        typer.Option(
            help=r"Such as Europe/Berlin. \[default: this machine's, else UTC]",
            rich_help_panel=_WHEN,
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            help="Instead of nightly, again after so long, at once first: 90s, 30m, 2h.", rich_help_panel=_WHEN
        ),
    ] = None,
    summary_at: Annotated[
        str, typer.Option(help="Time of the morning summary.", rich_help_panel=_WHEN, metavar="HH:MM")
    ] = "07:30",
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Runs at work at the same time.")] = 1,
    host: Annotated[
        str, typer.Option(help="Address of the page; 0.0.0.0 opens it to the network, without any password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = 4200,
) -> None:
    """Run everything by itself: nights, a weekly audit, retraining, a morning summary, and Prefect's page."""
    from flows.prefect_server import WebPage
    from flows.serve import check_serving, serving
    from flows.serve_plan import plan_serving

    settings = Settings.load(home)
    page = WebPage(host, port)
    plan = plan_serving(
        settings.home, sources, at=at, time_zone=time_zone, every=every, summary_at=summary_at, at_once=at_once
    )
    check_serving(settings, sources, page)
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"Starting Prefect for {settings.home}", markup=False)
    try:
        with serving(plan, settings, page=page) as served:
            from flows.serve_watch import ServeWatch

            watch = ServeWatch(plan, served)
            print_plan(console, plan, served, watch.next_runs())
            while True:
                for line in watch.news():
                    console.print(line, markup=False, soft_wrap=True)
                served.check()
                time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        console.print("All ended. What was at work goes on where it was with the next serve.", soft_wrap=True)
        raise


def print_plan(console: Console, plan: ServePlan, served: Served, next_runs: dict[str, datetime]) -> None:
    """What is running where, and when what is due. What each does is told on the page."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"oldphoto serves {plan.home}"), title_justify="left", title_style="bold")
    for heading in ("Deployment", "When", "Next"):
        table.add_column(heading, overflow="fold")
    for planned in plan.planned:
        due = next_runs.get(planned.name)
        shown = due.astimezone(ZoneInfo(planned.timing.time_zone)) if due and planned.timing else None
        table.add_row(
            Text(planned.name),
            Text(_when(planned)),
            Text(f"{shown:%a %d %b %H:%M:%S %Z}" if shown else ""),
        )
    console.print(table)
    console.print(Text(f"Page        {served.page_url}", style="bold"))
    console.print(Text(f"At once     {counted(plan.at_once, 'run')}, beside retraining and summary"), soft_wrap=True)
    console.print(Text(f"Runs' log   {served.log_path}"), soft_wrap=True)
    console.print(Text("Ctrl-C ends all of it."))


def _when(planned: Planned) -> str:
    if planned.lane == "training" and planned.timing is None:
        return "when enough new labels wait, or you press Run"
    if planned.timing is None:
        return "when you press Run"
    return planned.timing.words() if planned.active else "when you press Run, or switch its schedule on"
