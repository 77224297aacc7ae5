"""What `oldphoto` says of itself: its version, its help, and how photos are restored by default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import typer

from flows.cli.app import app, run_command


def test_the_version_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    said = capfd.readouterr()
    assert said.out == f"oldphoto {version('oldphoto')}\n" and said.err == ""


@pytest.mark.parametrize("family", [[], ["train"], ["review"]])
def test_a_command_without_arguments_shows_help_and_nothing_else(
    family: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_command(family) == 2
    said = capfd.readouterr()
    assert "Usage: oldphoto" in said.out and said.err == ""


@pytest.mark.parametrize("command", ["run", "ingest", "restore", "restore-file"])
def test_help_shows_how_photos_are_restored_by_default(
    command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert run_command([command, "--help"]) == 0
    lines = capfd.readouterr().out.splitlines()
    defaults = {"mode": "full", "tone": "correct", "mending": "normal", "strength": "1.0"}
    defaults |= {} if command == "restore-file" else {"output-format": "auto"}
    defaults |= {} if command == "ingest" else {"device": "auto"}
    for option, default in defaults.items():
        [line] = [line for line in lines if re.match(rf"\W+--{option} ", line)]
        assert f"[default: {default}]" in line


def _commands(command: Any, name: str = "oldphoto") -> Iterator[tuple[str, Any]]:
    yield name, command
    for below, part in getattr(command, "commands", {}).items():
        yield from _commands(part, f"{name} {below}")


def test_no_help_text_has_a_bracket_that_markup_would_swallow() -> None:
    """Rich takes `[word]` for a style, and shows nothing of it."""
    for name, command in _commands(typer.main.get_command(app)):
        texts = [command.help, command.epilog, *(getattr(option, "help", None) for option in command.params)]
        for text in filter(None, texts):
            assert not re.search(r"(?<!\\)\[[a-z#/@]", text), f"{name}: {text}"
