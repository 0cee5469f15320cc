"""What do several ways of doing one thing cost, measured side by side?

CPU seconds of this process with all its threads: wall time on a shared machine proves little.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """One way of doing the thing, with how many units of work one call does."""

    call: Callable[[], object]
    n_units: float


def rates(ways: Mapping[str, Way], *, n_rounds: int) -> dict[str, float]:
    """Return units per CPU-second of each way: the median of rounds in which all take their turn."""
    for way in ways.values():
        way.call()  # compilers, caches and pages are warm
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(n_rounds):
        for name, way in ways.items():
            gc.collect()
            began_s = time.process_time()
            way.call()
            costs[name].append(time.process_time() - began_s)
    return {name: way.n_units / statistics.median(costs[name]) for name, way in ways.items()}


def table(title: str, unit: str, found: Mapping[str, float], *, scale: float = 1e6) -> str:
    """Write the rates, the first way's as a multiple of each other one."""
    ours = next(iter(found.values()))
    rows = [f"| {name} | {rate / scale:,.2f} | {ours / rate:,.1f} |" for name, rate in found.items()]
    return "\n".join([f"| {title} | {unit} | the first is faster by |", "|---|---|---|", *rows])
