"""In which figures does the documented JSON write a quantity?

Its readers know percent, milliseconds and US dollars, so these documents are exempt from base units. Rounding ends the
noise of binary fractions, not the precision of a measurement.
"""

from __future__ import annotations

from typing import Literal

DIGITS = 6

DocumentedUnit = Literal["percent", "ms"]


def in_percent(ratio: float | None) -> float | None:
    """Return a ratio as percent; unknown stays unknown.

    Examples
    --------
    >>> [in_percent(0.999), in_percent(1 - 0.999), in_percent(None)]
    [99.9, 0.1, None]
    """
    return None if ratio is None else percent_of(ratio)


def percent_of(ratio: float) -> float:
    """Return a known ratio as percent."""
    return round(100 * ratio, DIGITS)


def in_ms(seconds: float | None) -> float | None:
    """Return seconds as milliseconds; unknown stays unknown."""
    return None if seconds is None else round(1000 * seconds, DIGITS)


def in_usd(usd: float | None) -> float | None:
    """Return US dollars without the noise of binary fractions; unknown stays unknown."""
    return None if usd is None else round(usd, DIGITS)
