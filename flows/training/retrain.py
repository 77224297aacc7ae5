"""A whole retraining: detector, VAEs and translation in order, then a verdict beside the release in use."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from prefect import Flow, flow
from pydantic import Field

from flows.settings import Settings
from flows.settings_form import SettingsForm, given_settings
from flows.training.carrying_out import carry_out
from flows.training.opening import OpenRetraining, Wish
from flows.training.plan import stages_from
from flows.training.summary import RetrainSummary
from flows.training.train_detector import train_detector
from flows.training.train_translation import train_translation
from flows.training.train_vaes import train_vaes

STAGE_FLOWS: dict[str, Flow[..., Any]] = {
    "detector": train_detector, "vaes": train_vaes, "translation": train_translation,
}  # fmt: skip


@flow(name="retrain")
def retrain(
    home: str | None = None,
    from_stage: Literal["detector", "vaes", "translation"] | None = None,
    minutes: Annotated[float, Field(gt=0)] | None = None,
    steps: Annotated[int, Field(ge=1)] | None = None,
    force: bool = False,
    fresh: bool = False,
    promote: bool | None = None,
    parent: str | None = None,
    after: str | None = None,
    settings: SettingsForm | None = None,
) -> RetrainSummary:
    """Retrains where enough new labels wait, and promotes the candidate where the rules of the settings say so.

    What an earlier retraining left unfinished is gone on with first, by its own parameters.

    Args:
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        from_stage: begins with this stage, and leaves those before it as the parent has them; None: with the first.
        minutes: how long it trains over all stages; None: as the settings have it.
        steps: how long in steps, in place of minutes.
        force: trains though fewer new labels wait than `retrain_after`.
        fresh: gives up what is unfinished, and begins anew.
        promote: whether the rules promote the candidate, or a person; None: as the settings have it.
        parent: release to start from; None: the active one.
        after: retraining whose networks stand in for the stages before the first; None: the parent's.
        settings: what differs from the installation's settings.
    """
    given = given_settings(settings)
    chosen = Settings.load(home, **given)
    wish = Wish(
        stages=stages_from(from_stage), minutes=minutes, steps=steps, force=force, fresh=fresh, promote=promote,
        parent=parent, after=after,
    )  # fmt: skip

    def train_one(work: OpenRetraining, stage: str) -> None:
        assert work.plan is not None and work.run is not None
        whole = {"retrain_id": work.plan.retrain_id, "run_id": work.run.run_id}
        STAGE_FLOWS[stage](home=str(chosen.home), settings=given or None, **whole)

    return carry_out(chosen, wish, train_one)
