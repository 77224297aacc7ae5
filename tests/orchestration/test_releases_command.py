"""`oldphoto releases`, `snapshots` and `restore --stale`: another release comes into use, and goes again."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flows.cli.app import run_command
from flows.release_store import register_trained, resolve_release
from flows.releases import figures_of, which_is_better
from flows.settings import Settings
from oldphoto_core.releases import find_release
from storage.catalog.catalogue import Catalogue
from storage.objects import ObjectStore
from storage.queries import read_only_query
from storage.records import LabelRecord, TrainingRunRecord
from storage.snapshots import make_snapshot
from tests.orchestration.archives import fingerprints, make_photos, make_tiny_release


@dataclass(frozen=True)
class Archive:
    """Photos, a release in use, and a candidate that was trained on one labelled photo."""

    folder: Path
    active: str
    candidate: str
    scheduler: str = ""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def scans(self) -> Path:
        return self.folder / "scans"

    def command(self, *arguments: str) -> int:
        return run_command([*arguments, "--home", str(self.home)])

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return read_only_query(self.home / "catalogue.db", sql).rows

    def restore(self, **given: Any) -> Any:
        from flows.restore import restore

        return restore(home=str(self.home), settings={"scheduler": self.scheduler}, **given).restore

    def ingest(self) -> None:
        from flows.ingest import ingest

        ingest(str(self.scans), home=str(self.home))

    def shown(self, name: str) -> Path:
        return self.home / "browse" / f"{name}.png"

    def derivative(self, name: str, release: str) -> Path:
        [(key,)] = self.ask(
            f"SELECT restored_key FROM restoration_history WHERE source_key = '{name}' AND release = '{release}'"
        )
        return self.home / "derivatives" / str(key)


def make_archive(folder: Path, scheduler: str = "") -> Archive:
    """Two photos registered, none restored."""
    make_photos(folder / "scans", 2)
    old = find_release(make_tiny_release(folder / "old"))
    new = find_release(make_tiny_release(folder / "new", seed=1))
    archive = Archive(folder, old.name, new.name, scheduler)
    settings = Settings.load(archive.home, release=str(old.folder))
    with Catalogue.open(archive.home / "catalogue.db") as catalogue:
        resolve_release(catalogue, settings)
        catalogue.promote_release(old.name, expected_active=None, agent="Ada")
    archive.ingest()
    with Catalogue.open(archive.home / "catalogue.db") as catalogue:
        register_trained(catalogue, settings, new, parent=old.name)
        train(catalogue, archive)
    return archive


def encode_mask_png(mask: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, format="PNG")
    return file.getvalue()


def train(catalogue: Catalogue, archive: Archive) -> None:
    """Puts on record what a retraining does: a label, a snapshot, a run, a verdict."""
    [(labelled,)] = archive.ask("SELECT photo_sha256 FROM object_outcome WHERE source_key = 'photo-000.png'")
    mask = np.zeros((72, 96), np.uint8)
    mask[:, 32:34] = 255
    data = encode_mask_png(mask)
    mask_sha256 = ObjectStore(archive.home / "labels").write_bytes_atomic("m.png", data)
    label = LabelRecord(
        photo_sha256=str(labelled), mask_key="m.png", mask_sha256=mask_sha256, author="Grace", tool="napari",
        coverage=2 / 96,
    )  # fmt: skip
    catalogue.record_labels([label])
    snapshot = make_snapshot(catalogue, ObjectStore(archive.home / "manifests"))
    run = TrainingRunRecord(
        run_id="r1-detector", stage="detector", retrain_id="r1", snapshot_sha256=snapshot.sha256, seed=7, device="cpu",
        code_version="0.1.0",
    )  # fmt: skip
    catalogue.start_training_run(run)
    catalogue.finish_training_run("r1-detector", metrics={"auc": 0.8})
    catalogue.link_release_runs(archive.candidate, ["r1-detector"])
    rules = [{"rule": "AUC not lower", "found": 0.8, "needed": 0.7, "passed": True}]
    figures = {"active": {"labelled/auc": 0.7, "clean/psnr": 35.0}, "candidate": {"labelled/auc": 0.8}}
    catalogue.record_verdict(
        archive.candidate, {"beside": archive.active, "promote": True, "rules": rules, "figures": figures}
    )


@pytest.fixture
def archive(tmp_path: Path, prefect_server: str, dask_scheduler: str) -> Archive:
    return make_archive(tmp_path, dask_scheduler)


@pytest.fixture(scope="module")
def standing(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """One whose releases no test changes."""
    return make_archive(tmp_path_factory.mktemp("standing"))


def test_a_promotion_makes_photos_stale_and_they_are_restored_again_beside_what_was(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rollback shows at once what stood before; nothing that either release made is lost, nor taken by an audit."""
    from flows.audit import audit

    made = archive.restore()
    assert made.restored + made.unchanged == 2
    first, second = "photo-000.png", "photo-001.png"
    before = fingerprints(archive.home / "derivatives")
    masters = fingerprints(archive.scans)
    rows_before = archive.ask("SELECT * FROM restoration ORDER BY id")
    capsys.readouterr()
    assert archive.command("releases", "promote", archive.candidate, "--by", "Ada", "--reason", "better") == 0
    told = capsys.readouterr().out
    assert f"{archive.candidate} is active; it replaces {archive.active}" in told
    assert "2 photos are stale; `oldphoto restore --stale`" in told

    make_photos(archive.scans, 1, start=2)
    archive.ingest()
    made = archive.restore(stale=True)
    assert (made.release, made.restored + made.unchanged, made.not_stale) == (archive.candidate, 2, 1)
    history = archive.ask("SELECT source_key, release FROM restoration_history ORDER BY source_key, restoration_id")
    assert history == [(name, release) for name in (first, second) for release in (archive.active, archive.candidate)]
    assert archive.shown(first).samefile(archive.derivative(first, archive.candidate))
    assert archive.restore(stale=True).restored == 0
    rest = archive.restore()
    assert rest.restored + rest.unchanged == 1

    assert archive.command("releases", "rollback", "--by", "Ada") == 0
    told = capsys.readouterr().out
    assert f"{archive.active} is active again; {archive.candidate} is retired and kept" in told
    assert "1 photo is stale" in told  # that which the earlier release never saw
    for name in (first, second):
        assert archive.shown(name).samefile(archive.derivative(name, archive.active))
    again = archive.restore(stale=True)
    assert again.restored + again.unchanged == 1
    assert archive.command("releases", "promote", archive.candidate) == 0
    assert "no photo is stale" in capsys.readouterr().out

    assert audit(home=str(archive.home)).exit_code() == 0
    after = fingerprints(archive.home / "derivatives")
    assert after.items() >= before.items()
    assert [row[:30] for row in archive.ask("SELECT * FROM restoration ORDER BY id")][:2] == [
        row[:30] for row in rows_before
    ]
    assert fingerprints(archive.scans).items() >= masters.items()


def test_stale_photos_are_restored_by_the_release_in_use_alone(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.errors import UsageError
    from flows.restore import restore

    with pytest.raises(UsageError, match=f"is {archive.active}, and {archive.candidate} was asked for"):
        restore(home=str(archive.home), settings={"release": archive.candidate}, stale=True)


def test_releases_are_listed_with_what_they_learned_from(standing: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert standing.command("releases", "list") == 0
    [*_, newest, oldest, _] = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in newest.strip("│").split("│")]
    assert cells[:3] == [standing.candidate, "candidate", standing.active]
    assert cells[4:] == ["1", "2", "AUC 0.8", ""]
    assert standing.active in oldest
    assert standing.command("releases", "list", "--format", "json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["labels"], one["photos"]) for one in listed] == [
        (standing.candidate, 1, 2), (standing.active, 0, 0),
    ]  # fmt: skip


def test_a_release_is_shown_down_to_the_authors_of_its_labels(
    standing: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert standing.command("releases", "show", standing.candidate) == 0
    told = capsys.readouterr().out
    for words in ("AUC not lower", "passed", "r1-detector", "Grace", standing.active):
        assert words in told
    assert standing.command("releases", "show", standing.candidate, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["lineage"]["labels_by_author"] == {"Grace": 1}
    assert (shown["lineage"]["runs"][0]["seed"], shown["verdict"]["promote"]) == (7, True)


def test_two_releases_stand_side_by_side_and_the_better_figure_is_marked(
    standing: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert standing.command("releases", "compare", "active", standing.candidate) == 0
    lines = capsys.readouterr().out.splitlines()
    [auc] = [line for line in lines if "labelled/auc" in line]
    assert [cell.strip() for cell in auc.strip("│").split("│")] == ["labelled/auc", "0.7", "0.8 *"]
    assert standing.command("releases", "compare", standing.candidate, "active", "--json") == 0
    compared = json.loads(capsys.readouterr().out)
    assert {"name": "labelled/auc", "a": 0.8, "b": 0.7, "better": "A"} in compared["figures"]
    assert {"name": "labels", "a": 1, "b": 0, "better": None} in compared["facts"]


@pytest.mark.parametrize(
    ("figure", "better"),
    [("labelled/auc", "B"), ("second.restored_psnr", "B"), ("alignment/probe", "A"), ("input_psnr", None),
     ("old/contrast", None), ("first/loss", "A")],
)  # fmt: skip
def test_a_figure_says_by_its_name_whether_more_is_better(figure: str, better: str | None) -> None:
    assert which_is_better(figure, 1.0, 2.0) == better
    assert which_is_better(figure, 1.0, 1.0) is None


def test_only_numbers_are_figures() -> None:
    metrics = {"first": {"auc": 0.5, "kind": "x"}, "whole": True, "clean_psnr": 34, "none": None}
    assert dict(figures_of(metrics)) == {"first.auc": 0.5, "clean_psnr": 34.0}


def test_commands_refuse_what_cannot_be(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    """2 where the command is wrong as it was given, 1 where something stands in its way; nothing is changed."""
    refused = [
        (("releases", "show", "nothing"), 2, "no release nothing"),
        (("releases", "show", "tiny-"), 2, "may mean"),
        (("releases", "promote", archive.active), 2, "active already"),
        (("releases", "rollback"), 1, "--to NAME"),
        (("releases", "rollback", "--to", archive.candidate), 1, "never was active"),
        (("snapshots", "rebuild", "0000"), 2, "start of 0 snapshots"),
    ]
    for arguments, code, words in refused:
        assert archive.command(*arguments) == code, arguments
        told = capsys.readouterr().err
        assert words in told and told.count("\n") == 1
    weights = archive.home / "releases" / archive.candidate / "detector.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"x")
    assert archive.command("releases", "promote", archive.candidate) == 1
    assert "was altered" in capsys.readouterr().err
    weights.unlink()
    assert archive.command("releases", "promote", archive.candidate) == 1
    assert "detector.safetensors is missing" in capsys.readouterr().err
    weights.write_bytes(whole)
    with Catalogue.open(archive.home / "catalogue.db") as catalogue:
        catalogue.reject_release(archive.candidate, ["AUC fell to 0.6, needed 0.7"])
    assert archive.command("releases", "promote", archive.candidate) == 2
    assert "AUC fell to 0.6, needed 0.7; to promote it all the same" in capsys.readouterr().err
    assert archive.ask("SELECT name FROM model_release WHERE status = 'active'") == [(archive.active,)]
    assert archive.command("releases", "promote", archive.candidate, "--force", "a trial") == 0
    assert archive.ask("SELECT note FROM event WHERE type = 'promotion' ORDER BY id DESC LIMIT 1") == [("a trial",)]


def test_a_snapshot_is_listed_and_written_anew(standing: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert standing.command("snapshots", "list", "--format", "json") == 0
    [listed] = json.loads(capsys.readouterr().out)
    path = standing.home / "manifests" / listed["key"]
    written = path.read_bytes()
    path.unlink()
    assert standing.command("snapshots", "rebuild", listed["sha256"][:10]) == 0
    assert path.read_bytes() == written
    copy = standing.folder / "copy.parquet"
    assert standing.command("snapshots", "rebuild", listed["sha256"], "--output", str(copy)) == 0
    assert copy.read_bytes() == written


def test_the_lineage_of_a_release_is_one_query(standing: Archive) -> None:
    found = standing.ask(
        "SELECT DISTINCT release, parent_release, training_run_id, seed, label_author, snapshot_photos "
        f"FROM release_lineage WHERE release = '{standing.candidate}'"
    )
    assert found == [(standing.candidate, standing.active, "r1-detector", 7, "Grace", 2)]
