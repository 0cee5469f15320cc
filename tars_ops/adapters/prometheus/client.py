"""How does a query reach a metrics server and come back whole, or fail in time with a reason?

Here the parts meet: address and credentials, one exchange, patience, the cutting of long ranges. Which queries are
asked, and what their numbers mean, is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import requests
import stamina
import stamina.instrumentation
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.util.retry import Retry

from tars_ops.adapters.prometheus.address import server_url
from tars_ops.adapters.prometheus.build import ServerBuild, read_build
from tars_ops.adapters.prometheus.connection import GuardedAdapter
from tars_ops.adapters.prometheus.credentials import Credentials
from tars_ops.adapters.prometheus.exchange import Answer, Quote, TransientError, exchange
from tars_ops.adapters.prometheus.grid import Grid
from tars_ops.adapters.prometheus.patience import Deadline, Limits, Patience
from tars_ops.adapters.prometheus.refusal import require_ok
from tars_ops.adapters.prometheus.reply import Piece, Reply, Series, merged, read_piece
from tars_ops.core.errors import QueryRefusedError, SourceError, SourceUnavailableError

__all__ = ["Credentials", "Limits", "PrometheusServer", "Reply", "Series", "ServerBuild"]

T = TypeVar("T")

# Its default hooks print and count every retry; here the final error says how many there were.
stamina.instrumentation.set_on_retry_hooks(())

_BOUND_TO_THE_RANGE = re.compile(r"@\s*(start|end)\s*\(")


_NO_CREDENTIALS = Credentials()
_DEFAULT_LIMITS = Limits()


class PrometheusServer:
    """One metrics server, asked politely and never for longer than the limits allow.

    Every method raises `SourceUnavailableError` when time or attempts run out, `NoPermissionError` when the
    credentials are refused, `QueryRefusedError` when the query is at fault, `ConfigurationError` when the host stands
    for a forbidden address, and `SourceError` for any other answer that is not a result. Every connection is made to
    an address that was checked after the name was resolved, so a name that changes its meaning opens no way around.
    May be used from several threads.

    Parameters
    ----------
    url : str
        ``http(s)://host[:port][/prefix]`` without user, query or fragment; the API is expected at ``url/api/v1``.
    credentials : Credentials
        Proxies, netrc and other variables of the environment are not used.
    limits : Limits
        Bounds of each query.

    Raises
    ------
    ConfigurationError
        If the address is not of this form or forbidden.
    """

    def __init__(
        self, url: str, *, credentials: Credentials = _NO_CREDENTIALS, limits: Limits = _DEFAULT_LIMITS
    ) -> None:
        self._url = server_url(url)
        self._limits = limits
        self._quote = Quote(credentials.secrets())
        self._session = _session(self._url, credentials)
        self._persistently = stamina.RetryingCaller(
            attempts=limits.attempts,
            timeout=None,
            wait_initial=limits.backoff_initial_s,
            wait_max=limits.backoff_max_s,
            wait_jitter=limits.backoff_initial_s,
        )

    def __repr__(self) -> str:
        """Name the server, never the credentials."""
        return f"PrometheusServer({self._url!r})"

    def __enter__(self) -> Self:
        """Give this server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections that wait for another query."""
        self._session.close()

    def build(self) -> ServerBuild:
        """Ask which program answers; a server without that endpoint has version ""."""
        request = requests.Request("GET", f"{self._url}/api/v1/status/buildinfo")
        return self._ask(request, read_build, about="buildinfo", deadline=self._deadline())

    def instant(self, query: str, *, at_ms: int) -> Reply:
        """Evaluate ``query`` at one instant, Unix milliseconds; each series has one sample."""
        form = {"query": query, "time": _seconds(at_ms)}
        piece = self._ask(
            requests.Request("POST", f"{self._url}/api/v1/query", data=form),
            partial(_read_piece, query=query, grid=None),
            about=query,
            deadline=self._deadline(),
        )
        return merged(query, [piece])

    def range(self, query: str, *, start_ms: int, end_ms: int, step_ms: int) -> Reply:
        """Evaluate ``query`` at each ``step_ms`` from ``start_ms`` to ``end_ms``, both included, Unix milliseconds.

        A range of more than ``max_points`` is asked in several requests, one after the other; the reply is the same
        as if it had been one. Only ``@ start()`` and ``@ end()`` would notice, so they are refused then.

        Raises
        ------
        ContractError
            If the step is not positive or the end lies before the start.
        """
        pieces = Grid(start_ms, end_ms, step_ms).pieces(self._limits.max_points)
        if len(pieces) > 1 and _BOUND_TO_THE_RANGE.search(query):
            raise QueryRefusedError(
                f"the range needs {len(pieces)} requests, in each of which @ start() and @ end() would mean another "
                f"instant; write the instant as a number or widen the step: {self._quote(query)}"
            )
        deadline = self._deadline()
        return merged(query, [self._piece(query, piece, deadline) for piece in pieces])

    def _piece(self, query: str, grid: Grid, deadline: Deadline) -> Piece:
        form = {
            "query": query,
            "start": _seconds(grid.start_ms),
            "end": _seconds(grid.end_ms),
            "step": _seconds(grid.step_ms),
        }
        return self._ask(
            requests.Request("POST", f"{self._url}/api/v1/query_range", data=form),
            partial(_read_piece, query=query, grid=grid),
            about=query,
            deadline=deadline,
        )

    def _deadline(self) -> Deadline:
        return Deadline.after(self._limits.deadline_s)

    def _ask(self, request: requests.Request, read: Callable[[Answer], T], *, about: str, deadline: Deadline) -> T:
        """Send ``request`` until ``read`` understands the answer or patience ends."""
        patience = Patience(self._limits, deadline)
        try:
            return self._persistently(patience, lambda: read(self._send(request, deadline)))
        except TransientError as error:
            last = str(error)
        raise SourceUnavailableError(
            f"{self._url} gave no result after {patience.n_failures} attempts in {deadline.spent_s():.1f} s, {last}"
            f"{patience.reason}; check that the server is up and not overloaded, then run again: {self._quote(about)}"
        )

    def _send(self, request: requests.Request, deadline: Deadline) -> Answer:
        left_s = deadline.left_s()
        if left_s <= 0:
            raise TransientError("the time is over")
        return exchange(
            self._session,
            self._session.prepare_request(request),
            server=self._url,
            left_s=left_s,
            connect_s=self._limits.connect_s,
            max_bytes=self._limits.max_bytes,
            quote=self._quote,
        )


def _session(url: str, credentials: Credentials) -> requests.Session:
    """Take the session of the client library and replace what it leaves open: retries, redirects, environment.

    Its adapter is mounted for the exact prefix only, so a guarded one takes the place of every adapter.
    """
    session: requests.Session = PrometheusConnect(url, retry=Retry(0), method="POST")._session  # noqa: SLF001
    for prefix in tuple(session.adapters):
        session.mount(prefix, GuardedAdapter(max_retries=Retry(0)))
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tars-ops"})
    credentials.equip(session)
    return session


def _read_piece(answer: Answer, *, query: str, grid: Grid | None) -> Piece:
    """Read a matrix on ``grid``, or a vector where there is none."""
    require_ok(answer, query=query)
    piece = read_piece(answer, query=query, kind="vector" if grid is None else "matrix")
    if grid is not None and not all(grid.holds(at_ms) for at_ms, _ in piece.samples.values()):
        raise SourceError(
            f"{answer.server} answers for other instants than asked; a front end that aligns queries does so: "
            "ask from a multiple of the step"
        )
    return piece


def _seconds(at_ms: int) -> str:
    """Milliseconds as the decimal seconds of the API.

    Examples
    --------
    >>> _seconds(1_700_000_000_123)
    '1700000000.123'
    """
    return f"{at_ms / 1000:.3f}"
