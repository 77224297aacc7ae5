"""What the S3 server of a store can do: tried once an endpoint, and then kept in the catalogue."""

from __future__ import annotations

from flows.patience import patient
from flows.settings import Settings
from storage.catalog.catalogue import Catalogue
from storage.endpoints import endpoint_of, probe_conditional_writes
from storage.objects import ObjectStore
from storage.s3_settings import Purpose
from storage.urls import local_folder


def honours_conditions(catalogue: Catalogue, settings: Settings, url: str, purpose: Purpose) -> bool | None:
    """Whether the store at this URL honours If-None-Match; None for a folder, which has no need of it.

    Raises:
        storage.errors.ObjectStoreError: the store cannot be written to, which is better known before any work.
    """
    if local_folder(url) is not None:
        return None
    options = settings.store_options(url, purpose)
    endpoint = endpoint_of(url, options)
    known = catalogue.conditional_writes(endpoint)
    if known is None:
        store = ObjectStore(url, options)
        known = patient(settings.store_patience_s, lambda: probe_conditional_writes(store))
        catalogue.record_endpoint(endpoint, conditional_writes=known)
    return known
