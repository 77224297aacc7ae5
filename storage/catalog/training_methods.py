"""The catalogue's methods about training: snapshots, training runs, and which release is in use."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from storage.catalog import promotion_queries, release_queries, snapshot_queries, training_queries
from storage.catalog.event_queries import identified
from storage.catalog.transactions import Transactions
from storage.errors import RecordRefused
from storage.records import (
    EventRecord,
    ReleaseLineage,
    SnapshotRecord,
    SnapshotRow,
    SourceRef,
    TrainingRunRecord,
)

AgentType = Literal["person", "software"]


class TrainingMethods(Transactions):
    """Snapshots, training runs, promotion."""

    # -- snapshots ----------------------------------------------------------------------------------------------

    def choose_snapshot(self, *, most_unlabelled: int) -> list[SnapshotRow]:
        """What a snapshot of now holds, by photo SHA-256; decides on which side each new photo is, for good.

        Every photo to which a reviewed label applies, and a sample of those without one, by their hash. Left out is
        what is held or withdrawn, has no object to read, is on no side, or was not compared with the others yet
        (``flows.near_duplicates.link_near_duplicates`` does that).
        """
        return self.write(snapshot_queries.choose_snapshot, most_unlabelled)

    def decide_label_splits(self) -> None:
        """Decides on which side each labelled photo is, where that was not decided, so that labels can be counted."""
        self.write(snapshot_queries.decide_label_splits)

    def record_snapshot(self, snapshot: SnapshotRecord, *, agent: str = "oldphoto") -> bool:
        """Records a snapshot whose file is stored, with its rows and an event; False where it is known already.

        Raises:
            RecordRefused: a photo or a label of it is not recorded.
        """
        made = EventRecord(
            type="training", agent=agent, detail={"photos": snapshot.photo_count, "labels": snapshot.label_count},
            objects=(("dataset_snapshot", snapshot.sha256, "outcome"),),
            note=f"snapshot of {snapshot.photo_count} photos, {snapshot.label_count} of them labelled",
        )  # fmt: skip
        return self.write(snapshot_queries.record_snapshot, snapshot, identified([made]))

    def get_snapshot(self, sha256: str) -> SnapshotRecord | None:
        """The snapshot with its rows, or None."""
        return self.read(snapshot_queries.get_snapshot, sha256)

    def snapshots(self) -> list[SnapshotRecord]:
        """All snapshots without their rows, oldest first."""
        return self.read(snapshot_queries.snapshots)

    def usable_sources(self, photos: Collection[str]) -> dict[str, tuple[SourceRef, ...]]:
        """Where those photos that are neither held nor withdrawn can be read now, by SHA-256.

        A photo of a snapshot that is not among them must not be trained on any more.
        """
        return self.read(snapshot_queries.usable_sources, photos)

    # -- training runs ------------------------------------------------------------------------------------------

    def start_training_run(self, run: TrainingRunRecord) -> None:
        """Records that a training run began; one that was killed or failed runs again under its id.

        Raises:
            RecordRefused: its snapshot or the run it goes on from is not recorded.
        """
        self.write(training_queries.start_training_run, run)

    def finish_training_run(
        self,
        run_id: str,
        status: Literal["finished", "failed"] = "finished",
        metrics: Mapping[str, Any] | None = None,
        curves_key: str | None = None,
        *,
        note: str | None = None,
        agent: str = "oldphoto",
    ) -> None:
        """Records how a training run ended, with an event; what is None stays as it was.

        Raises:
            RecordRefused: no such run.
        """
        ended = EventRecord(
            type="training", agent=agent, outcome="success" if status == "finished" else "failure",
            objects=(("training_run", run_id, "outcome"),), note=note,
        )  # fmt: skip
        events = identified([ended])
        self.write(training_queries.finish_training_run, run_id, status, metrics, curves_key, events)

    def training_runs(self, retrain_id: str | None = None, *, release: str | None = None) -> list[TrainingRunRecord]:
        """Training runs, oldest first: of a retraining, of those that went into a release, or all."""
        return self.read(training_queries.training_runs, retrain_id, release)

    def link_release_runs(self, release: str, run_ids: Sequence[str]) -> None:
        """Records which training runs went into a release.

        Raises:
            RecordRefused: no such release or run.
        """
        self.write(training_queries.link_release_runs, release, run_ids)

    def release_lineage(self, release: str) -> ReleaseLineage:
        """What the release learned from, by its own training runs."""
        return self.read(training_queries.release_lineage, release)

    # -- which release is in use --------------------------------------------------------------------------------

    def promote_release(
        self,
        name: str,
        *,
        expected_active: str | None,
        agent: str,
        agent_type: AgentType = "person",
        reason: str | None = None,
        force: bool = False,
    ) -> None:
        """Makes a release active in place of ``expected_active``, and retires that one.

        Restorations that it made before are their photos' latest again.

        Args:
            expected_active: what was active when it was decided; None where nothing was.
            reason: why, for the event.
            force: promotes one that was rejected.

        Raises:
            PromotionConflict: another one is active by now; nothing was changed.
            ReleaseRejected: it was rejected, and ``force`` is off.
            RecordRefused: no such release, or it is active already.
        """
        detail = {"kind": "promotion", "from": expected_active, "to": name, "forced": force}
        previous = [("model_release", expected_active, "previous")] if expected_active is not None else []
        done = EventRecord(
            type="promotion", agent=agent, agent_type=agent_type, detail=detail, note=reason,
            objects=(("model_release", name, "outcome"), *previous),
        )  # fmt: skip
        self.write(promotion_queries.promote_release, name, expected_active, force, *identified([done]))

    def rollback_release(
        self,
        agent: str,
        to: str | None = None,
        *,
        expected_active: str | None = None,
        agent_type: AgentType = "person",
        reason: str | None = None,
    ) -> tuple[str, str]:
        """Makes an earlier release active again and gives (from, to). Nothing is deleted, of either.

        What the earlier release made is its photos' latest again, so that nothing has to be restored anew.

        Args:
            to: a release that was active once; None: the one that the active one took over from.
            expected_active: where given, what has to be active still.

        Raises:
            PromotionConflict: another one is active by now.
            RecordRefused: there is none to go back to, or it never was active.
        """
        done = EventRecord(type="promotion", agent=agent, agent_type=agent_type, note=reason)
        return self.write(promotion_queries.rollback_release, to, expected_active, *identified([done]))

    def release_before(self, name: str) -> str | None:
        """The release that this one took over from when it was last promoted; None where from none."""
        return self.read(promotion_queries.release_before, name)

    def reject_release(
        self,
        name: str,
        reasons: Sequence[str],
        *,
        verdict: Mapping[str, Any] | None = None,
        agent: str = "oldphoto",
        agent_type: AgentType = "software",
    ) -> None:
        """Keeps a candidate as rejected, with why, and with the rules and figures of the verdict.

        Args:
            reasons: one line each; at least one.
            verdict: see ``record_verdict``.

        Raises:
            RecordRefused: no such release, it is active, or no reason is given.
        """
        reason = "; ".join(" ".join(one.split()) for one in reasons if one.strip())
        if not reason:
            raise RecordRefused(f"release {name} is to be rejected without a reason; give at least one")
        done = EventRecord(
            type="promotion", agent=agent, agent_type=agent_type, outcome="failure", note=f"rejected: {reason}",
            detail={"kind": "rejection", "reasons": list(reasons)}, objects=(("model_release", name, "outcome"),),
        )  # fmt: skip
        self.write(promotion_queries.reject_release, name, reason, verdict, *identified([done]))

    def record_verdict(self, name: str, verdict: Mapping[str, Any]) -> None:
        """Keeps how the release did beside the active one.

        Args:
            verdict: JSON: ``beside`` names the other release, ``rules`` is a list of objects with ``rule``, ``found``,
                ``needed`` and ``passed``, ``figures`` has an object of figures for ``candidate`` and for ``active``.

        Raises:
            RecordRefused: no such release.
        """
        self.write(promotion_queries.record_verdict, name, verdict)

    def take_up_active(self, name: str) -> int:
        """Makes what this release made its photos' latest again where another one's came after, of a run that was still
        at it when the release came into use. Gives the number; 0 where the release is not the active one."""
        return self.write(release_queries.take_up_active, name)

    def stale_photos(self, photos: Sequence[str]) -> set[str]:
        """Those of the photos (SHA-256) whose latest restoration is by another release, or without their label."""
        return self.read(promotion_queries.stale_photos, photos)

    def count_stale(self) -> int:
        """Number of photos that are stale and may be restored again: neither held nor withdrawn nor missing."""
        return self.read(promotion_queries.count_stale)
