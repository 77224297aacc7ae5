"""`oldphoto`: all commands, and how they end. Whatever goes wrong is told in one line, with what to do about it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType

import typer

from flows.cli import (
    archive,
    audit,
    bench,
    catalogue,
    doctor,
    evaluate,
    export,
    files,
    keeping,
    retrain,
    samples,
    serve,
    uncertainty,
)
from flows.cli.database import database_app
from flows.cli.labels import labels_app
from flows.cli.options import EXIT_CODE_HELP, version_option
from flows.cli.releases import releases_app
from flows.cli.review import review_app
from flows.cli.snapshots import snapshots_app
from flows.cli.train import train_app
from flows.summary import DONE, FAILED, INTERRUPTED, USAGE

app = typer.Typer(
    name="oldphoto",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Restores folders of old photographs. Masters are only ever read; every file is accounted for.",
    epilog=f"Start with: oldphoto sample sample && oldphoto run sample. {EXIT_CODE_HELP}",
)
app.callback()(version_option)
for family in (
    archive, serve, retrain, files, catalogue, keeping, audit, export, uncertainty, samples, evaluate, doctor, bench,
):  # fmt: skip
    family.add_to(app)
app.add_typer(database_app, name="db")
app.add_typer(train_app, name="train")
app.add_typer(review_app, name="review")
app.add_typer(labels_app, name="labels")
app.add_typer(releases_app, name="releases")
app.add_typer(snapshots_app, name="snapshots")


def main(arguments: list[str] | None = None) -> None:
    """The console script: runs a command and exits with its code."""
    sys.exit(run_command(arguments))


def run_command(arguments: list[str] | None = None) -> int:
    """Runs a command and gives its exit code; messages go to stderr."""
    debug = os.environ.get("OLDPHOTO_DEBUG", "").lower() in ("1", "true", "yes", "on")
    logging.basicConfig(level=logging.INFO if debug else logging.CRITICAL, format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code = app(args=arguments, prog_name="oldphoto", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except Exception as error:
        return _tell(error, debug=debug)
    if code == INTERRUPTED:
        _say("interrupted; run the same command again and it goes on where it was")
    return code if isinstance(code, int) else DONE


_MISUSED = {
    "UsageError", "SettingsError", "ConfigError", "WorkParametersError", "SourceUnreadable", "KeyRefused",
    "ExportRefused", "QueryRefused", "QueryFailed",
}  # fmt: skip
"""Errors of which the command as it was given is the cause, by name: importing them all would load heavy packages."""


def _tell(error: Exception, *, debug: bool) -> int:
    """Says what went wrong and gives the exit code for it."""
    if debug:
        import traceback

        traceback.print_exception(error)
    if type(error).__name__ == "Abort":
        return INTERRUPTED
    if hasattr(error, "format_message"):  # Typer's own: an unknown option, a missing argument
        context = getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context is not None else ""
        text = " ".join(error.format_message().split())
        if text:  # else nothing was asked for, and help was shown
            _say(f"{text.rstrip('.')}{hint}")
        return USAGE
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & _MISUSED:
        _say(str(error))
        return USAGE
    if kinds & {"FlowsError", "CoreError", "StorageError"}:
        _say(str(error))
        return FAILED
    if isinstance(error, OSError):
        _say(f"{error.filename or 'the system'}: {error.strerror or error}")
        return FAILED
    _say(f"unexpected {type(error).__name__}: {error}; set OLDPHOTO_DEBUG=1 to see where, and please report it")
    return FAILED


def _say(message: str) -> None:
    print(f"oldphoto: {' '.join(message.split())}", file=sys.stderr)


def _as_interrupt(signal_number: int, frame: FrameType | None) -> None:
    """A polite end, as by Ctrl-C: leases are given back, the Prefect server is ended."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
