"""What is normal for this release? The GA day, summarised and frozen.

Every later day is compared with this summary and with nothing else, so it may not change behind anyone's back: a second
baseline with another content is refused unless somebody asks to refreeze, and then it says what it replaced.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from tars_ops.core.errors import ContractError, FrozenBaselineError
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import JudgedKpi, Policy, RatioKpi
from tars_ops.core.release import Release
from tars_ops.core.telemetry import FloatArray, Telemetry, sample_table
from tars_ops.core.watch.detector import Calibration, calibrate
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
    calibration: Calibration | None
    """What the anomaly detector takes for usual; None where the day says too little, or events are counted instead."""


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
    doubts: tuple[Doubt, ...]
    supersedes: Sha256 | None = None
    """Digest of the baseline that somebody replaced by this one on purpose."""

    def of(self, kpi: str, service: str) -> Measured | None:
        """Return what a KPI of a service was on the GA day; None where the day cannot speak for it."""
        if self.doubt(kpi, service):
            return None
        return next((one for one in self.kpis if (one.kpi, one.service) == (kpi, service)), None)

    def calibration(self, kpi: str, service: str) -> Calibration | None:
        """Return what is usual for a series; None where it cannot be said."""
        if self.doubt(kpi, service):
            return None
        return next((one.calibration for one in self.spreads if (one.kpi, one.service) == (kpi, service)), None)

    def concerns(self, kpi: str, service: str) -> bool:
        """Tell whether a service has a KPI: one that a living service never showed, while others did, is not its own.

        What no service ever showed is unknown, not absent; and so is everything of a service that was silent.
        """
        alive = any(one.service == service for one in self.kpis)
        seen = any(one.kpi == kpi for one in self.kpis)
        return not (alive and seen and self.doubt(kpi, service) == NO_DATA)

    def doubt(self, kpi: str, service: str) -> str | None:
        """Return why the GA day cannot speak for a KPI of a service."""
        return next((one.reason for one in self.doubts if (one.kpi, one.service) == (kpi, service)), None)


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


def _spreads(telemetry: Telemetry, policy: Policy, name: str, kpi: JudgedKpi) -> list[Spread]:
    table = sample_table(telemetry, name)
    if not table.services:
        return []
    settings = policy.anomalies
    floor = settings.resolution * np.abs(np.nanmedian(table.values, axis=1))
    found: list[Calibration | None] = [None] * len(table.services)
    if not isinstance(kpi, RatioKpi):  # shares of events are scored on their counts
        found = calibrate(table.values, alpha=0.05, sigma_floor=floor)
    return [_spread(name, one, table.values[i], found[i]) for i, one in enumerate(table.services)]


def _spread(name: str, service: str, values: FloatArray, calibration: Calibration | None) -> Spread:
    known = values[~np.isnan(values)]
    median = float(np.median(known))
    return Spread(
        kpi=name,
        service=service,
        n_samples=len(known),
        median=median,
        mad=float(np.median(np.abs(known - median))),
        quantiles=tuple(float(q) for q in np.quantile(known, QUANTILES)),
        calibration=calibration,
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
