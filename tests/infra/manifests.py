"""What infra/ says, read as its own tools read it: compose, Kubernetes manifests, and the commands in them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

REPOSITORY = Path(__file__).parents[2]
INFRA = REPOSITORY / "infra"
COMPOSE_PATH = INFRA / "compose.yaml"
EXAMPLE_PATH = INFRA / "oldphoto.env.example"
K8S = INFRA / "k8s"
KUBERNETES = "1.34"

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")

Document = dict[str, Any]


def project() -> Document:
    """The table [project] of pyproject.toml."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> dict[str, str]:
    """Version by name, from constraints.txt."""
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def in_git() -> frozenset[str]:
    """Paths that a clone has."""
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return frozenset(listed.stdout.splitlines())


def example() -> dict[str, str]:
    """The variables of the example environment."""
    return {name: value or "" for name, value in dotenv_values(EXAMPLE_PATH).items()}


def variables(text: str) -> dict[str, str | None]:
    """Every `${NAME}` and its default; None where it has to be given."""
    return {name: default if kind == "-" else None for name, kind, default in _VARIABLE.findall(text)}


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """The text with its variables filled in, as Compose does; what is missing raises KeyError."""

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        return (given.get(name) or default) if kind == "-" else given[name]

    return _VARIABLE.sub(value, text)


@cache
def compose() -> Document:
    """compose.yaml with the example's variables, merges done."""
    return yaml.safe_load(interpolated(COMPOSE_PATH.read_text(encoding="utf-8"), example()))


def services() -> dict[str, Document]:
    """Compose's services by name."""
    return compose()["services"]


def manifest_paths() -> list[Path]:
    """Every file of Kubernetes' own kinds."""
    return sorted(path for path in K8S.rglob("*.yaml") if path.name != "kustomization.yaml")


def kustomizations() -> dict[Path, Document]:
    """Folder -> its kustomization."""
    paths = sorted(K8S.rglob("kustomization.yaml"))
    return {path.parent: yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths}


@cache
def manifests() -> tuple[Document, ...]:
    """Every document of every manifest."""
    texts = [path.read_text(encoding="utf-8") for path in manifest_paths()]
    return tuple(document for text in texts for document in yaml.safe_load_all(text))


def of_kind(*kinds: str) -> dict[str, Document]:
    """Manifests of these kinds by name."""
    return {document["metadata"]["name"]: document for document in manifests() if document["kind"] in kinds}


def pods() -> dict[str, Document]:
    """Pod specifications by the name of what makes them."""
    makers = of_kind("Deployment", "StatefulSet", "Job")
    return {name: maker["spec"]["template"]["spec"] for name, maker in makers.items()}


def containers(pod: Document) -> list[Document]:
    """A pod's containers, those that run first included."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def secrets() -> dict[str, dict[str, str]]:
    """The example's secrets: keys and values by name."""
    return {name: secret["stringData"] for name, secret in of_kind("Secret").items()}


def environment(container: Document) -> dict[str, str]:
    """What a container's processes find in their environment."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= of_kind("ConfigMap")[source["configMapRef"]["name"]]["data"]
        else:
            found |= secrets()[source["secretRef"]["name"]]
    for variable in container.get("env", []):
        if "value" in variable:
            found[variable["name"]] = variable["value"]
        else:
            key = variable["valueFrom"]["secretKeyRef"]
            found[variable["name"]] = secrets()[key["name"]][key["key"]]
    return found


def commands() -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Where, command and environment of all that runs one of our images."""
    for name, service in services().items():
        if service["image"].startswith("oldphoto"):
            yield f"compose {name}", service["command"], service.get("environment", {})
    for name, pod in pods().items():
        for container in containers(pod):
            if container["image"].startswith("oldphoto"):
                yield f"k8s {name}", container["command"], environment(container)


def check_command(command: Sequence[str]) -> None:
    """Lets the program itself read its command line, without running it.

    Raises:
        Exception: the program's own, where it does not know the command or an option.
    """
    match list(command):
        case ["oldphoto", *rest]:
            _check_oldphoto(rest)
        case ["dask", "worker", *rest]:
            from distributed.cli.dask_worker import main as worker

            worker.make_context("dask worker", rest)
        case ["dask", "scheduler", *rest]:
            from distributed.cli.dask_scheduler import main as scheduler

            scheduler.make_context("dask scheduler", rest)
        case ["prefect", *rest]:
            from prefect.cli._app import _app

            _app.parse_args([word for word in rest if word != "--no-prompt"], exit_on_error=False, print_error=False)
        case ["oldphoto-init", *rest]:
            assert len(rest) <= 1
        case ["mkdir", "--parents", *rest]:
            assert all(path.startswith("/srv/objects/") for path in rest)
        case ["sh", "-c", script]:
            assert set(re.findall(r"exec (\S+)", script)) == {"oldphoto-init"}
        case _:
            raise ValueError(f"not a command of oldphoto's images: {command}")


def _check_oldphoto(words: list[str]) -> None:
    import click
    from typer.main import get_command

    from flows.cli.app import app

    command: click.Command = get_command(app)
    context = None
    while True:
        context = command.make_context(command.name, list(words), parent=context)
        if not hasattr(command, "resolve_command"):
            return
        words = [*context._protected_args, *context.args] if hasattr(context, "_protected_args") else context.args
        _, command, words = command.resolve_command(context, words)  # type: ignore[attr-defined]
