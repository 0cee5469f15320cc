"""How is a quantity written for a person?

Files and code hold base units and ratios; this module alone turns them into words. Percent exists only here.
"""

from __future__ import annotations

from enum import StrEnum


class Unit(StrEnum):
    """The base unit of a KPI."""

    SECONDS = "seconds"
    RATIO = "ratio"
    BYTES = "bytes"
    CORES = "cores"
    USD = "usd"
    PER_SECOND = "per_second"
    COUNT = "count"


_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
UNKNOWN_TEXT = "unknown"


def show(value: float | None, unit: Unit) -> str:
    """Write a value with its unit; an absent value is written as unknown.

    Examples
    --------
    >>> [show(0.99954, Unit.RATIO), show(0.0123, Unit.SECONDS), show(2.5, Unit.SECONDS)]
    ['99.954 %', '12.3 ms', '2.5 s']
    >>> [show(3.2e9, Unit.BYTES), show(None, Unit.USD), show(1.25, Unit.USD)]
    ['2.98 GiB', 'unknown', '1.25 USD']
    """
    if value is None or value != value:  # noqa: PLR0124 - NaN differs from itself
        return UNKNOWN_TEXT
    match unit:
        case Unit.RATIO:
            return f"{100 * value:.5g} %"
        case Unit.SECONDS:
            return f"{value:.3g} s" if abs(value) >= 1 else f"{1000 * value:.3g} ms"
        case Unit.BYTES:
            return _bytes(value)
        case Unit.CORES:
            return f"{value:.3g} cores"
        case Unit.USD:
            return f"{value:.4g} USD"
        case Unit.PER_SECOND:
            return f"{value:.4g} /s"
        case Unit.COUNT:
            return f"{value:.6g}"


def _bytes(value: float) -> str:
    power = 0
    while abs(value) >= 1024 and power < len(_BINARY) - 1:
        value, power = value / 1024, power + 1
    return f"{value:.3g} {_BINARY[power]}"


def percent(ratio: float | None, *, digits: int = 1, signed: bool = False) -> str:
    """Write a ratio as percent.

    Examples
    --------
    >>> [percent(0.314), percent(0.1, signed=True), percent(None)]
    ['31.4 %', '+10.0 %', 'unknown']
    """
    if ratio is None or ratio != ratio:  # noqa: PLR0124 - NaN differs from itself
        return UNKNOWN_TEXT
    return f"{100 * ratio:{'+' if signed else ''}.{digits}f} %"


def duration(seconds: float) -> str:
    """Write a span of time.

    Examples
    --------
    >>> [duration(45), duration(5400), duration(3 * 86400)]
    ['45 s', '1.5 h', '3 d']
    """
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"


def at_most(text: str, limit: int) -> str:
    r"""Cut a text that somebody else wrote, and drop its control characters.

    Examples
    --------
    >>> at_most('one two\x1b[31m three', 12)
    'one two [31…'
    """
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
