"""What was each KPI of each service over one day, slot by slot?

The finest grid that samples and counts share, so that a day can be compared with another at the same time of day. Hours
are sums or means of slots; counts stay counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tars_ops.core.policy import JudgedKpi, LatencyKpi, Policy, RatioKpi
from tars_ops.core.release import Window
from tars_ops.core.telemetry import BAD, TOTAL, FloatArray, IntArray, Telemetry, count_table, sample_table
from tars_ops.core.watch.comparisons.drafts import Buckets
from tars_ops.core.watch.measure import bucket_bounds, bucket_names

BLOCKS_PER_DAY = 24
"""A harm is followed in hours; over a shorter day in as many blocks as its slots allow."""
DAY_S = 86400
Key = tuple[str, str]
"""A KPI and a service."""


@dataclass(frozen=True, slots=True)
class SlotSamples:
    """A KPI that is sampled: the mean of each slot, NaN where less than half of it is known."""

    values: FloatArray

    @property
    def n_slots(self) -> int:
        """Slots of the day."""
        return len(self.values)

    def hourly(self) -> FloatArray:
        """Return the mean of each hour; NaN where less than half of it is known."""
        return _means(self.values.reshape(n_blocks(len(self.values)), -1))


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """A ratio: bad and valid events of each slot."""

    bad: IntArray
    total: IntArray

    @property
    def n_slots(self) -> int:
        """Slots of the day."""
        return len(self.total)

    def hourly(self) -> FloatArray:
        """Return the share of good events of each hour; NaN without events."""
        n = n_blocks(len(self.total))
        bad, total = self.bad.reshape(n, -1).sum(axis=1), self.total.reshape(n, -1).sum(axis=1)
        return np.where(total > 0, 1 - bad / np.maximum(total, 1), np.nan)


@dataclass(frozen=True, slots=True)
class SlotBuckets:
    """A latency: the buckets of each slot."""

    buckets: Buckets

    @property
    def n_slots(self) -> int:
        """Slots of the day."""
        return self.buckets.counts.shape[1]

    def hourly(self, q: float) -> FloatArray:
        """Return the quantile of each hour's summed buckets; NaN without events."""
        counts = self.buckets.counts
        sums = counts.reshape(counts.shape[0], n_blocks(counts.shape[1]), -1).sum(axis=2)
        hours = [Buckets(self.buckets.bounds, column[:, None]) for column in sums.T]
        return np.array([one.smooth_quantile(q) if one.sums[-1] else np.nan for one in hours])


Slots = SlotSamples | SlotCounts | SlotBuckets
SlotTable = Mapping[Key, Slots]


def n_blocks(n_slots: int) -> int:
    """Return into how many equal blocks a day of so many slots is cut.

    Examples
    --------
    >>> [n_blocks(288), n_blocks(12), n_blocks(7)]
    [24, 12, 7]
    """
    return next(n for n in range(min(BLOCKS_PER_DAY, n_slots), 0, -1) if n_slots % n == 0)


def slot_table(telemetry: Telemetry, policy: Policy, *, beside: Window | None = None) -> dict[Key, Slots]:
    """Return every judged KPI of every service slot by slot.

    Parameters
    ----------
    beside : Window, optional
        The day that this one is compared with: where both are days of 24 h, slots are turned so that each stands beside
        the same time of day.
    """
    window, slot_s = telemetry.quality.window, telemetry.quality.slot_s
    turn = _turn_s(window, beside) // slot_s if beside else 0
    found: dict[Key, Slots] = {}
    for name, kpi in policy.judged.items():
        found.update(_slots(telemetry, policy, name, kpi, turn=turn))
    return found


def _turn_s(window: Window, beside: Window) -> int:
    if window.length_s != DAY_S or beside.length_s != DAY_S:
        return 0
    return (window.start_ms - beside.start_ms) // 1000 % DAY_S


def _slots(
    telemetry: Telemetry, policy: Policy, name: str, kpi: JudgedKpi, *, turn: int
) -> Iterator[tuple[Key, Slots]]:
    if not isinstance(kpi, RatioKpi | LatencyKpi):
        samples = sample_table(telemetry, name)
        n = telemetry.quality.window.length_s // telemetry.quality.slot_s
        for i, service in enumerate(samples.services):
            yield (name, service), SlotSamples(np.roll(_means(samples.values[i].reshape(n, -1)), turn))
        return
    table = count_table(telemetry, policy.counter(name) or name, les=bucket_names(policy, kpi))
    for i, service in enumerate(table.services):
        counts = np.roll(table.counts[i], turn, axis=1)
        if isinstance(kpi, RatioKpi):
            by_name = dict(zip(table.les, counts, strict=True))
            nothing = np.zeros(counts.shape[1], np.int64)
            yield (name, service), SlotCounts(by_name.get(BAD, nothing), by_name.get(TOTAL, nothing))
        elif bounds := bucket_bounds(table):
            yield (name, service), SlotBuckets(Buckets(bounds, counts))


def _means(values: FloatArray) -> FloatArray:
    """Average the known part of each row; a row that is less than half known is unknown."""
    known = ~np.isnan(values)
    n = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.where(n * 2 >= values.shape[1], sums / np.maximum(n, 1), np.nan)


def events_of(table: SlotTable, policy: Policy, service: str) -> int | None:
    """Return the valid events of a service over the day, by the first KPI that counts its own; None where none does."""
    for name in policy.judged:
        match table.get((name, service)):
            case SlotCounts(total=total):
                return int(total.sum())
            case SlotBuckets(buckets=buckets):
                return int(buckets.counts[-1].sum())
            case _:
                continue
    return None
