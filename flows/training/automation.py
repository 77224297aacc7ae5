"""The automation that begins a retraining: once labels are ready, Prefect's server runs the deployment of `retrain`."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from flows.labels.ready import READY_EVENT

if TYPE_CHECKING:
    from prefect.automations import AutomationCore
    from prefect.client.orchestration import PrefectClient

CATALOGUES = "oldphoto.catalogue.*"
"""Resources that the event is about."""
DEPLOYMENT = "retrain/retrain"


def automation_name(deployment: str) -> str:
    """What the automation of a deployment is called on Prefect's page."""
    return f"retrain when labels are ready ({deployment})"


async def ensure_automation(client: PrefectClient, deployment: str = DEPLOYMENT) -> UUID:
    """Makes the automation that runs this deployment when labels are ready; one that is there is brought up to date.

    Args:
        client: of the server.
        deployment: as flow/deployment; it has to be there.

    Raises:
        prefect.exceptions.ObjectNotFound: the server has no such deployment.
    """
    found = await client.read_deployment_by_name(deployment)
    wanted = _automation(deployment, found.id)
    known = await client.read_automations_by_name(wanted.name)
    for twin in known[1:]:  # of two that were begun at once
        await client.delete_automation(twin.id)
    if not known:
        return await client.create_automation(wanted)
    wanted.enabled = known[0].enabled  # somebody may have switched it off on the page
    await client.update_automation(known[0].id, wanted)
    return known[0].id


def _automation(deployment: str, deployment_id: UUID) -> AutomationCore:
    """The deployment's own parameters count: what an event carries arrives as text, and is only a hint."""
    from prefect.automations import AutomationCore, EventTrigger, Posture, ResourceSpecification, RunDeployment

    return AutomationCore(
        name=automation_name(deployment),
        description="Labels were imported, and enough of them are new. The flow counts again before it trains.",
        trigger=EventTrigger(
            expect={READY_EVENT}, match=ResourceSpecification({"prefect.resource.id": CATALOGUES}),
            posture=Posture.Reactive, threshold=1, within=timedelta(0),
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment_id)],
    )  # fmt: skip


def main() -> None:
    """`python -m flows.training.automation [FLOW/DEPLOYMENT]`: for deployments of infra/prefect.yaml."""
    from prefect.client.orchestration import get_client

    async def ensure() -> None:
        deployment = sys.argv[1] if len(sys.argv) > 1 else DEPLOYMENT
        async with get_client() as client:
            await ensure_automation(client, deployment)
        print(f"{READY_EVENT} runs {deployment}")

    asyncio.run(ensure())


if __name__ == "__main__":
    main()
