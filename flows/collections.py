"""Collections and their policies: what a person said once about a source holds until they say otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flows.settings import Settings
from storage.catalog.catalogue import Catalogue
from storage.catalog.collection_queries import KnownCollection
from storage.records import CollectionRecord
from storage.urls import canonical_url

_POLICY = ("mode", "tone", "mending", "strength", "output_format")


def policy_of(
    before: KnownCollection | None, settings: Settings, source: str, *, recursive: bool | None = None
) -> CollectionRecord:
    """The policy of a source.

    What is given now (on the command line, in the environment or in the home's file) replaces what was said before;
    what is not given stays as it was.
    """
    policy = before.policy if before is not None else CollectionRecord(url=canonical_url(source))
    policy = replace(policy, **given_policy(settings))
    if recursive is not None:
        policy = replace(policy, recursive=recursive)
    for name in ("include_patterns", "ignore_patterns"):
        if name in settings.model_fields_set:
            policy = replace(policy, **{name: getattr(settings, name)})
    return policy


def find_collection(catalogue: Catalogue, source: str) -> KnownCollection | None:
    """The collection of this source, or None."""
    url = canonical_url(source)
    return next((known for known in catalogue.collections() if known.policy.url == url), None)


def given_policy(settings: Settings) -> dict[str, Any]:
    """Those of the policy's values that somebody gave, as against defaults."""
    return {name: getattr(settings, name) for name in _POLICY if name in settings.model_fields_set}
