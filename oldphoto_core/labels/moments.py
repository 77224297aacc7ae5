"""Times as exports write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def utc_seconds(text: Any) -> str | None:
    """Gives a time of an export as ISO-8601 UTC text with seconds; None where it is none. Without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    try:
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError):
        return None
