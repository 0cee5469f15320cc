"""Gates: claims that can be false, checked on every partition.

A gate reads the stored artifact and shows the evidence; what is decided is decided by ``core.gates``. A gate on an
objective blocks no report, because the report is what explains it; a damaged artifact blocks everything after it.
Claims on objectives come from the policies, so a new SLO has its gate without code.

All gates of a run are checked in one step, because a step costs more than a gate; each can also be checked alone.
"""

from collections.abc import Iterable, Iterator, Mapping

import dagster as dg

from tars_ops.adapters.catalogue import DAILY_TELEMETRY, GA_TELEMETRY, Kind
from tars_ops.adapters.gates import Checked, Gates
from tars_ops.adapters.policies import Policies
from tars_ops.adapters.settings import load_settings
from tars_ops.core.gate import Figure, Gate
from tars_ops.core.gates import of_baseline, of_day, of_running_day, of_telemetry, of_verdict
from tars_ops.core.gates.promise import promised_gate
from tars_ops.core.verdict import Severity, Verdict
from tars_ops.defs.failures import reported
from tars_ops.defs.metadata import table
from tars_ops.defs.partitions import RELEASE_DAYS, RELEASES, Context, release_day
from tars_ops.defs.resources import AsOf, StoreResource

FAIL, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def promised_kpis() -> tuple[str, ...]:
    """Return every KPI that some policy gives an objective, sorted."""
    loaded = Policies(load_settings().policies_dir).all()
    return tuple(sorted({kpi for one in loaded for kpi in one.policy.slos}))


PROMISED = promised_kpis()
OBJECTIVES = {promised_gate(kpi): f"Every service keeps the objective of {kpi}." for kpi in PROMISED}


def _telemetry(asset: str) -> dict[str, str]:
    return {
        f"{asset}_{of_telemetry.COVERS}": "Enough scrapes of every service arrived for every KPI.",
        f"{asset}_{of_telemetry.NO_WARNING}": "The server answered every query without a warning.",
    }


CLAIMS_OF_GA = {
    "ga_telemetry": _telemetry("ga_telemetry"),
    "ga_baseline": {
        of_baseline.FROZEN: "It is of the GA telemetry that is stored, under the policy of the release.",
        of_baseline.LONG_ENOUGH: "Every service is known for enough of the GA day.",
        of_baseline.VALID: "The GA day measured and kept every objective, so that it can be compared with.",
        **OBJECTIVES,
    },
}
CLAIMS_OF_A_DAY = {
    "daily_telemetry": _telemetry("daily_telemetry"),
    "daily_stability": {**OBJECTIVES, of_day.NO_DRIFT: "No KPI is farther from the GA day than its limit."},
    "anomaly_events": {of_day.NO_CRITICAL_ANOMALY: "No service has a critical anomaly."},
    "daily_health": {of_day.HEALTH_FLOOR: "The health score stays above the floor of the policy."},
}
CLAIMS_OF_A_VERDICT = {
    "regression_analysis": {
        of_verdict.NO_CRITICAL_REGRESSION: "No critical regression is active.",
        of_verdict.NO_ROLLBACK: "The evidence does not advise to roll back.",
    },
    "release_certification": {
        of_verdict.CAN_BE_CLOSED: "The watch is over and can be closed as stable.",
    },
    "executive_bundle": {
        of_verdict.VERIFIES: "Both archives are, byte for byte, what their manifest says.",
        of_verdict.COMPLETE: "Every file that the verdict is made of is in the bundle.",
    },
}


CLAIMS_OF_THE_RUNNING_DAY = {
    "running_day": {
        of_running_day.NO_FAST_BURN: "No error budget burns so fast that somebody has to act before the day is over.",
        of_running_day.HOLDS_SO_FAR: "Every service keeps every objective as far as the running day goes.",
    },
}


def specs(claims: dict[str, dict[str, str]], partitions: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """Return one check per claim."""
    return [
        dg.AssetCheckSpec(name=name, asset=asset, partitions_def=partitions, description=said)
        for asset, named in claims.items()
        for name, said in named.items()
    ]


def result(checked: Checked) -> dg.AssetCheckResult:
    """Return the outcome of a gate: what is known to be false fails, what is unknown warns, neither passes."""
    gate = checked.gate
    worse = gate.verdict is Verdict.FAIL and gate.severity is not Severity.LOW
    return dg.AssetCheckResult(
        asset_key=gate.asset,
        check_name=gate.name,
        passed=gate.holds,
        severity=FAIL if worse else WARN,
        description=gate.reason,
        metadata=_evidence(checked),
    )


def _evidence(checked: Checked) -> dict[str, dg.MetadataValue | str | float | int]:
    gate = checked.gate
    if gate.not_applicable:
        return {"verdict": "not_applicable"}
    told = next(
        (one for one in gate.claims if one.service == gate.worst_service), gate.claims[0] if gate.claims else None
    )
    numbers = {
        name: figure for name, figure in (told.evidence if told else {}).items() if isinstance(figure, int | float)
    }
    return {
        "verdict": gate.verdict.value,
        "severity": gate.severity.value,
        "worst_service": gate.worst_service or "-",
        **({"query": gate.query} if gate.query else {}),
        "evidence_sha256": checked.seen.evidence_sha256 or "-",
        **numbers,
        # sentences in a table of their own: beside many columns the UI breaks them after every letter
        "findings": table(
            [{"service": one.service, "verdict": one.verdict.value, "reason": one.reason} for one in gate.claims]
        ),
        "figures": table([{"service": one.service, **_short(one.evidence)} for one in gate.claims]),
        **_runbook(gate),
    }


def _short(evidence: Mapping[str, Figure]) -> dict[str, Figure]:
    """Round to six digits: with all seventeen the table is wider than the page; the artifact keeps them."""
    return {name: float(f"{one:.6g}") if isinstance(one, float) else one for name, one in evidence.items()}


def _runbook(gate: Gate) -> dict[str, dg.MetadataValue]:
    """Link the page that says what to do, where the deployment publishes its runbooks."""
    address = load_settings().runbook_url.rstrip("/")
    return {"runbook": dg.MetadataValue.url(f"{address}/{gate.alert.value}.md")} if address else {}


def _selected(context: dg.AssetCheckExecutionContext) -> dict[str, set[str]]:
    """Return the names of the checks that this run asks for, by asset."""
    asked: dict[str, set[str]] = {}
    for key in context.selected_asset_check_keys:
        asked.setdefault(key.asset_key.to_user_string(), set()).add(key.name)
    return asked


def _results(found: Iterable[Checked], asked: dict[str, set[str]], of: Gates) -> Iterator[dg.AssetCheckResult]:
    wanted = {(asset, name) for asset, names in asked.items() for name in names}
    for one in found:
        if (one.gate.asset, one.gate.name) in wanted:
            wanted.discard((one.gate.asset, one.gate.name))
            yield result(one)
    for asset in sorted({asset for asset, _ in wanted}):
        yield from (result(one) for one in of.not_promised(asset, PROMISED) if (asset, one.gate.name) in wanted)


@dg.multi_asset_check(name="gates_of_ga", specs=specs(CLAIMS_OF_GA, RELEASES), can_subset=True)
def gates_of_ga(context: dg.AssetCheckExecutionContext, store: StoreResource) -> Iterable[dg.AssetCheckResult]:
    """Check what must hold of the GA day."""
    gates, asked = _gates(context, store), _selected(context)
    with reported():
        found = list(gates.of_ga(asked))
    yield from _results(found, asked, gates)


@dg.multi_asset_check(name="gates_of_a_day", specs=specs(CLAIMS_OF_A_DAY, RELEASE_DAYS), can_subset=True)
def gates_of_a_day(context: dg.AssetCheckExecutionContext, store: StoreResource) -> Iterable[dg.AssetCheckResult]:
    """Check what must hold of a judged day."""
    gates, asked = _gates(context, store), _selected(context)
    with reported():
        found = list(gates.of_day(release_day(context)[1], asked))
    yield from _results(found, asked, gates)


@dg.multi_asset_check(name="gates_of_a_verdict", specs=specs(CLAIMS_OF_A_VERDICT, RELEASES), can_subset=True)
def gates_of_a_verdict(
    context: dg.AssetCheckExecutionContext, store: StoreResource, as_of: AsOf
) -> Iterable[dg.AssetCheckResult]:
    """Check what must hold of a verdict."""
    gates, asked = _gates(context, store), _selected(context)
    with reported():
        registered = store.release(release_day(context)[0])
        found = list(gates.of_verdict(as_of.resolve(store.open(), registered), asked))
    yield from _results(found, asked, gates)


@dg.multi_asset_check(
    name="gates_of_the_running_day", specs=specs(CLAIMS_OF_THE_RUNNING_DAY, RELEASES), can_subset=True
)
def gates_of_the_running_day(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> Iterable[dg.AssetCheckResult]:
    """Check what must hold of a day in progress; provisional, like the judgement it reads."""
    gates, asked = _gates(context, store), _selected(context)
    with reported():
        found = list(gates.of_running_day())
    yield from _results(found, asked, gates)


def _gates(context: Context, store: StoreResource) -> Gates:
    with reported():
        return Gates(store.open(), store.release(release_day(context)[0]))


# -- evidence: the only gates that block ------------------------------------------------------------------------------


def _integrity(context: Context, store: StoreResource, kind: Kind) -> dg.AssetCheckResult:
    with reported():
        return result(_gates(context, store).integrity(kind, release_day(context)[1]))


@dg.asset_check(
    asset="ga_telemetry",
    name=f"ga_telemetry_{of_telemetry.INTACT}",
    partitions_def=RELEASES,
    blocking=True,
    description="The stored GA telemetry is, byte for byte, what its digests say.",
)
def ga_telemetry_is_intact(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
    """Read the GA telemetry back; damaged telemetry stops everything after it."""
    return _integrity(context, store, GA_TELEMETRY)


@dg.asset_check(
    asset="daily_telemetry",
    name=f"daily_telemetry_{of_telemetry.INTACT}",
    partitions_def=RELEASE_DAYS,
    blocking=True,
    description="The stored telemetry is, byte for byte, what its digests say.",
)
def daily_telemetry_is_intact(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
    """Read the telemetry of the day back; damaged telemetry stops everything after it."""
    return _integrity(context, store, DAILY_TELEMETRY)
