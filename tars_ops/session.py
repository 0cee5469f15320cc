"""How does a command run the lineage in its own process?

The same jobs, the same instance, the same events as under the daemon: what a command did is seen in the UI. One process
for a whole week, because importing costs more than judging.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from tars_ops.adapters.catalogue import (
    BUNDLE,
    DAILY_HEALTH,
    DAILY_STABILITY,
    GA_BASELINE,
    OF_A_DAY,
    OF_A_VERDICT,
    OF_GA,
    REGRESSION,
    RUNNING_DAY,
    as_of_key,
    days_with,
    digests,
    last_verdict,
)
from tars_ops.adapters.decisions import change_policy
from tars_ops.adapters.export import Exported, export
from tars_ops.adapters.facts import gather_facts
from tars_ops.adapters.history import FOLLOWER, History
from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.registry import Registered, Registry
from tars_ops.adapters.releases import check_is_over
from tars_ops.adapters.settings import PROJECT, RECORDING_SCHEME, Settings
from tars_ops.adapters.sources import open_source
from tars_ops.adapters.store import Store
from tars_ops.core.errors import TarsOpsError, UsageError
from tars_ops.core.release import Release, day_key
from tars_ops.core.verdict import DayState, Decision, Verdict
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.running import RunningDay, newest_instant
from tars_ops.core.watch.stability import DailyStability
from tars_ops.definitions import build
from tars_ops.defs.automation.jobs import (
    AS_OF_TAG,
    JUDGE_RELEASE,
    JUDGE_RUNNING_DAY,
    OPEN_WATCH,
    WATCH_DAY,
    running_config,
    tags_of,
    verdict_config,
)
from tars_ops.defs.automation.policy import FREEZE_AGAIN, JUDGE_AGAIN, REFREEZE
from tars_ops.defs.automation.verdicts import stale_verdicts
from tars_ops.defs.failures import ATTENDED
from tars_ops.defs.partitions import partition_of
from tars_ops.defs.registration import announce, register

DEFAULT_HOME = "var/dagster"


class Session:
    """A persistent Dagster instance, a store and a source, for one command."""

    def __init__(self, instance: dg.DagsterInstance, store: Store, definitions: dg.Definitions, source: str) -> None:
        self._instance, self.store, self._definitions = instance, store, definitions
        self._source = source
        self.registry = Registry(store)

    def register(self, release: Release, policy_text: bytes) -> None:
        """Register a release, begin its history and make it a partition; all of it again changes nothing."""
        now = datetime.now(UTC)
        register(self.store, release, policy_text, at=now, by=FOLLOWER, why="added on the command line")
        self.follow(release.key)
        self.announce(release)

    def follow(self, release: str) -> None:
        """Let the history of a release say what its evidence says; under the daemon a sensor does."""
        now = datetime.now(UTC)
        facts = gather_facts(self.store, self.registry.get(release), now=now)
        History(self.store).follow(release, facts, now=now)

    def announce(self, release: Release) -> None:
        """Make a registered release a partition, with its entry in the registry's history."""
        announce(self._instance, release)

    def open_watch(self, release: str) -> None:
        """Fetch the GA day and freeze the baseline."""
        self._run(OPEN_WATCH, release, {})
        self.follow(release)

    def watch_day(self, release: str, day: int) -> None:
        """Fetch and judge one day."""
        self._run(WATCH_DAY, str(partition_of(release, day)), {})

    def judge_by_new_policy(self, release: str, policy_text: bytes, *, by: str, why: str) -> list[int]:
        """Pin a release to another policy, and judge everything stored of it again; return the days."""
        now = datetime.now(UTC)
        registered = change_policy(self.store, release, policy_text, by=by, why=why, now=now)
        if self.has_baseline(release):
            self._run(FREEZE_AGAIN, release, dict(REFREEZE))
        days = days_with(self.store, release, DAILY_HEALTH, up_to=registered.release.n_days)
        for day in days:
            self._run(JUDGE_AGAIN, str(partition_of(release, day)), {})
        for as_of in self.stale(registered):
            self.judge(release, as_of=as_of)
        self.follow(release)
        return days

    def judge(self, release: str, *, as_of: int) -> None:
        """Refresh the verdict and every report as of a day."""
        self._run(JUDGE_RELEASE, release, verdict_config(as_of), {AS_OF_TAG: as_of_key(as_of)})
        self.follow(release)

    def judge_so_far(self, registered: Registered) -> RunningDay:
        """Fetch what is there of the running day and judge it provisionally.

        Raises
        ------
        UsageError
            If the source is a recording, or no day of the release runs any more.
        NotYetError
            If the first slot since GA is not over.
        """
        if self._is_recording:
            raise UsageError(
                "--so-far needs a server in TARS_OPS_SOURCE: a recording holds whole days, none is running"
            )
        key, now = registered.release.key, datetime.now(UTC)
        until = newest_instant(registered.release, registered.policy, now) or now
        self._run(JUDGE_RUNNING_DAY, key, running_config(until), {"tars_ops/running": until.isoformat()})
        return RUNNING_DAY.decode(self.store.get(RUNNING_DAY.key(key)))

    def has_baseline(self, release: str) -> bool:
        """Tell whether the baseline of a release is frozen."""
        return self.store.pointer(GA_BASELINE.key(release)) is not None

    def check_can_be_judged(self, registered: Registered, days: Sequence[int]) -> None:
        """Refuse days that are not of the watch, or that a live server has not seen to their end.

        A baseline of half a GA day would be frozen for the whole watch: the GA day is checked where it is not frozen.
        """
        release = registered.release
        first = [] if self.has_baseline(release.key) else [0]
        now = datetime.max.replace(tzinfo=UTC) if self._is_recording else datetime.now(UTC)
        for day in (*first, *days):
            check_is_over(release, day, now=now)

    def due(self, registered: Registered) -> list[int]:
        """Return the days that can be judged and have not been: over by now, or held by the recording.

        Raises
        ------
        NotYetError
            If none is due and none was ever judged.
        """
        release = registered.release
        done = days_with(self.store, release.key, DAILY_HEALTH, up_to=release.n_days)
        if self._is_recording:
            recording = open_source(self._source)
            held = recording.days if isinstance(recording, RecordingSource) else []
            return [day for day in release.days if day in held and day not in done]
        now = datetime.now(UTC)
        over = [day for day in release.days if release.window(day).end_at <= now]
        if not over and not done:
            check_is_over(release, 1, now=now)
        return [day for day in over if day not in done]

    def stale(self, registered: Registered) -> list[int]:
        """Return the judged days whose verdict is missing or rests on older evidence than there is now."""
        return [as_of for as_of, _ in stale_verdicts(self.store, registered)]

    @property
    def _is_recording(self) -> bool:
        return self._source.startswith(RECORDING_SCHEME)

    def last_verdict(self, registered: Registered) -> int:
        """Return the last day that the release has a verdict for."""
        return last_verdict(self.store, registered.release.key, up_to=registered.release.n_days)

    def verdict(self, release: str, as_of: int) -> tuple[RegressionAnalysis, dict[int, DailyStability], Registered]:
        """Return the verdict as of a day, with the judged days behind it."""
        analysis = REGRESSION.decode(self.store.get(REGRESSION.key(release, as_of_key(as_of))))
        judged = [day.day for day in analysis.days if day.state is DayState.JUDGED]
        days = {d: DAILY_STABILITY.decode(self.store.get(DAILY_STABILITY.key(release, day_key(d)))) for d in judged}
        return analysis, days, self.registry.get(release)

    def exit_code(self, analysis: RegressionAnalysis) -> int:
        """Return the exit code of a verdict: 10 for a failure or an advice to roll back, 11 for unknown, else 0."""
        verdict = next(day.verdict for day in analysis.days if day.day == analysis.as_of)
        if analysis.decision is Decision.ROLL_BACK or verdict is Verdict.FAIL:
            return 10
        return 11 if verdict is Verdict.UNKNOWN else 0

    def digests(self, release: str, as_of: int) -> dict[str, str]:
        """Return the digest of every file of a release as of a day, by path."""
        return digests(self.store, release, as_of=as_of, kinds=(*OF_GA, *OF_A_DAY, *OF_A_VERDICT, BUNDLE))

    def export(self, release: str, target: Path, *, as_of: int) -> Exported:
        """Write the files of a release for people."""
        return export(self.store, release, target, as_of=as_of, now=datetime.now(UTC))

    def _run(
        self, job: str, partition_key: str, run_config: dict[str, object], tags: dict[str, str] | None = None
    ) -> None:
        result = self._definitions.resolve_job_def(job).execute_in_process(
            instance=self._instance,
            partition_key=partition_key,
            run_config={**run_config, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={**tags_of(partition_key), ATTENDED: "true", **(tags or {})},
            raise_on_error=False,
        )
        if result.success:
            return
        failed = [event for event in result.all_events if event.is_step_failure]
        raise _cause(job, partition_key, failed)


def _cause(job: str, partition_key: str, failed: list[dg.DagsterEvent]) -> Exception:
    """Return the error of the project behind a failed run; an error that is none of its kinds is a defect."""
    for event in failed:
        data = event.step_failure_data
        found = data.user_failure_data
        if found and found.metadata and "error" in found.metadata:
            kind = next((k for k in _kinds(TarsOpsError) if k.__name__ == found.metadata["error"].value), TarsOpsError)
            return kind(found.description or str(kind.__name__))
    said = "; ".join(str(event.step_failure_data.error_display_string)[-2000:] for event in failed)
    return TarsOpsError(f"job {job} of {partition_key} failed: {said or 'no step says why'}")


def _kinds(kind: type[TarsOpsError]) -> Iterator[type[TarsOpsError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


def dagster_home() -> Path:
    """Return the home of the instance, made on first use with the project's ``dagster.yaml``."""
    home = Path(os.environ.get("DAGSTER_HOME") or DEFAULT_HOME).absolute()
    home.mkdir(parents=True, exist_ok=True)
    settings, ours = home / "dagster.yaml", PROJECT / "dagster.yaml"
    if not settings.exists() and ours.exists():
        shutil.copyfile(ours, settings)
    return home


@contextmanager
def open_session(settings: Settings) -> Iterator[Session]:
    """Open the persistent instance and everything a command needs."""
    os.environ["DAGSTER_HOME"] = str(dagster_home())
    with dg.DagsterInstance.get() as instance:
        yield Session(instance, Store.at(settings.store_url), build(settings), settings.source)
