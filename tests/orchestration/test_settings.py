"""Settings of flows: what is given, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.collections import given_policy, policy_of
from flows.errors import UsageError
from flows.planning import check_settings
from flows.restore_job import RestoreJob
from flows.settings import Settings
from storage.catalog.collection_queries import KnownCollection
from storage.errors import SettingsError, WorkParametersError
from storage.keys import WorkParameters
from storage.records import CollectionRecord


def test_a_misspelt_setting_names_the_nearest_known_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLDPHOTO_BATCHSIZE", "4")
    with pytest.raises(SettingsError, match="OLDPHOTO_BATCH_SIZE"):
        Settings.load(home)


def test_settings_come_from_the_homes_file_the_environment_and_the_command_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / "oldphoto.toml").write_text('tone = "keep"\nmending = "sure"\nbatch_size = 3\nworkers = 2\n')
    monkeypatch.setenv("OLDPHOTO_MENDING", "everything")
    monkeypatch.setenv("OLDPHOTO_BATCH_SIZE", "4")
    monkeypatch.setenv("OLDPHOTO_WORKERS", "5")
    settings = Settings.load(home, workers=6)
    assert (settings.tone, settings.mending, settings.batch_size, settings.workers) == ("keep", "everything", 4, 6)


def test_prefects_own_variable_names_the_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    assert Settings.load(home).prefect_api_url == "http://prefect.example/api"


def test_a_policy_given_once_holds_until_another_is_given(home: Path) -> None:
    said = KnownCollection(
        id=1, browse_folder="", state="open",
        policy=CollectionRecord(url="file:///scans", tone="keep", mending="sure", strength=0.5),
    )  # fmt: skip
    assert policy_of(said, Settings.load(home), "/scans") == said.policy
    now = policy_of(said, Settings.load(home, strength=1.0), "/scans")
    assert (now.tone, now.mending, now.strength) == ("keep", "sure", 1.0)
    assert policy_of(said, Settings.load(home, mending="everything"), "/scans").mending == "everything"
    assert given_policy(Settings.load(home)) == {}


def test_scratches_and_jpeg_are_refused_together(home: Path, release_folder: Path) -> None:
    settings = Settings.load(home, release=str(release_folder), mode="scratches", output_format="jpg")
    with pytest.raises(WorkParametersError, match="bit for bit"):
        check_settings(settings)


def test_another_machines_scheduler_wants_a_database_and_a_store_it_can_reach(home: Path, release_folder: Path) -> None:
    far = {"release": str(release_folder), "scheduler": "tcp://10.0.0.1:8786"}
    with pytest.raises(UsageError, match="PostgreSQL"):
        check_settings(Settings.load(home, **far))
    with pytest.raises(UsageError, match="DERIVATIVES_URL"):
        check_settings(Settings.load(home, **far, catalogue_url="postgresql+psycopg://host/db"))
    check_settings(Settings.load(home, release=str(release_folder), scheduler="tcp://127.0.0.1:8786"))


def test_a_job_keeps_each_stores_options_apart_and_shows_none() -> None:
    """A source on one server and derivatives on another, both by S3; secrets are not in its repr."""
    options = {"sources": {"key": "a", "secret": "hush-1"}, "derivatives": {"key": "b", "secret": "hush-2"}}
    job = RestoreJob(
        parameters=WorkParameters(weights_hash="a" * 64), release="r", release_folder="/r", labels_url="/labels",
        derivatives_url="s3://d", store_options=options,
    )  # fmt: skip
    assert (job.options("sources")["key"], job.options("derivatives")["key"]) == ("a", "b")
    assert job.options("labels") == {}
    assert "hush" not in repr(job)
