"""What did a part of some recorded days look like, seen while it ran?

A recording holds whole days. What a running day is judged by is cut out of them: the counts of the promised KPIs, and
beside them the scrapes that arrived. A recording knows these by the day; they are laid on the slots in which the
service left any sample, so that a slot without one stays empty and no slot has more than the day had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tars_ops.core.errors import ContractError
from tars_ops.core.policy import Policy
from tars_ops.core.release import Window
from tars_ops.core.telemetry import (
    TOTAL,
    CountTable,
    IntArray,
    KpiQuality,
    Quality,
    SeriesQuality,
    Telemetry,
    arrivals_of,
    count_frame,
    count_table,
    gap_lengths_s,
    sample_frame,
    sample_table,
)


def excerpt(days: Sequence[Telemetry], window: Window, policy: Policy) -> Telemetry:
    """Return the running telemetry of a window that lies within consecutive days, oldest first.

    Raises
    ------
    ContractError
        If the window starts or ends within a slot of the recording, or leaves the days.
    """
    quality = days[-1].quality
    whole = Window(days[0].quality.start_at, quality.end_at)
    offsets_ms = (window.start_ms - whole.start_ms, whole.end_ms - window.end_ms)
    if min(offsets_ms) < 0 or any(offset_ms % (1000 * quality.slot_s) for offset_ms in offsets_ms):
        raise ContractError(
            f"[{window.start_at}, {window.end_at}) cannot be cut out of [{whole.start_at}, {whole.end_at}): a "
            f"recording holds slots of {quality.slot_s} s; ask for an instant on the border of one"
        )
    scrapes = {arrivals_of(name): _scrapes(days, window, name) for name in policy.slos}
    counters = {policy.counter(name) or name for name in policy.slos}
    nothing = sample_frame({})
    return Telemetry(
        samples=nothing,
        counts=count_frame({**{name: _cut(_joined(days, name), window) for name in counters}, **scrapes}),
        prior=count_frame({}),
        quality=quality.model_copy(
            update={
                "start_at": window.start_at,
                "end_at": window.end_at,
                "kpis": tuple(_asked(days, policy)),
                "series": tuple(one for name in policy.slos for one in _series(days, name, scrapes[arrivals_of(name)])),
            }
        ),
    )


def _joined(days: Sequence[Telemetry], counter: str) -> CountTable:
    """Return the counts of consecutive days as one table."""
    tables = [count_table(day, counter) for day in days]
    services = tuple(sorted({name for table in tables for name in table.services}))
    les = max((table.les for table in tables), key=len)
    blocks = [np.stack([_row(table, service, les) for service in services]) for table in tables] if services else []
    slot_ms = np.concatenate([table.slot_ms for table in tables])
    empty = np.zeros((0, len(les), len(slot_ms)), dtype=np.int64)
    return CountTable(services, les, slot_ms, np.concatenate(blocks, axis=2) if blocks else empty)


def _row(table: CountTable, service: str, les: tuple[str, ...]) -> IntArray:
    found = np.zeros((len(les), len(table.slot_ms)), dtype=np.int64)
    if service in table.services:
        found[[les.index(le) for le in table.les]] = table.of(service)
    return found


def _cut(table: CountTable, window: Window) -> CountTable:
    inside = (table.slot_ms >= window.start_ms) & (table.slot_ms < window.end_ms)
    return CountTable(table.services, table.les, table.slot_ms[inside], table.counts[:, :, inside])


def _scrapes(days: Sequence[Telemetry], window: Window, kpi: str) -> CountTable:
    """Lay the scrapes of a KPI that arrived on the slots of the window."""
    parts = [dict(_arrivals(day, kpi)) for day in days]
    slot_ms = np.concatenate([count_table(day, kpi).slot_ms for day in days])
    services = tuple(sorted({name for part in parts for name in part}))
    rows = [
        np.concatenate([part.get(name, _nothing(day)) for part, day in zip(parts, days, strict=True)])
        for name in services
    ]
    counts = np.array(rows, dtype=np.int64).reshape(len(services), 1, len(slot_ms))
    return _cut(CountTable(services, (TOTAL,), slot_ms, counts), window)


def _nothing(day: Telemetry) -> IntArray:
    return np.zeros(day.quality.window.length_s // day.quality.slot_s, dtype=np.int64)


def _arrivals(day: Telemetry, kpi: str) -> Iterator[tuple[str, IntArray]]:
    per_slot = day.quality.slot_s // day.quality.scrape_interval_s
    presence = _presence(day)
    for one in day.quality.series:
        if one.kpi == kpi:
            present = presence.get(one.service, np.zeros(len(_nothing(day))))
            share = min(1.0, one.n_arrived / (per_slot * present.sum())) if present.any() else 0.0
            yield one.service, np.rint(per_slot * present * share).astype(np.int64)


def _presence(day: Telemetry) -> Mapping[str, np.ndarray]:
    """Return the share of the steps of each slot at which a service left a sample of any KPI."""
    n_slots, found = len(_nothing(day)), {}
    for kpi in day.quality.kpis:
        table = sample_table(day, kpi.kpi)
        if kpi.step_s > day.quality.slot_s:
            continue
        for service, values in zip(table.services, table.values, strict=True):
            known = (~np.isnan(values)).reshape(n_slots, -1).mean(axis=1)
            found[service] = np.maximum(found.get(service, 0.0), known)
    return found


def _asked(days: Sequence[Telemetry], policy: Policy) -> Iterator[KpiQuality]:
    for name in policy.slos:
        found = [one for day in days if (one := day.quality.of(name))]
        if found:
            warnings = tuple(sorted({warning for one in found for warning in one.warnings}))
            refused = next((one.refused for one in found if one.refused), None)
            yield found[-1].model_copy(update={"warnings": warnings, "refused": refused})


def _series(days: Sequence[Telemetry], kpi: str, scrapes: CountTable) -> Iterator[SeriesQuality]:
    quality: Quality = days[-1].quality
    n_expected = len(scrapes.slot_ms) * (quality.slot_s // quality.scrape_interval_s)
    for service in scrapes.services:
        recorded = [one for day in days if (one := day.quality.of_series(kpi, service))][-1]
        arrived = scrapes.of(service)[0]
        gaps = gap_lengths_s(arrived, slot_s=quality.slot_s)
        known = {"n_expected": n_expected, "n_arrived": int(arrived.sum()), "n_nan": 0}
        yield recorded.model_copy(update={**known, "n_gaps": len(gaps), "longest_gap_s": max(gaps, default=0)})
