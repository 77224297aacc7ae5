"""Labels of one photo by several people, brought in on different days, and by tools of different versions."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.audit import audit
from flows.cli.app import run_command
from flows.labels.before import PaintedBefore
from flows.labels.joining import join_labels, open_label_store, store_masks
from flows.labels.making import Painting, make_label
from storage.keys import sha256_hex
from tests.orchestration.labelling import Archive, label_archive, read_png, save, stroke, studio

PHOTO = "1931/photo-000.png"
IN_USE = """SELECT l.author, l.mask_key, l.annotators, l.disagreement_key FROM label AS l JOIN source_object AS o
    ON o.photo_id = l.photo_id WHERE o.key = '1931/photo-000.png' AND l.reviewed = 1
    ORDER BY l.labelled_at DESC, l.id DESC LIMIT 1"""


@pytest.fixture
def archive(prefect_server: str, tmp_path: Path) -> Iterator[Archive]:
    opened = label_archive(tmp_path)
    yield opened
    opened.catalogue.close()


def in_use(archive: Archive) -> tuple[str, np.ndarray, np.ndarray | None]:
    """The photo's label that applies: by whom, its mask, and where they differ."""
    ((author, key, annotators, differing),) = archive.ask(IN_USE)
    assert annotators == len(author.split(", "))
    stored = archive.objects()
    return author, read_png(stored[key]), None if differing is None else read_png(stored[differing])


def masks(tmp_path: Path, *rows: int) -> Path:
    """A folder with a mask of these scratches for the photo."""
    mask = np.maximum.reduce([stroke(row=row) for row in rows])
    folder = tmp_path / f"masks {rows}"
    save(mask, folder / "photo-000.png")
    return folder


def test_who_comes_later_is_joined_and_not_put_in_the_place_of_others(archive: Archive, tmp_path: Path) -> None:
    """Three imports of three people: half of those who looked decide, and where they differ is kept."""
    archive.take(masks(tmp_path, 20))
    assert archive.take(masks(tmp_path, 40), author="Grace").joined == 1
    author, mask, differing = in_use(archive)
    assert author == "Ada, Grace"
    assert np.array_equal(mask, np.maximum(stroke(row=20), stroke(row=40)))
    assert differing is not None and np.array_equal(differing, mask)
    assert archive.take(masks(tmp_path, 40, 60), author="Alan").joined == 1
    author, mask, differing = in_use(archive)
    assert (author, np.array_equal(mask, stroke(row=40))) == ("Ada, Alan, Grace", True)
    assert differing is not None
    assert np.array_equal(differing, np.maximum.reduce([stroke(row=row) for row in (20, 40, 60)]))
    for who, rows in (("Ada", (20,)), ("Grace", (40,)), ("Alan", (40, 60))):
        again = archive.take(masks(tmp_path, *rows), author=who)
        assert (again.new, again.known) == (0, 1)
    assert in_use(archive)[0] == "Ada, Alan, Grace"


def test_of_two_imports_at_once_neither_is_lost(archive: Archive, tmp_path: Path) -> None:
    """Grace's began before Ada's came, and ends after it: the label is of both all the same."""
    ((sha256,),) = archive.ask(
        "SELECT photo.sha256 FROM photo JOIN source_object AS o ON o.photo_id = photo.id "
        "WHERE o.key = '1931/photo-000.png'"
    )
    store = open_label_store(archive.catalogue, archive.settings)
    nothing = PaintedBefore(archive.catalogue.photos_of_hashes([sha256])[sha256], (), store)
    archive.take(masks(tmp_path, 20))
    late = make_label(nothing, {"Grace": Painting(stroke(row=40), "PNG", archive.catalogue.clock())}, reviewed=True)
    store_masks(store, late)
    archive.catalogue.record_labels([late.record])
    assert in_use(archive)[0] == "Grace"
    assert [join_labels(archive.catalogue, store, [sha256]) for _ in range(2)] == [1, 0]
    author, mask, _ = in_use(archive)
    assert (author, np.array_equal(mask, np.maximum(stroke(row=20), stroke(row=40)))) == ("Ada, Grace", True)


def test_who_paints_again_is_counted_once_with_the_latest(archive: Archive, tmp_path: Path) -> None:
    """Also where an older export comes in later: that is kept, and used for nothing."""
    archive.take(masks(tmp_path, 20), author="ada@m")
    archive.take(masks(tmp_path, 40), author="Grace")
    archive.take(masks(tmp_path, 60), author="ada@m")
    author, mask, _ = in_use(archive)
    assert (author, np.array_equal(mask, np.maximum(stroke(row=40), stroke(row=60)))) == ("Grace, ada@m", True)
    export = tmp_path / "march.json"
    export.write_text(studio((PHOTO, [("ada@m", stroke(row=10))])))
    late = archive.take(export, "label-studio")
    assert (late.new, late.older) == (1, 1)
    assert np.array_equal(in_use(archive)[1], mask)
    assert archive.ask("SELECT count(*) FROM label_annotation WHERE labelled_at LIKE '2026-03%'") == [(1,)]


def test_who_agrees_with_a_part_adds_what_they_differ_on(archive: Archive, tmp_path: Path) -> None:
    """The mask stays the same file and the same label; that somebody saw less of it is on record."""
    archive.take(masks(tmp_path, 20, 40))
    done = archive.take(masks(tmp_path, 20), author="Grace")
    assert (done.new, done.joined) == (1, 1)
    assert archive.ask("SELECT count(*) FROM label") == [(1,)]
    author, mask, differing = in_use(archive)
    assert author == "Ada, Grace" and np.array_equal(mask, np.maximum(stroke(row=20), stroke(row=40)))
    assert differing is not None and np.array_equal(differing, stroke(row=40))
    assert archive.take(masks(tmp_path, 20), author="Grace").known == 1


def test_a_label_that_merging_gives_again_applies_again(archive: Archive, tmp_path: Path) -> None:
    """Ada's first mask is what her second and Grace's come to: the label of then, and not the one since."""
    archive.take(masks(tmp_path, 20, 40))
    archive.take(masks(tmp_path, 20))
    archive.take(masks(tmp_path, 40), author="Grace")
    author, mask, _ = in_use(archive)
    assert (author, np.array_equal(mask, np.maximum(stroke(row=20), stroke(row=40)))) == ("Ada, Grace", True)
    assert archive.ask("SELECT count(*) FROM label") == [(2,)]


def test_what_waits_or_was_rejected_is_joined_with_nothing(archive: Archive, tmp_path: Path) -> None:
    """Accepted it is joined, and rejected once more what was before applies."""
    def review(*options: str) -> int:
        return run_command(["labels", "review", PHOTO, "--by", "Alan", *options, "--home", str(archive.home)])

    archive.take(masks(tmp_path, 20))
    archive.take(masks(tmp_path, 40), author="Grace", reviewed=False)
    assert in_use(archive)[0] == "Ada"
    assert review() == 0
    assert in_use(archive)[0] == "Ada, Grace"
    assert review("--reject") == 0
    assert in_use(archive)[0] == "Grace"
    assert review("--reject") == 0
    assert in_use(archive)[0] == "Ada"
    archive.take(masks(tmp_path, 60), author="Carol")
    assert in_use(archive)[0] == "Ada, Carol"
    again = archive.take(masks(tmp_path, 40), author="Grace")
    assert (again.known, again.unreviewed) == (1, 1)


def test_a_mask_that_was_lost_refuses_the_photo_and_leaves_nothing(archive: Archive, tmp_path: Path) -> None:
    archive.take(masks(tmp_path, 20))
    ((key,),) = archive.ask("SELECT mask_key FROM label")
    lost = archive.home / "labels" / key
    before, data = archive.ask("SELECT * FROM label"), lost.read_bytes()
    for damage in (lost.unlink, lambda: lost.write_bytes(data[:-20])):
        damage()
        ((where, why),) = archive.take(masks(tmp_path, 40), author="Grace").problems
        assert where == "photo-000.png" and "the mask of Ada on record" in why and key in why and "\n" not in why
        assert archive.ask("SELECT * FROM label") == before
    lost.unlink()
    lost.write_bytes(data)
    assert archive.take(masks(tmp_path, 40), author="Grace").joined == 1


def test_a_mask_that_was_lost_is_told_by_an_audit_and_brought_back_by_its_export(
    archive: Archive, tmp_path: Path
) -> None:
    """People's work is never moved or written over: a changed file stays until somebody takes it away."""
    archive.take(masks(tmp_path, 20, 40))
    archive.take(masks(tmp_path, 20), author="Grace")
    home = str(archive.home)
    sound = audit(home)
    assert (sound.labels, sound.found.total()) == (3, 0), "each one's mask, one of them the label's, and the map"
    ((key,),) = archive.ask("SELECT mask_key FROM label")
    ((differing,),) = archive.ask("SELECT disagreement_key FROM label")
    lost, data = archive.home / "labels" / key, (archive.home / "labels" / key).read_bytes()
    lost.unlink()
    lost.write_bytes(data[:-1] + b"x")
    (archive.home / "labels" / differing).unlink()
    found = audit(home)
    assert dict(found.found) == {("label", "changed"): 1, ("label", "gone"): 1}
    assert (found.labels, found.exit_code(), found.to_be_made_again) == (1, 1, 0)
    assert all("import its export again" in message for _, message in found.findings)
    assert lost.read_bytes() != data
    ((_, why),) = archive.take(masks(tmp_path, 20, 40)).problems
    assert key in why and "take that file away" in why and lost.read_bytes() != data
    lost.unlink()
    back = archive.take(masks(tmp_path, 20, 40))
    assert (back.new, back.known, lost.read_bytes() == data) == (0, 1, True)
    assert dict(audit(home).found) == {("label", "gone"): 1}
    assert archive.ask("SELECT count(*) FROM event_history WHERE type = 'fixity check' AND object_type = 'mask' "
                       "AND outcome = 'failure'") == [(3,)]  # fmt: skip


def test_the_same_pixels_from_another_zlib_are_the_same_mask(archive: Archive, tmp_path: Path) -> None:
    """The label on record, its file and its key stay; only another mask of as many pixels is another one."""
    archive.take(masks(tmp_path, 20))
    ((key, digest),) = archive.ask("SELECT mask_key, mask_sha256 FROM label")
    other = io.BytesIO()
    Image.fromarray(read_png(archive.objects()[key])).save(other, "PNG", compress_level=0)
    as_before = sha256_hex(other.getvalue())
    assert as_before != digest
    old_key = key.replace(digest, as_before)
    (archive.home / "labels" / old_key).write_bytes(other.getvalue())
    with archive.catalogue._engine.execution_options(oldphoto_write=True).begin() as connection:
        for table in ("label", "label_annotation"):
            connection.exec_driver_sql(
                f"UPDATE {table} SET mask_key = '{old_key}', mask_sha256 = '{as_before}'"
            )
    again = archive.take(masks(tmp_path, 20))
    assert (again.new, again.known) == (0, 1)
    assert archive.ask("SELECT mask_key FROM label") == [(old_key,)]
    assert archive.take(masks(tmp_path, 22)).new == 1
    assert archive.ask("SELECT count(*) FROM label") == [(2,)]


def test_the_command_says_what_it_joined(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.take(masks(tmp_path, 20))
    home = str(archive.home)
    arguments = ["labels", "import", str(masks(tmp_path, 40)), "--format", "png", "--author", "Grace", "--home", home]
    assert run_command(arguments) == 0
    assert "joined" in capsys.readouterr().out
    assert run_command(["labels", "status", "--all", "--format", "jsonl", "--home", home]) == 0
    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["replaced", "in use"]
