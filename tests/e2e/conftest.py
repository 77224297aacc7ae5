"""The fixtures of whole runs, and the servers that a museum has."""

from tests.orchestration.fixtures import dask_scheduler, prefect_server, release_folder
from tests.store.postgres import postgres_server
from tests.store.s3_servers import moto, rclone

__all__ = ["dask_scheduler", "moto", "postgres_server", "prefect_server", "rclone", "release_folder"]
