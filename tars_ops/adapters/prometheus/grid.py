"""Which instants does a range query ask for, and in how many requests?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.errors import ContractError


@dataclass(frozen=True, slots=True)
class Grid:
    """The instants ``start_ms``, ``start_ms + step_ms``, ... up to and, if one falls on it, including ``end_ms``.

    Unix time in milliseconds.
    """

    start_ms: int
    end_ms: int
    step_ms: int

    def __post_init__(self) -> None:
        """Refuse a grid without instants."""
        if self.step_ms <= 0:
            raise ContractError(f"step_ms ({self.step_ms}) must be positive")
        if self.end_ms < self.start_ms:
            raise ContractError(f"end_ms ({self.end_ms}) must not be before start_ms ({self.start_ms})")

    @property
    def n_points(self) -> int:
        """Instants in the grid, at least 1."""
        return (self.end_ms - self.start_ms) // self.step_ms + 1

    def pieces(self, max_points: int) -> tuple[Grid, ...]:
        """Cut into grids of at most ``max_points`` instants that together hold each instant exactly once.

        Examples
        --------
        >>> [(piece.start_ms, piece.end_ms) for piece in Grid(0, 95, 10).pieces(4)]
        [(0, 30), (40, 70), (80, 95)]
        """
        stride_ms = max_points * self.step_ms
        return tuple(
            Grid(first_ms, min(first_ms + stride_ms - self.step_ms, self.end_ms), self.step_ms)
            for first_ms in range(self.start_ms, self.end_ms + 1, stride_ms)
        )

    def holds(self, at_ms: NDArray[np.int64]) -> bool:
        """Say whether every one of these instants belongs to the grid.

        Examples
        --------
        >>> Grid(0, 95, 10).holds(np.array([0, 90])), Grid(0, 95, 10).holds(np.array([15]))
        (True, False)
        """
        offset_ms = at_ms - self.start_ms
        return bool(np.all((offset_ms >= 0) & (at_ms <= self.end_ms) & (offset_ms % self.step_ms == 0)))
