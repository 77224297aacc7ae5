"""A catalogue in PostgreSQL and stores in buckets: a retraining that one machine was killed at, another one ends."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.orchestration.museums import make_museum
from tests.orchestration.processes import kill, start_oldphoto, wait_for
from tests.store.postgres import PostgresServer
from tests.store.s3_servers import ACCESS_KEY, REGION, SECRET_KEY, S3Server


@pytest.mark.slow
def test_another_machine_goes_on_where_the_first_one_was_killed(
    prefect_server: str, release_folder: Path, moto: S3Server, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """It has nothing of the first one's home, and waits until its lease ran out."""
    postgres_server.execute("CREATE DATABASE retraining TEMPLATE template0")
    bucket = moto.new_bucket()
    here = make_museum(
        tmp_path, release_folder, steps=40,
        OLDPHOTO_CATALOGUE_URL=postgres_server.url("retraining"),
        OLDPHOTO_LABELS_URL=f"{bucket}/labels", OLDPHOTO_RELEASES_URL=f"{bucket}/releases",
        OLDPHOTO_MANIFESTS_URL=f"{bucket}/manifests", OLDPHOTO_LEASE_S="10",
        OLDPHOTO_S3_ENDPOINT_URL=moto.endpoint_url, OLDPHOTO_S3_ACCESS_KEY=ACCESS_KEY,
        OLDPHOTO_S3_SECRET_KEY=SECRET_KEY, OLDPHOTO_S3_REGION=REGION,
    )  # fmt: skip
    first = start_oldphoto(
        "retrain", "--home", here.home, log_path=tmp_path / "first.log", environment=here.environment
    )
    wait_for(
        lambda: any("/vaes/checkpoint/" in key for key in here.trained_objects()) or first.process.poll() is not None,
        "a checkpoint of the VAEs", seconds=180,
    )  # fmt: skip
    kill(first.process, group=True)

    there = replace(here, home=tmp_path / "elsewhere")

    def retrain(number: int) -> str:
        done = start_oldphoto(
            "retrain", "--home", there.home, log_path=tmp_path / f"there-{number}.log", environment=there.environment
        ).end()
        assert done.returncode == 0, done.stdout
        return " ".join(done.stdout.split())

    said = retrain(0)
    if "is retraining already" in said:  # the first one's lease had not run out
        time.sleep(11)
        said = retrain(1)
    assert "goes on from its checkpoint in s3://" in said
    assert there.ask("SELECT COUNT(*), COUNT(DISTINCT retrain_id) FROM training_run WHERE status = 'finished'") == [
        (3, 1)
    ]  # fmt: skip
    assert there.ask("SELECT COUNT(*) FROM model_release WHERE verdict IS NOT NULL") == [(1,)]
    assert not [key for key in there.trained_objects() if "/checkpoint/" in key]
