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

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableValue

from storage.errors import SettingsError
from storage.fidelity_limits import FidelityLimits
from storage.s3_settings import Purpose, S3Settings
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
        env_nested_delimiter="_",  # OLDPHOTO_DERIVATIVES_S3_ENDPOINT_URL is derivatives_s3.endpoint_url
        env_nested_max_split=1,
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
    s3: S3Settings = Field(default=S3Settings(), description="S3 server of every store")
    sources_s3: S3Settings = Field(default=S3Settings(), description="what differs for sources")
    derivatives_s3: S3Settings = Field(default=S3Settings(), description="what differs for restorations")
    labels_s3: S3Settings = Field(default=S3Settings(), description="what differs for label masks")
    releases_s3: S3Settings = Field(default=S3Settings(), description="what differs for releases")
    manifests_s3: S3Settings = Field(default=S3Settings(), description="what differs for manifests")
    ignore_patterns: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="patterns to ignore beyond the defaults, with commas between"
    )
    include_patterns: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="where given, only what matches one of these patterns is taken, with commas between"
    )
    fidelity: FidelityLimits = Field(
        default=FidelityLimits(), description="figures past which a restoration needs a review before it is published"
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
        _refuse_unknown(cls.model_fields, values, "argument")
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            parts = [str(part) for part in first["loc"]] or ["settings"]
            name = ".".join(parts)
            where = f"{PREFIX}{'_'.join(parts).upper()}, {TOML_NAME} or the command line"
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
        _refuse_unknown(_variables(settings_cls), ours, "environment variable")
        default = settings_cls.model_fields["home"].default
        home = init_settings().get("home") or env_settings().get("home") or default
        file_values = _read_toml(settings_cls, home_layout(home).settings_file)
        return init_settings, env_settings, InitSettingsSource(settings_cls, file_values)

    @field_validator("ignore_patterns", "include_patterns", mode="before")
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

    def store_options(self, url: str, purpose: Purpose = "sources") -> dict[str, Any]:
        """fsspec's options for a store at this URL; the secrets are in the clear, so never log them.

        Args:
            url: of the store; a local folder has no options.
            purpose: what the store is for: that purpose's S3 settings are laid over those of all stores.

        Raises:
            SettingsError: half of what belongs together, such as an access key without its secret key.
        """
        if not url.startswith(("s3://", "s3a://")):
            return {}
        return self.s3.under(getattr(self, f"{purpose}_s3")).fs_options()

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
    _refuse_unknown(settings_cls.model_fields, values, f"key in {path}")
    for name, value in values.items():
        if (nested := _nested(settings_cls, name)) and isinstance(value, dict):
            _refuse_unknown(nested, value, f"key in the table [{name}] of {path}")
    return values


def _variables(settings_cls: type[BaseSettings]) -> list[str]:
    """Every environment variable that stands for a setting."""
    return [
        f"{PREFIX}{name}".upper()
        for field in settings_cls.model_fields
        for name in ([f"{field}_{part}" for part in _nested(settings_cls, field)] or [field])
    ]


def _nested(settings_cls: type[BaseSettings], field: str) -> Collection[str]:
    """Names of the settings within a table of settings; none for a plain one."""
    kind = settings_cls.model_fields[field].annotation
    return kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else ()


def _refuse_unknown(known: Collection[str], names: Iterable[str], what: str) -> None:
    """Raises on the first name that is not known, with the nearest that is."""
    for name in sorted(names):
        wanted = name.upper() if what == "environment variable" else name
        if wanted not in known:
            near = difflib.get_close_matches(wanted, sorted(known), n=1, cutoff=0)[0]
            if "_s3_" in f"_{name}" and wanted == name:
                table, _, field = name.rpartition("s3_")
                near = f"{field} in the table [{table}s3]"
            raise SettingsError(f"unknown {what} {name}; the nearest known one is {near}")
