"""What S3 and the way to it say, as errors of ours: one line, and what to do next."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from storage.errors import (
    CredentialsRefused,
    ObjectNotFound,
    ObjectStoreError,
    SourceUnreadable,
    StoreAccessDenied,
    StoreUnavailable,
)

_NO_OBJECT = {"NoSuchKey", "NoSuchVersion", "404"}
_NO_BUCKET = {"NoSuchBucket", "InvalidBucketName"}
_OTHER_REGION = {
    "PermanentRedirect", "TemporaryRedirect", "Redirect", "301", "307", "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
}  # fmt: skip
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_UNKNOWN_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden", "403", "Unauthorized", "401"}
_BUSY = {
    "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException",
    "RequestLimitExceeded", "BandwidthLimitExceeded", "OperationAborted", "ConditionalRequestConflict",
    "409", "429", "500", "502", "503", "504",
}  # fmt: skip
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
                   "TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"}  # fmt: skip
_REGION, _ENDPOINT = "OLDPHOTO_S3_REGION", "OLDPHOTO_S3_ENDPOINT_URL"
_LIBRARIES = ("botocore", "aiobotocore", "aiohttp", "fsspec", "s3fs")


def answer_of(error: BaseException) -> Mapping[str, Any]:
    """The server's answer behind an error of botocore's or s3fs's; empty where there was none."""
    for known in (error, error.__cause__):
        response = getattr(known, "response", None)
        if isinstance(response, Mapping):
            return response
    return {}


def code_of(error: BaseException) -> str:
    """S3's error code, or the bare status of an answer without a body; empty where the server did not answer."""
    return str(answer_of(error).get("Error", {}).get("Code", ""))


def is_store_failure(error: BaseException) -> bool:
    """What a store, its network or its credentials do to us, as against mistakes of our own."""
    return isinstance(error, OSError | TimeoutError) or type(error).__module__.partition(".")[0] in _LIBRARIES


def store_error(error: BaseException, *, url: str, key: str, doing: str) -> ObjectStoreError:
    """The error of ours that says what happened.

    Args:
        error: a store failure.
        url: of the store.
        key: of the object; empty where the whole store was meant.
        doing: ``read``, ``written``, ``listed``...: what cannot be done.
    """
    what = f"object {key!r} in {url} cannot be {doing}" if key else f"{url} cannot be {doing}"
    where: dict[str, Any] = {"url": url, "key": key}
    answer, code = answer_of(error), code_of(error)
    said = answer.get("Error", {})
    if not answer:
        return _without_answer(error, what, where)
    if code in _NO_OBJECT and key:
        return ObjectNotFound(f"no object {key!r} in {url}", **where)
    if code in _NO_BUCKET or (code == "404" and not key):
        return SourceUnreadable(f"{what}: there is no such bucket; check its name and {_ENDPOINT}", **where)
    if code in _OTHER_REGION:
        region = said.get("Region") or _header(answer, "x-amz-bucket-region")
        named = f"the server says {region}" if region else "the server does not say which"
        return SourceUnreadable(f"{what}: the bucket is in another region ({named}); set {_REGION} to it", **where)
    if code == "RequestTimeTooSkewed":
        server = said.get("ServerTime") or _header(answer, "date")
        times = f"the server has {server}" if server else "it differs too much from the server's"
        return CredentialsRefused(f"{what}: the clock of this machine is off ({times}); set it right", **where)
    if code in _EXPIRED:
        return CredentialsRefused(f"{what}: the credentials have expired; get new ones and run again", **where)
    if code in _UNKNOWN_KEY:
        advice = "check OLDPHOTO_S3_ACCESS_KEY, OLDPHOTO_S3_SECRET_KEY and OLDPHOTO_S3_SESSION_TOKEN, or the profile"
        return CredentialsRefused(f"{what}: the server does not accept the credentials ({code}); {advice}", **where)
    if code == "InvalidObjectState":
        return ObjectStoreError(f"{what}: it lies in an archive class such as Glacier; restore it there first", **where)
    if code in _DENIED:
        advice = "ask for that permission (docs/storage.md lists what is needed)"
        return StoreAccessDenied(f"{what}: access denied; {advice}", **where)
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _BUSY or status >= 500:
        tries = answer.get("ResponseMetadata", {}).get("RetryAttempts", 0) + 1
        after = f"after {tries} attempts" if tries > 1 else "at the first attempt"
        return StoreUnavailable(f"{what}: the server is busy or failing ({code}, {after}); run again later", **where)
    if code == "400":  # a HEAD has no body to say why
        return ObjectStoreError(f"{what}: bad request; have the credentials expired, or is {_REGION} wrong?", **where)
    return ObjectStoreError(f"{what}: {one_line(said.get('Message') or error)} ({code})", **where)


def _without_answer(error: BaseException, what: str, where: dict[str, Any]) -> ObjectStoreError:
    """No credentials to ask with, or nobody who answered."""
    name = type(error).__name__
    if name in _NO_CREDENTIALS:
        advice = "set OLDPHOTO_S3_ACCESS_KEY and OLDPHOTO_S3_SECRET_KEY, OLDPHOTO_S3_PROFILE or OLDPHOTO_S3_ANONYMOUS"
        found = "no credentials found" if name == "NoCredentialsError" else one_line(error)
        return CredentialsRefused(f"{what}: {found}; {advice}", **where)
    if isinstance(error, PermissionError):
        return StoreAccessDenied(f"{what}: {one_line(error)}; ask for that permission", **where)
    if isinstance(error, FileNotFoundError):
        return ObjectNotFound(f"no object {where['key']!r} in {where['url']}", **where)
    if isinstance(error, TimeoutError) or name in ("ConnectTimeoutError", "ReadTimeoutError"):
        return StoreUnavailable(f"{what}: no answer in time; check the network and {_ENDPOINT}", **where)
    if name in ("EndpointConnectionError", "ProxyConnectionError", "SSLError", "ConnectionClosedError"):
        return StoreUnavailable(f"{what}: {one_line(error)}; check the network and {_ENDPOINT}", **where)
    return StoreUnavailable(f"{what}: the connection failed ({one_line(error)}); run again later", **where)


def gathering_error(error: OSError, *, url: str, key: str, doing: str) -> ObjectStoreError:
    """The error of ours for an object that cannot be put down in the temporary folder on its way."""
    return ObjectStoreError(
        f"object {key!r} in {url} cannot be {doing}: {one_line(error)} in {tempfile.gettempdir()}, where it is "
        "gathered first; free some space there or set TMPDIR",
        url=url, key=key,
    )  # fmt: skip


def one_line(error: object) -> str:
    """The first line of what it says."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).strip().splitlines()[0]


def _header(answer: Mapping[str, Any], name: str) -> str | None:
    value = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(name)
    return str(value) if value else None
