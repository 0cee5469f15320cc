"""Which versions did a server see running, and until when did it see one?

Presence is counted from raw samples, never from plain selectors: their 5-minute look-back shows a version that is gone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from tars_ops.adapters.prometheus.client import PrometheusServer, Reply
from tars_ops.adapters.prometheus.queries import Queries
from tars_ops.adapters.source import Sighted
from tars_ops.core.errors import SourceUnavailableError
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, Window, instant, millis
from tars_ops.core.sightings import spans
from tars_ops.core.units import at_most

STEP_S: Final = 60
_NEAR_S: Final = 1200
"""How far before an instant its newest sample is looked for."""


class PrometheusSightings:
    """Sightings from a live server; see ``ReleaseSightings``."""

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server

    @cached_property
    def _range_is_left_open(self) -> bool:
        return self._server.build().range_is_left_open

    def seen(self, policy: Policy, window: Window) -> Sighted:
        """Ask for the minutes in which each version exported ``measurement.build_info``; none without that key.

        A target that is scraped less than once a minute counts as running until its next scrape is due.
        """
        measurement = policy.measurement
        if measurement.build_info is None or measurement.version_label is None:
            return Sighted(window, {})
        range_ms = 1000 * max(STEP_S, measurement.scrape_interval_s) - (0 if self._range_is_left_open else 1)
        series = with_matchers(measurement.build_info, measurement.selector)
        query = f"count by ({measurement.version_label}) (count_over_time({series}[{range_ms}ms]))"
        step_ms = 1000 * STEP_S
        reply = self._server.range(
            query, start_ms=window.start_ms + step_ms - 1, end_ms=window.end_ms - 1, step_ms=step_ms
        )
        _refuse_incomplete(reply)
        step = timedelta(milliseconds=step_ms)
        found = {
            series.labels.get(measurement.version_label, ""): spans(
                (instant(int(at_ms) + 1 - step_ms) for at_ms in series.at_ms), step
            )
            for series in reply.series
        }
        return Sighted(window, found)

    def newest_at(self, release: Release, policy: Policy, *, end_at: datetime) -> datetime | None:
        """Ask for the newest scrape of the build-info series, or of the policy's first KPI where it names none."""
        queries = Queries(policy, release, self._range_is_left_open)
        measurement = policy.measurement
        selector = measurement.build_info or queries.raw_series(next(iter(policy.judged.values())))
        near_s = max(_NEAR_S, 4 * measurement.scrape_interval_s)
        every_s = max(1, measurement.scrape_interval_s // 4)
        query = f"max(max_over_time(timestamp({queries.series(selector)})[{near_s}s:{every_s}s]))"
        reply = self._server.instant(query, at_ms=millis(end_at) - 1)
        return instant(round(1000 * float(reply.series[0].values[-1]))) if reply.series else None

    def close(self) -> None:
        """Close the session."""
        self._server.close()


def with_matchers(selector: str, matchers: str) -> str:
    """Return a selector with more matchers.

    Examples
    --------
    >>> with_matchers('app_build_info{job="a"}', 'product="tars"')
    'app_build_info{job="a",product="tars"}'
    """
    metric, _, where = selector.partition("{")
    return f"{metric}{{{','.join(filter(None, (where.removesuffix('}'), matchers)))}}}"


def _refuse_incomplete(reply: Reply) -> None:
    if reply.warnings:
        raise SourceUnavailableError(
            f"the answer about running versions may be incomplete: {at_most('; '.join(reply.warnings), 300)}; "
            "the same time is asked for again"
        )
