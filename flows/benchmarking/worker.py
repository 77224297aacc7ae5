"""A batch as a worker restores it: several masters of distinct bytes read, restored, and all their objects written."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from flows.overlap import restore_photos
from flows.restore_job import RestoreJob
from flows.worker import restorer_for
from oldphoto_core.images import DecodeLimits, open_image
from oldphoto_core.releases.card import find_release
from storage.keys import WorkParameters, work_hash
from storage.records import PhotoWork, SourceRef


def measure_worker(wanted: dict[str, Any]) -> dict[str, Any]:
    """Gives the seconds of a batch, first from the start of the process, then again; each time into an empty folder."""
    source = Path(wanted["source"])
    card = find_release(wanted["release"])
    parameters = WorkParameters(weights_hash=card.weights_hash)
    with tempfile.TemporaryDirectory(prefix="oldphoto-bench-", dir=source.parent) as name:
        folder = Path(name)
        works = [_work(source, folder / "scans", number, parameters) for number in range(wanted["batch"])]
        seconds: list[float] = []
        for attempt in range(1 + wanted["repeats"]):
            derivatives = folder / f"derivatives-{attempt}"
            job = RestoreJob(
                parameters=parameters, release=card.name, release_folder=str(card.folder.resolve()),
                device=wanted["device"], precision=wanted["precision"], max_pixels=DecodeLimits.max_pixels,
                derivatives_url=str(derivatives), labels_url=str(folder / "labels"), conditional_writes=True,
            )  # fmt: skip
            began = time.perf_counter()
            restorer = restorer_for(job)
            records = restore_photos(job, works, restorer)
            seconds.append(time.perf_counter() - began)
            failed = [str(record.error) for record in records if record.outcome == "failed"]
            assert not failed, failed[0]
            shutil.rmtree(derivatives)
            if attempt == 0:
                cold_s = time.time() - wanted["started"]
    return {
        "cold_s": cold_s,
        "warm_s": seconds[1:],
        "device": records[0].device,
        "precision": records[0].precision,
        "release": card.name,
        "photos_at_once": restorer.photos_at_once,
    }


def _work(source: Path, folder: Path, number: int, parameters: WorkParameters) -> PhotoWork:
    """A copy of the photo whose bytes are no other's."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{number:03}{source.suffix}"
    shutil.copyfile(source, path)
    with path.open("r+b") as file:
        if source.suffix == ".tif":
            file.seek(0, 2)
            file.write(b"%08d" % number)  # behind all that the directory names
        else:
            rest = file.read()[2:]
            file.seek(0)
            file.write(b"\xff\xd8\xff\xfe\x00\x0a%08d" % number + rest)  # a comment, right after the JPEG's beginning
    with path.open("rb") as file, open_image(file, path.name) as image:
        facts = image.facts
    return PhotoWork(
        photo_sha256=_sha256_of(path),
        work_hash=work_hash(parameters),
        sources=(SourceRef(collection_id=1, collection_url=f"file://{folder}", key=path.name, browse_folder=""),),
        size_bytes=path.stat().st_size,
        format=facts.format,
        height=facts.height,
        width=facts.width,
        channels=facts.channels,
        bit_depth=facts.bit_depth,
    )


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
