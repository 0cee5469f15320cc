"""How is a release judged by another policy? Three jobs for a person to launch; none of them runs by itself.

A registered release stays pinned to its policy, so changing that is an explicit act with a name and a reason. Nothing
is fetched again: the baseline and the days are judged from the telemetry that is stored.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg

from tars_ops.adapters.decisions import change_policy as repin
from tars_ops.adapters.policies import Policies
from tars_ops.adapters.settings import load_settings
from tars_ops.core.release import checked_key
from tars_ops.defs.automation.jobs import tags_of, tags_of_ga
from tars_ops.defs.failures import reported
from tars_ops.defs.partitions import RELEASE_DAYS, RELEASES
from tars_ops.defs.resources import StoreResource

CHANGE_POLICY, FREEZE_AGAIN, JUDGE_AGAIN = "change_policy", "freeze_again", "judge_again"
REFREEZE: Mapping[str, object] = {"ops": {"ga_baseline": {"config": {"refreeze": True}}}}
"""Run configuration that replaces a frozen baseline."""


class PolicyChange(dg.Config):
    """Which release is judged by the policy file as it is now, and who wants that, and why."""

    release: str
    by: str
    why: str


@dg.op
def pin_the_policy(context: dg.OpExecutionContext, config: PolicyChange, store: StoreResource) -> None:
    """Pin a release to the policy of its product in TARS_OPS_POLICIES; its history says who did and why."""
    with reported(retry=False):
        policy = Policies(load_settings().policies_dir).find(checked_key(config.release).partition("@")[0])
        now = datetime.now(UTC)
        pinned = repin(store.open(), config.release, policy.text, by=config.by, why=config.why, now=now)
    context.add_output_metadata({"release": config.release, "policy_sha256": pinned.release.policy_sha256})


@dg.job(
    name=CHANGE_POLICY,
    executor_def=dg.in_process_executor,
    description="Pin a release to the policy of its product as it is now. Then launch freeze_again and judge_again.",
)
def change_policy() -> None:
    """Pin a release to another policy."""
    pin_the_policy()


freeze_again = dg.define_asset_job(
    FREEZE_AGAIN,
    dg.AssetSelection.assets("ga_baseline"),
    config=dg.PartitionedConfig(
        partitions_def=RELEASES,
        run_config_for_partition_key_fn=lambda _: dict(REFREEZE),
        tags_for_partition_key_fn=tags_of_ga,
    ),
    executor_def=dg.in_process_executor,
    description="Replace the frozen baseline, from the stored GA telemetry; every later report says so.",
)
judge_again = dg.define_asset_job(
    JUDGE_AGAIN,
    dg.AssetSelection.assets("daily_stability", "anomaly_events", "daily_health"),
    config=dg.PartitionedConfig(
        partitions_def=RELEASE_DAYS,
        run_config_for_partition_key_fn=lambda _: {},
        tags_for_partition_key_fn=tags_of,
    ),
    executor_def=dg.in_process_executor,
    description="Judge a day again, from its stored telemetry, by the policy that the release is pinned to now.",
)

ALL = (change_policy, freeze_again, judge_again)
