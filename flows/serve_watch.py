"""What a serve's runs do, as lines for a terminal: asked of Prefect's server every now and then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from flows.serve import Served
from flows.serve_plan import ServePlan

_AT_WORK = [StateType.RUNNING, StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]
_SHOWN = 100


class ServeWatch:
    """Remembers what was told already."""

    def __init__(self, plan: ServePlan, served: Served) -> None:
        self._names = [planned.name for planned in plan.planned]
        self._page_url = served.page_url
        self._client = get_client(sync_client=True)
        self._since = served.started_at
        self._told: dict[UUID, StateType] = {}
        self._deployments: dict[UUID, str] = {}

    def next_runs(self) -> dict[str, datetime]:
        """When each deployment is due next; those that are not planned yet, or at no time, are left out."""
        due: dict[str, datetime] = {}
        for run in self._runs([StateType.SCHEDULED], FlowRunSort.EXPECTED_START_TIME_ASC):
            if run.expected_start_time is not None:
                due.setdefault(self._deployment(run), run.expected_start_time)
        return due

    def news(self) -> Iterator[str]:
        """A line for each run that began or ended since this was asked last; none while the server is busy."""
        try:
            found = self._runs(_AT_WORK, FlowRunSort.START_TIME_DESC, since=self._since)
        except httpx.HTTPError:
            return
        for run in reversed(found):
            state = run.state
            if state is None or self._told.get(run.id) == state.type:
                continue
            self._told[run.id] = state.type
            what = f"{datetime.now():%H:%M:%S}  {self._deployment(run)}"
            if state.type == StateType.RUNNING:
                yield f"{what} began: {self._page_url}/runs/flow-run/{run.id}"
            else:
                why = f": {_first_line(state.message)}" if state.message and not state.is_completed() else ""
                ended = (state.name or state.type.value).lower()
                yield f"{what} {ended} after {run.total_run_time.total_seconds():.0f} s{why}"

    def _runs(self, states: list[StateType], sort: FlowRunSort, since: datetime | None = None) -> list[FlowRun]:
        of_states = FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states)),
            start_time=FlowRunFilterStartTime(after_=since) if since else None,
        )
        of_ours = DeploymentFilter(name=DeploymentFilterName(any_=self._names))
        return self._client.read_flow_runs(
            flow_run_filter=of_states, deployment_filter=of_ours, sort=sort, limit=_SHOWN
        )

    def _deployment(self, run: FlowRun) -> str:
        assert run.deployment_id is not None
        if run.deployment_id not in self._deployments:
            self._deployments[run.deployment_id] = self._client.read_deployment(run.deployment_id).name
        return self._deployments[run.deployment_id]


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300]
