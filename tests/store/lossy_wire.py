"""A wire to PostgreSQL that can break at the worst moment: after the server committed, before it could say so."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.store.postgres import PostgresServer

_SOCKET = ".s.PGSQL.5432"


class LossyWire:
    """Passes bytes on between clients and the server, over a socket file of its own."""

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        self._server = server
        self._folder = folder
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / _SOCKET))
        self._listener.listen()
        self._lose = False
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, url: str) -> str:
        """The URL of a database of the server, by way of this wire."""
        return url.replace(str(self._server.folder), str(self._folder))

    @contextmanager
    def next_answer_lost(self) -> Iterator[None]:
        """The first COMMIT in the block is carried out and never acknowledged: the connection breaks instead."""
        self._lose = True
        yield
        assert not self._lose, "nothing was committed"

    def close(self) -> None:
        """No more clients."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server.folder / _SOCKET))
                threading.Thread(target=self._to_server, args=(client, server), daemon=True).start()
                threading.Thread(target=self._to_client, args=(client, server), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while sent := client.recv(65536):
                if self._lose and b"COMMIT" in sent:
                    client.shutdown(socket.SHUT_RDWR)  # before the server can answer
                    server.sendall(sent)
                    self._lose = False
                    break
                server.sendall(sent)
            server.shutdown(socket.SHUT_WR)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while answer := server.recv(65536):
                client.sendall(answer)
        client.close()
        server.close()


@contextmanager
def lossy_wire(server: PostgresServer) -> Iterator[LossyWire]:
    """A wire to the server, for as long as the block."""
    folder = Path(tempfile.mkdtemp(prefix="oldphoto-wire-"))
    wire = LossyWire(folder, server)
    try:
        yield wire
    finally:
        wire.close()
        shutil.rmtree(folder, ignore_errors=True)
