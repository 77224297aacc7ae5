"""The translation between the latent spaces by itself, the VAEs as the parent has them."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.settings_form import SettingsForm
from flows.training.carrying_out import train_alone, train_part
from flows.training.summary import RetrainSummary


@flow(name="train-translation")
def train_translation(
    home: str | None = None,
    minutes: Annotated[float, Field(gt=0)] | None = None,
    steps: Annotated[int, Field(ge=1)] | None = None,
    parent: str | None = None,
    after: str | None = None,
    settings: SettingsForm | None = None,
    retrain_id: str | None = None,
    run_id: str | None = None,
) -> RetrainSummary:
    """Trains the translation of damaged into clean latents, into a candidate for a person to promote.

    Args:
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        minutes: how long it trains; None: as the settings have it.
        steps: how long in steps, in place of minutes.
        parent: release to start from; None: the active one.
        after: retraining whose VAEs it is trained between, such as one of `train-vaes`; None: the parent's.
        settings: what differs from the installation's settings.
        retrain_id: the retraining that this is a stage of; None: one of its own.
        run_id: the run of the catalogue that carries that out.
    """
    if retrain_id is not None:
        return train_part("translation", home, settings, retrain_id, run_id)
    return train_alone("translation", home, settings, minutes=minutes, steps=steps, parent=parent, after=after)
