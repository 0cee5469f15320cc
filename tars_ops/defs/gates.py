"""Gates: claims that can be false, checked on every partition.

The measuring is done by ``core``; a gate only reads a verdict and shows the evidence. A gate never blocks a report: the
report is what explains it. Claims on objectives come from the policies, so a new SLO has its gate without code.
"""

from collections.abc import Iterable, Sequence

import dagster as dg

from tars_ops.adapters.policies import Policies
from tars_ops.adapters.settings import load_settings
from tars_ops.core.policy import Policy
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.units import percent, show
from tars_ops.core.verdict import Verdict, worst
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.measure import Measured
from tars_ops.core.watch.stability import DailyStability, expected, keeps_its_promise
from tars_ops.defs.failures import reported
from tars_ops.defs.metadata import table
from tars_ops.defs.partitions import RELEASE_DAYS, RELEASES, release_of
from tars_ops.defs.resources import StoreResource

_BASELINE = {"ga_baseline": dg.AssetIn("ga_baseline")}
KEEPS = "_keeps_its_objective"


def promised_kpis() -> tuple[str, ...]:
    """Return every KPI that some policy gives an objective, sorted."""
    loaded = Policies(load_settings().policies_dir).all()
    return tuple(sorted({kpi for one in loaded for kpi in one.policy.slos}))


PROMISED = promised_kpis()


def _specs(asset: str, partitions: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            name=f"{kpi}{KEEPS}",
            asset=asset,
            partitions_def=partitions,
            description=f"Every service keeps the objective of {kpi} that the policy promises.",
        )
        for kpi in PROMISED
    ]


def result(
    name: str | None,
    verdict: Verdict,
    said: str,
    *,
    page: str,
    metadata: dict[str, dg.MetadataValue | str | float] | None = None,
) -> dg.AssetCheckResult:
    """Return the outcome of a gate: a failure is an error, an unknown a warning, neither passes.

    ``name`` is needed only where one function judges several claims.
    """
    return dg.AssetCheckResult(
        check_name=name,
        passed=verdict in {Verdict.PASS, Verdict.WARN},
        severity=dg.AssetCheckSeverity.ERROR if verdict is Verdict.FAIL else dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={"verdict": verdict.value, **_runbook(page), **(metadata or {})},
    )


def _runbook(page: str) -> dict[str, dg.MetadataValue]:
    """Link the page that says what to do, where the deployment publishes its runbooks."""
    address = load_settings().runbook_url.rstrip("/")
    return {"runbook": dg.MetadataValue.url(f"{address}/{page}")} if address else {}


# -- on telemetry -------------------------------------------------------------------------------------------------


def _covers(telemetry: Telemetry, baseline: GaBaseline, policy: Policy) -> dg.AssetCheckResult:
    needed = policy.measurement.min_coverage
    judged = list(expected(telemetry, baseline, policy))
    poor = [{"kpi": kpi, "service": service, "reason": reason} for kpi, service, reason in judged if reason]
    lowest = min((one.coverage for one in telemetry.quality.series), default=0.0)
    verdict = Verdict.UNKNOWN if poor or not judged else Verdict.PASS
    said = f"lowest coverage {percent(lowest)}, needed {percent(needed)}; {len(poor)} KPIs of services are not known"
    return result(
        None,
        verdict,
        said,
        page="telemetry-covers-the-window.md",
        metadata={"lowest_coverage": lowest, "unknown": table(poor)},
    )


@dg.asset_check(asset="ga_telemetry", additional_ins=_BASELINE, partitions_def=RELEASES)
def ga_telemetry_covers_the_window(
    context: dg.AssetCheckExecutionContext, ga_telemetry: Telemetry, ga_baseline: GaBaseline, store: StoreResource
) -> dg.AssetCheckResult:
    """Enough scrapes of every service arrived on the GA day, and the server warned about nothing."""
    with reported():
        return _covers(ga_telemetry, ga_baseline, store.release(release_of(context)).policy)


@dg.asset_check(asset="daily_telemetry", additional_ins=_BASELINE, partitions_def=RELEASE_DAYS)
def daily_telemetry_covers_the_window(
    context: dg.AssetCheckExecutionContext, daily_telemetry: Telemetry, ga_baseline: GaBaseline, store: StoreResource
) -> dg.AssetCheckResult:
    """Enough scrapes of every service of the GA day arrived on this day, and the server warned about nothing."""
    with reported():
        return _covers(daily_telemetry, ga_baseline, store.release(release_of(context)).policy)


# -- on objectives ------------------------------------------------------------------------------------------------


@dg.multi_asset_check(name="ga_objectives", specs=_specs("ga_baseline", RELEASES))
def ga_baseline_gates(
    context: dg.AssetCheckExecutionContext, ga_baseline: GaBaseline, store: StoreResource
) -> Iterable[dg.AssetCheckResult]:
    """Judge the objectives of the GA day."""
    with reported():
        policy = store.release(release_of(context)).policy
    for kpi in PROMISED:
        if kpi not in policy.slos:
            yield _not_applicable(kpi, policy)
        else:
            yield _promise(kpi, policy, [_of_baseline(ga_baseline, kpi, one, policy) for one in ga_baseline.services])


@dg.multi_asset_check(name="daily_objectives", specs=_specs("daily_stability", RELEASE_DAYS))
def daily_stability_gates(
    context: dg.AssetCheckExecutionContext, daily_stability: DailyStability, store: StoreResource
) -> Iterable[dg.AssetCheckResult]:
    """Judge the objectives of one day."""
    with reported():
        policy = store.release(release_of(context)).policy
    for kpi in PROMISED:
        rows = [row for row in daily_stability.kpis if row.kpi == kpi and row.slo is not None]
        if kpi not in policy.slos:
            yield _not_applicable(kpi, policy)
        else:
            yield _promise(kpi, policy, [(row.slo or Verdict.UNKNOWN, row.reason, row.measured) for row in rows])


Promise = tuple[Verdict, str, Measured]


def _of_baseline(baseline: GaBaseline, kpi: str, service: str, policy: Policy) -> Promise:
    doubt = baseline.doubt(kpi, service)
    found = baseline.of(kpi, service) or Measured(kpi=kpi, service=service, value=None)
    verdict, reason = keeps_its_promise(policy.judged[kpi], found, missing=doubt, alpha=policy.judgement.alpha)
    return verdict, reason, found


def _promise(kpi: str, policy: Policy, promises: Sequence[Promise]) -> dg.AssetCheckResult:
    verdict = worst(one for one, _, _ in promises)
    said = "; ".join(f"{found.service}: {reason}" for one, reason, found in promises if one is verdict)
    unit = policy.judged[kpi].unit
    rows = [
        {
            "verdict": one.value,
            "service": found.service,
            "value": show(found.value, unit),
            "lower": show(found.lower, unit),
            "upper": show(found.upper, unit),
            "bad": found.n_bad,
            "total": found.n_total,
        }
        for one, _, found in promises
    ]
    return result(
        f"{kpi}{KEEPS}",
        verdict,
        said or "no service of the release has this KPI",
        page="keeps-its-objective.md",
        metadata={"objective": policy.objective(kpi) or 0.0, "services": table(rows)},
    )


def _not_applicable(kpi: str, policy: Policy) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=f"{kpi}{KEEPS}",
        passed=True,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"not applicable: the policy of {policy.product} promises nothing for {kpi}",
        metadata={"verdict": "not_applicable"},
    )
