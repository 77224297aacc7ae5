"""Labels from people's tools to mended photos: real exports, real catalogues, a real bucket, a real restoration."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

from flows.cli.app import run_command
from flows.errors import UsageError
from flows.ingest import ingest
from tests.orchestration.archives import make_photos
from tests.orchestration.labelling import HEIGHT, WIDTH, Archive, label_archive, read_png, save, stroke, studio
from tests.orchestration.test_review_gate import make_careless_release


@pytest.fixture
def archive(prefect_server: str, tmp_path: Path) -> Iterator[Archive]:
    opened = label_archive(tmp_path)
    yield opened
    opened.catalogue.close()


def test_masks_find_their_photos_by_name_by_folder_and_by_hash(archive: Archive, tmp_path: Path) -> None:
    """Each is in the store as it was painted, on record, with an event; the same import again adds nothing."""
    (sha256,) = archive.ask("SELECT photo_id, p.sha256 FROM source_object JOIN photo AS p ON p.id = photo_id "
                            "WHERE key = '1932/photo-001.png'")  # fmt: skip
    masks = tmp_path / "masks"
    save(stroke(), masks / "photo-000_mask.png")
    save(stroke(row=20), masks / "1931/photo-001.png")
    save(stroke(row=30), masks / f"{sha256[1]}.png")
    (masks / "notes.txt").write_text("painted on Tuesday")
    dry = archive.take(masks, dry_run=True)
    assert (dry.new, dry.waiting, archive.objects(), archive.ask("SELECT * FROM label")) == (3, None, {}, [])
    done = archive.take(masks, tool="GIMP")
    assert (done.new, done.known, done.problems, done.left_out) == (3, 0, [], 1)
    assert done.waiting == archive.trained_on(), "a photo of the test side never trains"
    found = archive.ask("SELECT o.key, l.mask_key, l.mask_sha256, l.author, l.tool, l.coverage, l.reviewed FROM label "
                        "AS l JOIN source_object AS o ON o.photo_id = l.photo_id ORDER BY o.key")  # fmt: skip
    assert [row[0] for row in found] == ["1931/photo-000.png", "1931/photo-001.png", "1932/photo-001.png"]
    stored = archive.objects()
    for (_, key, digest, *facts), row in zip(found, (50, 20, 30), strict=True):
        assert key.endswith(f"/{digest}.png") and np.array_equal(read_png(stored[key]), stroke(row=row))
        assert facts == ["Ada", "GIMP", pytest.approx(2 * 76 / (HEIGHT * WIDTH)), 1]
    assert archive.ask("SELECT count(*), min(agent) FROM event_history WHERE type = 'labelling' "
                       "AND object_type = 'photo'") == [(3, "Ada")]  # fmt: skip
    again = archive.take(masks)
    assert (again.new, again.known, again.problems) == (0, 3, [])
    assert archive.objects() == stored
    assert archive.ask("SELECT count(*) FROM label_annotation") == [(3,)]


def test_what_cannot_be_taken_is_told_in_a_line_each_and_leaves_nothing(archive: Archive, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    save(stroke(), masks / "photo-001.png")
    save(stroke(), masks / "unknown.png")
    save(np.zeros((HEIGHT, WIDTH), np.uint8), masks / "photo-000.png")
    save(stroke(HEIGHT // 2, WIDTH // 2, 20), masks / "turned.png")
    save(stroke(), masks / f"{'a' * 64}.png")
    (masks / "1932").mkdir()
    (masks / "1932/photo-001.png").write_bytes(save(stroke(), tmp_path / "x.png").read_bytes()[:70])
    problems = dict(archive.take(masks).problems)
    assert set(problems) == {
        "photo-001.png", "unknown.png", "photo-000.png", "turned.png", f"{'a' * 64}.png", "1932/photo-001.png",
    }  # fmt: skip
    for where, words in {
        "photo-001.png": "may be of 2 photos: 1931/photo-001.png, 1932/photo-001.png",
        "unknown.png": "no file is called unknown.png",
        "photo-000.png": "marks no pixel",
        "turned.png": "expected 96 x 72 (height x width of the photo), found 36 x 48",
        f"{'a' * 64}.png": "not in this catalogue: SHA-256",
        "1932/photo-001.png": "cannot be read",
    }.items():
        assert words in problems[where]
        assert "\n" not in problems[where]
    assert (archive.objects(), archive.ask("SELECT * FROM label")) == ({}, [])


def test_a_turned_photo_is_labelled_as_people_see_it_or_as_it_is_stored(archive: Archive, tmp_path: Path) -> None:
    """Told apart by size: 96 x 72 upright, 72 x 96 in the file. Both come to lie in the same place."""
    seen = stroke(WIDTH, HEIGHT, 40)
    archive.take(save(seen, tmp_path / "seen/turned.png").parent)
    stored = np.ascontiguousarray(np.rot90(seen))
    assert stored.shape == (HEIGHT, WIDTH)
    again = archive.take(save(stored, tmp_path / "stored/turned.png").parent)
    assert (again.new, again.known, again.problems) == (0, 1, [])
    (kept,) = archive.objects().values()
    assert np.array_equal(read_png(kept), seen)


def test_several_annotators_are_merged_and_their_disagreement_is_kept(archive: Archive, tmp_path: Path) -> None:
    """Two of three decide; each one's own mask stays on record. A broken one refuses the photo, and no other."""
    both, alone = stroke(), np.maximum(stroke(), stroke(row=20))
    export = tmp_path / "export.json"
    tasks = [
        ("/data/upload/1/0a1b2c3d-photo-000.png", [("ada@m", both), ("grace@m", alone), ("alan@m", both)]),
        ("s3://elsewhere/1931/photo-001.png", [("ada@m", both), ("grace@m", stroke(10, 10, 5))]),
        ("/data/local-files/?d=1932%2Fphoto-001.png", [("grace@m", both)]),
    ]
    export.write_text(studio(*tasks))
    done = archive.take(export, "label-studio", author=None)
    ((where, why),) = done.problems
    assert "task 2" in where and "found 10 x 10" in why
    assert (done.new, done.several) == (2, 1)
    ((author, annotators, share, key, mask_key, at),) = archive.ask(
        "SELECT author, annotators, disagreement, disagreement_key, mask_key, labelled_at FROM label "
        "WHERE annotators > 1"
    )
    assert (author, annotators, at) == ("ada@m, alan@m, grace@m", 3, "2026-03-01T09:00:00Z")
    assert share == pytest.approx(2 * 76 / (HEIGHT * WIDTH))
    stored = archive.objects()
    assert np.array_equal(read_png(stored[mask_key]), both)
    assert np.array_equal(read_png(stored[key]), stroke(row=20))
    assert archive.ask("SELECT author, mask_key FROM label_annotation WHERE label_id = (SELECT id FROM label WHERE "
                       "annotators > 1) AND author = 'grace@m'") != []  # fmt: skip
    assert len(stored) == 4  # both, alone, where they differ, and the third photo's
    again = archive.take(export, "label-studio")
    assert (again.new, again.known, archive.objects() == stored) == (0, 2, True)


def test_folders_of_two_people_are_two_annotators(archive: Archive, tmp_path: Path) -> None:
    for who, row in (("grace", 50), ("alan", 20)):
        save(stroke(row=row), tmp_path / "masks" / who / "photo-000.png")
    assert archive.take(tmp_path / "masks").problems == []
    assert archive.ask("SELECT author, annotators FROM label") == [("alan, grace", 2)]


def test_coco_and_cvat_are_taken_from_their_folders(archive: Archive, tmp_path: Path) -> None:
    """Polygons, a mask of run lengths, and a coloured picture with its label map."""
    coco = {
        "images": [{"id": 1, "file_name": "1931/photo-000.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[5, 5, 30, 5, 30, 9, 5, 9]]}],
        "categories": [{"id": 1, "name": "scratch"}],
    }
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco/result.json").write_text(json.dumps(coco))
    assert archive.take(tmp_path / "coco", "coco").new == 1
    xml = (
        f'<annotations><image id="0" name="1931/photo-001.png" width="{WIDTH}" height="{HEIGHT}">'
        '<mask label="scratch" rle="0, 40" left="20" top="10" width="20" height="2"/></image></annotations>'
    )
    (tmp_path / "cvat").mkdir()
    (tmp_path / "cvat/annotations.xml").write_text(xml)
    assert archive.take(tmp_path / "cvat", "cvat").new == 1
    masks = tmp_path / "masks"
    save(np.where(stroke()[:, :, None] > 0, np.array((255, 0, 124), np.uint8), np.uint8(0)),
         masks / "SegmentationClass/1932/photo-001.png")  # fmt: skip
    save(stroke(), masks / "SegmentationObject/1932/photo-001.png")
    (masks / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\nscratch:255,0,124::\n")
    assert archive.take(masks, "cvat").new == 1
    areas = archive.ask("SELECT tool, round(coverage * 6912) FROM label ORDER BY id")
    assert areas == [("COCO", pytest.approx(100, abs=36)), ("CVAT", 40), ("CVAT", 152)]


def test_an_archive_is_read_as_it_was_exported(archive: Archive, tmp_path: Path) -> None:
    """Nothing is unpacked to disk; a broken file in it is told, and the others are taken."""
    packed = tmp_path / "export.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(save(stroke(), tmp_path / "mask.png"), "masks/1931/photo-000.png")
        file.write(save(stroke(row=20), tmp_path / "mask.png"), "more/1931/photo-001.png")
        file.writestr("__MACOSX/masks/._photo-000.png", b"x")
    before = sorted(tmp_path.rglob("*"))
    done = archive.take(packed)
    assert (done.new, done.problems) == (2, [])
    assert [path for path in sorted(tmp_path.rglob("*")) if archive.home not in path.parents] == [
        path for path in before if archive.home not in path.parents
    ]
    data = bytearray(packed.read_bytes())
    name = b"masks/1931/photo-000.png"
    at = data.index(name) + len(name) + 10
    data[at : at + 4] = bytes(4)
    packed.write_bytes(data)
    ((where, why),) = archive.take(packed).problems
    assert where == "masks/1931/photo-000.png" and "cannot be" in why
    (tmp_path / "no.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match="no archive"):
        archive.take(tmp_path / "no.zip")
    (tmp_path / "folder").mkdir()
    packed.rename(tmp_path / "folder/export.zip")
    with pytest.raises(UsageError, match="name the .zip in it"):
        archive.take(tmp_path / "folder")


def test_a_bucket_of_masks_goes_into_a_bucket_of_labels(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export is only read."""
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {"ENDPOINT_URL": f"http://{host}:{port}", "REGION": "eu-west-1", "ACCESS_KEY": "key",
                        "SECRET_KEY": "secret"}.items():  # fmt: skip
        monkeypatch.setenv(f"OLDPHOTO_S3_{name}", value)
    try:
        make_photos(tmp_path / "scans", 1)
        ingest(str(tmp_path / "scans"), home=str(tmp_path / "home"))
        archive = Archive(tmp_path / "home", tmp_path / "scans", labels_url="s3://labels/all")
        fs = fsspec.filesystem("s3", **archive.settings.store_options("s3://exports"))
        fs.mkdir("exports")
        fs.mkdir("labels")
        fs.pipe_file("exports/march/photo-000.png", save(stroke(), tmp_path / "mask.png").read_bytes())
        fs.pipe_file("exports/april.json", studio(("photo-000.png", [("g@m", stroke(row=20))])).encode())
        before = {key: entry["ETag"] for key, entry in fs.find("exports", detail=True).items()}
        assert archive.take("s3://exports/march").new == 1
        assert archive.take("s3://exports/april.json", "label-studio").new == 1
        assert len(archive.objects()) == 4, "each one's, both together, and where they differ"
        assert not (tmp_path / "home/labels").exists()
        assert {key: entry["ETag"] for key, entry in fs.find("exports", detail=True).items()} == before
        archive.catalogue.close()
    finally:
        server.stop()


def test_a_crash_between_masks_and_rows_is_healed_by_the_next_import(archive: Archive, tmp_path: Path) -> None:
    """Rows and events come together after the objects: without a catalogue to write to, there is no row."""
    masks = save(stroke(), tmp_path / "masks/photo-000.png").parent
    with closing(sqlite3.connect(archive.home / "catalogue.db")) as connection:
        connection.execute("CREATE TRIGGER stop BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'full'); END")
        connection.commit()
        with pytest.raises(Exception, match="full"):
            archive.take(masks)
        assert len(archive.objects()) == 1
        assert archive.ask("SELECT * FROM label") == archive.ask("SELECT * FROM label_annotation") == []
        connection.execute("DROP TRIGGER stop")
        connection.commit()
    assert archive.take(masks).new == 1
    assert len(archive.objects()) == 1


def test_a_label_is_mended_by_the_next_restoration(
    archive: Archive, dask_scheduler: str, tmp_path: Path
) -> None:
    """From the export to the derivative: stale, redone joined with what was detected, and stale no more."""
    from flows.restore import restore

    release = make_careless_release(tmp_path / "careless")
    changes = {"release": str(release), "scheduler": dask_scheduler, "mode": "scratches"}

    def night() -> Any:
        return restore(home=str(archive.home), settings=changes).restore

    assert night().failed == ()
    ((detected_key, old_key),) = archive.ask(
        "SELECT found_key, restored_key FROM restoration_history WHERE source_key = '1931/photo-000.png'"
    )
    archive.take(save(stroke(), tmp_path / "masks/photo-000.png").parent, reviewed=False)
    assert (night().restored, archive.ask("SELECT * FROM restoration_stale")) == (0, [])
    assert run_command(["labels", "review", "photo-000.png", "--by", "Ada", "--home", str(archive.home)]) == 0
    assert archive.ask("SELECT by_release, by_label FROM restoration_stale") == [(0, 1)]
    done = night()
    assert (done.restored + done.unchanged, done.failed) == (1, ())
    assert archive.ask("SELECT * FROM restoration_stale") == []
    ((found_key, restored_key, source, joined, supplied, provenance),) = archive.ask(
        "SELECT found_key, restored_key, mask_source, mask_joined, supplied_mask_sha256, provenance_key "
        "FROM restoration ORDER BY id DESC LIMIT 1"
    )
    assert (source, joined) == ("label", 1)
    assert [(supplied,)] == archive.ask("SELECT mask_sha256 FROM label")
    made = archive.home / "derivatives"
    before, after = (read_png((made / key).read_bytes()) for key in (detected_key, found_key))
    assert np.abs(np.maximum(before, stroke()).astype(int) - after).max() <= 1
    master = np.array(Image.open(archive.source / "1931/photo-000.png"))
    mended = read_png((made / restored_key).read_bytes())
    assert (mended[stroke() > 0] != master[stroke() > 0]).any()
    said = json.loads((made / provenance).read_text())
    assert said["mask"] == {"source": "label", "supplied_sha256": supplied, "joined": True}
    assert b"joined with the detected one" in (made / restored_key).read_bytes()
    assert (made / old_key).exists(), "the older derivative stays"
    assert night().restored == 0
    shown = archive.home / "browse/1931/photo-000.png.png"
    assert shown.read_bytes() == (made / restored_key).read_bytes()
    reject = ["labels", "review", "photo-000.png", "--by", "Ada", "--reject", "--home", str(archive.home)]
    assert run_command(reject) == 0
    assert shown.read_bytes() == (made / old_key).read_bytes(), "the one without the label is shown again"
    assert (night().restored, archive.ask("SELECT * FROM restoration_stale")) == (0, [])


def test_photos_are_laid_out_for_a_tool_and_their_labels_find_them_again(
    archive: Archive, release_folder: Path, dask_scheduler: str, tmp_path: Path
) -> None:
    """What comes back from the folder, as it is, is the label of each photo: by the hash in the names."""
    from flows.restore import restore

    restore(home=str(archive.home), settings={"release": str(release_folder), "scheduler": dask_scheduler})
    out = tmp_path / "to label"
    arguments = ["labels", "suggest", "9", "--export", str(out), "--home", str(archive.home)]
    assert run_command(arguments) == 0
    photos = sorted((out / "photos").iterdir())
    hashes = {row[0] for row in archive.ask("SELECT sha256 FROM photo")}
    assert {path.name.split(".")[-2] for path in photos} == hashes and len(photos) == 4
    (turned,) = [path for path in photos if path.name.startswith("turned.")]
    assert Image.open(turned).size == (HEIGHT, WIDTH), "upright"
    tasks = json.loads((out / "tasks.json").read_text())
    assert {task["data"]["sha256"] for task in tasks} == hashes
    for task in tasks:
        task["annotations"] = [
            {"id": 1, "completed_by": 1, "result": prediction["result"]} for prediction in task.pop("predictions")
        ]
    (tmp_path / "back.json").write_text(json.dumps(tasks))
    marked = [path for path in (out / "detected").iterdir() if read_png(path.read_bytes()).any()]
    back = archive.take(tmp_path / "back.json", "label-studio")
    assert (back.new, back.problems) == (len(marked), [])
    save(stroke(WIDTH, HEIGHT, 30), out / "detected" / turned.name)
    assert archive.take(out / "detected").new >= 1
    assert archive.ask("SELECT count(*) FROM label AS l JOIN photo AS p ON p.id = l.photo_id WHERE p.orientation = 6 "
                       "AND l.tool = 'PNG'") == [(1,)]  # fmt: skip
    assert run_command(arguments) == 2, "the folder is taken"


def test_the_commands_tell_what_was_taken_and_what_was_not(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: str) -> tuple[int, str, str]:
        code = run_command(["labels", *arguments, "--home", str(archive.home)])
        out, err = capsys.readouterr()
        return code, out, err

    masks = save(stroke(), tmp_path / "masks/photo-000.png").parent
    save(stroke(), masks / "nobody's.png")
    code, out, _ = command("import", str(masks), "--format", "png", "--author", "Ada")
    assert code == 1 and "nobody's.png: is of no photo of this catalogue" in out
    assert f"{archive.trained_on()} of 25" in out
    (masks / "nobody's.png").unlink()
    images = [{"id": 1, "file_name": "\x1b[31mred\n.jpg", "height": 9, "width": 9}]
    drawn = [{"id": 1, "image_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]}]
    (tmp_path / "strange.json").write_text(json.dumps({"images": images, "annotations": drawn}))
    code, out, _ = command("import", str(tmp_path / "strange.json"), "--format", "coco", "--author", "Ada")
    assert code == 1 and "\x1b" not in out and "\\x1b[31mred" in out, "nothing in an export steers the terminal"
    assert command("import", str(masks), "--format", "png", "--author", "Ada")[0] == 0
    code, out, _ = command("status")
    assert code == 0 and "by Ada" in out and "with PNG" in out and "undecided" not in out
    code, out, _ = command("status", "--all", "--format", "jsonl")
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert (row["source_key"], row["state"]) == ("1931/photo-000.png", "in use")
    assert row["is_new"] == (row["split"] != "test")
    assert command("review", "photo-000.png", "--by", "Grace", "--reject", "--note", "a wire")[0] == 0
    assert json.loads(command("status", "--all", "--format", "jsonl")[1])["state"] == "rejected"
    assert command("review", "1932/photo-001.png", "--by", "Grace")[0] == 2
    assert command("import", str(masks), "--format", "png")[0] == 2
    assert command("import", str(masks / "missing"), "--format", "coco", "--author", "Ada")[0] == 2
    code, _, err = command("import", str(masks), "--format", "label-studio")
    assert code == 2 and "holds no .json file" in err
