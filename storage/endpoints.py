"""What an endpoint can do, found out once: whether it honours put-if-absent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from storage.errors import ObjectStoreError
from storage.keys import sha256_hex
from storage.objects import ObjectStore

PROBE_FOLDER = ".oldphoto-probe"


def endpoint_of(url: str, options: Mapping[str, Any] | None = None) -> str:
    """The text that a store's endpoint goes by: ``https://s3.eu-west-1.amazonaws.com/bucket``, or a folder's URL.

    The client is asked, since its endpoint may come from AWS's own configuration. No secrets are in it.

    Raises:
        ObjectStoreError: the client cannot be made, such as for a profile that is not there.
    """
    store = ObjectStore(url, options)
    return store.url if store.root is not None else str(store._access.endpoint)


def probe_conditional_writes(store: ObjectStore) -> bool:
    """Whether the endpoint honours If-None-Match, found by writing one key twice with different bytes.

    It does where the second write is refused and the first bytes still stand. Some endpoints answer a refusal and write
    all the same, some ignore the header, some do not know it: all of these give False. The key is deleted.

    Raises:
        StoreAccessDenied, StoreUnavailable, SourceUnreadable: nothing can be written there at all.
    """
    key = f"{PROBE_FOLDER}/{uuid.uuid4().hex}"
    first, second = b"first", b"second"
    access: Any = store._access
    try:
        try:
            access.put(key, first, sha256=sha256_hex(first), if_absent=True)
        except FileExistsError:  # its first answer was lost, and the retry met our own object
            pass
        except ObjectStoreError:  # the header is not known; without it the write must do
            access.put(key, first, sha256=sha256_hex(first), if_absent=False)
        try:
            access.put(key, second, sha256=sha256_hex(second), if_absent=True)
            refused = False
        except (FileExistsError, ObjectStoreError) as error:
            refused = isinstance(error, FileExistsError)
        return refused and store.read_bytes(key) == first
    finally:
        store.delete(key)
