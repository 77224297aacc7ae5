"""Delivers a message to people: through a Prefect notification block, and as JSON to a webhook.

A message that is not delivered is an error. Neither way configured is none: then nobody asked to be told.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from flows.errors import FlowsError
from flows.settings import Settings

_TRIES = 4
_FIRST_PAUSE_S = 1.0
_TIMEOUT_S = 30.0


class NotDelivered(FlowsError):
    """A message reached nobody, or not all that it was meant for."""


def deliver(settings: Settings, subject: str, body: str, facts: Mapping[str, Any]) -> list[str]:
    """Sends a message by every way that settings name, and gives these ways' names.

    Args:
        subject: one line.
        body: Markdown.
        facts: the same as JSON, for a webhook's program.

    Raises:
        NotDelivered: by one way or more; the others were tried nevertheless.
    """
    reached, problems = [], []
    ways: dict[str, Any] = {}
    if settings.notify_block:
        ways[f"the block {settings.notify_block}"] = lambda: send_to_block(settings.notify_block or "", subject, body)
    if settings.notify_webhook:
        url = settings.notify_webhook.get_secret_value()
        message = {"text": f"*{subject}*\n{body}", "subject": subject, "body": body, **facts}
        ways["the webhook"] = lambda: post_to_webhook(url, message)
    for name, send in ways.items():
        try:
            send()
            reached.append(name)
        except NotDelivered as error:
            problems.append(str(error))
    if problems:
        raise NotDelivered("; ".join(problems))
    return reached


def send_to_block(name: str, subject: str, body: str) -> None:
    """Sends through a block saved on the Prefect server, such as `slack-webhook/archive`.

    Raises:
        NotDelivered: there is no such block, or its service refused.
    """
    import prefect.blocks.notifications  # noqa: F401  (makes its types known)
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    try:
        block: Any = Block.load(name)
    except Exception as error:  # an unknown type, an unknown name and a lost server raise different things
        raise NotDelivered(
            f"setting notify_block: {name} could not be loaded from Prefect ({_line(error)}); expected TYPE/NAME of a "
            "block on the page Blocks, such as slack-webhook/archive"
        ) from error
    if not isinstance(block, NotificationBlock):
        raise NotDelivered(f"setting notify_block: {name} is a {type(block).__name__}, which notifies nobody")
    try:
        with block.raise_on_failure():
            block.notify(body, subject)
    except Exception as error:  # each service has errors of its own
        raise NotDelivered(f"the block {name} did not deliver: {_line(error)}; test it on Prefect's page") from error


def post_to_webhook(url: str, message: Mapping[str, Any], *, pause_s: float = _FIRST_PAUSE_S) -> None:
    """Posts JSON, again where the server is busy or away. The URL is a secret: errors name its host alone.

    Raises:
        NotDelivered: after the last try, or at once where the server says that the message is wrong.
    """
    import httpx

    problem = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        try:
            answer = httpx.post(url, json=dict(message), timeout=_TIMEOUT_S)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise NotDelivered("setting notify_webhook is no http:// or https:// address; correct it") from error
        except httpx.TransportError as error:
            problem = f"{type(error).__name__}: no answer"
            continue
        if answer.is_success:
            return
        problem = f"answered {answer.status_code}"
        if answer.status_code < 500 and answer.status_code != 429:
            break
    host = httpx.URL(url).host
    raise NotDelivered(f"setting notify_webhook: {host} did not take the message ({problem}); check its address")


def _line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]
