"""Which verdicts rest on older evidence than there is? A sensor that lets a verdict follow every judged day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final, NamedTuple

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from tars_ops.adapters.catalogue import BUNDLE, DAILY_HEALTH, OF_A_DAY, OF_GA, PROVENANCE, as_of_key, days_with, digests
from tars_ops.adapters.registry import ENTRY, Registered
from tars_ops.adapters.store import Store
from tars_ops.core.errors import TarsOpsError
from tars_ops.core.release import Release, day_key
from tars_ops.defs.automation.attempts import next_verdict, verdict_key, verdict_tags
from tars_ops.defs.automation.jobs import SENSOR_STATUS, judge_release, verdict_config
from tars_ops.defs.partitions import RELEASES
from tars_ops.defs.resources import StoreResource

BUDGET_S: Final = 20.0
"""Seconds of one tick for comparing; the next one goes on."""
MOST_REQUESTS: Final = 50
"""Requests of one tick; Dagster gives a tick 60 s."""
_CURSOR = TypeAdapter(dict[str, str])


@dg.sensor(job=judge_release, minimum_interval_seconds=30, default_status=SENSOR_STATUS)
def verdict_follows_every_judged_day(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Judge a release again as of each day whose evidence is new; a verdict that failed is tried again."""
    known = set(context.instance.get_dynamic_partitions(RELEASES.name or ""))
    began_s = monotonic()
    found = look(
        store,
        [key for key in store.releases() if key in known],
        _marks(context.cursor),
        may_go_on=lambda: monotonic() - began_s < BUDGET_S,
    )
    for trouble in found.troubles:
        context.log.error(trouble)
    now = datetime.now(UTC)
    requests = [one for key, stale in found.stale.items() for one in _requests(context.instance, key, stale, now)]
    return dg.SensorResult(
        run_requests=requests[:MOST_REQUESTS],
        cursor=_CURSOR.dump_json(dict(found.marks)).decode(),
        skip_reason=None if requests else "; ".join(["no verdict is due", *found.troubles])[:1000],
    )


class Look(NamedTuple):
    """What one tick found."""

    stale: Mapping[str, list[tuple[int, str]]]
    """Days whose verdict is stale, with the digest of their evidence, by release."""
    marks: Mapping[str, str]
    """Releases with nothing stale, for the cursor."""
    troubles: Sequence[str]


def look(
    store: StoreResource, releases: Sequence[str], marks: Mapping[str, str], *, may_go_on: Callable[[], bool]
) -> Look:
    """Compare every verdict with its evidence; a release that cannot be read hides no other.

    ``may_go_on`` is asked before each release whose evidence is new; the rest is left to the next tick.
    """
    opened = store.open()
    stale: dict[str, list[tuple[int, str]]] = {}
    seen: dict[str, str] = {}
    troubles: list[str] = []
    for key in releases:
        try:
            registered = store.release(key)
            mark = evidence_mark(opened, registered.release)
            if marks.get(key) != mark and not may_go_on():
                continue
            if marks.get(key) != mark and (found := list(stale_verdicts(opened, registered))):
                stale[key] = found
                continue
        except TarsOpsError as error:
            troubles.append(f"{key}: {error}")
            continue
        seen[key] = mark
    return Look(stale, seen, troubles)


def _requests(
    instance: dg.DagsterInstance, release: str, stale: list[tuple[int, str]], now: datetime
) -> Iterator[dg.RunRequest]:
    for as_of, evidence in stale:
        attempt = next_verdict(instance, release, as_of, evidence)
        if attempt and (attempt.not_before is None or attempt.not_before <= now):
            yield dg.RunRequest(
                run_key=verdict_key(release, as_of, evidence, attempt.number),
                partition_key=release,
                run_config=verdict_config(as_of),
                tags=verdict_tags(release, as_of, evidence),
            )


def _marks(cursor: str | None) -> dict[str, str]:
    """Read what was up to date after the last tick; without it every release is looked at."""
    try:
        return _CURSOR.validate_json(cursor or "{}")
    except ValidationError:
        return {}


def evidence_mark(store: Store, release: Release) -> str:
    """Return a short text that changes with every artifact that a verdict rests on, and with every verdict.

    No content is read, only names of versions: it is asked of every release all the time.
    """
    key = release.key
    keys = [f"{key}/{ENTRY}", *(kind.key(key) for kind in OF_GA)]
    keys += [kind.key(key, day_key(day)) for day in release.days for kind in OF_A_DAY]
    keys += [BUNDLE.key(key, as_of_key(day)) for day in release.days]
    listed = " ".join(str(max(store.versions(one), default=0)) for one in keys)
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


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
