"""The settings that a person may want to change for one run, as a form on Prefect's page shows them.

A flow takes them as a `SettingsForm`; callers may pass a plain dict with any of our settings, which becomes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flows.settings import Settings


def _told(name: str) -> str | None:
    """What the setting of this name is for."""
    return Settings.model_fields[name].description


class SettingsForm(BaseModel):
    """What differs from the installation's settings; what is left empty stays as it is there."""

    model_config = ConfigDict(extra="allow")  # `Settings.load` refuses what it does not know, with advice

    release: str | None = Field(default=None, description=_told("release"), examples=["active"])
    mode: Literal["full", "scratches"] | None = Field(default=None, description=_told("mode"))
    tone: Literal["correct", "neutral", "keep"] | None = Field(default=None, description=_told("tone"))
    mending: Literal["sure", "normal", "everything"] | None = Field(default=None, description=_told("mending"))
    strength: float | None = Field(default=None, ge=0, le=1, description=_told("strength"))
    output_format: Literal["auto", "tif", "png", "jpg"] | None = Field(default=None, description=_told("output_format"))
    device: str | None = Field(default=None, description=_told("device"), examples=["auto", "cuda"])
    workers: int | None = Field(default=None, ge=1, le=1024, description=_told("workers"))
    scheduler: str | None = Field(default=None, description=_told("scheduler"), examples=["tcp://10.0.0.1:8786"])
    batch_size: int | None = Field(default=None, ge=1, le=4096, description=_told("batch_size"))


def given_settings(settings: SettingsForm | Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings that were filled in, for `Settings.load`."""
    if isinstance(settings, SettingsForm):
        settings = settings.model_dump(exclude_unset=True)
    return {name: value for name, value in (settings or {}).items() if value is not None}
