"""The assets of the day that is not over yet: what is there of it, and what can be said of it.

Neither has a clock: the run says until when it looks. One day of a release runs at a time, so the release is partition
enough; each version of these assets is a moment of a day, and no report is made of them.
"""

from datetime import datetime

import dagster as dg

from tars_ops.adapters.catalogue import GA_BASELINE
from tars_ops.adapters.store import Store
from tars_ops.core.errors import UsageError
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.running import RunningDay, judge_running, running_window
from tars_ops.defs.failures import ATTENDED, reported
from tars_ops.defs.metadata import running_metadata, telemetry_metadata
from tars_ops.defs.partitions import RELEASES, release_of
from tars_ops.defs.resources import SourceResource, StoreResource

RETRY = dg.RetryPolicy(max_retries=1, delay=5, jitter=dg.Jitter.PLUS_MINUS)
"""One more attempt: the next judgement is due soon anyway."""


class RunningConfig(dg.Config):
    """Until when the running day is looked at."""

    until: str
    """Instant in ISO 8601 with its zone, such as ``2025-11-20T13:40:00Z``; rounded down to a whole step."""

    @property
    def until_at(self) -> datetime:
        """The instant.

        Raises
        ------
        UsageError
            If the text is no instant with a zone.
        """
        try:
            at = datetime.fromisoformat(self.until)
        except ValueError as error:
            raise UsageError(f"until {self.until!r} is no instant such as 2025-11-20T13:40:00Z") from error
        if at.tzinfo is None:
            raise UsageError(f"until {self.until!r} has no time zone; write {self.until}Z for UTC")
        return at


@dg.asset(
    partitions_def=RELEASES,
    deps=["releases"],
    group_name="watch",
    owners=["team:sre"],
    kinds={"prometheus", "parquet"},
    retry_policy=RETRY,
)
def running_telemetry(
    context: dg.AssetExecutionContext, config: RunningConfig, store: StoreResource, source: SourceResource
) -> dg.MaterializeResult[Telemetry]:
    """Counts and arrived scrapes of the promised KPIs, of the running day or at least its last hour."""
    with reported(retry=ATTENDED not in context.run.tags):
        registered = store.release(release_of(context))
        _, window = running_window(registered.release, registered.policy, config.until_at)
        with source.open() as opened:
            telemetry = opened.fetch_window(registered.release, registered.policy, window)
    return dg.MaterializeResult(value=telemetry, metadata=telemetry_metadata(telemetry))


@dg.asset(
    partitions_def=RELEASES,
    deps=["ga_baseline"],
    group_name="watch",
    owners=["team:sre"],
    kinds={"scipy", "json"},
)
def running_day(
    context: dg.AssetExecutionContext, running_telemetry: Telemetry, store: StoreResource
) -> dg.MaterializeResult[RunningDay]:
    """Each promise of the running day so far and how fast its budget burns, provisionally."""
    with reported():
        registered = store.release(release_of(context))
        baseline = _frozen_baseline(store.open(), registered.release.key)
        judged = judge_running(running_telemetry, baseline, registered.release, registered.policy)
    units = {name: kpi.unit for name, kpi in registered.policy.judged.items()}
    return dg.MaterializeResult(value=judged, metadata=running_metadata(judged, units))


def _frozen_baseline(store: Store, release: str) -> GaBaseline | None:
    """Return the baseline; None while it is not frozen, as on the GA day itself."""
    key = GA_BASELINE.key(release)
    return GA_BASELINE.decode(store.get(key)) if store.pointer(key) else None
