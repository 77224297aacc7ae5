"""The process that runs what is due: `python -m flows.serve_runner READY_FD`, with a plan on its standard input.

`flows.serve` starts it in a session of its own, so that Ctrl-C reaches it as one polite SIGTERM: runs at work are told
to stop, give their leases back, and only then it ends. Runs are processes of their own. It stops too when its parent is
gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter, FlowRunFilterState
from prefect.client.schemas.filters import FlowRunFilterStateType as StateType
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.objects import StateType as Types
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.runner import Runner
from prefect.schedules import Cron, Interval
from prefect.states import Crashed

from flows.serve_plan import LANES, Planned, ServePlan
from flows.training.automation import ensure_automation

log = logging.getLogger(__name__)

_POLL_S = 2.0
_PREFETCH_S = 2.0
"""How long before it is due a run's process is started; most of that time passes with imports."""
TAG = "oldphoto-serve"


def main() -> None:
    """Runs the plan until told to stop."""
    ready_fd = int(sys.argv[1])
    asyncio.run(run_plan(ServePlan.from_json(sys.stdin.read()), ready_fd))


async def run_plan(plan: ServePlan, ready_fd: int) -> None:
    """Registers the deployments, says so on `ready_fd`, and runs what is due until SIGTERM or the parent's end."""
    ending = asyncio.Event()
    runners = {lane: _runner(plan.at_once if lane == "work" else 1) for lane in LANES}
    for planned in plan.planned:
        await end_leftovers(planned)
        deployment_id = await runners[planned.lane].aadd_deployment(deployment_of(planned))
        if planned.timing is not None and planned.timing.every_s:  # the first at once; the schedule has those after it
            async with get_client() as client:
                await client.create_flow_run_from_deployment(deployment_id)
    await begin_retraining_by_event()
    tasks = [asyncio.create_task(runner.start()) for runner in runners.values()]
    while not all(runner.started for runner in runners.values()):
        if any(task.done() for task in tasks):
            break
        await asyncio.sleep(0.05)
    for number in (signal.SIGTERM, signal.SIGINT):  # only now: Prefect's runners have set a handler of their own
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    with os.fdopen(ready_fd, "w") as ready:
        ready.write("ready")
    parent = os.getppid()
    while not ending.is_set() and os.getppid() == parent and not any(task.done() for task in tasks):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), timeout=1.0)
    await asyncio.gather(*(runner.astop() for runner in runners.values() if runner.started))
    await asyncio.gather(*tasks)


async def begin_retraining_by_event() -> None:
    """Makes the automation; without it the hourly check begins retrainings, and the nights go on as they are."""
    async with get_client() as client:
        try:
            await ensure_automation(client)
        except (PrefectException, httpx.HTTPError) as error:
            log.warning("new labels begin a retraining only within the hour: no automation could be made: %s", error)


def deployment_of(planned: Planned) -> RunnerDeployment:
    """The deployment as Prefect takes it. A second run of it while one is at work is dropped: the first does it all."""
    schedules: dict[str, Any] = {}
    if planned.timing is not None and planned.timing.every_s:
        interval = timedelta(seconds=planned.timing.every_s)
        schedules["schedule"] = Interval(interval, anchor_date=datetime.now(UTC))
    elif planned.timing is not None and planned.timing.cron:
        schedules["schedule"] = Cron(
            planned.timing.cron, timezone=planned.timing.time_zone, active=planned.active
        )
    return RunnerDeployment.from_entrypoint(
        planned.entrypoint,
        name=planned.name,
        description=planned.description,
        parameters=planned.parameters,
        tags=["oldphoto", TAG],
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        **schedules,
    )


async def end_leftovers(planned: Planned) -> None:
    """Clears what an earlier serve left of the deployment.

    Runs that were due while nothing was up are dropped, since one makes up for all. Runs that a killed serve was at are
    marked as crashed: they hold the deployment's only place.
    """
    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name(f"{planned.flow}/{planned.name}")
        except ObjectNotFound:
            return
        of_it = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
        due = FlowRunFilter(state=FlowRunFilterState(type=StateType(any_=[Types.SCHEDULED])))
        while found := await client.read_flow_runs(flow_run_filter=due, deployment_filter=of_it):
            for flow_run in found:
                await client.delete_flow_run(flow_run.id)
        at_work = FlowRunFilter(
            state=FlowRunFilterState(type=StateType(any_=[Types.RUNNING, Types.PENDING, Types.CANCELLING]))
        )
        for flow_run in await client.read_flow_runs(flow_run_filter=at_work, deployment_filter=of_it):
            state = Crashed(message="its `oldphoto serve` was killed; the next run goes on where it was")
            await client.set_flow_run_state(flow_run.id, state, force=True)


def _runner(limit: int) -> Runner:
    return Runner(
        name="oldphoto", limit=limit, query_seconds=_POLL_S, prefetch_seconds=_PREFETCH_S, pause_on_shutdown=False
    )


if __name__ == "__main__":
    main()
