"""The process of an embedded Prefect server: `python -m flows.prefect_server FOLDER [HOST PORT]`.

`embedded_prefect` starts it; without host and port it listens on this machine alone, on whatever port is free.

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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.file_locks import FileLock

if TYPE_CHECKING:
    import uvicorn

SERVER_LOCK, USERS_LOCK, ADDRESS_FILE, LOG_FILE = "server.lock", "users.lock", "server.json", "server.log"

_POLL_S = 0.5
_SHUTDOWN_S = 10.0


@dataclass(frozen=True)
class WebPage:
    """Where a server shows its web page.

    Attributes:
        host: address to listen on; 127.0.0.1 is this machine alone, 0.0.0.0 every network it is in.
    """

    host: str = "127.0.0.1"
    port: int = 4200

    @property
    def url(self) -> str:
        """The page's address, for a browser on this machine."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"

    @property
    def api_url(self) -> str:
        """The API's, for processes of this machine."""
        return f"{self.url}/api"

    @property
    def ui_api_url(self) -> str:
        """Where the page looks for the API: other machines' browsers know this one by a name of their own."""
        return "/api" if self.host == "0.0.0.0" else self.api_url

    def listen(self) -> socket.socket:
        """A socket bound to the address.

        Raises:
            OSError: somebody else listens there, or the address is not this machine's.
        """
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self.host, self.port))
        except OSError:
            listening.close()
            raise
        return listening


def main() -> None:
    """Serves until nobody uses the server."""
    folder = Path(sys.argv[1])
    page = WebPage(sys.argv[2], int(sys.argv[3])) if len(sys.argv) > 3 else WebPage(port=0)
    server_lock = FileLock(folder / SERVER_LOCK)
    if not server_lock.take():
        print("another embedded Prefect server of this home is running: leaving it to that one")
        return
    address_path = folder / ADDRESS_FILE
    address_path.unlink(missing_ok=True)  # left by one that was killed
    os.ftruncate(sys.stdout.fileno(), 0)  # the log is this server's alone
    listening = page.listen()
    _write_address(address_path, WebPage(page.host, listening.getsockname()[1]))
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


def _write_address(path: Path, page: WebPage) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps({"url": page.api_url, "pid": os.getpid()}))
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
