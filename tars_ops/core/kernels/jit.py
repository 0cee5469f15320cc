"""How is a loop compiled, and what happens where it cannot be?

The compiler takes most of a second to import, so a front function imports its kernel module only when it is called. A
machine without the compiler, or one where nothing can be cached (a read-only installation), uses the numpy twins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop on its first call and keep the machine code beside the source.

    Division by zero follows IEEE 754 and the interpreter lock is released. No fast mathematics: the twin in numpy does
    the same operations in the same order and gives the same bits.

    Raises
    ------
    ImportError
        If numba is not installed.
    RuntimeError
        If numba finds no directory that it can write its cache to.
    """
    from numba import njit

    return njit(cache=True, nogil=True, error_model="numpy")(function)
