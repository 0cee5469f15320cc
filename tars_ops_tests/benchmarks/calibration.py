"""Do the intervals hold, do null days stay unflagged, and are real shifts found?

Series with a known truth go through the same functions as a release's: coverage of the interval, false flags of a
family of comparisons, and power. No day effect and no season are simulated here; whole weeks are in ``simulated``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy import signal

from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.comparisons.compare import MeanShift
from tars_ops.core.watch.comparisons.day_effect import SMALLEST
from tars_ops.core.watch.comparisons.drafts import paired_draft
from tars_ops.core.watch.comparisons.family import adjusted, share_of, spent_on_look
from tars_ops.core.watch.comparisons.long_run import mean_errors
from tars_ops.core.watch.references import BaselineKind

SEED: Final = 20_251_118
RHOS: Final = (0.0, 0.3, 0.5, 0.8, 0.9, 0.95)
LENGTHS: Final = (24, 60, 240, 1440)
NOISE: Final = 0.10
SLOT: Final = 5
"""Samples in a slot, as in the demo policy."""
BURN_IN: Final = 400


def correlated(rng: np.random.Generator, shape: tuple[int, int], *, rho: float, heavy: bool = False) -> FloatArray:
    """Return rows of first-order autoregressive noise with deviation 1; of Student's t with 3 degrees if heavy."""
    rows, n = shape
    size = (rows, n + BURN_IN)
    fresh = rng.standard_t(3, size) / np.sqrt(3) if heavy else rng.standard_normal(size)
    return signal.lfilter([np.sqrt(1 - rho**2)], [1.0, -rho], fresh, axis=1)[:, BURN_IN:]


def shifted(
    rng: np.random.Generator, n_pairs: int, n: int, *, rho: float, by: float, heavy: bool = False
) -> list[MeanShift]:
    """Return the shifts found between pairs of periods around 1 and around ``1 + by``, both with the same noise."""
    levels = (1.0, 1.0 + by)
    before, after = (level + NOISE * correlated(rng, (n_pairs, n), rho=rho, heavy=heavy) for level in levels)
    drafts = [draft for pair in zip(before, after, strict=True) if (draft := paired_draft(*pair)) is not None]
    errors = mean_errors(np.array([one.noise for one in drafts]))
    return [
        MeanShift(
            centre=one.centre,
            error=float(errors.error[i]),
            freedom=float(errors.freedom[i]),
            in_logs=one.in_logs,
            n=one.n,
            n_effective=float(errors.n_effective[i]),
            effect=one.effect,
            test=one.test,
        )
        for i, one in enumerate(drafts)
    ]


def coverage(n: int, *, rho: float, n_pairs: int, heavy: bool = False) -> float:
    """Return how often a 95 % interval holds a shift of +10 %."""
    rng = np.random.default_rng([SEED, n, round(100 * rho), heavy])
    ends = [one.ends(0.025) for one in shifted(rng, n_pairs, n, rho=rho, by=0.1, heavy=heavy)]
    return float(np.mean([low <= 0.1 <= high for low, high in ends]))


def power(
    n: int, *, rho: float, tolerance: float, level: float, n_pairs: int, slot: int = 1, effect: float = 0.0
) -> float:
    """Return how often +10 % is found beyond a tolerance by one comparison at a level."""
    rng = np.random.default_rng([SEED, n, round(100 * rho), slot])
    levels = (1.0, 1.1)
    before, after = (
        (one + NOISE * correlated(rng, (n_pairs, n), rho=rho)).reshape(n_pairs, -1, slot).mean(axis=2) for one in levels
    )
    drafts = [draft for pair in zip(before, after, strict=True) if (draft := paired_draft(*pair)) is not None]
    errors = mean_errors(np.array([one.noise for one in drafts]))
    found = [
        MeanShift(
            one.centre, float(errors.error[i]), float(errors.freedom[i]), one.in_logs, one.n, 0.0, one.effect, one.test
        ).widened(effect * np.sqrt(2))
        for i, one in enumerate(drafts)
    ]
    return float(np.mean([one.p_above(tolerance) <= level for one in found]))


def false_flags(n_kpis: int, *, rho: float, n_families: int, tolerance: float, by: float = 0.0) -> float:
    """Return the share of days on which any of some equal KPIs is flagged on the first look, on one baseline of two."""
    rng = np.random.default_rng([SEED, n_kpis, round(100 * rho)])
    alpha = day_alpha(1)
    n_flagged = 0
    for _ in range(n_families):
        p = np.array([one.p_above(tolerance) for one in shifted(rng, n_kpis, 288, rho=rho, by=by)])
        n_flagged += bool((adjusted(p, n_family=n_kpis) <= alpha).any())
    return n_flagged / n_families


def day_alpha(day: int) -> float:
    """Return what the look of a day may spend on the GA day, beside the objectives and nothing else."""
    return spent_on_look(day, 7, alpha=0.05) * share_of(BaselineKind.GA_DAY, [BaselineKind.GA_DAY, BaselineKind.SLO])


def calibration_tables(*, n_pairs: int = 2000) -> str:
    """Return the tables as Markdown."""
    return "\n".join([*_coverage(n_pairs), "", *_power(n_pairs), "", *_flags(max(1, n_pairs // 4))])


def _coverage(n_pairs: int) -> Iterator[str]:
    yield f"Coverage of a 95 % interval, {n_pairs} pairs per cell, +10 %, noise 10 %, AR(1), normal / Student's t (3):"
    yield ""
    yield "| samples | " + " | ".join(f"rho {rho:g}" for rho in RHOS) + " |"
    yield "|---|" + "---|" * len(RHOS)
    for n in LENGTHS:
        cells = (
            " / ".join(f"{100 * coverage(n, rho=rho, n_pairs=n_pairs, heavy=heavy):.1f} %" for heavy in (False, True))
            for rho in RHOS
        )
        yield f"| {n} | " + " | ".join(cells) + " |"


def _power(n_pairs: int) -> Iterator[str]:
    family = day_alpha(1) / 20
    yield f"Power for +10 %, noise 10 %, AR(1), {n_pairs} pairs per cell:"
    yield ""
    yield "| case | " + " | ".join(f"rho {rho:g}" for rho in RHOS) + " |"
    yield "|---|" + "---|" * len(RHOS)
    cases = (
        ("n 240, d 0.02, one KPI, alpha 0.02", 240, 0.02, 0.02, 1, 0.0),
        ("n 240, d 0.05, one KPI, alpha 0.02", 240, 0.05, 0.02, 1, 0.0),
        ("day 1 (n 1440), d 0.05, alone in a family of 20", 1440, 0.05, family, SLOT, SMALLEST),
        ("day 1 (n 1440), d 0.02, alone in a family of 20", 1440, 0.02, family, SLOT, SMALLEST),
    )
    for words, n, tolerance, level, slot, effect in cases:
        cells = (
            power(n, rho=rho, tolerance=tolerance, level=level, n_pairs=n_pairs, slot=slot, effect=effect)
            for rho in RHOS
        )
        yield f"| {words} | " + " | ".join(f"{100 * cell:.1f} %" for cell in cells) + " |"


def _flags(n_families: int) -> Iterator[str]:
    may = 100 * day_alpha(1)
    yield f"Days with any flag among 20 KPIs on day 1, {n_families} days per cell; it may be {may:.2f} %:"
    yield ""
    yield "| truth | " + " | ".join(f"rho {rho:g}" for rho in RHOS) + " |"
    yield "|---|" + "---|" * len(RHOS)
    for words, by in (("no shift, d 0.05", 0.0), ("every KPI exactly at d = 0.05", 0.05)):
        cells = (false_flags(20, rho=rho, n_families=n_families, tolerance=0.05, by=by) for rho in RHOS)
        yield f"| {words} | " + " | ".join(f"{100 * cell:.2f} %" for cell in cells) + " |"


if __name__ == "__main__":
    print(calibration_tables())
