"""The deployments in infra/prefect.yaml name flows that are there, with parameters that these take."""

from __future__ import annotations

import pytest
import yaml

from tests.orchestration.fixtures import REPOSITORY

DEPLOYMENTS = yaml.safe_load((REPOSITORY / "infra/prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_a_deployment_names_a_flow_and_parameters_that_it_takes(deployment: dict[str, object]) -> None:
    from prefect.flows import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(str(deployment["entrypoint"]))
    parameters = deployment["parameters"]
    assert isinstance(parameters, dict)
    assert flow.validate_parameters(parameters).keys() >= parameters.keys()
