"""How fast are the compiled loops, against the libraries that do the same?"""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import polars as pl
from scipy import signal, stats

from tars_ops.core.kernels.ewma import ewma_alarms, of_rows_by_steps
from tars_ops.core.kernels.quantiles import summarise_rows
from tars_ops.core.kernels.ranks import rank_statistics
from tars_ops.core.watch.detector.detector import events_only
from tars_ops_tests.benchmarks.rounds import Way, rates, table

N_STEPS, DAY_STEPS = 11_520, 1440
ALPHA, Z, WARMUP, FLOOR = 0.3, 3.0, 10, 0.01
WANTED = [0.5, 0.95, 0.99]


def gauges(n_series: int) -> np.ndarray:
    """Return noise of three decimals, (n_series, 11,520) float32."""
    return np.random.default_rng(1).normal(0.4, 0.05, (n_series, N_STEPS)).round(3).astype(np.float32)


def ewma_table(n_series: int, n_rounds: int) -> str:
    """Mean, variance, z and alarm of each sample, one step ahead; floors and warm-up only in the first."""
    many, few = gauges(n_series), gauges(max(n_series // 10, 8))
    wide = pd.DataFrame(few.T.astype(np.float64))
    columns = pl.DataFrame({f"s{i}": row for i, row in enumerate(few.astype(np.float64))})
    long = pl.DataFrame({"s": np.repeat(np.arange(len(few)), N_STEPS), "v": few.ravel().astype(np.float64)})
    floors = np.full(len(many), FLOOR)

    def by_polars(value: pl.Expr) -> pl.Expr:
        mean = value.ewm_mean(alpha=ALPHA, adjust=False).shift(1)
        return ((value - mean) / value.ewm_std(alpha=ALPHA, adjust=False, bias=True).shift(1)).abs() > Z

    def by_pandas() -> object:
        ewm = wide.ewm(alpha=ALPHA, adjust=False)
        return ((wide - ewm.mean().shift(1)) / ewm.std(bias=True).shift(1)).abs() > Z

    def by_scipy() -> object:
        value = few.astype(np.float64)
        mean = np.asarray(signal.lfilter([ALPHA], [1, ALPHA - 1], value, axis=1))
        off = value[:, 1:] - mean[:, :-1]
        variance = np.asarray(signal.lfilter([ALPHA * (1 - ALPHA)], [1, ALPHA - 1], off * off, axis=1))
        return np.abs(off[:, 1:]) > Z * np.sqrt(variance[:, :-1])

    found = rates(
        {
            "`ewma_alarms`": Way(
                lambda: ewma_alarms(many, alpha=ALPHA, warmup=WARMUP, sigma_floor=floors, z_threshold=Z), many.size
            ),
            "its twin without the compiler": Way(lambda: of_rows_by_steps(many, ALPHA, WARMUP, floors, Z), many.size),
            "scipy `lfilter`": Way(by_scipy, few.size),
            "pandas, a column per series": Way(by_pandas, few.size),
            "polars, a column per series": Way(lambda: columns.select(by_polars(pl.all())), few.size),
            "polars, `over` the series": Way(lambda: long.select(by_polars(pl.col("v")).over("s")), few.size),
        },
        n_rounds=n_rounds,
    )
    return table(f"control chart, {n_series:,} x {N_STEPS:,} float32", "M samples per CPU-second", found)


def detector_table(n_series: int, n_rounds: int) -> str:
    """Return the rate of the two-view detector with its events, cold."""
    many = gauges(n_series)

    def way(values: np.ndarray) -> Way:
        return Way(lambda: events_only(values, None, step_s=60, start_s=0, threshold=5.16), values.size)

    ways = {f"`events_only`, {kind.__name__}": way(many.astype(kind)) for kind in (np.float32, np.float64)}
    title = f"detector with events, {n_series:,} x {N_STEPS:,}"
    return table(title, "M samples per CPU-second", rates(ways, n_rounds=n_rounds))


def quantiles_table(n_rows: int, n_rounds: int) -> str:
    """Exact p50, p95 and p99 of series-days."""
    days = np.random.default_rng(2).lognormal(size=(n_rows, DAY_STEPS))
    long = pl.DataFrame({"s": np.repeat(np.arange(n_rows), DAY_STEPS), "v": days.ravel()})
    one = pl.col("v")
    by_polars = [one.quantile(q, interpolation="linear").alias(str(q)) for q in WANTED]
    base = duckdb.connect()
    base.register("samples", long.to_arrow())
    base.execute("create table long as select * from samples")
    ranks = sorted({int((DAY_STEPS - 1) * q) + k for q in WANTED for k in (0, 1)})
    found = rates(
        {
            "`summarise_rows` (with the mean)": Way(lambda: summarise_rows(days, WANTED), days.size),
            "`numpy.partition`": Way(lambda: np.partition(days, ranks, axis=1), days.size),
            "`numpy.quantile`": Way(lambda: np.quantile(days, WANTED, axis=1), days.size),
            "polars `group_by`": Way(lambda: long.group_by("s").agg(by_polars), days.size),
            "duckdb `quantile_cont`": Way(
                lambda: base.execute(f"select s, quantile_cont(v, {WANTED}) from long group by s").fetchnumpy(),
                days.size,
            ),
        },
        n_rounds=n_rounds,
    )
    return table(f"p50, p95, p99 of {n_rows:,} x {DAY_STEPS:,} float64", "M samples per CPU-second", found)


def ranks_table(n_pairs: int, n_rounds: int) -> str:
    """U with ties and D of two days of minutes."""
    pairs = list(np.random.default_rng(3).normal(size=(n_pairs, 2, DAY_STEPS)))
    few = pairs[: max(n_pairs // 20, 5)]

    def by_scipy() -> None:
        for before, after in few:
            stats.mannwhitneyu(after, before, method="asymptotic")
            stats.ks_2samp(before, after, method="asymp")

    found = rates(
        {
            "`rank_statistics`": Way(lambda: [rank_statistics(*pair) for pair in pairs], n_pairs),
            "scipy `mannwhitneyu` and `ks_2samp`": Way(by_scipy, len(few)),
        },
        n_rounds=n_rounds,
    )
    return table(f"Mann-Whitney and KS, {DAY_STEPS:,} v. {DAY_STEPS:,}", "k pairs per CPU-second", found, scale=1e3)
