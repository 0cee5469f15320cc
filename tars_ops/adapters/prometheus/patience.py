"""How long, how often and how much is a server asked?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

from tars_ops.adapters.prometheus.exchange import TransientError
from tars_ops.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Limits:
    """How long, how often and how much is asked of a server.

    ``deadline_s`` is the total of one query, with its retries, waits and all requests of a long range. ``max_points``
    are the points per series in one request; Prometheus refuses more than 11,000.
    """

    deadline_s: float = 120.0
    connect_s: float = 5.0
    attempts: int = 5
    backoff_initial_s: float = 0.2
    backoff_max_s: float = 5.0
    retry_after_cap_s: float = 60.0
    max_bytes: int = 512 * 2**20
    max_points: int = 10_000

    def __post_init__(self) -> None:
        """Refuse limits under which no query could be asked."""
        for name in ("deadline_s", "connect_s", "attempts", "max_bytes", "max_points"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} ({getattr(self, name)}) must be positive")
        for name in ("backoff_initial_s", "backoff_max_s", "retry_after_cap_s"):
            if not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name} ({getattr(self, name)}) must not be negative")


@dataclass(frozen=True, slots=True)
class Deadline:
    """A span of the monotonic clock, in seconds."""

    start_s: float
    end_s: float

    @classmethod
    def after(cls, span_s: float) -> Self:
        """Begin now and end ``span_s`` seconds from now."""
        now_s = time.monotonic()
        return cls(now_s, now_s + span_s)

    def left_s(self) -> float:
        """Seconds until the end, negative after it."""
        return self.end_s - time.monotonic()

    def spent_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.start_s


class Patience:
    """Decides after each failure whether another attempt is worth its wait, and remembers why not."""

    def __init__(self, limits: Limits, deadline: Deadline) -> None:
        self._limits = limits
        self._deadline = deadline
        self.n_failures = 0
        self.reason = ""

    def __call__(self, error: Exception) -> bool | float:
        """Give the seconds to wait, True for the usual back-off, or False to give up."""
        if not isinstance(error, TransientError):
            return False
        self.n_failures += 1
        usual_s = self._longest_backoff_s()
        wait_s = max(error.retry_after_s or 0.0, usual_s)
        if error.retry_after_s and error.retry_after_s > self._limits.retry_after_cap_s:
            cap_s = self._limits.retry_after_cap_s
            self.reason = f" (it asks to wait {error.retry_after_s:.0f} s, more than {cap_s:g} s)"
            return False
        if wait_s >= self._deadline.left_s():
            asked = f"it asks to wait {error.retry_after_s:.0f} s, " if error.retry_after_s else ""
            self.reason = f" ({asked}too little of {self._limits.deadline_s:g} s is left)"
            return False
        return wait_s if error.retry_after_s else True

    def _longest_backoff_s(self) -> float:
        """What stamina may wait at most before the next attempt, its jitter included."""
        initial_s = self._limits.backoff_initial_s
        return min(self._limits.backoff_max_s, initial_s * 2 ** (self.n_failures - 1) + initial_s)
