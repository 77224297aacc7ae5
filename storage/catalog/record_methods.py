"""The catalogue's methods about what surrounds the work: runs, releases, events, endpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from storage.catalog import event_queries, release_queries, run_queries
from storage.catalog.event_queries import identified
from storage.catalog.transactions import Transactions
from storage.records import EventRecord, ReleaseRecord, RunRecord

if TYPE_CHECKING:
    from storage.reports.model import RunReport


class RecordMethods(Transactions):
    """Runs, model releases, events, and what was found out about object stores."""

    def register_release(
        self, release: ReleaseRecord, *, activate_if_first: bool = True, agent: str = "oldphoto"
    ) -> str:
        """Registers a release and gives its status; one that is there already stays as it is.

        Raises:
            ReleaseConflict: the name stands for other weights, or the weights for another name.
        """
        return self.write(release_queries.register_release, release, activate_if_first, agent)

    def activate_release(self, name: str, *, agent: str, agent_type: str = "person") -> None:
        """Makes the release active and retires the one before it."""
        self.write(release_queries.activate_release, name, agent, agent_type)

    def active_release(self) -> ReleaseRecord | None:
        """The active release, or None in a catalogue that has none yet."""
        return self.read(release_queries.active_release)

    def releases(self) -> list[ReleaseRecord]:
        """All releases, oldest first."""
        return self.read(release_queries.releases)

    def record_event(self, event: EventRecord) -> None:
        """Appends one event."""
        self.write(event_queries.record_events, identified([event]))

    def start_run(self, run: RunRecord) -> None:
        """Records that a run began; the same run id again changes nothing."""
        self.write(run_queries.start_run, run)

    def finish_run(self, run_id: str, *, totals: Mapping[str, int], status: str = "finished") -> None:
        """Records how a run ended (``finished`` or ``failed``) and its totals."""
        self.write(run_queries.finish_run, run_id, totals, status)

    def update_run(self, run_id: str, **changes: Any) -> None:
        """Fills in what was not known when the run began: collection_id, release, mode, flow_run_id, machine, title."""
        self.write(run_queries.update_run, run_id, changes)

    def latest_run_id(self, kinds: Collection[str] | None = None) -> str | None:
        """Id of the run begun last, of these kinds or of any; None where there is none."""
        return self.read(run_queries.latest_run_id, kinds)

    def pictured_runs(self, *, limit: int = 50) -> list[RunRecord]:
        """Runs that left restorations, newest first."""
        return self.read(run_queries.pictured_runs, limit)

    def get_run(self, run_id: str) -> RunRecord | None:
        """The run, or None."""
        return self.read(run_queries.get_run, run_id)

    def run_report(self, run_id: str) -> RunReport:
        """What ``storage.reports`` renders about a run."""
        return self.read(run_queries.run_report, run_id)

    def conditional_writes(self, endpoint: str) -> bool | None:
        """Whether this endpoint honours If-None-Match; None where nobody tried yet."""
        return self.read(run_queries.conditional_writes, endpoint)

    def record_endpoint(self, endpoint: str, *, conditional_writes: bool) -> None:
        """Keeps what trying an endpoint brought out."""
        self.write(run_queries.record_endpoint, endpoint, conditional_writes)
