"""A retraining's run folder and its copy in the releases store, so that another machine can go on with it.

    training/{retrain id}/{stage}/checkpoint/{folder}-{step:08d}.tar    while it goes on: the newest one counts
    training/{retrain id}/{stage}/weights/{folder}.tar                  for good, where no release holds them
    training/{retrain id}/{stage}/{name}                                for good: curves, samples, tables, the page

A stage's folder is one object, so it is there in whole or not at all, and the new one is there before the old one goes.
What is left behind by a kill, such as an old one that was about to go, is swept by the next retraining.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.settings import Settings
from storage.keys import sha256_hex
from storage.objects import ObjectStore

ROOT = "training/"
_KEY = re.compile(
    r"training/(?P<retrain>[^/]+)/(?P<stage>[^/]+)/checkpoint/(?P<folder>[^/]+)-(?P<step>\d{8,})\.tar"
)


@dataclass(frozen=True)
class KeptCheckpoint:
    """A checkpoint in the store."""

    key: str
    retrain_id: str
    stage: str
    folder: str
    step: int


def releases_store(settings: Settings) -> ObjectStore:
    """The store that releases, and what made them, are kept in."""
    return ObjectStore(settings.releases_url, settings.store_options(settings.releases_url, "releases"))


def keep_checkpoint(store: ObjectStore, retrain_id: str, stage: str, folder: Path) -> str:
    """Copies a stage's folder as it is now into the store, drops the copies before it, and gives its key."""
    step = step_of(folder)
    if step is None:
        raise FileNotFoundError(f"{folder} holds no checkpoint; expected last.safetensors and checkpoint.pt")
    key = f"{ROOT}{retrain_id}/{stage}/checkpoint/{folder.name}-{step:08d}.tar"
    _pack(store, key, _files(folder))
    for older in kept_checkpoints(store, retrain_id):
        if (older.stage, older.folder) == (stage, folder.name) and older.step < step:
            store.delete(older.key)
    return key


def fetch_checkpoints(store: ObjectStore, retrain_id: str, run: Path) -> list[str]:
    """Brings every folder of the retraining that is newer in the store into the run folder; gives their names."""
    newest: dict[str, KeptCheckpoint] = {}
    for one in kept_checkpoints(store, retrain_id):
        if one.folder not in newest or one.step > newest[one.folder].step:
            newest[one.folder] = one
    fetched = []
    for name, one in sorted(newest.items()):
        here = step_of(run / name)
        if here is None or here < one.step:
            _unpack(store, one.key, run / name)
            fetched.append(name)
    return fetched


def kept_checkpoints(store: ObjectStore, retrain_id: str | None = None) -> list[KeptCheckpoint]:
    """The checkpoints in the store, of one retraining or all."""
    found = []
    for key in training_keys(store, retrain_id):
        if match := _KEY.fullmatch(key):
            found.append(KeptCheckpoint(key, match["retrain"], match["stage"], match["folder"], int(match["step"])))
    return found


def sweep_checkpoints(store: ObjectStore, *, going_on: Collection[str], known: Collection[str]) -> int:
    """Deletes checkpoints of retrainings that do not go on, and all of those that the catalogue does not know.

    Args:
        going_on: ids whose checkpoints are needed still.
        known: ids that the catalogue has rows of.
    """
    gone = [one.key for one in kept_checkpoints(store) if one.retrain_id not in going_on]
    gone += [key for key in training_keys(store) if key.split("/")[1] not in known and key not in gone]
    for key in gone:
        store.delete(key)
    return len(gone)


def keep_weights(store: ObjectStore, retrain_id: str, stage: str, folder: Path) -> str:
    """Copies a trained folder without what only resuming needs into the store, and gives its key."""
    key = f"{ROOT}{retrain_id}/{stage}/weights/{folder.name}.tar"
    _pack(store, key, [path for path in _files(folder) if path.name != "checkpoint.pt"])
    return key


def weights_keys(store: ObjectStore, retrain_id: str, stage: str) -> list[str]:
    """The networks that a retraining left of a stage."""
    prefix = f"{ROOT}{retrain_id}/{stage}/weights/"
    return [key for key in training_keys(store, retrain_id) if key.startswith(prefix)]


def lay_weights(store: ObjectStore, key: str, run: Path) -> None:
    """Lays networks of `weights_keys` into a run folder, unless their folder is there."""
    folder = run / Path(key).stem
    if not folder.is_dir():
        _unpack(store, key, folder)


def training_keys(store: ObjectStore, retrain_id: str | None = None) -> Iterator[str]:
    """Every key of training in the store, of one retraining or all."""
    if store.root is not None and not store.root.is_dir():  # nothing was kept in this home yet
        return
    prefix = ROOT if retrain_id is None else f"{ROOT}{retrain_id}/"
    yield from (entry.key for entry in store.list() if entry.key.startswith(prefix))


def keep_file(store: ObjectStore, retrain_id: str, stage: str, name: str, data: bytes) -> str:
    """Writes a file that stays with the training run, such as its curves, and gives its key."""
    key = f"{ROOT}{retrain_id}/{stage}/{name}"
    if not (store.exists(key) and store.stored(key).sha256 == sha256_hex(data)):
        store.write_bytes_atomic(key, data)
    return key


def step_of(folder: Path) -> int | None:
    """The step that a stage's folder stands at; None where it holds no checkpoint. Reads a header, no weights."""
    weights = folder / "last.safetensors"
    if not (weights.is_file() and (folder / "checkpoint.pt").is_file()):
        return None
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as opened:
        return int(json.loads((opened.metadata() or {})["notes"])["step"])


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]


def _pack(store: ObjectStore, key: str, files: Sequence[Path]) -> None:
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path in files:
                archive.add(path, arcname=path.name)
        packed.seek(0)
        store.write_stream(key, iter(lambda: packed.read(1 << 20), b""))


def _unpack(store: ObjectStore, key: str, folder: Path) -> None:
    """Lays a checkpoint's files into the folder, in place of what is there, its checkpoint last."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with store.open_whole(key) as whole, tarfile.open(fileobj=whole.file) as archive:
        archive.extractall(part, filter="data")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
