"""Settings: arguments, environment, oldphoto.toml, defaults."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from storage.errors import SettingsError
from storage.settings import StorageSettings, home_layout


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No OLDPHOTO_* of the person who runs the tests, and a folder of our own."""
    for name in [name for name in os.environ if name.upper().startswith("OLDPHOTO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_everything_defaults_into_the_home(tmp_path: Path) -> None:
    """``./restored``, made absolute, so that a worker elsewhere means the same."""
    settings = StorageSettings.load()
    assert settings.home == tmp_path / "restored"
    assert settings.catalogue_url == f"sqlite:///{tmp_path}/restored/catalogue.db"
    assert settings.derivatives_url == str(tmp_path / "restored" / "derivatives")
    assert settings.layout == home_layout("restored")
    assert not settings.home.exists()


def test_arguments_win_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the file is the one of the home that was asked for."""
    home = tmp_path / "h"
    home.mkdir()
    (home / "oldphoto.toml").write_text(
        'labels_url = "s3://b/labels"\nmanifests_url = "/m"\ns3_region = "eu"\nignore_patterns = ["*.raw"]\n'
    )
    monkeypatch.setenv("OLDPHOTO_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("OLDPHOTO_MANIFESTS_URL", "/from-environment")
    monkeypatch.setenv("OLDPHOTO_S3_REGION", "us")
    settings = StorageSettings.load(home, s3_region="argument")
    assert settings.labels_url == "s3://b/labels"
    assert settings.manifests_url == "/from-environment"
    assert settings.s3_region == "argument"
    assert settings.ignore_patterns == ("*.raw",)
    assert StorageSettings.load().home == tmp_path / "other"


def test_patterns_come_with_commas_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JSON for a person to write."""
    monkeypatch.setenv("OLDPHOTO_IGNORE_PATTERNS", "*.raw, rejects/")
    assert StorageSettings.load().ignore_patterns == ("*.raw", "rejects/")


def test_an_unknown_variable_is_refused_by_name_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt setting never goes unnoticed."""
    monkeypatch.setenv("OLDPHOTO_CATALOG_URL", "x")
    with pytest.raises(SettingsError, match="OLDPHOTO_CATALOG_URL; the nearest known one is OLDPHOTO_CATALOGUE_URL"):
        StorageSettings.load()


def test_an_unknown_key_of_the_file_is_refused(tmp_path: Path) -> None:
    """With the file's name; so are a home in it, and TOML that is none."""
    file = tmp_path / "oldphoto.toml"
    file.write_text("derivative_url = 'x'\n")
    with pytest.raises(SettingsError, match=r"oldphoto.toml derivative_url; the nearest known one is derivatives_url"):
        StorageSettings.load(tmp_path)
    file.write_text("home = 'x'\n")
    with pytest.raises(SettingsError, match="home cannot be set"):
        StorageSettings.load(tmp_path)
    file.write_text("home = \n")
    with pytest.raises(SettingsError, match="cannot be read"):
        StorageSettings.load(tmp_path)


def test_an_unknown_argument_and_a_wrong_value_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    with pytest.raises(SettingsError, match="nearest known one is home"):
        StorageSettings.load(hoome="x")
    monkeypatch.setenv("OLDPHOTO_QUERY_TIMEOUT_S", "soon")
    with pytest.raises(SettingsError, match="query_timeout_s") as caught:
        StorageSettings.load()
    assert "\n" not in str(caught.value)


def test_a_subclass_adds_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows have their own; the check for the unknown knows them."""

    class FlowSettings(StorageSettings):
        batch_size: int = Field(default=16, gt=0)

    monkeypatch.setenv("OLDPHOTO_BATCH_SIZE", "4")
    assert FlowSettings.load().batch_size == 4
    with pytest.raises(SettingsError, match="OLDPHOTO_BATCH_SIZE"):
        StorageSettings.load()


def test_secrets_are_masked_everywhere_and_handed_to_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database's password among them, and in the message about a wrong value."""
    monkeypatch.setenv("OLDPHOTO_S3_SECRET_KEY", "hush-s3")
    monkeypatch.setenv("OLDPHOTO_CATALOGUE_URL", "postgresql+psycopg://me:hush-db@host/db?password=hush-too")
    settings = StorageSettings.load(s3_access_key=SecretStr("id"), s3_endpoint_url="http://localhost:1")
    assert "hush" not in repr(settings) + str(settings)
    options = settings.store_options("s3://bucket")
    assert options["secret"] == "hush-s3"
    assert options["endpoint_url"] == "http://localhost:1"
    assert settings.store_options("/folder") == {}


def test_result_locations_are_what_a_source_must_not_list(tmp_path: Path) -> None:
    """The home, and stores outside it."""
    settings = StorageSettings.load(tmp_path / "h", derivatives_url="s3://b/d", labels_url=str(tmp_path / "labels"))
    locations = settings.result_locations()
    assert locations[0] == str(tmp_path / "h")
    assert {"s3://b/d", str(tmp_path / "labels")} <= set(locations)
