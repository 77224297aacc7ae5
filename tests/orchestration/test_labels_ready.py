"""The event that says labels are ready: sent to a server that is there, in seconds, and never in the way."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import httpx
import pytest

from flows.ingest import ingest
from flows.labels.importing import LabelWishes, import_labels
from flows.labels.ready import READY_EVENT, announce, catalogue_resource
from flows.prefect_server import ADDRESS_FILE
from flows.settings import Settings
from storage.catalog.catalogue import Catalogue
from tests.orchestration.archives import make_photos
from tests.orchestration.labelling import save, stroke


def told(api_url: str, settings: Settings) -> list[dict[str, object]]:
    """What the server heard about this catalogue, once it has written it down."""
    wanted = {"filter": {"event": {"name": [READY_EVENT]}, "resource": {"id": [catalogue_resource(settings)]}}}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        events = httpx.post(f"{api_url}/events/filter", json=wanted, timeout=10).json()["events"]
        if events:
            return [event["payload"] for event in events]
        time.sleep(0.3)
    return []


def test_an_import_that_brings_enough_tells_the_server(prefect_server: str, tmp_path: Path) -> None:
    """Not before, and not again where nothing is new."""
    source, home = tmp_path / "scans", tmp_path / "home"
    make_photos(source, 3)
    ingest(str(source), home=str(home))
    settings = Settings.load(home, retrain_after=2, prefect_api_url=prefect_server)
    wishes = LabelWishes(format="png", author="Ada")
    with Catalogue.open(settings.catalogue_url) as catalogue:
        for number, expected in enumerate((False, True)):
            save(stroke(row=20 + number), tmp_path / f"masks/photo-00{number}.png")
            done = import_labels(catalogue, settings, str(tmp_path / "masks"), wishes)
            assert (done.new, done.waiting, done.announced) == (1, number + 1, expected)
        assert not import_labels(catalogue, settings, str(tmp_path / "masks"), wishes).announced
    assert told(prefect_server, settings) == [{"waiting": 2, "home": str(settings.home)}]


def test_the_server_of_this_home_is_told_where_none_is_named(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `oldphoto serve` writes down where it listens."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings = Settings.load(tmp_path / "home")
    settings.layout.prefect.mkdir(parents=True)
    (settings.layout.prefect / ADDRESS_FILE).write_text(json.dumps({"url": prefect_server}))
    assert announce(settings, 30)
    assert told(prefect_server, settings) == [{"waiting": 30, "home": str(settings.home)}]


def test_nobody_is_waited_for_where_no_server_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server, one that is gone, one that takes the call and says nothing."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    began = time.monotonic()
    assert not announce(Settings.load(tmp_path / "home"), 30)
    assert not (tmp_path / "home").exists(), "none is started"
    assert not announce(Settings.load(tmp_path / "home", prefect_api_url="http://127.0.0.1:9/api"), 30)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        assert not announce(Settings.load(tmp_path / "home", prefect_api_url=url), 30)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("text", ["", "[]", "{}", "null"])
def test_an_address_that_is_none_is_no_server(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings = Settings.load(tmp_path / "home")
    settings.layout.prefect.mkdir(parents=True)
    (settings.layout.prefect / ADDRESS_FILE).write_text(text)
    assert not announce(settings, 30)
