"""Options that several commands share, in the words that people see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.settings import Settings
from flows.summary import EXIT_CODES

EXIT_CODE_HELP = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."

_WHICH, _HOW, _WHERE = "What to take", "How to restore", "What to run on"


def _default(setting: str) -> str:
    """The setting's default, as help shows it."""
    return rf" \[default: {Settings.model_fields[setting].default}]"


Home = Annotated[
    Path | None,
    typer.Option(help=r"Folder of the installation. \[default: $OLDPHOTO_HOME, else ./restored]", show_default=False),
]
Mode = Annotated[
    str | None,
    typer.Option(
        help="full: mend damage, correct faded tone, calm grain; scratches: mend damage alone, every other pixel stays "
        "bit for bit." + _default("mode"),
        rich_help_panel=_HOW,
        metavar="full|scratches",
    ),
]
Tone = Annotated[
    str | None,
    typer.Option(
        help="correct: undo fading and colour casts; neutral: make toned prints (sepia) grey too; keep: keep the "
        "print's tone." + _default("tone"),
        rich_help_panel=_HOW,
        metavar="correct|neutral|keep",
    ),
]
Mending = Annotated[
    str | None,
    typer.Option(
        help="sure: mend what leaves no doubt; normal: what is likely too; everything: lost pieces as well."
        + _default("mending"),
        rich_help_panel=_HOW,
        metavar="sure|normal|everything",
    ),
]
Strength = Annotated[
    float | None,
    typer.Option(help="0 gives the master back, 1 the whole restoration." + _default("strength"), rich_help_panel=_HOW),
]
OutputFormat = Annotated[
    str | None,
    typer.Option(
        help="auto is lossless: TIFF for a TIFF master, PNG for any other." + _default("output_format"),
        rich_help_panel=_HOW,
        metavar="auto|tif|png|jpg",
    ),
]
Release = Annotated[
    str | None,
    typer.Option(help="active, default, a release's name or its folder.", rich_help_panel=_HOW, metavar="RELEASE"),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="auto (a GPU where there is one), cpu, cuda or cuda:N." + _default("device"), rich_help_panel=_WHERE
    ),
]
TilePx = Annotated[int | None, typer.Option(help="Side of a tile; smaller needs less memory.", rich_help_panel=_WHERE)]
Workers = Annotated[int | None, typer.Option(help="Worker processes.", rich_help_panel=_WHERE)]
Scheduler = Annotated[
    str | None, typer.Option(help="A running Dask scheduler, such as tcp://10.0.0.1:8786.", rich_help_panel=_WHERE)
]
BatchSize = Annotated[int | None, typer.Option(help="Photos that a task restores at most.", rich_help_panel=_WHERE)]
Recursive = Annotated[
    bool | None,
    typer.Option("--recursive/--flat", help=r"Take folders below too. \[default: as before, at first --recursive]",
                 rich_help_panel=_WHICH),
]  # fmt: skip
Recheck = Annotated[
    bool,
    typer.Option("--recheck", help="Read files again that have not changed by size and time.",
                 rich_help_panel=_WHICH),
]  # fmt: skip
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        "--exclude",
        help="Pattern of names to leave out beyond the usual ones; may be repeated.",
        metavar="PATTERN",
        rich_help_panel=_WHICH,
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        help="Take only what matches this pattern, or another one given so; may be repeated.",
        metavar="PATTERN",
        rich_help_panel=_WHICH,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="At most so many; the next run takes what is left.", rich_help_panel=_WHICH),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="List and compare, say what would be done, and write nothing at all.",
                 rich_help_panel=_WHICH),
]  # fmt: skip
Retry = Annotated[
    bool,
    typer.Option("--retry", help="Try again what was set aside after failing too often.", rich_help_panel=_WHICH),
]
Stale = Annotated[
    bool,
    typer.Option("--stale", help="Only what was restored before, by a release no longer in use or without its label.",
                 rich_help_panel=_WHICH),
]  # fmt: skip
AcceptEmpty = Annotated[
    bool,
    typer.Option("--accept-empty", help="A source that shows nothing is empty indeed, and not just unmounted.",
                 rich_help_panel=_WHICH),
]  # fmt: skip
AcceptQuarantine = Annotated[
    bool, typer.Option("--accept-quarantine", help="Exit with 0 although something is quarantined.")
]


def given(**values: Any) -> dict[str, Any]:
    """Those settings that were given on the command line."""
    return {name: value for name, value in values.items() if value is not None}


def load_settings(home: Path | None, **values: Any) -> Settings:
    """Settings with what was given on the command line."""
    return Settings.load(home, **given(**values))


def _show_version(wanted: bool) -> None:
    if wanted:
        from flows.run_records import code_version

        typer.echo(f"oldphoto {code_version()}")
        raise typer.Exit


def version_option(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Restores folders of old photographs. Masters are only ever read; every file is accounted for."""
