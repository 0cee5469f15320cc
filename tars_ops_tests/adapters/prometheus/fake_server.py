"""A metrics server that follows a script, over real sockets, also where the script is to misbehave."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qs


@dataclass
class Call:
    """One request as the server saw it, and the wire to answer it."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]
    wire: Wire
    closing: threading.Event
    n_bytes_sent: int = 0

    def send(self, data: bytes) -> None:
        self.wire.wfile.write(data)
        self.n_bytes_sent += len(data)


Behaviour = Callable[[Call], None]


def says(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    """A complete answer; everything but bytes and text becomes JSON."""
    data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()

    def answer(call: Call) -> None:
        begin(call, status, {"Content-Length": str(len(data)), **(headers or {})})
        call.send(data)

    return answer


def begin(call: Call, status: int, headers: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    call.send("\r\n".join(lines).encode("latin-1"))


def success(data: Any, **others: Any) -> Mapping[str, Any]:
    return {"status": "success", "data": data, **others}


def matrix(*series: Mapping[str, Any], **others: Any) -> Mapping[str, Any]:
    return success({"resultType": "matrix", "result": list(series)}, **others)


def vector(*series: Mapping[str, Any], **others: Any) -> Mapping[str, Any]:
    return success({"resultType": "vector", "result": list(series)}, **others)


def one(value: str = "1", **labels: str) -> Mapping[str, Any]:
    return {"metric": labels, "value": [1.5, value]}


def is_silent(call: Call) -> None:
    call.closing.wait(30)


def drips(call: Call) -> None:
    begin(call, 200, {"Content-Length": "1000"})
    while not call.closing.wait(0.05):
        call.send(b" ")


def drips_headers(call: Call) -> None:
    call.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not call.closing.wait(0.05):
        call.send(b"a")


def resets(call: Call) -> None:
    call.wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    call.wire.close_connection = True


def breaks_off(call: Call) -> None:
    begin(call, 200, {"Content-Length": "1000"})
    call.send(b'{"status":')
    call.wire.close_connection = True


def breaks_off_chunked(call: Call) -> None:
    begin(call, 200, {"Transfer-Encoding": "chunked"})
    call.send(b'a\r\n{"status":\r\n')
    call.wire.close_connection = True


def breaks_off_unannounced(call: Call) -> None:
    begin(call, 200, {"Connection": "close"})
    call.send(b'{"status":"success","data":{"resultType":"vec')
    call.wire.close_connection = True


@dataclass
class FakeServer:
    """Answers by ``script``, whose last entry repeats; ``calls`` are the requests so far."""

    script: Sequence[Behaviour]
    tls: ssl.SSLContext | None = None
    calls: list[Call] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), Wire)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.cut_all()
        self._server.server_close()

    def answer(self, wire: Wire, form: Mapping[str, str]) -> None:
        call = Call(wire.command, wire.path, dict(wire.headers), form, wire, self._closing)
        with self._lock:
            behaviour = self.script[min(len(self.calls), len(self.script) - 1)]
            self.calls.append(call)
        behaviour(call)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    owner: FakeServer

    def server_bind(self) -> None:
        self._connections: list[socket.socket] = []
        super().server_bind()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        tls = self.owner.tls
        try:
            self._connections.append(request)
            if tls:
                request.settimeout(5)
                request = tls.wrap_socket(request, server_side=True)
                self._connections.append(request)
        except OSError:
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)

    def cut_all(self) -> None:
        for connection in self._connections:
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no news."""


class Wire(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
        cast("_Server", self.server).owner.answer(self, form)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass
