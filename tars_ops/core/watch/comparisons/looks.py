"""What does each daily look at a release say, against every baseline?

A look judges one day by what was known on that day, so that a later look never changes an earlier one. Each spends its
own share of the error that a week may make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tars_ops.core.policy import Policy
from tars_ops.core.release import Release
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.baseline import NO_DATA, GaBaseline
from tars_ops.core.watch.comparisons.compare import MeanShift
from tars_ops.core.watch.comparisons.comparison import Comparison, Outcome, judged_family
from tars_ops.core.watch.comparisons.day_effect import DayEffects
from tars_ops.core.watch.comparisons.family import share_of, spent_on_look
from tars_ops.core.watch.comparisons.harm import held_s
from tars_ops.core.watch.comparisons.prior import prior_days
from tars_ops.core.watch.comparisons.shifts import Found, Known, between_days, shifts
from tars_ops.core.watch.comparisons.slots import Key, SlotTable, slot_table
from tars_ops.core.watch.comparisons.validity import (
    BaselineUse,
    Period,
    Rejected,
    ga_period,
    kinds_of,
    periods_of,
    uses_of,
)
from tars_ops.core.watch.measure import why_unknown
from tars_ops.core.watch.references import BaselineKind, References
from tars_ops.core.watch.stability import DailyStability, KpiDay


@dataclass(frozen=True)
class Looks:
    """All looks up to a day."""

    comparisons: Mapping[int, tuple[Comparison, ...]]
    """By judged day."""
    baselines: tuple[BaselineUse, ...]


def looked_at(
    ga: Telemetry,
    baseline: GaBaseline,
    telemetries: Mapping[int, Telemetry],
    judged: Mapping[int, DailyStability],
    release: Release,
    policy: Policy,
    references: References,
) -> Looks:
    """Compare every judged day with every baseline that is valid for it, day after day."""
    week = _Week(
        ga_period(ga, baseline, policy), judged, release, policy, references, Known(policy, prior_days(ga, policy))
    )
    for day in sorted(judged):
        week.look(day, telemetries[day])
    return Looks(week.comparisons, tuple(week.uses))


class _Week:
    """The looks so far; each adds its own."""

    def __init__(
        self,
        ga: Period,
        judged: Mapping[int, DailyStability],
        release: Release,
        policy: Policy,
        references: References,
        known: Known,
    ) -> None:
        self._ga, self._judged, self._release, self._policy = ga, judged, release, policy
        self._references, self._known = references, known
        self._kinds = kinds_of(references, policy)
        self._against_ga: list[dict[Key, MeanShift]] = []
        self._beside: dict[BaselineKind, dict[int, tuple[SlotTable | None, SlotTable]]] = {k: {} for k in BaselineKind}
        self.comparisons: dict[int, tuple[Comparison, ...]] = {}
        self.uses: list[BaselineUse] = []

    def look(self, day: int, telemetry: Telemetry) -> None:
        """Judge one day against everything that it can be compared with."""
        slots = slot_table(telemetry, self._policy)
        dark = {
            (row.kpi, row.service): why
            for row in self._judged[day].kpis
            if (why := _not_known(row, slots, telemetry, self._policy))
        }
        window, rows = self._release.window(day), self._judged[day].kpis
        periods = periods_of(day, window, self._ga, self._references, self._policy)
        rejected: dict[BaselineKind, list[Rejected]] = {}
        found: dict[BaselineKind, dict[Key, Found]] = {}
        for period in periods:
            valid, invalid = self._sorted(rows, slots, dark, day, period)
            rejected[period.kind] = list(_rejections(invalid))
            measured = shifts(valid, slots, window, period, self._known)
            found[period.kind] = {**measured, **{key: Found(None, why) for key, why in invalid.items()}}
            self._beside[period.kind][day] = (period.slots, slots)
        if BaselineKind.SLO in self._kinds:
            found[BaselineKind.SLO] = self._against_promises(rows, slots, dark, day)
            self._beside[BaselineKind.SLO][day] = (None, slots)
        self._against_ga.append(dict(learnable(found[BaselineKind.GA_DAY])))
        effects = DayEffects(self._against_ga)
        told = [
            one
            for kind, those in found.items()
            for one in self._family(day, kind, those, effects, next((p for p in periods if p.kind is kind), None))
        ]
        self.comparisons[day] = tuple(told)
        used = {one.baseline for one in told if one.outcome is not Outcome.UNKNOWN}
        self.uses += uses_of(day, periods, rejected, used, self._references, self._policy)

    def _sorted(
        self, rows: tuple[KpiDay, ...], slots: SlotTable, dark: Mapping[Key, str], day: int, period: Period
    ) -> tuple[list[Key], dict[Key, str]]:
        """Tell the KPIs that can be compared with a period from those that cannot, with the reason."""
        valid, invalid = [], {}
        for row in rows:
            key = (row.kpi, row.service)
            why = dark.get(key) or period.why_not(key, slots, self._release.window(day), self._policy)
            if why:
                invalid[key] = why
            else:
                valid.append(key)
        return valid, invalid

    def _against_promises(
        self, rows: tuple[KpiDay, ...], slots: SlotTable, dark: Mapping[Key, str], day: int
    ) -> dict[Key, Found]:
        promised = [(row.kpi, row.service) for row in rows if row.slo is not None]
        valid = [key for key in promised if key not in dark]
        measured = shifts(valid, slots, self._release.window(day), None, self._known)
        return {**measured, **{key: Found(None, dark[key]) for key in promised if key in dark}}

    def _family(
        self, day: int, kind: BaselineKind, found: Mapping[Key, Found], effects: DayEffects, period: Period | None
    ) -> Iterator[Comparison]:
        n_days = 1 if kind is BaselineKind.SLO else 2
        spread = {key: between_days(one, effects.of(key[0]), n_days=n_days) for key, one in found.items()}
        rows = [row for row in self._judged[day].kpis if (row.kpi, row.service) in spread]
        look = spent_on_look(day, self._release.n_days, alpha=self._policy.judgement.regression_alpha)
        alpha = look * share_of(kind, self._kinds)
        for one in judged_family(
            rows, spread, day, period, self._policy, kind=kind, n_family=max(1, len(rows)), alpha=alpha
        ):
            yield self._followed(one) if one.outcome is Outcome.REGRESSION else one

    def _followed(self, one: Comparison) -> Comparison:
        lasted = held_s(
            (one.kpi, one.service),
            self._beside[one.baseline],
            self._policy,
            day=one.day,
            day_length_s=self._release.day_length_s,
        )
        return one.model_copy(update={"held_s": lasted})


def _not_known(row: KpiDay, slots: SlotTable, telemetry: Telemetry, policy: Policy) -> str | None:
    """Say why a KPI of a day cannot be compared with anything; that its drift is undefined is no reason."""
    if said := why_unknown(telemetry, policy, row.kpi, row.service):
        return said
    if (row.kpi, row.service) not in slots:
        return row.reason or NO_DATA
    return row.reason if row.verdict is Verdict.UNKNOWN and (row.drift is not None or row.slo is row.verdict) else None


def _rejections(invalid: Mapping[Key, str]) -> Iterator[Rejected]:
    """Yield what could not be used, once per service where one reason holds for more than one of its KPIs."""
    services: dict[tuple[str, str], list[str]] = {}
    for (kpi, service), why in invalid.items():
        services.setdefault((service, why), []).append(kpi)
    for (service, why), kpis in services.items():
        yield Rejected(service=service, kpi=kpis[0] if len(kpis) == 1 else None, reason=why)


def learnable(found: Mapping[Key, Found]) -> Iterator[tuple[Key, MeanShift]]:
    """Yield the shifts that tell how one day differs from the next: not those that follow the week."""
    for key, one in found.items():
        if isinstance(one.shift, MeanShift) and one.season_known:
            yield key, one.shift
