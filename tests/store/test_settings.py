"""Settings: arguments, environment, oldphoto.toml, defaults."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from storage.errors import SettingsError
from storage.s3_settings import PURPOSES, S3Settings
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
        'labels_url = "s3://b/labels"\nmanifests_url = "/m"\nignore_patterns = ["*.raw"]\n[s3]\nregion = "eu"\n'
    )
    monkeypatch.setenv("OLDPHOTO_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("OLDPHOTO_MANIFESTS_URL", "/from-environment")
    monkeypatch.setenv("OLDPHOTO_S3_REGION", "us")
    settings = StorageSettings.load(home, s3={"region": "argument"})
    assert settings.labels_url == "s3://b/labels"
    assert settings.manifests_url == "/from-environment"
    assert settings.s3.region == "argument"
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
    settings = StorageSettings.load(s3={"access_key": SecretStr("id"), "endpoint_url": "http://localhost:1"})
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


def test_each_store_has_an_s3_server_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said for one store is laid over what is said for all, from the environment and the file alike."""
    (tmp_path / "oldphoto.toml").write_text('[derivatives_s3]\nregion = "eu-west-1"\nattempts = 2\n')
    for name, value in {
        "S3_ENDPOINT_URL": "http://masters:9000", "S3_ACCESS_KEY": "reader", "S3_SECRET_KEY": "hush-1",
        "S3_READ_TIMEOUT_S": "7", "DERIVATIVES_S3_ENDPOINT_URL": "http://results:9000",
        "DERIVATIVES_S3_ATTEMPTS": "3",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"OLDPHOTO_{name}", value)
    settings = StorageSettings.load(tmp_path)
    sources = settings.store_options("s3://a", "sources")
    derivatives = settings.store_options("s3://b", "derivatives")
    assert (sources["endpoint_url"], derivatives["endpoint_url"]) == ("http://masters:9000", "http://results:9000")
    assert derivatives["client_kwargs"] == {"region_name": "eu-west-1"}
    assert "client_kwargs" not in sources
    assert sources["config_kwargs"]["retries"]["total_max_attempts"] == 5
    assert derivatives["config_kwargs"]["retries"]["total_max_attempts"] == 3
    assert derivatives["config_kwargs"]["read_timeout"] == 7.0
    assert sources["key"] == derivatives["key"] == "reader"


def test_credentials_are_never_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with a key of its own gets neither the session token nor the profile of the others; nor their KMS key."""
    monkeypatch.setenv("OLDPHOTO_S3_PROFILE", "museum")
    monkeypatch.setenv("OLDPHOTO_S3_SESSION_TOKEN", "hush-token")
    monkeypatch.setenv("OLDPHOTO_S3_SSE", "aws:kms")
    monkeypatch.setenv("OLDPHOTO_S3_SSE_KMS_KEY_ID", "key-1")
    own = {"access_key": "id", "secret_key": "hush", "sse": "AES256"}
    settings = StorageSettings.load(labels_s3=own, releases_s3={"anonymous": True})
    labels = settings.store_options("s3://l", "labels")
    assert (labels["key"], labels["secret"]) == ("id", "hush")
    assert labels["s3_additional_kwargs"] == {"ServerSideEncryption": "AES256"}
    assert not {"token", "profile"} & set(labels)
    releases = settings.store_options("s3://r", "releases")
    assert releases["anon"] is True and not {"token", "profile"} & set(releases)
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key-1"}
    assert releases["s3_additional_kwargs"] == kms
    assert settings.store_options("s3://m", "manifests")["profile"] == "museum"
    assert "hush" not in repr(settings)


def test_half_of_a_pair_is_refused_where_it_is_used() -> None:
    """A key without its secret, a KMS key without KMS; a folder needs neither."""
    settings = StorageSettings.load(s3={"access_key": "id"}, labels_s3={"access_key": "a", "secret_key": "b"})
    with pytest.raises(SettingsError, match="access_key without secret_key"):
        settings.store_options("s3://x", "sources")
    assert settings.store_options("/folder", "sources") == {}
    assert settings.store_options("s3://x", "labels")["key"] == "a"
    with pytest.raises(SettingsError, match="sse_kms_key_id needs sse aws:kms"):
        StorageSettings.load(s3={"sse_kms_key_id": "k"}).store_options("s3://x", "sources")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("DERIVATIVES_S3_ENDPONT_URL", "nearest known one is OLDPHOTO_DERIVATIVES_S3_ENDPOINT_URL"),
        ("S3_REGON", "nearest known one is OLDPHOTO_S3_REGION"),
        ("S3", "unknown environment variable OLDPHOTO_S3;"),
        ("S3_ATTEMPTS", r"setting s3.attempts \(from OLDPHOTO_S3_ATTEMPTS"),
        ("LABELS_S3_ENDPOINT_URL", "expected http://host:port"),
    ],
)
def test_wrong_s3_variables_are_named(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Misspelt ones with the nearest, wrong values with the variable; a password in a URL is not repeated."""
    monkeypatch.setenv(f"OLDPHOTO_{name}", "http://me:hush@host" if "URL" in name else "0")
    with pytest.raises(SettingsError, match=said) as caught:
        StorageSettings.load()
    assert "hush" not in str(caught.value)


def test_wrong_s3_keys_of_the_file_are_named(tmp_path: Path) -> None:
    """Within their table, and where the flat name of the variable was written into the file."""
    (tmp_path / "oldphoto.toml").write_text('[labels_s3]\nregin = "x"\n')
    with pytest.raises(SettingsError, match=r"table \[labels_s3\] of .* regin; the nearest known one is region"):
        StorageSettings.load(tmp_path)
    (tmp_path / "oldphoto.toml").write_text('labels_s3_region = "x"\n')
    with pytest.raises(SettingsError, match=r"region in the table \[labels_s3\]"):
        StorageSettings.load(tmp_path)


def test_every_s3_setting_is_documented() -> None:
    """In docs/storage.md, with its default where it has one."""
    text = (Path(__file__).parents[2] / "docs" / "storage.md").read_text(encoding="utf-8")
    table = text.partition("## S3 settings")[2].partition("## ")[0]
    for name, field in S3Settings.model_fields.items():
        (row,) = [line for line in table.splitlines() if line.startswith("| ") and f"`{name}`" in line.split("|")[1]]
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert f"| {field.default:g} |" in row
    assert all(f"`{purpose}_s3`" in table for purpose in PURPOSES)
