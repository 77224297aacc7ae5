"""The word that labels are ready to be learned from: an event for Prefect's server, where one is running.

Nothing depends on it: whoever hears it counts in the catalogue, and an hourly check asks the same.
"""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from flows.prefect_server import ADDRESS_FILE
from flows.settings import Settings

if TYPE_CHECKING:
    from prefect.events import Event

log = logging.getLogger(__name__)

READY_EVENT = "oldphoto.labels.ready"

_ANSWER_S, _SENDING_S = 5.0, 10.0


def catalogue_resource(settings: Settings) -> str:
    """What the event is about: the catalogue, by the folder of its installation."""
    return f"oldphoto.catalogue.{settings.home}"


def announce(settings: Settings, waiting: int) -> bool:
    """Tells Prefect's server that so many labels wait; gives whether it was told.

    It is the server in the settings, or the one that `oldphoto serve` or a run started for this home. None is started
    for this, nobody is waited for longer than some seconds, and nothing fails for it.
    """
    for api_url in _servers(settings):
        if not _answers(api_url):
            continue
        try:
            import prefect.events.clients  # noqa: F401  (takes seconds on a busy machine, which are not the server's)

            asyncio.run(asyncio.wait_for(_send(api_url, settings, waiting), _SENDING_S))
            return True
        except Exception as error:  # whatever Prefect's client may raise
            log.warning("the event %s was not sent to %s: %r", READY_EVENT, api_url, error)
    return False


def _servers(settings: Settings) -> list[str]:
    if settings.prefect_api_url:
        return [settings.prefect_api_url]
    try:
        address = json.loads((settings.layout.prefect / ADDRESS_FILE).read_text(encoding="utf-8"))
        return [str(address["url"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _answers(api_url: str) -> bool:
    """Whether a server is there; one that wants a key has answered too."""
    try:
        urllib.request.urlopen(f"{api_url}/health", timeout=_ANSWER_S).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


async def _send(api_url: str, settings: Settings, waiting: int) -> None:
    from prefect.events.clients import PrefectEventsClient

    async with PrefectEventsClient(api_url=api_url, reconnection_attempts=0) as client:
        await client.emit(_event(settings, waiting))


def _event(settings: Settings, waiting: int) -> Event:
    from prefect.events import Event

    return Event(
        event=READY_EVENT,
        resource={"prefect.resource.id": catalogue_resource(settings), "prefect.resource.name": str(settings.home)},
        payload={"waiting": waiting, "home": str(settings.home)},
    )
