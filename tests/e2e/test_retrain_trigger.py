"""New labels begin a retraining by themselves, on a real Prefect server with its event, automation and deployment."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from flows.training.automation import DEPLOYMENT, automation_name, ensure_automation
from tests.orchestration.fixtures import REPOSITORY, oldphoto, warm_prefect
from tests.orchestration.museums import Museum, copied, make_museum, scratch_mask
from tests.orchestration.processes import Command, free_port, kill, own_prefect_server, start_oldphoto, wait_for

FILE = REPOSITORY / "infra/prefect.yaml"


@pytest.fixture(scope="module")
def museum(tmp_path_factory: pytest.TempPathFactory, prefect_server: str, release_folder: Path) -> Museum:
    """With labels enough for a retraining, which is as short as can be."""
    return make_museum(tmp_path_factory.mktemp("museum"), release_folder, steps=3)


def read(api_url: str, what: str) -> list[dict[str, object]]:
    """All of a kind that the server has."""
    found: list[dict[str, object]] = httpx.post(f"{api_url}/{what}/filter", json={"limit": 200}).json()
    return found


def test_an_import_of_labels_runs_the_retraining_that_serve_has_deployed(museum: Museum, tmp_path: Path) -> None:
    mine = copied(museum, tmp_path)
    warm_prefect(mine.home / "prefect")
    port = free_port()
    api_url = f"http://127.0.0.1:{port}/api"
    own_server = {**mine.environment, "PREFECT_API_URL": ""}
    serve = start_oldphoto(
        "serve", mine.scans, "--home", mine.home, "--port", str(port), "--time-zone", "UTC",
        log_path=tmp_path / "serve.log", environment=own_server,
    )  # fmt: skip
    try:
        wait_for(lambda: "Ctrl-C ends all" in serve.log_path.read_text(), "serve", seconds=120)
        names = [automation["name"] for automation in read(api_url, "automations")]
        assert names.count(automation_name(DEPLOYMENT)) == 1
        import_masks(mine, tmp_path / "masks", 4)
        wait_for(lambda: ended(mine, serve), "a retraining", seconds=180)
    finally:
        kill(serve.process, group=True)
    assert mine.ask("SELECT kind, status FROM run WHERE kind = 'retrain'") == [("retrain", "finished")]
    assert mine.ask("SELECT COUNT(*) FROM model_release WHERE verdict IS NOT NULL") == [(1,)]
    (flow_run_id,) = mine.ask("SELECT flow_run_id FROM run WHERE kind = 'retrain'")[0]
    assert flow_run_id, "it ran as a flow run of the deployment"
    assert sorted(mine.ask("SELECT DISTINCT label_author FROM release_lineage WHERE label_author IS NOT NULL")) == [
        ("Ada",), ("Ben",)
    ]  # fmt: skip


def ended(museum: Museum, serve: Command) -> bool:
    assert serve.process.poll() is None, serve.log_path.read_text()
    return museum.ask("SELECT status FROM run WHERE kind = 'retrain'") == [("finished",)]


def import_masks(museum: Museum, folder: Path, count: int) -> None:
    """An archivist's masks, one PNG a photo, brought in while serve is up."""
    folder.mkdir()
    for photo in sorted(museum.scans.glob("*.png"))[14 : 14 + count]:
        (folder / photo.name).write_bytes(scratch_mask(photo))
    done = oldphoto(
        "labels", "import", folder, "--format", "png", "--author", "Ben", "--home", museum.home,
        environment=museum.environment | {"PREFECT_API_URL": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Prefect's server was told" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_the_hourly_check_asks_for_a_run_where_labels_wait_and_not_otherwise(museum: Museum, tmp_path: Path) -> None:
    """And the automation for deployments of infra/prefect.yaml is made once, however often it is asked for."""
    mine = copied(museum, tmp_path)
    with own_prefect_server(tmp_path / "prefect") as server:
        environment = os.environ | mine.environment | {"PREFECT_API_URL": server.url}

        def python(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
            done = subprocess.run(
                [sys.executable, *arguments], cwd=REPOSITORY, env=environment | more, capture_output=True, text=True,
                timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            return done

        python("-m", "prefect", "--no-prompt", "work-pool", "create", "oldphoto", "--type", "process", "--overwrite")
        python("-m", "prefect", "--no-prompt", "deploy", "--prefect-file", str(FILE), "--name", "retrain")
        for _ in range(2):
            python("-m", "flows.training.automation", DEPLOYMENT)
        (automation,) = [one for one in read(server.url, "automations") if one["name"] == automation_name(DEPLOYMENT)]
        assert automation["trigger"]["expect"] == ["oldphoto.labels.ready"]  # type: ignore[index]
        (deployment,) = [one for one in read(server.url, "deployments") if one["name"] == "retrain"]
        assert automation["actions"][0]["deployment_id"] == deployment["id"]  # type: ignore[index]

        check = "from flows.training.trigger import retrain_check; import sys; retrain_check(home=sys.argv[1])"
        python("-c", check, str(mine.home), OLDPHOTO_RETRAIN_AFTER="1000")
        assert runs_of(server.url, deployment) == []
        python("-c", check, str(mine.home))
        (asked,) = runs_of(server.url, deployment)
        assert asked["parameters"]["home"] == str(mine.home)  # type: ignore[index]
    assert mine.ask("SELECT * FROM training_run") == [], "the worker of the pool does it, not the check"


def runs_of(api_url: str, deployment: dict[str, object]) -> list[dict[str, object]]:
    return [run for run in read(api_url, "flow_runs") if run["deployment_id"] == deployment["id"]]


def test_an_automation_that_somebody_switched_off_stays_off(prefect_server: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.flows import load_flow_from_entrypoint

    name = "retrain/of-a-test"
    flow = load_flow_from_entrypoint("flows.training.retrain.retrain")

    async def switch() -> bool:
        async with get_client() as client:
            await client.create_deployment(await client.create_flow(flow), "of-a-test")
            first = await ensure_automation(client, name)
            await client.pause_automation(first)
            assert await ensure_automation(client, name) == first
            (known,) = await client.read_automations_by_name(automation_name(name))
            await client.delete_automation(first)
            return bool(known.enabled)

    assert asyncio.run(switch()) is False
