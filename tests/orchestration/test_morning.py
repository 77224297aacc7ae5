"""The morning summary: what it says, and that it arrives or fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.notify import NotDelivered, post_to_webhook
from storage.catalog.catalogue import Catalogue
from storage.records import RunRecord


@dataclass
class Receiver:
    """A real HTTP server that keeps what it is sent."""

    url: str
    bodies: list[Any] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Status codes to give first; 200 when they are used up."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(kept.answers.pop(0) if kept.answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        kept = Receiver(f"http://127.0.0.1:{server.server_port}/hook/secret")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield kept
        server.shutdown()


def record(home: Path, run_id: str, kind: str, *, status: str | None = "finished", **totals: int) -> None:
    home.mkdir(exist_ok=True)
    with Catalogue.open(home / "catalogue.db") as catalogue:
        catalogue.start_run(RunRecord(run_id=run_id, kind=kind, title="1912"))
        if status:
            catalogue.finish_run(run_id, totals=totals, status=status)


@pytest.fixture
def on_server(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)


def test_a_webhook_is_told_once_of_all_that_ran_what_needs_a_person_first(
    home: Path, receiver: Receiver, on_server: None
) -> None:
    from flows.morning import morning_summary

    record(home, "a", "run", restored=1200, registered=1500)
    record(home, "b", "audit", masters_changed=2, photos=100)
    record(home, "c", "run", failed=7, quarantined=3, restored=5)
    record(home, "d", "restore", status="failed")
    record(home, "e", "ingest", status=None)
    morning_summary(home=str(home), settings={"notify_webhook": receiver.url})
    (told,) = receiver.bodies
    assert told["subject"] == "oldphoto: 4 runs of 5 need a person"
    assert (told["runs"], told["need_a_person"]) == (5, 4)
    lines = [line for line in told["body"].splitlines() if line.startswith("- ")]
    words = [
        "the run failed or was stopped", "did not end", "7 failed, 3 in quarantine, 5 restored",
        "2 masters changed, 100 audited", "1,200 restored, 1,500 registered",
    ]  # fmt: skip
    assert all(word in line for word, line in zip(words, lines, strict=True)), told["body"]

    morning_summary(home=str(home), settings={"notify_webhook": receiver.url})
    assert receiver.bodies[1]["runs"] <= 5  # what ended in the same second is told twice rather than never


def test_a_night_in_which_nothing_ran_is_told_as_such(home: Path, receiver: Receiver, on_server: None) -> None:
    from flows.morning import morning_summary

    morning_summary(home=str(home), settings={"notify_webhook": receiver.url})
    assert "nothing ran since" in receiver.bodies[0]["subject"]


def test_a_message_that_is_not_delivered_fails_and_the_next_one_tells_it_again(
    home: Path, receiver: Receiver, on_server: None
) -> None:
    from flows.morning import morning_summary

    record(home, "a", "run", restored=1)
    receiver.answers = [404]
    with pytest.raises(NotDelivered, match=r"not delivered: .*127\.0\.0\.1 did not take the message \(answered 404\)"):
        morning_summary(home=str(home), settings={"notify_webhook": receiver.url})
    morning_summary(home=str(home), settings={"notify_webhook": receiver.url})
    assert [body["runs"] for body in receiver.bodies] == [1, 1]


def test_a_busy_webhook_is_asked_again(receiver: Receiver) -> None:
    receiver.answers = [503, 429]
    post_to_webhook(receiver.url, {"text": "hello"}, pause_s=0.01)
    assert receiver.bodies == [{"text": "hello"}] * 3


def test_a_webhook_that_is_away_is_an_error_that_keeps_its_secret() -> None:
    with pytest.raises(NotDelivered) as raised:
        post_to_webhook("http://127.0.0.1:9/hook/secret", {}, pause_s=0.01)
    assert "127.0.0.1" in str(raised.value) and "secret" not in str(raised.value)


def test_a_saved_block_delivers_and_the_message_is_an_artifact(
    home: Path, receiver: Receiver, on_server: None, prefect_server: str
) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    from flows.morning import morning_summary

    block = CustomWebhookNotificationBlock(
        name="archive", url=receiver.url, json_data={"text": "{{subject}}", "body": "{{body}}"}
    )
    block.save("morning-test", overwrite=True)
    record(home, "a", "run", restored=3)
    morning_summary(home=str(home), settings={"notify_block": "custom-webhook/morning-test"})
    assert receiver.bodies[0]["text"] == "oldphoto: 1 run, all in order"
    found = httpx.get(f"{prefect_server}/artifacts/morning-summary/latest").json()
    assert "3 restored" in found["data"]


def test_a_block_that_is_not_there_is_named(home: Path, on_server: None) -> None:
    from flows.morning import morning_summary

    with pytest.raises(NotDelivered, match="notify_block: slack-webhook/nobody could not be loaded"):
        morning_summary(home=str(home), settings={"notify_block": "slack-webhook/nobody"})


def test_nobody_to_tell_is_said_and_ends_fine(home: Path, on_server: None) -> None:
    from flows.morning import morning_summary

    assert "Told to nobody" in morning_summary(home=str(home)).body
