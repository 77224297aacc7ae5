"""The same questions over the whole archive, asked of its Parquet export with DuckDB."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from storage.catalog import Catalogue
from storage.history_export import export_history
from storage.objects import ObjectStore

AGGREGATES = (
    ("restorations by outcome and release",
     "SELECT release, outcome, COUNT(*) FROM restoration_history GROUP BY release, outcome"),
    ("restorations by day", "SELECT day, COUNT(*) FROM restoration_history GROUP BY day"),
    ("mean coverage by collection",
     "SELECT source_url, AVG(mask_coverage) FROM restoration_history GROUP BY source_url"),
    ("objects by outcome", "SELECT outcome, COUNT(*) FROM object_outcome GROUP BY outcome"),
    ("stale by reason",
     "SELECT by_release, by_label, COUNT(*) FROM (SELECT l.release <> a.release AS by_release, coalesce(b.at >= "
     "l.finished_at AND l.supplied_mask_sha256 IS DISTINCT FROM b.mask, false) AS by_label FROM photo_latest AS l "
     "CROSS JOIN (SELECT DISTINCT release FROM release_lineage WHERE release_status = 'active') AS a "
     "LEFT JOIN (SELECT photo_id, max(labelled_at) AS at, arg_max(mask_sha256, (labelled_at, id)) AS mask "
     "FROM label GROUP BY photo_id) AS b ON b.photo_id = l.photo_id WHERE l.restoration_id IS NOT NULL) "
     "WHERE by_release OR by_label GROUP BY by_release, by_label"),
)  # fmt: skip


def measure_parquet(url: str, folder: Path, repeats: int = 5) -> None:
    """Exports the history where that was not done yet, and prints a table."""
    import duckdb

    target = folder / "parquet"
    if not (target / "manifest.json").is_file():
        began = time.perf_counter()
        with Catalogue.open(url, create=False) as catalogue:
            done = export_history(catalogue, ObjectStore(target.as_uri()), code_version="benchmark", agent="benchmark")
        rows, size = sum(done.rows.values()), sum(path.stat().st_size for path in target.rglob("*.parquet"))
        print(f"\nExported {rows:,} rows, {size / 1e6:.0f} MB, in {time.perf_counter() - began:.0f} s")
    connection = duckdb.connect()
    for relation in ("restoration_history", "object_outcome", "photo_latest", "release_lineage", "label"):
        files = f"{target}/{relation}/**/*.parquet"
        connection.execute(f"CREATE VIEW {relation} AS SELECT * FROM read_parquet('{files}', hive_partitioning = true)")
    print(
        f"\nDuckDB {duckdb.__version__} on the Parquet export\n\n| | Rows | Median, ms | Worst, ms |\n|---|--:|--:|--:|"
    )
    for words, sql in AGGREGATES:
        taken, rows = [], 0
        for _ in range(repeats):
            began = time.perf_counter()
            rows = len(connection.execute(sql).fetchall())
            taken.append(1000 * (time.perf_counter() - began))
        print(f"| {words} | {rows} | {statistics.median(taken):.0f} | {max(taken):.0f} |", flush=True)
