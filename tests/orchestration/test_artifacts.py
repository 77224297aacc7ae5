"""What Prefect's page shows of a run, read back from a real server."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from flows.artifacts import progress_words
from tests.orchestration.archives import make_photos


@pytest.mark.parametrize(
    ("done", "seconds", "words"),
    [
        (0, 5.0, "0 of 1,000 photos"),
        (100, 50.0, "100 of 1,000 photos, 2.0 a second, 8 min left"),
        (1, 60.0, "1 of 1,000 photos, 1.0 a minute, 16.6 h left"),
        (990, 99.0, "990 of 1,000 photos, 10.0 a second, 1 s left"),
        (1000, 100.0, "1,000 of 1,000 photos, 10.0 a second"),
    ],
)
def test_progress_is_told_with_rate_and_time_left(done: int, seconds: float, words: str) -> None:
    assert progress_words(done, 1000, seconds) == words


def test_a_run_leaves_a_table_a_bar_words_and_pictures(prefect_server: str, tmp_path: Path) -> None:
    """The pictures are real JPEGs with the master and the restoration side by side."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    from flows.run import run
    from storage.catalog import Catalogue

    make_photos(tmp_path / "scans", 3)
    home = tmp_path / "home"
    settings = {"release": "default", "device": "cpu"}
    summary = run(str(tmp_path / "scans"), home=str(home), settings=settings)
    assert summary.restore is not None and summary.restore.restored == 3
    with Catalogue.open(str(home / "catalogue.db")) as catalogue, catalogue.connected() as connection:
        flow_run_id = connection.exec_driver_sql("SELECT MIN(flow_run_id) FROM restoration").scalar()
    with get_client(sync_client=True) as client:
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
        found = {one.key: one for one in client.read_artifacts(artifact_filter=of_run)}
    assert found.keys() == {
        "restore-progress", "restore-outcomes", "restore-run",
        "restore-before-after-1", "restore-before-after-2", "restore-before-after-3",
    }  # fmt: skip
    assert float(found["restore-progress"].data) == 100.0
    assert '"photos": 3' in str(found["restore-outcomes"].data).replace("'", '"')
    assert summary.run_id in str(found["restore-run"].data)
    header, _, data = str(found["restore-before-after-1"].data).partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert (header, picture.format, picture.size) == ("data:image/jpeg;base64", "JPEG", (96 + 8 + 96, 72))
