"""How often is a calm series called anomalous, and which injected faults are found, how soon?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from tars_ops.core.policy import Anomalies
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.detector.detection import Flags, Memory, score_threshold
from tars_ops.core.watch.detector.detector import events_only, learn

STEP_S = 60.0
DAY = 1440
N_SERIES = 60
N_DAYS = 8

Random = np.random.Generator


def _ar(r: Random, n: int, rho: float) -> FloatArray:
    return lfilter([np.sqrt(1 - rho**2)], [1, -rho], r.standard_normal((N_SERIES, n)), axis=1)


def _rare_steps(r: Random, n: int) -> FloatArray:
    steps = np.where(r.random((N_SERIES, n)) < 0.05 / DAY, 1.0, 0.0)
    return 5 + np.cumsum(steps, axis=1)


FAMILIES: dict[str, Callable[[Random, int], FloatArray]] = {
    "white noise": lambda r, n: 100 + 5 * r.standard_normal((N_SERIES, n)),
    "AR(1) 0.5": lambda r, n: 100 + 5 * _ar(r, n, 0.5),
    "AR(1) 0.9": lambda r, n: 100 + 5 * _ar(r, n, 0.9),
    "daily season": lambda r, n: 100 + 30 * np.sin(2 * np.pi * np.arange(n) / DAY) + 4 * _ar(r, n, 0.5),
    "heavy tails (t, 3)": lambda r, n: 100 + 5 * r.standard_t(3, (N_SERIES, n)),
    "counts (Poisson 20)": lambda r, n: r.poisson(20, (N_SERIES, n)).astype(float),
    "flat with rare steps": _rare_steps,
}


def _threshold() -> float:
    return score_threshold(Anomalies().false_alarms_per_day, STEP_S)


def _memories(past: FloatArray) -> list[Memory | None]:
    floor = Anomalies().resolution * np.abs(np.median(past, axis=1))
    return learn(past, step_s=STEP_S, start_s=0.0, sigma_floor=floor)


def _found(values: FloatArray, memories: list[Memory | None] | None) -> Flags:
    return events_only(values, memories, step_s=STEP_S, start_s=0.0, threshold=_threshold())


def false_alarm_table() -> str:
    """Return the false alarms of each family, per series and day."""
    lines = ["| family | with a GA day | without |", "|---|---|---|"]
    for name, make in FAMILIES.items():
        values = make(np.random.default_rng(0), N_DAYS * DAY)
        memories, days = _memories(values[:, :DAY]), np.split(values[:, DAY:], N_DAYS - 1, axis=1)
        warm = sum(len(_found(day, memories).start) for day in days) / (N_SERIES * len(days))
        cold = len(_found(values, None).start) / (N_SERIES * N_DAYS)
        lines.append(f"| {name} | {warm:.3f} | {cold:.3f} |")
    rate = Anomalies().false_alarms_per_day
    head = f"Events per series and day of minutes, {N_SERIES} series of {N_DAYS} days, at a nominal {rate:g}."
    return "\n".join([head, "", *lines])


AT = 700
GROWS, FALLS = (0.5, 1.0, 2.0), (0.25, 0.5, 0.9)
FAULTS: dict[str, tuple[tuple[float, ...], Callable[[FloatArray, float], FloatArray]]] = {
    "spike of a minute": (GROWS, lambda day, size: np.where(np.arange(DAY) == AT, day * (1 + size), day)),
    "drop of ten minutes": (FALLS, lambda day, size: np.where(_since(AT) & ~_since(AT + 10), day * (1 - size), day)),
    "step up": (GROWS, lambda day, size: np.where(_since(AT), day * (1 + size), day)),
    "step down": (FALLS, lambda day, size: np.where(_since(AT), day * (1 - size), day)),
    "ramp of an hour": (GROWS, lambda day, size: day * (1 + size * np.clip((np.arange(DAY) - AT) / 60, 0, 1))),
    "leak over six hours": (GROWS, lambda day, size: day * (1 + size * np.clip((np.arange(DAY) - AT) / 360, 0, 1))),
    "scatter": (GROWS, lambda day, size: np.where(_since(AT), 100 + (day - 100) * (1 + 4 * size), day)),
    "drop to zero": ((1.0,), lambda day, size: np.where(_since(AT), day * (1 - size), day)),
}


def _since(at: int) -> np.ndarray:
    return np.arange(DAY) >= at


def fault_table() -> str:
    """Return the share found, the delay and the false alarms of each fault and size."""
    lines = ["| fault | size | found | median delay, min | false alarms per series |", "|---|---|---|---|---|"]
    values = FAMILIES["AR(1) 0.5"](np.random.default_rng(1), 2 * DAY)
    memories, day = _memories(values[:, :DAY]), values[:, DAY:]
    for name, (sizes, fault) in FAULTS.items():
        for size in sizes:
            found = _found(fault(day, size), memories)
            true = found.start >= AT
            late = zip(found.series[true].tolist(), (found.start[true] - AT).tolist(), strict=True)
            hit = dict(reversed(list(late)))
            delay = f"{np.median(list(hit.values())):.0f}" if hit else "-"
            lines.append(
                f"| {name} | {size:g} | {len(hit) / N_SERIES:.2f} | {delay} | {(~true).sum() / N_SERIES:.3f} |"
            )
    note = f"""{N_SERIES} series of minutes with noise of 5 % and a GA day. Sizes are relative to the level; of scatter,
1 + 4 sizes times as wide. Silence is not here: without a sample there is no score, so scrapes are counted instead
(`core/watch/anomalies/silence.py`)."""
    return "\n".join([note, "", *lines])
