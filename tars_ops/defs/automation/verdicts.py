"""Which verdicts rest on older evidence than there is? A sensor that lets a verdict follow every judged day."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import dagster as dg

from tars_ops.adapters.catalogue import BUNDLE, DAILY_HEALTH, OF_A_DAY, OF_GA, PROVENANCE, as_of_key, days_with, digests
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.store import Store
from tars_ops.defs.automation.jobs import SENSOR_STATUS, judge_release, verdict_config
from tars_ops.defs.partitions import RELEASES
from tars_ops.defs.resources import StoreResource


@dg.sensor(
    job=judge_release,
    minimum_interval_seconds=30,
    default_status=SENSOR_STATUS,
)
def verdict_follows_every_judged_day(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Judge a release again as of each day whose evidence is new."""
    n, opened = 0, store.open()
    known = set(context.instance.get_dynamic_partitions(RELEASES.name or ""))
    for key in (key for key in store.releases() if key in known):
        for as_of, evidence in stale_verdicts(opened, store.release(key)):
            n += 1
            yield dg.RunRequest(
                run_key=f"{key}|{as_of_key(as_of)}|{evidence[:16]}",
                partition_key=key,
                run_config=verdict_config(as_of),
                tags={"tars_ops/as_of": as_of_key(as_of)},
            )
    if not n:
        yield dg.SkipReason("every judged day has its verdict")


def stale_verdicts(store: Store, registered: Registered) -> Iterator[tuple[int, str]]:
    """Yield each judged day whose verdict is missing or rests on other files than there are now, with their digest."""
    release = registered.release
    for as_of in days_with(store, release.key, DAILY_HEALTH, up_to=release.n_days):
        evidence = digests(store, release.key, as_of=as_of, kinds=(*OF_GA, *OF_A_DAY))
        key = PROVENANCE.key(release.key, as_of_key(as_of))
        bundled = store.pointer(BUNDLE.key(release.key, as_of_key(as_of)))
        if bundled is None or PROVENANCE.decode(store.get(key)).inputs != evidence:
            listed = "\n".join(f"{path} {sha256}" for path, sha256 in sorted(evidence.items()))
            yield as_of, hashlib.sha256(listed.encode()).hexdigest()
