"""The process of an embedded Prefect server: `python -m flows.prefect_server FOLDER`, started by `embedded_prefect`.

It holds `server.lock` for as long as it lives, says where it listens in `server.json`, and ends itself as soon as
nobody holds `users.lock` any more: on a run's normal end, on Ctrl-C, and when a run was killed without a chance to
tidy up. The file lock is all there is to it, so there is no process id to mistake and no signal to miss.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flows.file_locks import FileLock

if TYPE_CHECKING:
    import uvicorn

SERVER_LOCK, USERS_LOCK, ADDRESS_FILE, LOG_FILE = "server.lock", "users.lock", "server.json", "server.log"

_POLL_S = 0.5
_SHUTDOWN_S = 10.0


def main() -> None:
    """Serves until nobody uses the server."""
    folder = Path(sys.argv[1])
    server_lock = FileLock(folder / SERVER_LOCK)
    if not server_lock.take():
        print("another embedded Prefect server of this home is running: leaving it to that one")
        return
    address_path = folder / ADDRESS_FILE
    address_path.unlink(missing_ok=True)  # left by one that was killed
    os.ftruncate(sys.stdout.fileno(), 0)  # the log is this server's alone
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", 0))
    _write_address(address_path, listening.getsockname()[1])
    server_slot: list[uvicorn.Server] = []
    threading.Thread(target=_end_when_unused, args=(folder, server_slot), daemon=True).start()

    import uvicorn

    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="warning", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    server_slot.append(server)
    server.run(sockets=[listening])
    address_path.unlink(missing_ok=True)


def _write_address(path: Path, port: int) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps({"url": f"http://127.0.0.1:{port}/api", "pid": os.getpid()}))
    unfinished.replace(path)


def _end_when_unused(folder: Path, server_slot: list[uvicorn.Server]) -> None:
    """Watches the users' lock; once it is free, nobody can join until this process is gone."""
    users_lock = FileLock(folder / USERS_LOCK)
    while not users_lock.take():
        time.sleep(_POLL_S)
    (folder / ADDRESS_FILE).unlink(missing_ok=True)
    if not (server_slot and server_slot[0].started):  # nothing runs yet that would have to end with care
        os._exit(0)
    server_slot[0].should_exit = True
    time.sleep(_SHUTDOWN_S)
    os._exit(0)


if __name__ == "__main__":
    main()
