"""Measures how fast photos are registered, and how fast a source that did not change is looked through.

    python -m tests.benchmarks.ingestion [--photos 5000] [--kb 50] [--s3]
    python -m tests.benchmarks.ingestion --flat 1000 10000 100000 [--kb 5] [--plot docs/ingestion-rate.png]
    python -m tests.benchmarks.ingestion --unchanged 100000 [--server rclone|moto]

The real flow runs in this process, on an embedded Prefect server, into a new home with a SQLite catalogue (or that of
--catalogue). Buckets are served by `rclone serve s3` from a folder (or by moto from memory), on the same machine: its
work is part of what is measured, and what listing alone takes is told beside it. Tables are Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

KEYS = {"S3_ACCESS_KEY": "benchmark", "S3_SECRET_KEY": "benchmark-secret", "S3_REGION": "us-east-1"}
BUCKET = "scans"


# -- photos and servers ---------------------------------------------------------------------------------------------


def make_photos(folder: Path, count: int, *, kb: float, start: int = 0) -> None:
    """So many different JPEGs of about this size, a hundred in a folder: soft shapes of their own under grain."""
    generator = np.random.default_rng(start)
    area = (kb * 1000 - 2150) / 0.104  # pixels that come to the size at this quality and grain
    width, height = round((area * 4 / 3) ** 0.5), round((area * 3 / 4) ** 0.5)
    grain = generator.normal(0, 5, (height + 256, width + 256, 1)).astype(np.int16)
    for number in range(start, start + count):
        if number % 100 == 0 or number == start:
            (folder / f"box {number // 100:05d}").mkdir(parents=True, exist_ok=True)
        shapes = Image.fromarray(generator.integers(40, 216, (7, 9, 3), dtype=np.uint8))
        top, left = generator.integers(0, 256, 2)
        picture = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
        picture = picture + grain[top : top + height, left : left + width]
        data = io.BytesIO()
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(data, "JPEG", quality=75)
        (folder / f"box {number // 100:05d}" / f"photo {number:06d}.jpg").write_bytes(data.getvalue())


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[str]:
    """Serves the folders in this folder as buckets; gives the endpoint."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = shutil.which("rclone") or str(Path(sys.executable).with_name("rclone"))
    key = f"{KEYS['S3_ACCESS_KEY']},{KEYS['S3_SECRET_KEY']}"
    server = subprocess.Popen(
        [binary, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}", "--auth-key", key],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def moto(count: int) -> Iterator[str]:
    """A moto server in a process of its own with so many small objects in its bucket; gives the endpoint."""
    import s3fs

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    endpoint = f"http://127.0.0.1:{port}"
    try:
        time.sleep(4)
        fs = s3fs.S3FileSystem(key=KEYS["S3_ACCESS_KEY"], secret=KEYS["S3_SECRET_KEY"], endpoint_url=endpoint)
        fs.mkdir(BUCKET)
        for begin in range(0, count, 2000):
            names = [f"{BUCKET}/box {number // 100:05d}/{number:06d}.jpg" for number in range(begin, begin + 2000)]
            fs.pipe(dict.fromkeys(names[: count - begin], b"x" * 100))
        yield endpoint
    finally:
        server.terminate()
        server.wait()


def name_server(endpoint: str) -> None:
    """Sets the environment as a person would."""
    for name, value in {"S3_ENDPOINT_URL": endpoint, **KEYS}.items():
        os.environ[f"OLDPHOTO_{name}"] = value


# -- measuring ------------------------------------------------------------------------------------------------------


class Clock:
    """Seconds inside the catalogue's transactions, whichever thread waits for them."""

    def __init__(self) -> None:
        from storage.catalog.transactions import Transactions

        self.seconds = 0.0
        for name in ("read", "write"):
            setattr(Transactions, name, self._timed(getattr(Transactions, name)))

    def _timed(self, method):  # type: ignore[no-untyped-def]
        def timed(*arguments, **keywords):  # type: ignore[no-untyped-def]
            began = time.perf_counter()
            try:
                return method(*arguments, **keywords)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


def ingested(source: str, home: Path, clock: Clock) -> dict[str, float]:
    """Runs the flow once and gives seconds, by the clock and of this process's cores, and what was found."""
    from flows.ingest import ingest

    clock.seconds = 0.0
    began, cpu = time.perf_counter(), time.process_time()
    found = ingest(source, home=str(home)).ingest
    assert found is not None
    assert not found.set_aside, found.quarantined[:3]
    return {
        "wall_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "catalogue_s": clock.seconds,
        "listed": found.listed,
        "read": found.read,
        "photos_new": found.photos_new,
        "near_duplicates": found.near_duplicates,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def one_by_one(folder: Path, count: int = 200) -> dict[str, float]:
    """Milliseconds of one core that a photo takes in reading, hashing and decoding, outside any flow."""
    from oldphoto_core.images import decode_image
    from storage.keys import sha256_hex

    paths = sorted(folder.rglob("*.jpg"))[:count]
    for path in paths[:5]:
        decode_image(path.read_bytes(), path.name)
    spent = dict.fromkeys(("read", "hash", "decode"), 0.0)
    for path in paths:
        times = [time.process_time()]
        data = path.read_bytes()
        times.append(time.process_time())
        sha256_hex(data)
        times.append(time.process_time())
        decode_image(data, path.name)
        times.append(time.process_time())
        for step, begin, end in zip(spent, times, times[1:], strict=False):
            spent[step] += end - begin
    return {step: 1000 * seconds / len(paths) for step, seconds in spent.items()}


def measure_new(work: Path, clock: Clock, counts: list[int], kb: float, *, s3: bool) -> list[dict[str, float]]:
    """Registers so many new photos, each count into a home of its own; prints a table."""
    print("| Photos | Size, kB | Seconds | Photos a second | CPU, ms a photo | Catalogue, ms a photo | Peak, MB |")
    print("|" + "--:|" * 7)
    rows = []
    for count in counts:
        root = work / f"new-{count}"
        make_photos(root / BUCKET, count, kb=kb)
        sizes = [path.stat().st_size for path in (root / BUCKET).rglob("*.jpg")]
        with rclone(root) if s3 else contextlib.nullcontext() as endpoint:
            if endpoint:
                name_server(endpoint)
            row = ingested(f"s3://{BUCKET}" if s3 else str(root / BUCKET), work / f"home-{count}", clock)
        row |= {"count": count, "rate": count / row["wall_s"]}
        rows.append(row)
        print(
            f"| {count:,} | {sum(sizes) / len(sizes) / 1000:.1f} | {row['wall_s']:.1f} | {row['rate']:.0f} "
            f"| {1000 * row['cpu_s'] / count:.2f} | {1000 * row['catalogue_s'] / count:.2f} | {row['peak_mb']:.0f} |",
            flush=True,
        )
        steps = one_by_one(root / BUCKET)
        if count == counts[-1]:
            alone = ", ".join(f"{step} {ms:.2f}" for step, ms in steps.items())
            print(f"\nOne photo alone, ms of one core: {alone}. Pairs that look alike: {row['near_duplicates']}.")
        shutil.rmtree(root)
        shutil.rmtree(work / f"home-{count}", ignore_errors=True)
    return rows


def measure_unchanged(work: Path, clock: Clock, count: int, server: str) -> None:
    """Looks through a bucket whose objects are all on record; what listing alone takes is told beside it."""
    root = work / "unchanged"
    if server == "rclone":
        for number in range(count):
            if number % 100 == 0:
                (root / BUCKET / f"box {number // 100:05d}").mkdir(parents=True)
            (root / BUCKET / f"box {number // 100:05d}" / f"{number:06d}.jpg").write_bytes(b"x" * 100)
    with rclone(root) if server == "rclone" else moto(count) as endpoint:
        name_server(endpoint)
        home = work / "home-unchanged"
        listed, listing_s = put_on_record(f"s3://{BUCKET}", home)
        row = ingested(f"s3://{BUCKET}", home, clock)
    assert (listed, row["read"], row["listed"]) == (count, 0, count), (listed, row)
    print("| Keys | Server | Seconds | of them listing alone | CPU, ms a key | Peak, MB |\n|" + "--:|" * 6)
    print(
        f"| {count:,} | {server} | {row['wall_s']:.1f} | {listing_s:.1f} | {1000 * row['cpu_s'] / count:.3f} "
        f"| {row['peak_mb']:.0f} |"
    )


def put_on_record(source: str, home: Path) -> tuple[int, float]:
    """Records every object as one that holds a photo, unread; gives their number, and the seconds of listing alone."""
    from flows.settings import Settings
    from storage.catalog.catalogue import Catalogue
    from storage.objects import SourceStore
    from storage.records import CollectionRecord, PhotoRecord, SourceObjectRecord

    chosen = Settings.load(home)
    store = SourceStore(source, chosen.store_options(source))
    began = time.perf_counter()
    for _ in store.pages():
        pass
    listing_s = time.perf_counter() - began
    home.mkdir(parents=True, exist_ok=True)
    listed = 0
    sha256 = "a" * 64
    photo = PhotoRecord(sha256=sha256, size_bytes=100, format="jpeg", height=50, width=50, channels=3, bit_depth=8)
    with Catalogue.open(chosen.catalogue_url) as catalogue:
        collection_id = catalogue.upsert_collection(CollectionRecord(url=store.url))
        for page in store.pages():
            objects = [
                SourceObjectRecord.from_entry(entry, status="registered", photo_sha256=sha256) for entry in page.entries
            ]
            catalogue.record_objects(collection_id, objects, [photo])
            listed += len(objects)
    return listed, listing_s


def plot(rows: list[dict[str, float]], path: Path) -> None:
    """The rate over the number of photos: flat, where nothing grows with the archive."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.2))
    axes.plot([row["count"] for row in rows], [row["rate"] for row in rows], "o-", color="#3b5b7a")
    axes.set_xscale("log")
    axes.set_ylim(0, 1.25 * max(row["rate"] for row in rows))
    axes.set_xlabel("photos in one ingestion")
    axes.set_ylabel("photos a second")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--kb", type=float, help="size of a photo; 50, and 5 for --flat")
    parser.add_argument("--s3", action="store_true", help="from a bucket, served by rclone")
    parser.add_argument("--flat", type=int, nargs="+", metavar="N", help="so many photos, one after the other")
    parser.add_argument("--plot", type=Path, help="picture of --flat")
    parser.add_argument("--unchanged", type=int, metavar="N", help="look through so many keys that are on record")
    parser.add_argument("--server", choices=("rclone", "moto"), default="rclone")
    parser.add_argument("--catalogue", help="postgresql+psycopg://... in place of SQLite")
    parser.add_argument("--work", type=Path, help="folder for photos and homes; by default a temporary one")
    given = parser.parse_args()
    if given.catalogue:
        os.environ["OLDPHOTO_CATALOGUE_URL"] = given.catalogue

    from flows.embedded_prefect import embedded_prefect

    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        work = Path(folder)
        with embedded_prefect(work / "prefect"):
            clock = Clock()
            print(
                f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
                f"{datetime.date.today()}; {'PostgreSQL' if given.catalogue else 'SQLite'}\n"
            )
            warm = work / "warm"
            make_photos(warm / "photos", 4, kb=5)
            ingested(str(warm / "photos"), warm / "home", clock)
            if given.unchanged:
                measure_unchanged(work, clock, given.unchanged, given.server)
            elif given.flat:
                rows = measure_new(work, clock, given.flat, given.kb or 5, s3=given.s3)
                if given.plot:
                    plot(rows, given.plot)
            else:
                measure_new(work, clock, [given.photos], given.kb or 50, s3=given.s3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
