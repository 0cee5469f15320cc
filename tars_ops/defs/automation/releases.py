"""Which releases are there to watch? A sensor that registers what manifests announce and what is seen running."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from tars_ops.adapters.history import History
from tars_ops.adapters.manifests import Manifest, Manifests, read_manifests
from tars_ops.adapters.policies import LoadedPolicy, Policies
from tars_ops.adapters.progress import SEEN_AT
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.settings import load_settings
from tars_ops.adapters.source import ReleaseSightings
from tars_ops.adapters.store import Store
from tars_ops.core.errors import ConfigurationError, SourceUnavailableError, TarsOpsError, UsageError
from tars_ops.core.lifecycle import Code
from tars_ops.core.release import Release, Window
from tars_ops.core.sightings import Event, Known, Look, Releases, Sight, look
from tars_ops.core.units import at_most
from tars_ops.defs.automation.jobs import SENSOR_STATUS
from tars_ops.defs.registration import PARTITIONS, announce, open_history, register
from tars_ops.defs.resources import SourceResource, StoreResource

BY: Final = "sensor"
OVERLAP: Final = timedelta(minutes=15)
"""What arrived late is still seen: every look begins before the end of the look before."""
_MINUTE: Final = timedelta(minutes=1)
_SHOWN: Final = 1000
_CURSOR = TypeAdapter(dict[str, Known])
_CODES: Final = {
    Sight.FLAPPED: Code.FLAPPED,
    Sight.WENT_BACK: Code.WENT_BACK,
    Sight.SUPERSEDED: Code.SUPERSEDED_BY_NEWER,
}


@dg.sensor(minimum_interval_seconds=60, default_status=SENSOR_STATUS)
def releases_are_registered(
    context: dg.SensorEvaluationContext, store: StoreResource, source: SourceResource
) -> dg.SensorResult:
    """Every minute: register the releases of new manifests and new versions, and record what is seen of known ones."""
    settings = load_settings()
    finder = Finder(context.instance, store.open(), settings.watch_days, datetime.now(UTC))
    try:
        policies = {one.policy.product: one for one in Policies(settings.policies_dir).all()}
    except ConfigurationError as error:
        finder.troubles.append(str(error))
        policies = {}
    finder.follow_manifests(read_manifests(settings.releases_dir), policies)
    finder.announce_all()
    cursor = finder.follow_sightings(source, policies.values(), context.cursor)
    for trouble in finder.troubles:
        context.log.error(trouble)
    for remark in finder.remarks:
        context.log.info(remark)
    return dg.SensorResult(cursor=cursor, skip_reason=dg.SkipReason(finder.said()))


@dataclass
class Finder:
    """One look for releases at one moment; what is wrong with one of them never hides the others."""

    instance: dg.DagsterInstance
    store: Store
    watch_days: int
    now: datetime
    found: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def said(self) -> str:
        """Return what the tick says in the UI."""
        news = f"registered {', '.join(self.found)}" if self.found else "no new release"
        return at_most("; ".join([news, *self.troubles]), _SHOWN)

    # -- manifests ------------------------------------------------------------------------------------------------

    def follow_manifests(self, manifests: Manifests, policies: Mapping[str, LoadedPolicy]) -> None:
        """Register what is announced; report what cannot be, on every tick until it is mended."""
        self.troubles += manifests.problems
        registry = Registry(self.store)
        known = set(registry.all_keys()) if manifests.loaded else set()
        for one in manifests.loaded:
            try:
                if one.manifest.key in known:
                    _check_same(one.manifest, registry.get(one.manifest.key).release)
                else:
                    self._register_announced(one.manifest, policies)
            except TarsOpsError as error:
                self.troubles.append(f"{one.path}: {error}")

    def _register_announced(self, manifest: Manifest, policies: Mapping[str, LoadedPolicy]) -> None:
        policy = policies.get(manifest.product)
        if policy is None:
            raise UsageError(f"there is no policy of product {manifest.product!r}; add one to TARS_OPS_POLICIES")
        if (manifest.n_days or 1) > self.watch_days:
            raise UsageError(
                f"n_days {manifest.n_days}: this deployment watches at most {self.watch_days} days "
                "(TARS_OPS_WATCH_DAYS)"
            )
        release = manifest.release(policy_sha256=policy.sha256, n_days=self.watch_days)
        self._register(release, policy, "announced by its manifest")

    def _register(self, release: Release, policy: LoadedPolicy, why: str) -> None:
        registered = register(self.store, release, policy.text, at=self.now, by=BY, why=why)
        announce(self.instance, registered.release)
        self.found.append(release.key)

    # -- partitions -----------------------------------------------------------------------------------------------

    def announce_all(self) -> None:
        """Give every open release its partition: also one that was registered elsewhere or half-way.

        A closed release that somebody took out of the instance stays out.
        """
        registry, known = Registry(self.store), set(self.instance.get_dynamic_partitions(PARTITIONS))
        for key in (key for key in registry.all_keys() if key not in known):
            try:
                if not History(self.store).is_open(key):
                    continue
                release = registry.get(key).release
                open_history(self.store, release, at=self.now, by=BY)
                announce(self.instance, release)
                self.found.append(key)
            except TarsOpsError as error:
                self.troubles.append(f"{key}: {error}")

    # -- sightings ------------------------------------------------------------------------------------------------

    def follow_sightings(
        self, source: SourceResource, policies: Iterable[LoadedPolicy], cursor: str | None
    ) -> str | None:
        """Look at every product whose policy names its build-info series; return what is remembered.

        Where the source cannot answer nothing is remembered, so that the next look begins at the same instant.
        """
        watched = [one for one in policies if one.policy.measurement.build_info]
        if not watched:
            return cursor
        known = self._remembered(cursor)
        try:
            with source.sightings() as sightings:
                for policy in watched:
                    self._look_at(policy, sightings, known)
        except TarsOpsError as error:
            self.troubles.append(str(error))
        remembered = {one.policy.product: known[one.policy.product] for one in watched if one.policy.product in known}
        return _CURSOR.dump_json(remembered).decode()

    def _remembered(self, cursor: str | None) -> dict[str, Known]:
        try:
            return _CURSOR.validate_json(cursor or "{}")
        except ValidationError:
            self.troubles.append("the cursor cannot be read; every product is looked at as if for the first time")
            return {}

    def _look_at(self, policy: LoadedPolicy, sightings: ReleaseSightings, known: dict[str, Known]) -> None:
        product = policy.policy.product
        try:
            seen = sightings.seen(policy.policy, self._window(known.get(product)))
            releases = self._releases(product)
            found = look(known.get(product), seen.versions, seen.window, product=product, releases=releases)
            for event in found.events:
                self._follow(event, policy)
        except SourceUnavailableError:
            raise
        except TarsOpsError as error:
            self.troubles.append(f"{product}: {error}")
            return
        self._remark(product, found)
        if found.known:
            known[product] = found.known

    def _window(self, known: Known | None) -> Window:
        end_at = self.now.replace(second=0, microsecond=0)
        start_at = known.to_at - OVERLAP if known else end_at - timedelta(days=self.watch_days + 1)
        return Window(min(start_at, end_at - _MINUTE), end_at)

    def _releases(self, product: str) -> Releases:
        registry, history = Registry(self.store), History(self.store)
        keys = [key for key in registry.all_keys() if key.startswith(f"{product}@")]
        ga_at = {release.version: release.ga_at for release in (registry.get(key).release for key in keys)}
        return Releases(ga_at, {version for version in ga_at if not history.is_open(f"{product}@{version}")})

    def _follow(self, event: Event, policy: LoadedPolicy) -> None:
        """Register a release that began; of any other event make one entry of the history."""
        if event.sight is Sight.BEGAN:
            product, _, version = event.release.partition("@")
            release = Release(
                product=product,
                version=version,
                ga_at=event.at,
                policy_sha256=policy.sha256,
                n_days=self.watch_days,
                previous=event.other,
            )
            self._register(release, policy, event.why)
            return
        open_history(self.store, Registry(self.store).get(event.release).release, at=self.now, by=BY)
        history, code, seen_at = History(self.store), _CODES[event.sight], event.at.isoformat()
        if any(one.code is code and one.details.get(SEEN_AT) == seen_at for one in history.entries(event.release)):
            return  # told by a tick that died before its cursor was kept
        details = {SEEN_AT: seen_at, **({"other": event.other} if event.other else {})}
        history.record(event.release, code, at=self.now, by=BY, why=event.why, details=details)
        self.remarks.append(f"{event.release} {event.sight.replace('_', ' ')}: {event.why}")

    def _remark(self, product: str, found: Look) -> None:
        self.troubles += found.refused
        if found.running_before:
            self.remarks.append(
                f"{', '.join(found.running_before)} of {product} ran before the first look, so its GA is not known; "
                "register it by `tars-ops release add` or a manifest to watch it"
            )


def _check_same(manifest: Manifest, release: Release) -> None:
    """Refuse a manifest that says something else than is registered; a watch may have been extended since."""
    changed = [name for name in manifest.differences(release) if name != "n_days"]
    if manifest.n_days and manifest.n_days > release.n_days:
        changed.append("n_days")
    if changed:
        said = json.dumps({name: str(getattr(release, name)) for name in changed})
        raise UsageError(f"{release.key} is registered otherwise and stays so: {said}; correct the manifest")
