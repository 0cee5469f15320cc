"""Which connections may an exchange open, and how is one of them cut from outside?"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from tars_ops.adapters.prometheus.address import allowed_addresses


class Line:
    """A second handle on the socket of an exchange, by which another thread can cut it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._over = False

    def watch(self, sock: socket.socket) -> None:
        """Hold this socket instead of the one before; cut it at once if the exchange is over."""
        with self._lock:
            self._drop()
            self._handle = socket.socket(fileno=os.dup(sock.fileno()))
            if self._over:
                self._drop(cut=True)

    def release(self) -> None:
        """Let go of a socket that has done its work and may serve again."""
        with self._lock:
            self._drop()

    def cut(self) -> None:
        """End the exchange: whoever waits for this socket wakes up with an error."""
        with self._lock:
            self._over = True
            self._drop(cut=True)

    def _drop(self, *, cut: bool = False) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            with handle, suppress(OSError):
                if cut:
                    handle.shutdown(socket.SHUT_RDWR)


LINE: ContextVar[Line | None] = ContextVar("line", default=None)
"""The line of the exchange that runs in this thread."""


class _Guarded(HTTPConnection):
    """A connection to a checked address, watched by the line of the exchange that uses it."""

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            addresses = allowed_addresses(name, self.port)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(name, self, socket.gaierror(str(error))) from error
        sock = self._connect_to_first(addresses)
        self._watch(sock)
        return sock

    def _connect_to_first(self, addresses: tuple[str, ...]) -> socket.socket:
        name = self._dns_host
        try:
            for address in addresses[:-1]:
                with suppress(NewConnectionError, ConnectTimeoutError):
                    self._dns_host = address
                    return super()._new_conn()
            self._dns_host = addresses[-1]
            return super()._new_conn()
        finally:
            self._dns_host = name

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as received
        """Send a request, also on a connection that an earlier exchange opened."""
        if self.sock is not None:
            self._watch(self.sock)
        super().request(*args, **kwargs)

    def _watch(self, sock: socket.socket) -> None:
        line = LINE.get()
        if line is not None:
            line.watch(sock)


class _GuardedTls(_Guarded, HTTPSConnection):
    """The same inside TLS; the certificate is checked against the name, not the address."""


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Guarded  # pyright: ignore[reportAssignmentType] - nor does urllib3's own class match


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTls  # pyright: ignore[reportAssignmentType] - as above


class GuardedAdapter(HTTPAdapter):
    """A transport whose connections go to allowed addresses only and can be cut by the `Line` of the current thread."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as received
        """Let the pools make guarded connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
