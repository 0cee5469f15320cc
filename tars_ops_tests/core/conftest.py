"""How long a property may take: a loaded machine is no counter-example."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("core", deadline=None)
settings.load_profile("core")
