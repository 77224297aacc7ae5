"""What begins a retraining: the catalogue, which an event and an hourly check ask alike.

`oldphoto labels import` says `oldphoto.labels.ready` once enough new labels wait, and an automation of Prefect's server
(`flows.training.automation`) runs the deployment of `retrain`. Should the event get lost, `retrain-check` finds the
same within the hour. Neither is believed: `retrain` counts again under its lease.
"""

from __future__ import annotations

from uuid import UUID

from prefect import flow

from flows.errors import UsageError
from flows.settings import Settings
from flows.settings_form import SettingsForm, given_settings
from flows.training.automation import DEPLOYMENT
from flows.training.clean_photos import require_clean_photos
from flows.training.opening import Wish, standing
from flows.training.retrain import retrain
from flows.training.summary import RetrainSummary
from flows.training.telling import tell
from storage.catalog.catalogue import Catalogue
from storage.errors import CatalogueMissing


@flow(name="retrain-check")
def retrain_check(
    home: str | None = None, deployment: str = DEPLOYMENT, settings: SettingsForm | None = None
) -> RetrainSummary:
    """Has a retraining run where enough new labels wait, or one was left unfinished; else it does nothing.

    Args:
        home: folder of the installation; None: `OLDPHOTO_HOME`, else `./restored`.
        deployment: what is run, as flow/deployment; where the server has none of that name, the retraining runs here.
        settings: what differs from the installation's settings.
    """
    given = given_settings(settings)
    chosen = Settings.load(home, **given)
    found = check(chosen)
    if found.outcome != "ready":
        tell(found.note or found.outcome)
        return found
    if run_id := _run_deployment(deployment, chosen, given):
        tell(f"flow run {run_id} of {deployment} was asked for")
        return found
    return retrain(home=str(chosen.home), settings=given or None)


def check(settings: Settings) -> RetrainSummary:
    """Whether there is anything to train, by the catalogue alone. No run is recorded of it."""
    try:
        with Catalogue.open(settings.catalogue_url, create=False) as catalogue:
            now = standing(catalogue, settings)
    except CatalogueMissing:
        return RetrainSummary(outcome="nothing to do", note=f"nothing is ingested in {settings.home} yet")
    if (refusal := now.refusal(settings, Wish())) is not None:
        return refusal
    if now.unfinished is not None:
        return RetrainSummary(outcome="ready", waiting=now.waiting, retrain_id=now.unfinished.retrain_id)
    try:
        require_clean_photos(settings)
    except UsageError as missing:  # told each hour, and no run fails for it
        return RetrainSummary(outcome="nothing to do", waiting=now.waiting, note=str(missing))
    return RetrainSummary(outcome="ready", waiting=now.waiting)


def _run_deployment(name: str, settings: Settings, given: dict[str, object]) -> UUID | None:
    """Asks the server for a run of this deployment; None where it has none, or nobody is asked."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound:
            return None
        parameters = {"home": str(settings.home), **({"settings": given} if given else {})}
        return client.create_flow_run_from_deployment(deployment.id, parameters=parameters).id
