"""Which running days has nobody looked at for a while? A sensor that has them judged provisionally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from tars_ops.adapters.history import History
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.settings import RECORDING_SCHEME, load_settings
from tars_ops.adapters.store import Store
from tars_ops.core.errors import TarsOpsError
from tars_ops.core.model import Instant
from tars_ops.core.watch.running import newest_instant
from tars_ops.defs.automation.jobs import JUDGE_RUNNING_DAY, SENSOR_STATUS, judge_running_day, running_config, tags_of
from tars_ops.defs.partitions import RELEASES
from tars_ops.defs.resources import SourceResource, StoreResource

EVERY_S: Final = load_settings().provisional_every_s
RELEASE_TAG: Final = "tars_ops/release"
RUNNING_TAG: Final = "tars_ops/running"
"""Tag of a provisional run: until when it looks."""
MOST_LOOKS, MOST_RUNS = 200, 50
"""Releases that one tick reads, and runs that it requests; the next tick takes the next ones."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_UNFINISHED: Final = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
_CURSOR: Final = TypeAdapter(dict[str, Instant])


class Due(NamedTuple):
    """A running day that is to be judged, and until when."""

    release: str
    until: datetime


class Looked(NamedTuple):
    """What one tick found; a release that cannot be read stops no other."""

    due: Sequence[Due]
    wake_at: Mapping[str, datetime]
    """When each release that was read has to be read again, provided that what is due is requested."""
    errors: Sequence[str]


@dg.sensor(
    job=judge_running_day,
    minimum_interval_seconds=min(30, EVERY_S),
    default_status=SENSOR_STATUS,
)
def running_days_are_judged(
    context: dg.SensorEvaluationContext, store: StoreResource, source: SourceResource
) -> dg.SensorResult | dg.SkipReason:
    """Judge the running day of each open release provisionally, every 15 minutes or as often as the deployment says."""
    if source.address.startswith(RECORDING_SCHEME):
        return dg.SkipReason("a recording holds whole days; none of them is running")
    wake_at = _wake_at(context.cursor)
    known = set(context.instance.get_dynamic_partitions(RELEASES.name or ""))
    found = look(store, wake_at, known=known, now=datetime.now(UTC))
    for error in found.errors:
        context.log.error(error)
    busy = _in_progress(context.instance) if found.due else frozenset()
    requested = [one for one in found.due if one.release not in busy][:MOST_RUNS]
    waiting = {one.release for one in found.due} - {one.release for one in requested}
    latest = {**wake_at, **{key: at for key, at in found.wake_at.items() if key not in waiting}}
    return dg.SensorResult(
        run_requests=[_request(one) for one in requested],
        cursor=_CURSOR.dump_json({key: at for key, at in latest.items() if key in known}).decode(),
        skip_reason=None if requested else f"no running day is due; {len(waiting)} are being judged",
    )


def look(
    store: StoreResource, wake_at: Mapping[str, datetime], *, known: set[str], now: datetime, every_s: int = EVERY_S
) -> Looked:
    """Find the running days that are due, the longest waiting first; the store is not asked about those that sleep."""
    opened, every = store.open(), timedelta(seconds=every_s)
    due: list[Due] = []
    found: dict[str, datetime] = {}
    errors: list[str] = []
    awake = [key for key in known.intersection(store.releases()) if wake_at.get(key, _NEVER) <= now]
    for key in islice(sorted(awake, key=lambda key: (wake_at.get(key, _NEVER), key)), MOST_LOOKS):
        try:
            until, found[key] = _until(opened, store.release(key), now, every)
        except TarsOpsError as error:
            errors.append(f"{key}: {error}")
            found[key] = now + every
            continue
        due += [Due(key, until)] if until else []
    return Looked(due, found, errors)


def _until(store: Store, registered: Registered, now: datetime, every: timedelta) -> tuple[datetime | None, datetime]:
    """Return until when the running day can be judged, None where none runs; and when to look again."""
    release, measurement = registered.release, registered.policy.measurement
    lag = timedelta(seconds=measurement.scrape_interval_s)
    until = newest_instant(release, registered.policy, now) if registered.policy.slos else None
    if until is None:
        first = release.ga_at + timedelta(seconds=measurement.slot_s) + lag
        return None, min(first, now + every) if now < first else now + every
    newer = until + timedelta(seconds=measurement.step_s) + lag
    return until if History(store).is_open(release.key) else None, max(newer, now + every)


def _request(due: Due) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{due.release}|running|{due.until:%Y%m%dT%H%M%SZ}",
        partition_key=due.release,
        run_config=running_config(due.until),
        tags={**tags_of(due.release), RUNNING_TAG: due.until.isoformat()},
    )


def _in_progress(instance: dg.DagsterInstance) -> frozenset[str]:
    """Return the releases whose running day is being judged, so that a slow server is not asked twice at once."""
    filters = dg.RunsFilter(job_name=JUDGE_RUNNING_DAY, statuses=list(_UNFINISHED))
    return frozenset(run.tags.get(RELEASE_TAG, "") for run in instance.get_runs(filters=filters))


def _wake_at(cursor: str | None) -> dict[str, datetime]:
    """Return when each release is to be looked at; a cursor that cannot be read costs one judgement too many."""
    try:
        return _CURSOR.validate_json(cursor or "{}")
    except ValidationError:
        return {}
