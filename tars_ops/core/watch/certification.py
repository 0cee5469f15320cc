"""May the release be promoted, and may its watch be closed as stable?

A certificate is refused by every objective that failed or is unknown, by a day that nobody judged and by any decision
but "keep". Reports are never blocked by a gate; the certificate always is. A person may still decide otherwise, and the
release's history says who did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, day_key
from tars_ops.core.verdict import DayState, Decision, Verdict
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.measure import Measured
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.stability import DailyStability, keeps_its_promise


class Blocker(Frozen):
    """One reason why a certificate is refused."""

    code: Literal["objective_failed", "objective_unknown", "day_missing", "day_pending", "decision"]
    day: int | None
    """0 is the GA day; None where it is about the release as a whole."""
    kpi: str | None
    service: str | None
    text: str


class Certification(Frozen):
    """What a release may do as of a day."""

    release: str
    as_of: int
    end_at: Instant
    """End of the last judged window."""
    policy_sha256: Sha256
    may_promote: bool
    """It may go to more users: the GA day and the latest day kept every objective, and the decision is to keep it."""
    may_close: bool
    """Its watch may be closed as stable: every day was judged and kept every objective, and the decision is keep."""
    is_over: bool
    """The last day of the watch has been judged, so that a refusal to close is final until a person decides."""
    promotion_blockers: tuple[Blocker, ...]
    """Every reason against a promotion; empty where it may be promoted."""
    closing_blockers: tuple[Blocker, ...]
    """Every reason against closing the watch; empty where it may be closed."""


def certify(
    analysis: RegressionAnalysis,
    baseline: GaBaseline,
    judged: Mapping[int, DailyStability],
    release: Release,
    policy: Policy,
) -> Certification:
    """Certify a release as of the day that a verdict was given for."""
    as_of = analysis.as_of
    promises = [*_of_ga(baseline, policy), *(one for day in sorted(judged) for one in _of_day(judged[day], policy))]
    decision = tuple(_decision(analysis))
    days = tuple(_days(analysis, judged))
    today = [one for one in days if one.day == as_of]
    promoting = (*decision, *today, *(one for one in promises if one.day in {0, as_of}))
    closing = (*decision, *days, *promises)
    return Certification(
        release=release.key,
        as_of=as_of,
        end_at=analysis.end_at,
        policy_sha256=analysis.policy_sha256,
        may_promote=not promoting,
        may_close=not closing,
        is_over=as_of == release.n_days,
        promotion_blockers=promoting,
        closing_blockers=closing,
    )


def _decision(analysis: RegressionAnalysis) -> Iterator[Blocker]:
    if analysis.decision is Decision.KEEP:
        return
    argued = next((one.text for one in analysis.reasons if one.argues_for is analysis.decision), analysis.tier_reason)
    words = analysis.decision.value.replace("_", " ")
    yield Blocker(code="decision", day=None, kpi=None, service=None, text=f"the evidence says {words}: {argued}")


def _days(analysis: RegressionAnalysis, judged: Mapping[int, DailyStability]) -> Iterator[Blocker]:
    for day in analysis.days:
        if day.state is DayState.JUDGED and day.day in judged:
            continue
        is_pending = day.state is DayState.PENDING
        code = "day_pending" if is_pending else "day_missing"
        said = f"it ends at {day.end_at:%Y-%m-%d %H:%M} UTC" if is_pending else "nobody judged it"
        yield Blocker(code=code, day=day.day, kpi=None, service=None, text=f"{day_key(day.day)}: {said}")


def _of_ga(baseline: GaBaseline, policy: Policy) -> Iterator[Blocker]:
    for kpi in policy.slos:
        services = [one for one in baseline.services if baseline.concerns(kpi, one)]
        if not services:
            yield from _promise(0, "the GA day", kpi, None, Verdict.UNKNOWN, "no service has this KPI")
        for service in services:
            found = baseline.of(kpi, service) or Measured(kpi=kpi, service=service, value=None)
            missing = baseline.doubt(kpi, service)
            kept = keeps_its_promise(policy.judged[kpi], found, missing=missing, alpha=policy.judgement.alpha)
            yield from _promise(0, "the GA day", kpi, service, kept.verdict, kept.reason)


def _of_day(stability: DailyStability, policy: Policy) -> Iterator[Blocker]:
    name = day_key(stability.day)
    for kpi in policy.slos:
        rows = [row for row in stability.kpis if row.kpi == kpi and row.slo is not None]
        for row in rows:
            yield from _promise(stability.day, name, kpi, row.service, row.slo, row.reason)
        if not rows:
            yield from _promise(stability.day, name, kpi, None, Verdict.UNKNOWN, "no service has this KPI")


def _promise(
    day: int, name: str, kpi: str, service: str | None, kept: Verdict | None, reason: str
) -> Iterator[Blocker]:
    if kept in {Verdict.PASS, Verdict.WARN}:
        return
    yield Blocker(
        code="objective_failed" if kept is Verdict.FAIL else "objective_unknown",
        day=day,
        kpi=kpi,
        service=service,
        text=f"{kpi} of {service or 'the release'} on {name}: {reason}",
    )
