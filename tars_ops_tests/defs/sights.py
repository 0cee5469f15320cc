"""What was seen running? A script instead of a server, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tars_ops.adapters.source import Sighted
from tars_ops.core.errors import SourceUnavailableError
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, Window
from tars_ops.core.sightings import spans

MINUTE = timedelta(minutes=1)


@dataclass
class Sights:
    """Versions by product and the stretches in which each ran; the newest samples; whether anybody answers."""

    ran: dict[str, dict[str, Sequence[Window]]] = field(default_factory=dict)
    newest: datetime | None = None
    """None: data are complete whatever is asked for."""
    answers: bool = True
    n_asked: int = 0

    @contextmanager
    def sightings(self) -> Iterator[Sights]:
        """Open the script as a source is opened."""
        yield self

    def seen(self, policy: Policy, window: Window) -> Sighted:
        """Return the minutes of the window in which each version ran."""
        self._answer()
        ran = self.ran.get(policy.product, {})
        return Sighted(window, {version: _within(stretches, window) for version, stretches in ran.items()})

    def newest_at(self, release: Release, policy: Policy, *, end_at: datetime) -> datetime | None:
        """Return the newest sample before an instant."""
        del release, policy
        self._answer()
        return end_at if self.newest is None else min(self.newest, end_at)

    def close(self) -> None:
        """Nothing to let go of."""

    def _answer(self) -> None:
        self.n_asked += 1
        if not self.answers:
            raise SourceUnavailableError("the server is away")


def _within(stretches: Sequence[Window], window: Window) -> tuple[Window, ...]:
    minutes = (window.start_at + n * MINUTE for n in range(window.length_s // 60))
    return spans((at for at in minutes if any(one.start_at <= at < one.end_at for one in stretches)), MINUTE)
