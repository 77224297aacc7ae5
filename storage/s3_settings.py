"""Settings of one S3 server, and what s3fs and botocore are told because of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from storage.errors import SettingsError
from storage.urls import masked_url

Purpose = Literal["sources", "derivatives", "labels", "releases", "manifests"]
"""What a store is for; each has settings of its own."""

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

_WHO = frozenset({"profile", "access_key", "secret_key", "session_token", "anonymous"})
_ENCRYPTION = frozenset({"sse", "sse_kms_key_id"})


class S3Settings(BaseModel):
    """Where an S3 server is, who asks, and how patiently.

    Without credentials here AWS's own ways are tried: its environment variables, profiles, and the role of the machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    endpoint_url: str | None = Field(default=None, description="S3 endpoint, where it is not Amazon's")
    region: str | None = Field(default=None, description="S3 region, such as eu-west-1")
    profile: str | None = Field(default=None, description="profile in the AWS configuration")
    access_key: SecretStr | None = Field(default=None, description="S3 access key; else AWS's own ways")
    secret_key: SecretStr | None = Field(default=None, description="S3 secret key")
    session_token: SecretStr | None = Field(default=None, description="token of temporary credentials")
    anonymous: bool = Field(default=False, description="read public buckets without credentials")
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        default=None, description="server-side encryption of what is written; by default the bucket's own"
    )
    sse_kms_key_id: str | None = Field(default=None, description="KMS key for aws:kms and aws:kms:dsse")
    attempts: int = Field(default=5, ge=1, le=20, description="times a request is made in all before it fails")
    connect_timeout_s: float = Field(default=10.0, gt=0, description="longest wait for a connection")
    read_timeout_s: float = Field(default=60.0, gt=0, description="longest silence within an answer")

    @field_validator("endpoint_url")
    @classmethod
    def _plain_endpoint(cls, url: str | None) -> str | None:
        if url is not None and (not url.startswith(("http://", "https://")) or "@" in url):
            raise ValueError("expected http://host:port or https://host, without credentials in it")
        return url

    def under(self, over: S3Settings) -> S3Settings:
        """These settings with those of one store laid over them, field by field.

        Who asks is one group, and encryption is another: a store with a key of its own never gets this one's session
        token or profile, and one with AES256 never this one's KMS key.
        """
        given = over.model_fields_set
        replaced = {name for group in (_WHO, _ENCRYPTION) if group & given for name in group}
        return S3Settings(**{**_told(self, without=replaced), **_told(over)})

    def fs_options(self) -> dict[str, Any]:
        """Options of ``s3fs.S3FileSystem``; the secrets are in the clear, so never log them.

        Raises:
            SettingsError: half of what belongs together.
        """
        if (self.access_key is None) != (self.secret_key is None):
            given, missing = ("access_key", "secret_key") if self.access_key else ("secret_key", "access_key")
            raise SettingsError(f"S3 settings have {given} without {missing}; give both, or neither for AWS's own ways")
        if self.sse_kms_key_id and self.sse not in ("aws:kms", "aws:kms:dsse"):
            raise SettingsError(f"sse_kms_key_id needs sse aws:kms or aws:kms:dsse; found {self.sse or 'none'}")
        secret = {"key": self.access_key, "secret": self.secret_key, "token": self.session_token}
        plain = {"endpoint_url": self.endpoint_url, "profile": self.profile, "anon": self.anonymous or None}
        encryption = {"ServerSideEncryption": self.sse, "SSEKMSKeyId": self.sse_kms_key_id}
        return {
            "use_listings_cache": False,
            # botocore makes every retry: it knows what may be asked again (never a 403, 404 or 412).
            "config_kwargs": {
                "connect_timeout": self.connect_timeout_s,
                "read_timeout": self.read_timeout_s,
                "retries": {"mode": "standard", "total_max_attempts": self.attempts},
                "max_pool_connections": 32,
                # Of whole objects alone, which ask for it: some servers send the whole's checksum with a range of it.
                "response_checksum_validation": "when_required",
            },
            **{name: value.get_secret_value() for name, value in secret.items() if value is not None},
            **_given(plain),
            **({"client_kwargs": {"region_name": self.region}} if self.region else {}),
            **({"s3_additional_kwargs": _given(encryption)} if self.sse else {}),
        }

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Only what is set; secrets are masked by their type."""
        for name, value in super().__repr_args__():
            if name in self.model_fields_set:
                yield name, masked_url(value) if name == "endpoint_url" and value else value

    __str__ = BaseModel.__repr__


def _told(settings: S3Settings, *, without: Iterable[str] = ()) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.model_fields_set - set(without)}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
