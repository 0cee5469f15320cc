"""Are error budgets exact, and do their intervals hold what they promise?

Arithmetic against fractions of integer counts; the intervals of the own share and of the days to exhaustion against
simulated months whose end is known. ``budget_tables`` returns Markdown for ``make bench-verdict``; run alone it prints.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tars_ops.core import sli
from tars_ops.core.policy import Judgement
from tars_ops.core.telemetry import FloatArray, IntArray
from tars_ops.core.watch.budgets.budget import Budget, budget_of
from tars_ops.core.watch.budgets.counted import Counted
from tars_ops.core.watch.budgets.exhaustion import HORIZON_DAYS
from tars_ops.core.watch.budgets.expected import Events

RULES = Judgement()
OBJECTIVE = Fraction("0.999")
N_BEFORE = 29


@dataclass(frozen=True)
class World:
    """How the bad events of a service come, day after day."""

    title: str
    clump: float = 1.0
    """Variance of a day's bad events over its mean."""
    spread: float = 0.0
    """Standard deviation of the logarithm of a day's rate."""
    memory: float = 0.0
    """Autocorrelation of that logarithm from day to day."""

    def bad(self, draw: np.random.Generator, expected: FloatArray) -> IntArray:
        """Draw the bad events of some days."""
        noise = draw.standard_normal(len(expected))
        level = np.empty_like(noise)
        level[0] = noise[0]
        for i in range(1, len(noise)):
            level[i] = self.memory * level[i - 1] + np.sqrt(1 - self.memory**2) * noise[i]
        rate = expected * np.exp(self.spread * level - self.spread**2 / 2)
        if self.clump > 1:
            rate = draw.gamma(rate / (self.clump - 1), self.clump - 1)
        return draw.poisson(rate)


WORLDS = (
    World("independent events"),
    World("clumps of 3", clump=3),
    World("clumps of 10", clump=10),
    World("days differ by 30 %", spread=0.3),
    World("days differ by 60 %", spread=0.6),
    World("days differ by 30 %, autocorrelation 0.6", spread=0.3, memory=0.6),
)
TRAFFIC = (20_000, 200_000, 2_000_000)


@dataclass(frozen=True)
class Month:
    """Days before GA, days since, days to come; and what the release added to what would have been anyway."""

    world: World
    counted: Counted
    to_come: IntArray
    n_own: int
    n_total: int

    @property
    def budget(self) -> Budget:
        """What the product says of it."""
        return budget_of(self.counted, RULES)

    def ends_after(self) -> float:
        """Return the days after which the rolling period holds more bad events than are allowed; inf if never."""
        known = [one.n_bad for one in self.counted.known.values()]
        counts = np.concatenate((known[-RULES.slo_period_days :], self.to_come))
        sums = np.convolve(counts, np.ones(RULES.slo_period_days), "valid")
        allowed = float(RULES.slo_period_days * self.n_total * (1 - OBJECTIVE))
        over = np.flatnonzero(sums >= allowed)
        if not len(over):
            return np.inf
        k = int(over[0])
        return 0.0 if k == 0 else k - 1 + (allowed - sums[k - 1]) / (sums[k] - sums[k - 1])


def month(world: World, n_total: int, n_since: int, number: int) -> Month:
    """Return the month of a number: before GA at half of the allowed rate, since GA at one to three times of it."""
    draw = np.random.default_rng([number, n_total, n_since, int(100 * world.spread), int(world.clump)])
    allowed = float(n_total * (1 - OBJECTIVE))
    background = world.bad(draw, np.full(N_BEFORE + n_since, 0.5 * allowed))
    factor = draw.uniform(1.0, 3.0)
    own = world.bad(draw, np.full(n_since + HORIZON_DAYS, (factor - 0.5) * allowed))
    usual = world.bad(draw, np.full(HORIZON_DAYS, 0.5 * allowed))
    before = {i - N_BEFORE: Events(int(n), n_total) for i, n in enumerate(background[:N_BEFORE])}
    since = {i: Events(int(a + b), n_total) for i, (a, b) in enumerate(zip(background[N_BEFORE:], own, strict=False))}
    counted = Counted("availability", "api", float(OBJECTIVE), since, before)
    return Month(world, counted, own[n_since:] + usual, int(own[:n_since].sum()), n_total)


def budget_tables(n_months: int) -> str:
    """Return what was found as Markdown, from so many simulated months per cell."""
    return "\n\n".join(["### Budgets", "\n".join(_by_hand()), _exactness(n_months), "\n".join(_coverage(n_months))])


def _by_hand() -> Iterator[str]:
    """Yield the worked examples: what they are by hand, and what the product says."""
    steady = {day: Events(500 if day < 0 else 2_000, 1_000_000) for day in range(-27, 3)}
    since = {day: events for day, events in steady.items() if day >= 0}
    before = {day: events for day, events in steady.items() if day < 0}
    budget = budget_of(Counted("availability", "api", float(OBJECTIVE), since, before), RULES)
    mixed = {0: Events(1_000, 1_000_000), 1: Events(500, 10_000)}
    uneven = budget_of(Counted("availability", "api", float(OBJECTIVE), mixed, {}), RULES)
    rates = [pair.rate(RULES.slo_period_days) for pair in RULES.ladder.values()]
    rows = (
        ("burn rate 0.5 until GA, then 2.0 for three days: spent", 0.65, budget.spent),
        ("the same: the release's own share", 4_500 / 30_000, budget.own_share),
        ("the same: days to exhaustion (a straight line says 5.25)", 7.0, budget.exhaustion_days),
        ("0.1 % bad of 1,000,000 and 5 % of 10,000: mean burn rate", 1_500 / 1_010, uneven.spent_so_far),
        *zip((f"limit of {name}" for name in RULES.ladder), (14.4, 6.0, 1.0), rates, strict=True),
        (
            "chance of 3 bad events of 50 at 99.9 %",
            sum(_binomial(x, 50) for x in range(3, 51)),
            sli.p_at_least(3, 50, probability=0.001),
        ),
    )
    yield "| Worked example | By hand | Product |"
    yield "|---|---|---|"
    yield from (f"| {what} | {by_hand:.9g} | {found:.9g} |" for what, by_hand, found in rows)


def _binomial(n_bad: int, n_total: int) -> float:
    return float(math.comb(n_total, n_bad) * (1 - OBJECTIVE) ** n_bad * OBJECTIVE ** (n_total - n_bad))


def _exactness(n_months: int) -> str:
    months = [month(world, 2_000_000, 8, i) for world in WORLDS for i in range(n_months // 10)]
    worst = max(_difference(one) for one in months)
    return (
        f"Largest relative difference between a reported budget and exact fractions, {len(months)} months: {worst:.1e}."
    )


def _difference(one: Month) -> float:
    known = list(one.counted.known.values())[-RULES.slo_period_days :]
    exact = Fraction(sum(day.n_bad for day in known)) / (sum(day.n_total for day in known) * (1 - OBJECTIVE))
    return abs(one.budget.spent / float(exact) - 1)


def _coverage(n_months: int) -> Iterator[str]:
    yield (
        "Share of months whose true value lies in the interval of 5 to 95 %; before GA 29 days at half of the allowed "
        f"rate, since GA at one to three times of it; {n_months} months per cell."
    )
    yield ""
    heads = [f"{what}, day {n - 1}" for what in ("own share", "exhaustion") for n in (3, 8)]
    yield f"| Bad events | Requests per day | {' | '.join(heads)} |"
    yield f"|---|---|{'---|' * len(heads)}"
    for world in WORLDS:
        for n_total in TRAFFIC:
            cells = [_covered(world, n_total, n, n_months) for n in (3, 8)]
            shares = [f"{pair[i]:.1%}".replace("%", " %") for i in (0, 1) for pair in cells]
            yield f"| {world.title} | {n_total:,} | {' | '.join(shares)} |"


def _covered(world: World, n_total: int, n_since: int, n_months: int) -> tuple[float, float]:
    held = [holds(month(world, n_total, n_since, number)) for number in range(n_months)]
    own, ends = np.mean(held, axis=0)
    return float(own), float(ends)


def holds(one: Month) -> tuple[bool, bool]:
    """Tell whether the intervals of the own share and of the days to exhaustion hold what is true."""
    budget, ends = one.budget, one.ends_after()
    if budget.own is None:
        return False, False
    true = one.n_own / (budget.n_period_expected * (1 - budget.objective))
    low, high = (np.inf if days is None else days for days in (budget.exhaustion_low_days, budget.exhaustion_high_days))
    held = low - 1e-9 <= ends <= high + 1e-9 or (np.isinf(ends) and np.isinf(high))
    return budget.own.low - 1e-9 <= true <= budget.own.high + 1e-9, bool(held)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Budgets against counts, and intervals against months that never were."
    )
    parser.add_argument("--months", type=int, default=400, help="months per cell")
    print(budget_tables(parser.parse_args().months))
