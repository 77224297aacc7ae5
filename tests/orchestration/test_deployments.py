"""The deployments in infra/prefect.yaml name flows that are there, give usable forms, and deploy to a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import yaml

from tests.orchestration.fixtures import REPOSITORY

FILE = REPOSITORY / "infra/prefect.yaml"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["deployments"]
FLOWS = sorted({deployment["entrypoint"] for deployment in DEPLOYMENTS})


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_a_deployment_names_a_flow_and_parameters_that_it_takes(deployment: dict[str, Any]) -> None:
    from prefect.flows import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(str(deployment["entrypoint"]))
    parameters = deployment["parameters"]
    assert isinstance(parameters, dict)
    assert flow.validate_parameters(parameters).keys() >= parameters.keys()


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_a_schedule_has_a_time_zone_and_waits_for_a_person(deployment: dict[str, Any]) -> None:
    assert deployment["concurrency_limit"]["limit"] == 1
    for schedule in deployment["schedules"]:
        assert ZoneInfo(schedule["timezone"])
        assert schedule["active"] is False


@pytest.mark.parametrize("entrypoint", FLOWS)
def test_every_field_of_a_form_has_a_type_and_says_what_it_is(entrypoint: str) -> None:
    from prefect.flows import load_flow_from_entrypoint
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(load_flow_from_entrypoint(entrypoint)).model_dump()
    forms = {"": schema["properties"]}
    forms |= {name: part["properties"] for name, part in schema["definitions"].items() if "properties" in part}
    for form, fields in forms.items():
        for name, field in fields.items():
            assert field.get("description"), f"{form}.{name} says nothing"
            assert {"type", "anyOf", "allOf", "$ref", "enum"} & field.keys(), f"{form}.{name} has no type"


def test_all_of_it_deploys_to_a_real_server(prefect_server: str) -> None:
    environment = os.environ | {"PREFECT_API_URL": prefect_server}

    def prefect(*arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
            cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    prefect("work-pool", "create", "oldphoto", "--type", "process", "--overwrite")
    prefect("deploy", "--prefect-file", str(FILE), "--all")
    found = httpx.post(f"{prefect_server}/deployments/filter", json={}).json()
    ours = {deployment["name"]: deployment for deployment in found if deployment["work_pool_name"] == "oldphoto"}
    assert ours.keys() == {deployment["name"] for deployment in DEPLOYMENTS}
    for wanted in DEPLOYMENTS:
        made = ours[wanted["name"]]
        assert made["entrypoint"] == wanted["entrypoint"]
        assert made["parameters"] == wanted["parameters"]
        assert made["pull_steps"] in ([], None)
        assert made["concurrency_options"]["collision_strategy"] == wanted["concurrency_limit"]["collision_strategy"]
        assert [schedule["schedule"]["cron"] for schedule in made["schedules"]] == [
            schedule["cron"] for schedule in wanted["schedules"]
        ]
