"""How is one request made to a receiver, and what does its answer mean for what was sent?"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
from urllib3.util.retry import Retry

from tars_ops.adapters.alerts.notice import Deferred, Outcome, Refused, Sent
from tars_ops.adapters.prometheus.address import RefusedAddressError, server_url
from tars_ops.adapters.prometheus.connection import GuardedAdapter
from tars_ops.adapters.prometheus.exchange import Answer, Quote, TransientError, exchange
from tars_ops.adapters.prometheus.refusal import excerpt, retry_after_s
from tars_ops.core.errors import ConfigurationError, SourceError

CONNECT_S = 5.0
MAX_ANSWER_BYTES = 2**20
_MAY_PASS = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_DIVISIBLE = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
_ASKS_FOR_A_PAUSE = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass(frozen=True)
class Endpoint:
    """Where requests go: one checked address, reached under the guards of the metrics client.

    No redirects, proxies or credentials of the environment; TLS is verified, against ``ca`` where given; every address
    behind the name is checked before it is contacted; ``timeout_s`` bounds the whole request. ``secrets`` are texts
    that no message may repeat; the address is one of them where it came from the environment.
    """

    name: str
    """What messages call the receiver."""
    url: str = field(repr=False)
    timeout_s: float
    ca: str | None = None
    token: str | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> Outcome:
        """Send JSON; every failure is an outcome."""
        quote = Quote(tuple(sorted(filter(None, {*self.secrets, self.token}), key=len, reverse=True)))
        with _session(self.ca, self.token) as session, unlogged_requests():
            content = {"Content-Type": "application/json", **(headers or {})}
            request = session.prepare_request(requests.Request("POST", self.url, data=body, headers=content))
            try:
                answer = exchange(
                    session,
                    request,
                    server=f"receiver {self.name}",
                    left_s=self.timeout_s,
                    connect_s=min(CONNECT_S, self.timeout_s),
                    max_bytes=MAX_ANSWER_BYTES,
                    quote=quote,
                )
            except TransientError as error:
                return Deferred(reason=str(error), retry_after_s=error.retry_after_s)
            except RefusedAddressError as error:
                return Deferred(reason=f"its address is refused: {error.why}")
            except (SourceError, ConfigurationError) as error:
                return Deferred(reason=_without_advice(str(error)))
        return outcome(answer)


def outcome(answer: Answer) -> Outcome:
    """Say what an answer means: taken, not now, or never."""
    if 200 <= answer.status < 300:
        return Sent()
    said = f"HTTP {answer.status}: {excerpt(answer)}"
    if answer.status >= 500 or answer.status in _MAY_PASS:
        asked_s = retry_after_s(answer) if answer.status in _ASKS_FOR_A_PAUSE else None
        return Deferred(reason=said, retry_after_s=asked_s)
    if 300 <= answer.status < 400:
        said = f"HTTP {answer.status}: redirects are never followed; configure the final address"
    return Refused(reason=said, divisible=answer.status in _DIVISIBLE)


@contextmanager
def unlogged_requests() -> Iterator[None]:
    """Keep the library's debug lines out of every log: they hold the path and the query, and so perhaps a secret."""
    logger = logging.getLogger("urllib3.connectionpool")

    def above_debug(record: logging.LogRecord) -> bool:  # one per caller: several may be at work
        return record.levelno > logging.DEBUG

    logger.addFilter(above_debug)
    try:
        yield
    finally:
        logger.removeFilter(above_debug)


def checked_url(url: str) -> str:
    """Give an address back as it is, if it may be contacted.

    Raises
    ------
    ValueError
        Saying why not, without repeating the address.
    """
    try:
        server_url(url.partition("?")[0])
    except RefusedAddressError as error:
        raise ValueError(error.why.partition("; remove them")[0]) from None
    if urlsplit(url).fragment:
        raise ValueError("it holds a fragment")
    return url


def secret_parts(url: str) -> tuple[str, ...]:
    """Return the address and the parts of it that may be secret: path and query, whole and in pieces.

    Examples
    --------
    >>> secret_parts("https://hooks.example/T01XY?key=abcdef")
    ('https://hooks.example/T01XY?key=abcdef', '/T01XY?key=abcdef', '/T01XY', 'T01XY', 'abcdef')
    """
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    values = (pair.partition("=")[2] for pair in parts.query.split("&"))
    return tuple(
        dict.fromkeys(text for text in (url, target, parts.path, *parts.path.split("/"), *values) if len(text) > 3)
    )


def require_file(path: str) -> str:
    """Give back the path of a file that exists; ValueError otherwise."""
    if not Path(path).is_file():
        raise ValueError("the file does not exist")
    return path


def _session(ca: str | None, token: str | None) -> requests.Session:
    session = requests.Session()
    for prefix in ("http://", "https://"):
        session.mount(prefix, GuardedAdapter(max_retries=Retry(0)))
    session.trust_env = False
    session.verify = ca or True
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": "tars-ops"})
    if token:
        session.headers["Authorization"] = f"Bearer {token}"
    return session


def _without_advice(message: str) -> str:
    """Cut off what the metrics client would have its own operator do."""
    return message.partition("; ")[0]
