"""The fixtures of whole runs."""

from tests.orchestration.audited import audited, restored_archive
from tests.orchestration.fixtures import dask_scheduler, prefect_server, release_folder, started
from tests.store.s3_servers import moto

__all__ = ["audited", "dask_scheduler", "moto", "prefect_server", "release_folder", "restored_archive", "started"]
