"""Why did the server not answer the query, and can it help to ask again?"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import urlsplit

from tars_ops.adapters.prometheus.exchange import Answer, TransientError
from tars_ops.core.errors import NoPermissionError, QueryRefusedError, SourceError

_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_FAULTS_OF_THE_QUERY = frozenset({"bad_data", "execution"})
_EXCERPT_CHARS = 80


def require_ok(answer: Answer, *, query: str) -> None:
    """Pass an answer of HTTP 200 and raise what any other status means.

    Raises
    ------
    TransientError
        HTTP 429, 500, 502, 503, 504: the server may answer later.
    NoPermissionError
        HTTP 401, 403.
    QueryRefusedError
        HTTP 400, 422.
    SourceError
        Every other status; redirects are never followed.
    """
    status = answer.status
    if status == HTTPStatus.OK:
        return
    if status in _TRANSIENT:
        raise TransientError(_said(answer), retry_after_s=retry_after_s(answer))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise NoPermissionError(
            f"{answer.server} refuses the credentials, {_said(answer)}; set TARS_OPS_PROMETHEUS_TOKEN, "
            "or TARS_OPS_PROMETHEUS_USER and TARS_OPS_PROMETHEUS_PASSWORD"
        )
    if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
        raise QueryRefusedError(_refused_query(answer, query))
    raise SourceError(f"{answer.server}: {_explained(answer)}")


def raise_error_envelope(answer: Answer, *, query: str) -> NoReturn:
    """Raise what an answer of HTTP 200 means whose ``status`` is not "success".

    Raises
    ------
    QueryRefusedError
        If its ``errorType`` blames the query.
    SourceError
        Otherwise.
    """
    error_type, _ = _server_error(answer)
    if error_type in _FAULTS_OF_THE_QUERY:
        raise QueryRefusedError(_refused_query(answer, query))
    raise SourceError(f"{answer.server} reports an error instead of a result, {_said(answer)}; look at its log")


def excerpt(answer: Answer) -> str:
    """Give the beginning of a body, fit for a message."""
    return repr(answer.quote(answer.body[:1000].decode("utf-8", "replace"), limit=_EXCERPT_CHARS))


def _explained(answer: Answer) -> str:
    if answer.status == HTTPStatus.NOT_FOUND:
        return (
            f"no Prometheus API at this address (HTTP 404); check the path prefix in TARS_OPS_SOURCE; {excerpt(answer)}"
        )
    if 300 <= answer.status < 400:
        return (
            f"redirects (HTTP {answer.status}) to host {_location_host(answer)}; redirects are never followed: "
            "set TARS_OPS_SOURCE to the final address, or log in where the proxy expects it"
        )
    return f"unexpected answer, {_said(answer)}; check that TARS_OPS_SOURCE names a Prometheus server"


def _refused_query(answer: Answer, query: str) -> str:
    shown = answer.quote(query, limit=2000)
    return f"{answer.server} refuses the query, {_said(answer)}; correct this query in the policy: {shown}"


def _said(answer: Answer) -> str:
    error_type, words = _server_error(answer)
    kind = f", {error_type}" if error_type else ""
    return f"HTTP {answer.status}{kind}: {words}"


def _server_error(answer: Answer) -> tuple[str, str]:
    """``errorType`` and ``error`` of the envelope, or an excerpt of a body that is none."""
    try:
        envelope = json.loads(answer.body)
    except (ValueError, RecursionError):
        envelope = None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("error"), str):
        return "", excerpt(answer)
    return answer.quote(str(envelope.get("errorType", "")), limit=40), answer.quote(envelope["error"])


def _location_host(answer: Answer) -> str:
    try:
        host = urlsplit(answer.headers.get("Location", "")).hostname
    except ValueError:
        host = None
    return repr(answer.quote(host or "(not named)", limit=_EXCERPT_CHARS))


def retry_after_s(answer: Answer) -> float | None:
    """Seconds that ``Retry-After`` asks for, as a number or a date; None if it is absent, past or junk."""
    text = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    wait_s = until.replace(tzinfo=until.tzinfo or UTC).timestamp() - time.time()
    return wait_s if wait_s > 0 else None
