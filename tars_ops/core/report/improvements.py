"""How could the next release be run better, and which finding says so?

Each rule looks at one fact of the watch, the most pressing first. A rule without its fact says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from tars_ops.core.policy import ComplementKpi
from tars_ops.core.report.actions import BUDGET_AT_RISK, Findings
from tars_ops.core.report.successes import targets
from tars_ops.core.report.unknowns import gap_text, gaps
from tars_ops.core.report.week import Week, days_text
from tars_ops.core.units import percent

N_IMPROVEMENTS = 5
MANY_ANOMALIES_PER_DAY = 10
SPARE_BUDGET = 0.25


def process_improvements(week: Week, findings: Findings) -> tuple[str, ...]:
    """Return up to five improvements, each with its finding."""
    found = (
        *_evidence(week, findings),
        *_response(findings),
        *_alarms(week),
        *_budgets(findings),
        *_promises(week),
        *_provenance(week),
    )
    return tuple(f"{what} (finding: {finding})" for what, finding in found[:N_IMPROVEMENTS])


Improvement = tuple[str, str]
"""What to do, and the finding behind it."""


def _evidence(week: Week, findings: Findings) -> Iterator[Improvement]:
    if week.missing:
        yield "Judge every day from a schedule and alert when one is late", f"{days_text(week.missing)} never judged"
    lost = gaps([one for one in findings.unknowns if one.day in week.stabilities])
    for gap in lost[:1]:
        yield (
            "Check scrape coverage before GA, so that every promise can be judged",
            f"{gap_text(week.policy, gap)}{f'; {len(lost) - 1} more gaps' if len(lost) > 1 else ''}",
        )
    if week.baseline.supersedes:
        yield (
            "Freeze the baseline once, and let two people agree to replace it",
            f"the baseline was refrozen and replaces {week.baseline.supersedes[:12]}",
        )


def _response(findings: Findings) -> Iterator[Improvement]:
    if not findings.degradations:
        return
    worst = findings.degradations[0]
    yield (
        f"Add a check of {worst.kpi} under load before GA",
        f"{worst.severity} degradation of {worst.kpi} of {worst.service} from day {worst.day_occurred}",
    )
    longest = max(findings.degradations, key=lambda one: len(one.days))
    if len(longest.days) > 1:
        yield (
            "Agree how long a degradation may last before the release is rolled back",
            f"{longest.kpi} of {longest.service} was bad on {days_text(longest.days)}",
        )


def _alarms(week: Week) -> Iterator[Improvement]:
    if not week.anomalies:
        return
    busiest = max(week.anomalies.values(), key=lambda one: (len(one.events), -one.day))
    if len(busiest.events) > MANY_ANOMALIES_PER_DAY:
        yield (
            "Review the anomaly settings or the noisiest service, so that alarms stay few",
            f"{len(busiest.events)} anomaly events on day {busiest.day}",
        )


def _budgets(findings: Findings) -> Iterator[Improvement]:
    spent = [(one.spent, line, one) for line in findings.burn_downs for one in line.services if one.spent is not None]
    if not spent:
        return
    share, line, service = max(spent, key=lambda found: found[0])
    fact = f"{percent(share)} of the error budget of {line.slo_name} of {service.service} is spent"
    if share > BUDGET_AT_RISK:
        yield "Slow down releases until the error budget recovers", fact
    elif share < SPARE_BUDGET:
        yield "Use the spare error budget for a larger first roll-out or a stricter objective", f"only {fact}"
    if service.n_prior_days == 0:
        yield (
            f"Keep {line.period_days} days of metrics before GA, so that the budget knows what was spent before",
            f"the budget of {line.slo_name} of {service.service} is anchored at GA",
        )


def _promises(week: Week) -> Iterator[Improvement]:
    bare = [kpi.title for kpi in week.policy.kpis.values() if not isinstance(kpi, ComplementKpi) and not targets(kpi)]
    if bare:
        yield "Agree on an objective or a comfort limit for every KPI", f"none is set for {', '.join(bare)}"


def _provenance(week: Week) -> Iterator[Improvement]:
    if week.release.artifact_sha256 is None:
        yield (
            "Register the digest of the released artifact, so that the evidence is bound to it",
            f"{week.release.key} is registered without one",
        )
    if week.release.previous is None:
        yield (
            "Register the previous release, so that there is a second baseline",
            f"{week.release.key} is registered without one",
        )
