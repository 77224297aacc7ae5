"""Settings of an installation: the environment, then the home's ``oldphoto.toml``, then defaults.

The only place that reads the environment. What is not known is refused by name, so that a misspelt setting never goes
unnoticed.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableValue

from storage.errors import SettingsError
from storage.urls import local_folder, masked_url

PREFIX = "OLDPHOTO_"
TOML_NAME = "oldphoto.toml"


@dataclass(frozen=True)
class HomeLayout:
    """Where things lie in a home."""

    home: Path
    catalogue: Path
    derivatives: Path
    browse: Path
    labels: Path
    releases: Path
    manifests: Path
    reports: Path
    prefect: Path
    work: Path
    settings_file: Path


def home_layout(home: str | Path) -> HomeLayout:
    """The paths of a home, absolute; nothing is made."""
    root = Path(os.path.abspath(Path(home).expanduser()))
    return HomeLayout(
        home=root, catalogue=root / "catalogue.db", derivatives=root / "derivatives", browse=root / "browse",
        labels=root / "labels", releases=root / "releases", manifests=root / "manifests", reports=root / "reports",
        prefect=root / "prefect", work=root / "work", settings_file=root / TOML_NAME,
    )  # fmt: skip


class StorageSettings(BaseSettings):
    """What storage needs to know. Flows extend it: a subclass adds fields, and these are then known too.

    Make one with :meth:`load`, which gives one-line errors.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    home: Path = Field(default=Path("restored"), description="folder of an embedded installation")
    catalogue_url: str = Field(default="", description="SQLite path or URL, or postgresql+psycopg://...")
    derivatives_url: str = Field(default="", description="where restorations go: a folder or s3://bucket/prefix")
    labels_url: str = Field(default="", description="where label masks go")
    releases_url: str = Field(default="", description="where trained releases go")
    manifests_url: str = Field(default="", description="where manifests and snapshots go")
    s3_endpoint_url: str | None = Field(default=None, description="S3 endpoint, where it is not Amazon's")
    s3_region: str | None = Field(default=None, description="S3 region")
    s3_profile: str | None = Field(default=None, description="profile in the AWS configuration")
    s3_access_key: SecretStr | None = Field(default=None, description="S3 access key; else AWS's own ways")
    s3_secret_key: SecretStr | None = Field(default=None, description="S3 secret key")
    s3_anonymous: bool = Field(default=False, description="read public buckets without credentials")
    ignore_patterns: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="patterns to ignore beyond the defaults, with commas between"
    )
    query_timeout_s: float = Field(default=30.0, gt=0, description="time limit of read-only SQL")

    @classmethod
    def load(cls, home: str | Path | None = None, **given: Any) -> Self:
        """Settings from the arguments, the environment, the home's ``oldphoto.toml`` and the defaults, in that order.

        Args:
            home: as given on the command line; None leaves it to ``OLDPHOTO_HOME`` and the default ``./restored``.
            **given: further fields that the caller decides; None means not given.

        Raises:
            SettingsError: one line, naming what is wrong and where.
        """
        values = {name: value for name, value in {"home": home, **given}.items() if value is not None}
        _refuse_unknown(cls, (name for name in values), "argument", str)
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "settings"
            where = f"{PREFIX}{name.upper()}, {TOML_NAME} or the command line"
            raise SettingsError(f"setting {name} (from {where}): {first['msg']}") from error
        except UnreadableValue as error:
            raise SettingsError(f"{error}; expected JSON in the environment variable") from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, the home's file; unknown names are refused here, before they could be dropped."""
        ours = (name for name in os.environ if name.upper().startswith(PREFIX))
        _refuse_unknown(settings_cls, ours, "environment variable", lambda field: f"{PREFIX}{field.upper()}")
        default = settings_cls.model_fields["home"].default
        home = init_settings().get("home") or env_settings().get("home") or default
        file_values = _read_toml(settings_cls, home_layout(home).settings_file)
        return init_settings, env_settings, InitSettingsSource(settings_cls, file_values)

    @field_validator("ignore_patterns", mode="before")
    @classmethod
    def _patterns_between_commas(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, home: Path) -> Path:
        return home_layout(home).home

    @model_validator(mode="before")
    @classmethod
    def _defaults_in_home(cls, values: Any) -> Any:
        layout = home_layout(values.get("home") or cls.model_fields["home"].default)
        defaults = {
            "catalogue_url": f"sqlite:///{layout.catalogue}", "derivatives_url": str(layout.derivatives),
            "labels_url": str(layout.labels), "releases_url": str(layout.releases),
            "manifests_url": str(layout.manifests),
        }  # fmt: skip
        return {**values, **{name: url for name, url in defaults.items() if not values.get(name)}}

    @property
    def layout(self) -> HomeLayout:
        """Where things lie in the home."""
        return home_layout(self.home)

    def store_options(self, url: str) -> dict[str, Any]:
        """fsspec's options for a store at this URL; the secrets are in the clear, so never log them."""
        if not url.startswith(("s3://", "s3a://")):
            return {}
        options: dict[str, Any] = {"use_listings_cache": False}
        if self.s3_endpoint_url:
            options["endpoint_url"] = self.s3_endpoint_url
        if self.s3_region:
            options["client_kwargs"] = {"region_name": self.s3_region}
        if self.s3_profile:
            options["profile"] = self.s3_profile
        if self.s3_anonymous:
            options["anon"] = True
        if self.s3_access_key and self.s3_secret_key:
            options["key"] = self.s3_access_key.get_secret_value()
            options["secret"] = self.s3_secret_key.get_secret_value()
        return options

    def result_locations(self) -> list[str]:
        """The home and every store of results: what a source never lists (``SourceStore(exclude=...)``)."""
        urls = [self.derivatives_url, self.labels_url, self.releases_url, self.manifests_url]
        inside = [self.home, *self.home.parents]
        return [str(self.home), *(url for url in urls if local_folder(url) not in inside)]

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Fields for ``repr``, with a catalogue's password hidden as secrets are."""
        for name, value in super().__repr_args__():
            yield name, masked_url(value) if name == "catalogue_url" else value


def _read_toml(settings_cls: type[BaseSettings], path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    if "home" in values:
        raise SettingsError(f"{path}: home cannot be set in the home's own file; use --home or {PREFIX}HOME")
    _refuse_unknown(settings_cls, values, f"key in {path}", str)
    return values


def _refuse_unknown(settings_cls: type[BaseSettings], names: Iterable[str], what: str, spelled: Any) -> None:
    """Raises on the first name that stands for no field; ``spelled`` turns a field into such a name."""
    known: Collection[str] = {spelled(field) for field in settings_cls.model_fields}
    for name in sorted(names):
        wanted = name.upper() if what == "environment variable" else name
        if wanted not in known:
            near = difflib.get_close_matches(wanted, sorted(known), n=1, cutoff=0)
            raise SettingsError(f"unknown {what} {name}; the nearest known one is {near[0]}")
