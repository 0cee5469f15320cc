"""Where did a service, or one of its series, fall silent?

Silence is not a value, so no score finds it: it is asked for in the KPIs that are always there while a service is
scraped. A share or a latency needs traffic, and without traffic its absence says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tars_ops.core.policy import ALL_SERVICES, LatencyKpi, Policy, RatioKpi
from tars_ops.core.telemetry import FloatArray, IntArray, SampleTable, Telemetry, sample_table
from tars_ops.core.watch.anomalies.excursion import runs
from tars_ops.core.watch.anomalies.scored import step_of
from tars_ops.core.watch.baseline import GaBaseline

SILENCE_S = 900
"""A series without samples for so long is silent."""


class Silence(NamedTuple):
    """A stretch without samples."""

    kpi: str
    """``*`` where nothing of the service arrived."""
    service: str
    start_ms: int
    end_ms: int


def silences(telemetry: Telemetry, baseline: GaBaseline, policy: Policy) -> Iterator[Silence]:
    """Yield the silent stretches of a day: of whole services, then of single series whose service goes on."""
    tables = {
        name: sample_table(telemetry, name)
        for name, kpi in policy.judged.items()
        if not isinstance(kpi, RatioKpi | LatencyKpi) and (asked := telemetry.quality.of(name)) and not asked.refused
    }
    if not tables:
        return  # nobody listened: that is no silence
    length_s = min(SILENCE_S, telemetry.quality.window.length_s // 4)
    services = {service for table in tables.values() for service in table.services}
    for service in sorted({*baseline.services} | services):
        deaf = {name: np.isnan(_samples(table, service)) for name, table in tables.items()}
        whole = np.all([*deaf.values()], axis=0)
        at_ms = next(iter(tables.values())).at_ms
        yield from _stretches(ALL_SERVICES, service, at_ms, whole, length_s)
        for name, gone in deaf.items():
            if baseline.of(name, service):
                yield from _stretches(name, service, at_ms, gone & ~whole, length_s)


def _samples(table: SampleTable, service: str) -> FloatArray:
    if service in table.services:
        return table.values[table.services.index(service)]
    return np.full(len(table.at_ms), np.nan)


def _stretches(kpi: str, service: str, at_ms: IntArray, silent: np.ndarray, length_s: int) -> Iterator[Silence]:
    step_ms = step_of(at_ms)
    for run in runs(at_ms, np.flatnonzero(silent), gap_ms=step_ms):
        start_ms, end_ms = int(at_ms[run[0]]), int(at_ms[run[-1]]) + step_ms
        if end_ms - start_ms >= 1000 * length_s:
            yield Silence(kpi, service, start_ms, end_ms)
