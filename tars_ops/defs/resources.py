"""What does an asset need from outside: the store, the source of telemetry, the day that a verdict is given for?

Resources hold addresses only. Secrets are read from the environment at the moment of use, so that no configuration
shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops.adapters.catalogue import DAILY_TELEMETRY, days_with
from tars_ops.adapters.registry import Registered, Registry
from tars_ops.adapters.settings import load_settings
from tars_ops.adapters.source import ReleaseSightings, TelemetrySource
from tars_ops.adapters.sources import open_sightings, open_source
from tars_ops.adapters.store import Store
from tars_ops.core.errors import MissingInputError, UsageError


class StoreResource(dg.ConfigurableResource):
    """The artifact store and the registry of releases in it."""

    url: str
    """A directory or an fsspec URL."""

    def open(self) -> Store:
        """Open the store."""
        return Store.at(self.url)

    def release(self, key: str) -> Registered:
        """Return a registered release with the policy that it is pinned to."""
        return Registry(self.open()).get(key)

    def releases(self) -> list[str]:
        """Return the keys of all registered releases."""
        return Registry(self.open()).all_keys()


class SourceResource(dg.ConfigurableResource):
    """Where telemetry comes from: a server or a recording."""

    address: str
    """As in ``TARS_OPS_SOURCE``; credentials come from the environment and never stand here."""

    @contextmanager
    def open(self) -> Iterator[TelemetrySource]:
        """Open the source for the length of one fetch."""
        source = open_source(self.address)
        try:
            yield source
        finally:
            source.close()

    @contextmanager
    def sightings(self) -> Iterator[ReleaseSightings]:
        """Open what the source knows of running versions for the length of one look."""
        sightings = open_sightings(self.address)
        try:
            yield sightings
        finally:
            sightings.close()


class OutboxResource(dg.ConfigurableResource):
    """The outbox of alerts, and of what was claimed to be done."""

    url: str = ""
    """Empty takes TARS_OPS_OUTBOX at the moment of use: it may hold a password."""

    @contextmanager
    def open(self) -> Iterator[Outbox]:
        """Open the outbox for the length of one tick."""
        outbox = Outbox.open(self.url or load_settings().outbox_url)
        try:
            yield outbox
        finally:
            outbox.close()


class AsOf(dg.ConfigurableResource):
    """The day that a verdict is given for."""

    day: int = 0
    """1..n; 0 takes the last day whose telemetry exists."""

    def resolve(self, store: Store, registered: Registered) -> int:
        """Return the day; stored in every artifact of the verdict.

        Raises
        ------
        MissingInputError
            If no day is given and none has telemetry yet.
        UsageError
            If the release is not watched that long.
        """
        release = registered.release
        if self.day:
            if self.day not in release.days:
                raise UsageError(f"{release.key} is watched for {release.n_days} days; there is no day {self.day}")
            return self.day
        known = days_with(store, release.key, DAILY_TELEMETRY, up_to=release.n_days)
        if not known:
            raise MissingInputError(f"no day of {release.key} has telemetry yet; materialise `daily_telemetry` first")
        return max(known)
