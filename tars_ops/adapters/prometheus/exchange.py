"""How is one HTTP exchange made so that it ends in time and stays small?

What an answer means, and whether to ask again, is decided elsewhere.
"""

from __future__ import annotations

import queue
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import requests
from urllib3.exceptions import HTTPError

from tars_ops.adapters.prometheus.connection import LINE, Line
from tars_ops.core.errors import ConfigurationError, SourceError, SourceUnavailableError, TarsOpsError

_CHUNK_BYTES = 2**16
_REFUSAL_BYTES = 2**16  # enough of a body that only explains why there is no answer


class TransientError(SourceUnavailableError):
    """A failure that another attempt may mend; ``retry_after_s`` is how long the server asked to be left alone."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Quote:
    r"""Makes text of a server fit for a message: no secrets, no control characters, bounded.

    Examples
    --------
    >>> Quote(("hunter2",))("bad password\x1b hunter2")
    'bad password  ***'
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __call__(self, text: str, *, limit: int = 500) -> str:
        """Give at most ``limit`` printable characters; blanks stand for the others."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        bounded = text if len(text) <= limit else text[: limit - 3] + "..."
        return "".join(character if character.isprintable() else " " for character in bounded).strip()


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP response; of any status but 200 only the beginning of the body is kept."""

    server: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    quote: Quote = field(repr=False)


def exchange(
    session: requests.Session,
    request: requests.PreparedRequest,
    *,
    server: str,
    left_s: float,
    connect_s: float,
    max_bytes: int,
    quote: Quote,
) -> Answer:
    """Send one request and read its whole response, at most ``left_s`` seconds.

    The session's transport is called directly: `requests.Session.send` would read the body of a redirect without any
    limit, even when told not to follow it. The talking is done in a daemon thread, since no timeout of a socket ends a
    name lookup, a silent handshake or a body that drips; when time is over its socket is cut and the thread left alone.

    Raises
    ------
    TransientError
        If the server is unreachable, breaks off or is not done in time.
    SourceError
        If TLS fails, the body is larger than ``max_bytes`` (also after decompression) or cannot be decompressed.
    ConfigurationError
        If the host stands for a forbidden address or a certificate file is gone.
    """
    talk = partial(
        _talk,
        session,
        request,
        server=server,
        timeout=(min(connect_s, left_s), left_s),
        max_bytes=max_bytes,
        quote=quote,
    )
    outcome = _within(left_s, talk)
    if outcome is None:
        raise TransientError("no complete answer in the time that was left")
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _within(left_s: float, talk: Callable[[], Answer | TarsOpsError]) -> Answer | BaseException | None:
    """Run ``talk`` in its own thread; None if it is not done after ``left_s`` seconds."""
    line, outcomes = Line(), queue.SimpleQueue[Answer | BaseException]()

    def work() -> None:
        LINE.set(line)
        try:
            outcome = talk()
        except BaseException as defect:  # noqa: BLE001 - handed to the caller's thread
            outcome = defect
        line.release()
        outcomes.put(outcome)

    threading.Thread(target=work, name="prometheus-exchange", daemon=True).start()
    try:
        return outcomes.get(timeout=left_s)
    except queue.Empty:
        return None
    finally:
        line.cut()


def _talk(
    session: requests.Session,
    request: requests.PreparedRequest,
    *,
    server: str,
    timeout: tuple[float, float],
    max_bytes: int,
    quote: Quote,
) -> Answer | TarsOpsError:
    """Errors are returned, not raised: one made here carries no request, and so no header, in its context."""
    try:
        adapter = session.get_adapter(request.url or "")
        with adapter.send(request, stream=True, timeout=timeout, verify=session.verify, cert=session.cert) as response:
            body = _body(response, max_bytes, server)
            return Answer(server, response.status_code, response.headers, body, quote)
    except TarsOpsError as refusal:
        return refusal.with_traceback(None)
    except (OSError, HTTPError) as error:
        return _failure(error, server, quote)


def _body(response: requests.Response, max_bytes: int, server: str) -> bytes:
    announced = response.headers.get("Content-Length", "")
    if response.status_code != requests.codes.ok:
        max_bytes = min(max_bytes, _REFUSAL_BYTES)
    elif announced.isdecimal() and (len(announced) > 18 or int(announced) > max_bytes):
        raise _too_large(server, max_bytes)
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            if response.status_code != requests.codes.ok:
                break
            raise _too_large(server, max_bytes)
    return bytes(body)


def _too_large(server: str, max_bytes: int) -> SourceError:
    return SourceError(
        f"{server}: the answer is larger than {max_bytes} bytes; ask for fewer series or a shorter range"
    )


def _failure(error: Exception, server: str, quote: Quote) -> TarsOpsError:
    root = _root(error)
    reason = quote(f"{type(root).__name__}: {root}", limit=300)
    if isinstance(root, ssl.SSLError) and not isinstance(root, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return SourceError(
            f"{server}: TLS failed, {reason}; check the server's certificate and TARS_OPS_PROMETHEUS_CA, "
            "and if it wants a client certificate TARS_OPS_PROMETHEUS_CERT and TARS_OPS_PROMETHEUS_KEY"
        )
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return SourceError(
            f"{server}: the answer cannot be decompressed, {reason}; look at the proxy before the server"
        )
    if not isinstance(error, requests.RequestException | HTTPError):
        return ConfigurationError(
            f"{server}: the connection cannot be prepared, {reason}; check TARS_OPS_PROMETHEUS_CA and _CERT"
        )
    if server.startswith("https:") and isinstance(root, ssl.SSLEOFError | ConnectionError):
        return TransientError(f"{reason} (perhaps it wants a client certificate: TARS_OPS_PROMETHEUS_CERT and _KEY)")
    return TransientError(reason)


def _root(error: BaseException) -> BaseException:
    """Find the first cause, which urllib3 and requests wrap up to four times, in ``args`` or as a context."""
    for _ in range(10):
        wrapped = (argument for argument in error.args if isinstance(argument, BaseException))
        deeper = error.__cause__ or error.__context__ or next(wrapped, None)
        if deeper is None:
            break
        error = deeper
    return error
