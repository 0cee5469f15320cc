"""What can be wrong with the telemetry of a day? The recording of the demo, with one fault in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from tars_ops.adapters.source import TelemetrySource
from tars_ops.core.errors import SourceUnavailableError
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, Window
from tars_ops.core.telemetry import BAD, TOTAL, Quality, Telemetry, count_frame, count_table
from tars_ops.defs.resources import SourceResource

Fault = Callable[[Telemetry], Telemetry]


def _with_quality(telemetry: Telemetry, change: Callable[[Quality], Quality]) -> Telemetry:
    return replace(telemetry, quality=change(telemetry.quality))


def thin(telemetry: Telemetry) -> Telemetry:
    """Every second scrape is missing."""

    def halve(quality: Quality) -> Quality:
        series = (one.model_copy(update={"n_arrived": one.n_expected // 2}) for one in quality.series)
        return quality.model_copy(update={"series": tuple(series)})

    return _with_quality(telemetry, halve)


def warned(telemetry: Telemetry) -> Telemetry:
    """The server answered in part, and said so."""

    def warn(quality: Quality) -> Quality:
        kpis = (one.model_copy(update={"warnings": ("partial response: a store is down",)}) for one in quality.kpis)
        return quality.model_copy(update={"kpis": tuple(kpis)})

    return _with_quality(telemetry, warn)


def empty(telemetry: Telemetry) -> Telemetry:
    """The server answered, and had nothing."""
    bare = _with_quality(telemetry, lambda quality: quality.model_copy(update={"series": ()}))
    return replace(bare, samples=bare.samples.iloc[:0], counts=bare.counts.iloc[:0])


def not_a_number(telemetry: Telemetry) -> Telemetry:
    """Every scrape arrived, every value that the server computed from them is NaN."""

    def note(quality: Quality) -> Quality:
        series = (one.model_copy(update={"n_nan": one.n_expected}) for one in quality.series)
        return quality.model_copy(update={"series": tuple(series)})

    return replace(_with_quality(telemetry, note), samples=telemetry.samples.iloc[:0], counts=telemetry.counts.iloc[:0])


def failing_requests(telemetry: Telemetry) -> Telemetry:
    """Five of a hundred requests of every service fail."""
    table = count_table(telemetry, "availability")
    failing = table.counts.copy()
    failing[:, table.les.index(BAD)] = np.rint(0.05 * table.counts[:, table.les.index(TOTAL)]).astype(np.int64)
    others = {name: count_table(telemetry, name) for name in telemetry.counts["counter"].unique()}
    return replace(telemetry, counts=count_frame({**others, "availability": replace(table, counts=failing)}))


def newly_silent(telemetry: Telemetry) -> Telemetry:
    """Nothing was scraped in the newest slot."""
    last = telemetry.counts["slot"].max()
    return replace(telemetry, counts=telemetry.counts[telemetry.counts["slot"] < last])


def worse_memory(telemetry: Telemetry) -> Telemetry:
    """Every service needs a fifth more memory."""
    of_memory = telemetry.samples["kpi"] == "memory"
    values = telemetry.samples["value"].where(~of_memory, telemetry.samples["value"] * np.float32(1.2))
    return replace(telemetry, samples=telemetry.samples.assign(value=values.astype(np.float32)))


FAULTS: dict[str, Fault] = {
    fault.__name__: fault for fault in (thin, warned, empty, not_a_number, failing_requests, newly_silent, worse_memory)
}


class _Faulty:
    """A source with a fault on some days."""

    def __init__(self, source: TelemetrySource, fault: str, days: tuple[int, ...]) -> None:
        self._source, self._fault, self._days = source, fault, days

    def fetch(self, release: Release, policy: Policy, *, day: int) -> Telemetry:
        telemetry = self._source.fetch(release, policy, day=day)
        if day not in self._days:
            return telemetry
        if self._fault == "unreachable":
            raise SourceUnavailableError("no answer from the server")
        return FAULTS[self._fault](telemetry)

    def fetch_window(self, release: Release, policy: Policy, window: Window) -> Telemetry:
        telemetry = self._source.fetch_window(release, policy, window)
        if self._fault == "unreachable":
            raise SourceUnavailableError("no answer from the server")
        return FAULTS[self._fault](telemetry)

    def fetch_staging(self, release: Release, policy: Policy, *, selector: str) -> Telemetry:
        return self._source.fetch_staging(release, policy, selector=selector)

    def close(self) -> None:
        self._source.close()


class FaultySource(SourceResource):
    """The recording of the demo, with a fault on some days."""

    fault: str
    days: list[int]

    @contextmanager
    def open(self) -> Iterator[TelemetrySource]:
        with super().open() as source:
            yield _Faulty(source, self.fault, tuple(self.days))
