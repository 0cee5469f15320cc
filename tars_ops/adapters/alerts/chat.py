"""How are a chat, a mailbox or a pager told?

Through apprise, the extra ``notify``: one message per release and round. Its URLs hold secrets; nothing that it says is
repeated before they are taken out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from tars_ops.adapters.alerts.configured import Configured
from tars_ops.adapters.alerts.notice import AlertState, Deferred, Notice, Outcome, Pace, Sent
from tars_ops.adapters.alerts.receivers import AppriseConfig
from tars_ops.adapters.alerts.transport import unlogged_requests
from tars_ops.adapters.alerts.webhook import by_release
from tars_ops.adapters.alerts.wording import Origin, line
from tars_ops.adapters.prometheus.address import RefusedAddressError, refuse_forbidden
from tars_ops.adapters.prometheus.exchange import Quote
from tars_ops.core.errors import ConfigurationError

MOST_LINES = 20


@dataclass(frozen=True)
class Chat(Configured):
    """One service that apprise knows.

    Raises
    ------
    ConfigurationError
        If the extra is not installed, or apprise does not know the URL.
    """

    config: AppriseConfig
    url: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what could not be sent to."""
        with _quiet():
            self._service()

    @property
    def pace(self) -> Pace:
        """News at once, and a reminder every ``repeat_s``."""
        return Pace(repeat_s=self.config.repeat_s)

    def batches(self, due: Sequence[Notice]) -> list[tuple[Notice, ...]]:
        """Divide into one message per release."""
        return by_release(due)

    def send(self, batch: Sequence[Notice], *, now: datetime) -> Outcome:  # noqa: ARG002 - a message has its own date
        """Send one message; apprise says only whether it was taken."""
        title, body = message(batch, self.origin)
        with unlogged_requests(), _quiet() as said:
            taken = self._service().notify(title=title, body=body)
        if taken:
            return Sent()
        quote = Quote(secrets_in(self.url))
        return Deferred(reason=quote(f"apprise could not send: {'; '.join(said) or 'it did not say why'}", limit=300))

    def _service(self) -> Any:  # noqa: ANN401 - apprise is imported only where it is used
        library = _library(self.name)
        service = library.Apprise(asset=library.AppriseAsset(storage_mode=library.PersistentStoreMode.MEMORY))
        if not service.add(self.url):
            raise ConfigurationError(
                f"receiver {self.name}: apprise does not know the URL in {self.config.url_env}; "
                "https://appriseit.com/services lists what it takes"
            )
        for one in service:
            one.redirects = False
            self._refuse_forbidden(str(getattr(one, "host", "") or ""))
        return service

    def _refuse_forbidden(self, host: str) -> None:
        """Judge a host that is written as a number; whether a name is a host at all, only apprise knows."""
        try:
            refuse_forbidden(host)
        except RefusedAddressError as error:
            raise ConfigurationError(f"receiver {self.name}: {self.config.url_env}: {error.why}") from None
        except ValueError:
            return


def message(batch: Sequence[Notice], origin: Origin) -> tuple[str, str]:
    """Write a title and at most 20 lines about alerts of one release; what does not fit is counted."""
    release = batch[0].alert.release
    firing = [notice for notice in batch if notice.state is AlertState.FIRING]
    counts = [(len(firing), "firing"), (len(batch) - len(firing), "resolved")]
    title = f"{release} ({origin.environment}): {', '.join(f'{n} {word}' for n, word in counts if n)}"
    ordered = sorted(batch, key=lambda one: (one.state is AlertState.RESOLVED, one.alert.severity.rank))
    lines = [line(notice) for notice in ordered[:MOST_LINES]]
    if len(batch) > MOST_LINES:
        lines.append(f"and {len(batch) - MOST_LINES} more")
    links = (("runbook", origin.page_url(ordered[0].alert)), ("verdict", origin.verdict_url(ordered[0].alert)))
    return title, "\n".join([*lines, *(f"{name}: {url}" for name, url in links if url)])


def secrets_in(url: str) -> tuple[str, ...]:
    """Return everything in an apprise URL that could be a secret: each of them may hold it elsewhere.

    Examples
    --------
    >>> secrets_in("json://user:pass%20word@host/token")
    ('json://user:pass%20word@host/token', 'pass%20word', 'pass word', 'token', 'user', 'host')
    """
    parts = re.split(r"[/:@?&=#,]+", url.partition("://")[2])
    found = dict.fromkeys([url, *(text for part in parts for text in (part, unquote(part)) if len(text) > 3)])
    return tuple(sorted(found, key=len, reverse=True))


def _library(receiver: str) -> ModuleType:
    try:
        import apprise
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"receiver {receiver} needs apprise; install the extra: pip install 'tars-ops[notify]'"
        ) from None
    return apprise


@contextmanager
def _quiet() -> Iterator[list[str]]:
    """Collect what apprise would log; its lines may hold the URL."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, collector = logging.getLogger("apprise"), Collector(logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(collector)
    try:
        yield said
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagated
