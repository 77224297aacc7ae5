"""A whole retraining at toy size: labels in, a judged release out, everything on record and nothing left over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.training.figure_words import figure_words
from flows.training.opening import LEASE
from flows.training.retrain import retrain
from flows.training.summary import RetrainSummary
from storage.catalog.catalogue import Catalogue
from tests.orchestration.museums import Museum, copied, environment_of, make_museum, paint_labels

STAGES = ["detector", "vaes", "translation"]


@pytest.fixture(scope="module")
def museum(tmp_path_factory: pytest.TempPathFactory, prefect_server: str, release_folder: Path) -> Museum:
    """Before any retraining; tests work on copies of it."""
    return make_museum(tmp_path_factory.mktemp("museum"), release_folder)


@pytest.fixture(scope="module")
def retrained(museum: Museum, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Museum, RetrainSummary]]:
    """The museum, after one retraining."""
    mine = copied(museum, tmp_path_factory.mktemp("retrained"))
    with environment_of(mine):
        yield mine, retrain(home=str(mine.home))


def test_the_stages_are_trained_judged_and_on_record(retrained: tuple[Museum, RetrainSummary]) -> None:
    museum, summary = retrained
    assert summary.outcome in ("promoted", "rejected")
    rows = museum.ask("SELECT stage, status, seed, curves_key, metrics, retrain_id FROM training_run")
    assert sorted(row[0] for row in rows) == sorted(STAGES)
    assert {(row[1], row[2], row[5]) for row in rows} == {("finished", 5, summary.retrain_id)}
    stored = museum.trained_objects()
    assert all(row[3] in stored for row in rows)
    metrics = {str(row[0]): json.loads(str(row[4])) for row in rows}
    assert 0 <= metrics["detector"]["after"]["labelled/auc"] <= 1
    assert metrics["translation"]["labelled"] == 14
    assert [len(museum.ask(f"SELECT * FROM {table}")) for table in ("dataset_snapshot", "lease")] == [1, 0]
    assert museum.ask("SELECT kind, status FROM run WHERE kind = 'retrain'") == [("retrain", "finished")]


def test_the_candidate_has_its_parent_its_runs_and_a_verdict(retrained: tuple[Museum, RetrainSummary]) -> None:
    museum, summary = retrained
    (row,) = museum.ask(
        "SELECT m.status, p.name, m.verdict FROM model_release m JOIN model_release p ON p.id = m.parent_id "
        f"WHERE m.name = '{summary.candidate}'"
    )
    assert row[0] == ("active" if summary.outcome == "promoted" else "candidate")
    assert row[1] == summary.parent
    verdict = json.loads(str(row[2]))
    assert {"rule", "needed", "found", "passed"} == set(verdict["rules"][0])
    lineage = museum.ask(
        "SELECT DISTINCT stage, label_author, snapshot_sha256 FROM release_lineage "
        f"WHERE release = '{summary.candidate}'"
    )
    assert {row[0] for row in lineage} == set(STAGES)
    assert {row[1] for row in lineage} == {"Ada"}
    events = museum.ask("SELECT type, outcome FROM event WHERE type IN ('training', 'promotion')")
    assert events.count(("training", "success")) >= 3
    card = json.loads((museum.home / "releases" / str(summary.candidate) / "card.json").read_text())
    assert card["labels"] == 14 and card["snapshot"] == lineage[0][2] and card["retraining"] == summary.retrain_id
    assert "uncertainty" not in card


def test_a_broken_master_is_named_and_left_out(retrained: tuple[Museum, RetrainSummary]) -> None:
    museum, summary = retrained
    ((key, why),) = summary.left_out
    assert key == "photo-023.png"
    assert "it is another file by now; ingest the source again" in why
    (totals,) = museum.ask("SELECT totals FROM run WHERE kind = 'retrain'")
    assert json.loads(str(totals[0]))["left_out"] == 1
    assert "photo-023.png" in str(museum.ask("SELECT metrics FROM training_run WHERE stage = 'detector'"))


def test_nothing_is_left_that_only_going_on_would_need(retrained: tuple[Museum, RetrainSummary]) -> None:
    museum, summary = retrained
    assert not [key for key in museum.trained_objects() if "/checkpoint/" in key]
    assert {key.split("/")[1] for key in museum.trained_objects()} == {summary.retrain_id}
    assert not list((museum.home / "work" / "retraining").iterdir())


def test_its_page_stands_alone_and_lies_in_the_store_too(retrained: tuple[Museum, RetrainSummary]) -> None:
    museum, summary = retrained
    assert summary.report_path is not None
    page = summary.report_path.read_text()
    assert str(summary.candidate) in page and "data:image/png" in page
    assert "http://" not in page and "https://" not in page
    told = [*summary.figures["verdict"]["figures"]["active"], *summary.figures["detector"]["after"]]
    told += [*summary.figures["vaes"]["after"], *summary.figures["translation"]["after"]]
    for name in told:  # in words that a person reads
        assert figure_words(name).partition(":")[0] != name.partition("/")[0], f"{name} has no words yet"
        assert figure_words(name) in page
    key = f"training/{summary.retrain_id}/translation/index.html"
    assert (museum.home / "releases" / key).read_text() == page
    assert (summary.report_path.parent / "detector-curves.png").stat().st_size > 1000


def test_prefects_page_shows_bars_figures_and_pictures(
    retrained: tuple[Museum, RetrainSummary], prefect_server: str
) -> None:
    import httpx

    found = httpx.post(f"{prefect_server}/artifacts/filter", json={"limit": 200}).json()
    keys = {artifact["key"]: artifact["type"] for artifact in found}
    assert {keys[f"training-{stage}"] for stage in STAGES} == {"progress"}
    assert {keys[f"training-{stage}-figures"] for stage in STAGES} == {"table"}
    assert keys["retrain-rules"] == keys["retrain-comparison"] == "table"
    assert keys["training-detector-curves"] == "image"


def test_without_new_labels_there_is_nothing_to_do(retrained: tuple[Museum, RetrainSummary]) -> None:
    """Whatever became of the candidate: a rejected one is not trained again each hour."""
    museum, _ = retrained
    runs = len(museum.ask("SELECT id FROM run"))
    with environment_of(museum):
        again = retrain(home=str(museum.home))
    assert again.outcome == "nothing to do"
    assert "0 new labels wait, and retrain_after asks for 5" in str(again.note)
    assert len(museum.ask("SELECT id FROM run")) == runs


def test_a_second_one_says_who_is_at_it_and_ends(museum: Museum, tmp_path: Path) -> None:
    mine = copied(museum, tmp_path)
    with environment_of(mine), Catalogue.open(mine.home / "catalogue.db") as catalogue:
        catalogue.acquire_lease([LEASE], holder="another-run", ttl_s=60)
        ended = retrain(home=str(mine.home), force=True)
    assert ended.outcome == "busy"
    assert "run another-run is retraining already" in str(ended.note)
    assert mine.ask("SELECT * FROM training_run") == []


def test_new_labels_are_counted_again(retrained: tuple[Museum, RetrainSummary], tmp_path: Path) -> None:
    museum = copied(retrained[0], tmp_path)
    with environment_of(museum), Catalogue.open(museum.home / "catalogue.db") as catalogue:
        paint_labels(catalogue, museum.settings(), sorted(museum.scans.glob("*.png"))[14:22], author="Ben")
        assert 0 < catalogue.labels_untried() <= 8  # those of the test split never count


def test_no_clean_photos_is_told_with_what_to_give(museum: Museum, tmp_path: Path) -> None:
    mine = copied(museum, tmp_path)
    from flows.errors import UsageError

    with environment_of(mine, OLDPHOTO_TRAINING_PHOTOS=""), pytest.raises(UsageError, match="OLDPHOTO_TRAINING_PHOTOS"):
        retrain(home=str(mine.home))
    few = tmp_path / "few"
    shutil.copytree(Path(mine.environment["OLDPHOTO_TRAINING_PHOTOS"]), few)
    for path in sorted(few.iterdir())[5:]:
        path.unlink()
    with (
        environment_of(mine, OLDPHOTO_TRAINING_PHOTOS=str(few)),
        pytest.raises(UsageError, match="holds 5 photos, and 8 are the fewest"),
    ):
        retrain(home=str(mine.home))
    assert mine.ask("SELECT * FROM training_run") == []
