"""What is normal for this release? The GA day, summarised and frozen.

Every later day is compared with this summary and with nothing else, so it may not change behind anyone's back: a second
baseline with another content is refused unless somebody asks to refreeze, and then it says what it replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import Field

from tars_ops.core.errors import ContractError, FrozenBaselineError
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import JudgedKpi, Policy, RatioKpi
from tars_ops.core.release import Release
from tars_ops.core.telemetry import BAD, TOTAL, FloatArray, Telemetry, count_table, sample_table
from tars_ops.core.watch.anomalies.slot_scores import GUESS, clumping
from tars_ops.core.watch.detector.detection import Memory
from tars_ops.core.watch.detector.detector import learn
from tars_ops.core.watch.measure import Measured, measure, why_unknown

NO_DATA = "no data"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Spread(Frozen):
    """How the samples of one KPI of one service are spread over the GA day, in the KPI's unit."""

    kpi: str
    service: str
    n_samples: int
    median: float
    mad: Annotated[float, Field(ge=0)]
    """Median distance from the median."""
    quantiles: tuple[float, ...]
    """At 0.05, 0.25, 0.5, 0.75 and 0.95."""
    least: float
    """Smallest sample: where it is above 0, a fall to 0 is news."""
    memory: Memory | None
    """What the anomaly detector has learnt; None where the day says too little, or events are counted instead."""


class Clumps(Frozen):
    """How unevenly the bad events of one KPI of one service came on the GA day."""

    kpi: str
    service: str
    variation: Annotated[float, Field(ge=0)]
    """Variance of the share of bad events from slot to slot beyond chance, over its squared mean."""


class Doubt(Frozen):
    """A KPI of a service that the GA day cannot speak for, and why."""

    kpi: str
    service: str
    reason: str


class GaBaseline(Frozen):
    """The frozen summary of the GA day."""

    release: str
    start_at: Instant
    end_at: Instant
    policy_sha256: Sha256
    telemetry_sha256: Sha256
    services: tuple[str, ...]
    kpis: tuple[Measured, ...]
    spreads: tuple[Spread, ...]
    clumps: tuple[Clumps, ...] = ()
    """How unevenly bad events came, per ratio and service that had enough of them."""
    doubts: tuple[Doubt, ...]
    supersedes: Sha256 | None = None
    """Digest of the baseline that somebody replaced by this one on purpose."""

    def of(self, kpi: str, service: str) -> Measured | None:
        """Return what a KPI of a service was on the GA day; None where the day cannot speak for it."""
        if self.doubt(kpi, service):
            return None
        return self._kpis.get((kpi, service))

    def spread(self, kpi: str, service: str) -> Spread | None:
        """Return how the samples of a series were spread; None where the day cannot speak for it."""
        if self.doubt(kpi, service):
            return None
        return self._spreads.get((kpi, service))

    def memory(self, kpi: str, service: str) -> Memory | None:
        """Return what the detector has learnt of a series; None where it cannot be said."""
        spread = self.spread(kpi, service)
        return spread.memory if spread else None

    def variation(self, kpi: str, service: str) -> float:
        """Return how unevenly bad events came; the guess where it is not known."""
        return self._variations.get((kpi, service), GUESS)

    def concerns(self, kpi: str, service: str) -> bool:
        """Tell whether a service has a KPI: one that a living service never showed, while others did, is not its own.

        What no service ever showed is unknown, not absent; and so is everything of a service that was silent.
        """
        if self.doubt(kpi, service) != NO_DATA:
            return True
        kpis, services = self._seen
        return not (service in services and kpi in kpis)

    def doubt(self, kpi: str, service: str) -> str | None:
        """Return why the GA day cannot speak for a KPI of a service."""
        return self._doubts.get((kpi, service))

    @cached_property
    def _kpis(self) -> dict[tuple[str, str], Measured]:
        return {(one.kpi, one.service): one for one in self.kpis}

    @cached_property
    def _spreads(self) -> dict[tuple[str, str], Spread]:
        return {(one.kpi, one.service): one for one in self.spreads}

    @cached_property
    def _variations(self) -> dict[tuple[str, str], float]:
        return {(one.kpi, one.service): one.variation for one in self.clumps}

    @cached_property
    def _doubts(self) -> dict[tuple[str, str], str]:
        return {(one.kpi, one.service): one.reason for one in self.doubts}

    @cached_property
    def _seen(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(one.kpi for one in self.kpis), frozenset(one.service for one in self.kpis)


def summarise(telemetry: Telemetry, release: Release, policy: Policy) -> GaBaseline:
    """Summarise the GA day.

    Raises
    ------
    ContractError
        If the telemetry is of another window, or no service left any data.
    """
    window = release.window(0)
    if telemetry.quality.window != window:
        raise ContractError(f"telemetry of {telemetry.quality.start_at} is not of the GA day {window.start_at}")
    services = expected_services(telemetry, policy)
    if not telemetry.quality.services:
        raise ContractError(
            f"no service of {release.key} left any data on the GA day from {window.start_at:%Y-%m-%d %H:%M} UTC; "
            f"check `measurement.selector` and `version_label` of the policy against the server"
        )
    return GaBaseline(
        release=release.key,
        start_at=window.start_at,
        end_at=window.end_at,
        policy_sha256=release.policy_sha256,
        telemetry_sha256=telemetry.sha256,
        services=services,
        kpis=measure(telemetry, policy),
        spreads=tuple(one for name, kpi in policy.judged.items() for one in _spreads(telemetry, policy, name, kpi)),
        clumps=tuple(_clumps(telemetry, policy)),
        doubts=tuple(
            Doubt(kpi=name, service=service, reason=reason)
            for name in policy.judged
            for service in services
            if (reason := why_unknown(telemetry, policy, name, service))
        ),
    )


def expected_services(telemetry: Telemetry, policy: Policy) -> tuple[str, ...]:
    """Return the services that must answer: those of the policy and those seen on the GA day."""
    return tuple(sorted({*policy.measurement.services, *telemetry.quality.services}))


def _clumps(telemetry: Telemetry, policy: Policy) -> Iterator[Clumps]:
    for name, kpi in policy.judged.items():
        table = count_table(telemetry, name)
        if not isinstance(kpi, RatioKpi) or TOTAL not in table.les:
            continue
        for service in table.services:
            counts = table.of(service)
            total = counts[table.les.index(TOTAL)]
            bad = counts[table.les.index(BAD)] if BAD in table.les else np.zeros_like(total)
            yield Clumps(kpi=name, service=service, variation=clumping(np.minimum(bad, total), total))


def _spreads(telemetry: Telemetry, policy: Policy, name: str, kpi: JudgedKpi) -> list[Spread]:
    table = sample_table(telemetry, name)
    if not table.services:
        return []
    settings = policy.anomalies
    floor = settings.resolution * np.abs(np.nanmedian(table.values, axis=1))
    found: list[Memory | None] = [None] * len(table.services)
    if not isinstance(kpi, RatioKpi):  # shares of events are scored on their counts
        asked = telemetry.quality.of(name)
        step_s, start_s = asked.step_s if asked else policy.measurement.step_s, table.at_ms[0] / 1000 % 86_400
        found = learn(table.values, step_s=step_s, start_s=start_s, sigma_floor=floor)
    return [_spread(name, one, table.values[i], found[i]) for i, one in enumerate(table.services)]


def _spread(name: str, service: str, values: FloatArray, memory: Memory | None) -> Spread:
    known = values[~np.isnan(values)]
    median = float(np.median(known))
    return Spread(
        kpi=name,
        service=service,
        n_samples=len(known),
        median=median,
        mad=float(np.median(np.abs(known - median))),
        quantiles=tuple(float(q) for q in np.quantile(known, QUANTILES)),
        least=float(known.min()),
        memory=memory,
    )


def freeze(new: GaBaseline, *, frozen: GaBaseline | None, frozen_sha256: str | None, refreeze: bool) -> GaBaseline:
    """Return the baseline to keep: the frozen one, or a new one where none is frozen or somebody asks for it.

    Raises
    ------
    FrozenBaselineError
        If the content differs from the frozen baseline and ``refreeze`` is false.
    """
    if frozen is None:
        return new
    if new == frozen.model_copy(update={"supersedes": None}):
        return frozen
    if refreeze:
        return new.model_copy(update={"supersedes": frozen_sha256})
    raise FrozenBaselineError(
        f"the baseline of {new.release} is frozen (telemetry {frozen.telemetry_sha256[:12]}, policy "
        f"{frozen.policy_sha256[:12]}) and would change (telemetry {new.telemetry_sha256[:12]}, policy "
        f"{new.policy_sha256[:12]}); materialise `ga_baseline` with `refreeze: true` to replace it on purpose - every "
        "report will say so"
    )
