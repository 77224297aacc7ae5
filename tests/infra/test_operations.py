"""docs/operations.md: its backups are made and restored here, its commands exist, its questions are answered."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from storage.catalog import Catalogue
from storage.catalog.checks import upgrade_catalogue
from storage.queries import read_only_query
from tests.infra.manifests import REPOSITORY, check_command, in_git, of_kind, pods, services
from tests.store.history_makers import fill_catalogue
from tests.store.postgres import PostgresServer

DOC = (REPOSITORY / "docs/operations.md").read_text(encoding="utf-8")
MADE_BY_THE_READER = {"infra/oldphoto.env", "secrets.yaml", "archive.dump"}


def block(language: str, title: str) -> str:
    """A fenced block whose first line is `# title`."""
    (found,) = re.findall(rf"```{language}\n(?:#|--) {title}\n(.*?)```", DOC, flags=re.DOTALL)
    return found


def shell(script: str, folder: Path, **environment: str) -> str:
    """What a block says when a shell runs it, with this environment's `oldphoto`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment.pop('PATH', os.environ['PATH'])}"
    done = subprocess.run(
        ["sh", "-eu"], input=script, cwd=folder, env=os.environ | environment | {"PATH": path, "COLUMNS": "200"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def filled_archive(bare_postgres: PostgresServer) -> str:
    """URL of the deployments' own catalogue, as its owner, with rows in every table."""
    url = bare_postgres.url("archive", user="archive_owner")
    upgrade_catalogue(url)
    fill_catalogue(url)
    return url


def test_a_backup_of_postgresql_is_restored_and_whole(
    filled_archive: str, bare_postgres: PostgresServer, postgres_commands: str, tmp_path: Path
) -> None:
    """The page's own commands, as the superuser; `oldphoto db check` is one of them."""
    told = {"PATH": postgres_commands, "PGHOST": str(bare_postgres.folder), "PGUSER": "postgres"}
    shell(block("sh", "backup"), tmp_path, **told)
    said = shell(block("sh", "rehearsal"), tmp_path, **told)
    events, latest = read_only_query(filled_archive, "SELECT count(*), max(day) FROM event").rows[0]
    assert events > 0 and f"{events}|{latest}" in said.splitlines()


def test_a_rehearsal_finds_a_backup_that_is_not_whole(
    filled_archive: str, bare_postgres: PostgresServer, postgres_commands: str, tmp_path: Path
) -> None:
    told = {"PATH": postgres_commands, "PGHOST": str(bare_postgres.folder), "PGUSER": "postgres"}
    shell(block("sh", "backup").replace("archive\n", "--exclude-table=review archive\n"), tmp_path, **told)
    with pytest.raises(AssertionError):
        shell(block("sh", "rehearsal"), tmp_path, **told)
    bare_postgres.execute("DROP DATABASE IF EXISTS archive_rehearsal")


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="no sqlite3 command here")
def test_a_backup_of_sqlite_is_whole_though_somebody_writes(tmp_path: Path) -> None:
    path = tmp_path / "restored/catalogue.db"
    path.parent.mkdir()
    Catalogue.open(path).close()
    fill_catalogue(f"sqlite:///{path}")
    with sqlite3.connect(path) as open_elsewhere:
        open_elsewhere.execute("SELECT count(*) FROM event").fetchone()
        said = shell(block("sh", "sqlite"), tmp_path)
    assert "bad" not in said
    counts = [
        read_only_query(f"sqlite:///{each}", "SELECT count(*) FROM event").rows[0][0]
        for each in (path, tmp_path / "catalogue.backup.db")
    ]
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("sql", re.findall(r"```sql\n(.*?)```", DOC, flags=re.DOTALL))
def test_its_questions_are_answered(sql: str, filled_archive: str, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    Catalogue.open(path).close()
    for url in (filled_archive, f"sqlite:///{path}"):
        assert read_only_query(url, sql).columns


def command_lines() -> list[str]:
    """Every line that the page has a reader type, but for the blocks that are run as a whole."""
    unfenced = re.sub(r"```.*?```", "", DOC, flags=re.DOTALL)
    return re.findall(r"^    (\S.*)$", unfenced, flags=re.MULTILINE)


@pytest.mark.parametrize("line", command_lines())
def test_its_commands_exist(line: str) -> None:
    words = shlex.split(line.partition(" > ")[0])
    match words[0]:
        case "docker":
            _check_compose(words[1:])
        case "kubectl":
            _check_kubectl(words[1:])
        case "cp" | "chmod":
            assert words[1] in in_git() | {"600"}
        case _:
            check_command(words)
    for word in words:
        if word.startswith("infra/"):
            assert word in MADE_BY_THE_READER or (REPOSITORY / word).exists(), word


def _check_compose(words: list[str]) -> None:
    assert words[:5] == ["compose", "--env-file", "infra/oldphoto.env", "--file", "infra/compose.yaml"]
    rest = words[5:]
    if rest[0] == "--profile":
        assert rest[1] in {profile for service in services().values() for profile in service.get("profiles", [])}
        rest = rest[2:]
    verb, *rest = rest
    assert verb in {"up", "ps", "logs", "exec"}
    if "--scale" in rest:
        assert rest[rest.index("--scale") + 1].split("=")[0] in services()
        rest = rest[: rest.index("--scale")]
    named = [word for word in rest if not word.startswith("-")]
    if named:
        assert named[0] in services()
    if "oldphoto" in named:
        check_command(rest[rest.index("oldphoto") :])


def _check_kubectl(words: list[str]) -> None:
    for word in words:
        kind, slash, name = word.partition("/")
        if slash and kind in ("deployment", "job", "service"):
            assert name in of_kind(kind.capitalize()), word
    if "--namespace" in words:
        assert words[words.index("--namespace") + 1] == "oldphoto"
    if "postgres-0" in words:
        assert "postgres" in pods()
    if "--" in words and "oldphoto" in words[words.index("--") :]:
        check_command(words[words.index("--") + 1 :])


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", DOC)
    assert links
    for link in links:
        assert (REPOSITORY / "docs" / link).resolve().exists(), link


def test_settings_that_it_names_are_known() -> None:
    from flows.settings import Settings
    from storage.settings import _variables

    assert set(re.findall(r"OLDPHOTO_[A-Z_0-9]+", DOC)) <= set(_variables(Settings))


def test_every_service_is_explained() -> None:
    assert not [name for name in services() if f"`{name}`" not in DOC]
