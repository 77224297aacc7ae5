"""The fixtures of whole runs."""

from tests.orchestration.fixtures import dask_scheduler, prefect_server, release_folder

__all__ = ["dask_scheduler", "prefect_server", "release_folder"]
