"""A real HTTP proxy in front of a real S3 server, which can do what networks and busy servers do."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.store.s3_servers import S3Server


@dataclass
class Fault:
    """What happens to requests.

    Attributes:
        kind: ``drop`` does the work and loses the answer, ``error`` answers in the server's place, ``cut`` sends half
            of the body and hangs up, ``delay`` waits first, ``pass`` changes nothing.
        method: of the requests it happens to; empty for all.
        within: text that the request's path and query must hold.
        times: how often; None for always.
        status, code, fields, headers: of an ``error``.
        before: is called first, such as to change the object in that instant.
    """

    kind: str
    method: str = ""
    within: str = ""
    times: int | None = 1
    status: int = 403
    code: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    before: Callable[[], None] | None = None


@dataclass
class FaultProxy:
    """The proxy: its faults, the requests that it saw, as ``PUT /bucket/key``, and the ranges they asked for."""

    server: S3Server
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    def add(self, kind: str, **what: Any) -> None:
        """One fault more."""
        self.faults.append(Fault(kind, **what))

    def reset(self) -> None:
        """No faults, nothing seen."""
        self.faults.clear()
        self.requests.clear()
        self.ranges.clear()

    def through(self) -> S3Server:
        """The server, as it is reached through here."""
        return replace(self.server, endpoint_url=self.url)

    def seen(self, method: str) -> int:
        """How many requests of a method came."""
        return sum(request.startswith(f"{method} ") for request in self.requests)

    def next_fault(self, method: str, path: str) -> Fault | None:
        """The fault that befalls this request, counted down."""
        for fault in self.faults:
            if fault.method in ("", method) and fault.within in path and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


@contextmanager
def running_proxy(server: S3Server) -> Iterator[FaultProxy]:
    """The proxy, on a free port, in threads of its own."""
    proxy = FaultProxy(server)
    upstream = urlsplit(server.endpoint_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.requests.append(f"{self.command} {self.path}")
            proxy.ranges.append(self.headers.get("Range") or "")
            fault = proxy.next_fault(self.command, self.path)
            if fault is not None and fault.before is not None:
                fault.before()
            if fault is not None and fault.kind == "delay":
                time.sleep(fault.seconds)
            if fault is not None and fault.kind == "error":
                self._answer(fault.status, fault.headers, _error_body(fault))
                return
            connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=30)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("expect", "connection"):
                        connection.putheader(name, value)
                connection.endheaders(body or None)
                answer = connection.getresponse()
                data = answer.read()
                headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding")}
            finally:
                connection.close()
            if fault is not None and fault.kind == "drop":
                self.close_connection = True
                return
            cut = fault is not None and fault.kind == "cut"
            self._answer(answer.status, headers, data, cut=cut)

        def _answer(self, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False) -> None:
            head = self.command == "HEAD"
            headers = {k: v for k, v in headers.items() if head or k.lower() != "content-length"}
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if not head:
                self.send_header("Content-Length", str(len(data)))
            elif not any(name.lower() == "content-length" for name in headers):
                self.send_header("Content-Length", "0")
            self.end_headers()
            if not head:
                self.wfile.write(data[: len(data) // 2] if cut else data)
            if cut:
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{listener.server_address[1]}"
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()


def _error_body(fault: Fault) -> bytes:
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in fault.fields.items())
    return f"<?xml version='1.0'?><Error><Code>{fault.code}</Code><Message>said so</Message>{fields}</Error>".encode()
