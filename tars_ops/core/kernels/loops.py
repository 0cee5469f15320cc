"""Is there machine code for a loop on this machine?"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType


@cache
def loops(name: str) -> ModuleType | None:
    """Return the compiled loops of ``name``; None without a compiler or a directory for its cache.

    The front functions then use their twins in numpy: the same results, later.
    """
    try:
        return import_module(f"tars_ops.core.kernels.compiled.{name}")
    except (ImportError, RuntimeError):
        return None
