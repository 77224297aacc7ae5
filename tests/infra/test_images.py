"""infra/docker: what hadolint says, and that everything the images copy and start is there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.manifests import INFRA, REPOSITORY, check_command, in_git, project

DOCKERFILE = INFRA / "docker/Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", "")
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


def instructions(name: str) -> list[list[str]]:
    """Words of every instruction of this kind."""
    return [shlex.split(line)[1:] for line in TEXT.splitlines() if line.startswith(f"{name} ")]


def lint(text: str) -> subprocess.CompletedProcess[str]:
    assert HADOLINT is not None
    return subprocess.run([HADOLINT, "-"], input=text, capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(HADOLINT is None, reason="no hadolint for this platform")
def test_hadolint_finds_nothing() -> None:
    found = lint(DOCKERFILE.read_text(encoding="utf-8"))
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.skipif(HADOLINT is None, reason="no hadolint for this platform")
def test_hadolint_finds_an_image_without_a_tag() -> None:
    assert "DL3006" in lint("FROM python\n").stdout


def test_what_is_copied_is_in_git_and_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for words in instructions("COPY") if "--from" not in words[0] for source in words[:-1]}
    assert copied == sent
    for source in copied:
        assert [path for path in in_git() if path == source or path.startswith(f"{source}/")], source


def test_stages_build_on_pinned_images_or_on_each_other() -> None:
    stages = [words[2] for words in instructions("FROM")]
    for words in instructions("FROM"):
        assert words[0] in stages or re.fullmatch(r"python:3\.11\.\d+-slim-\w+", words[0]), words
    for words in instructions("COPY"):
        if words[0].startswith("--from="):
            assert words[0].removeprefix("--from=") in stages
    assert {"cpu", "cuda"} <= set(stages)


def test_python_is_that_of_the_constraints() -> None:
    header = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()[0]
    assert "Python 3.11" in header and "FROM python:3.11." in TEXT


def test_requirements_are_those_of_the_project(tmp_path: Path) -> None:
    (code,) = re.findall(r'RUN python -c "([^"]*)" > requirements.txt', TEXT)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    printed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert printed.stdout.splitlines() == project()["dependencies"] + project()["optional-dependencies"]["postgres"]


def test_everything_is_installed_at_the_tested_versions() -> None:
    installs = re.findall(r"pip install [^&;\n]*", TEXT)
    assert len(installs) == 5 and all("--constraint constraints.txt" in install for install in installs)


def test_the_label_is_the_projects_version() -> None:
    assert f'image.version="{project()["version"]}"' in TEXT


def test_nobody_is_root_in_the_end() -> None:
    assert instructions("USER")[-1] == ["10001:10001"]


def test_init_is_a_shell_script_of_known_commands() -> None:
    script = INFRA / "docker/init.sh"
    subprocess.run(["sh", "-n", script], check=True)
    found = re.findall(r"^(?:prefect .*\|\| )?((?:oldphoto|prefect) [^|\n]*)$", script.read_text(), flags=re.MULTILINE)
    assert len(found) == 4
    for line in found:
        check_command(shlex.split(line))
    for path in (script, INFRA / "k8s/base/postgres-init.sh"):
        assert path.stat().st_mode & 0o111
