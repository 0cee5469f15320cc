"""What stands for a release and who was told, as the UI shows it: observed by the sensor of alerts, made by no run."""

import dagster as dg

from tars_ops.defs.partitions import RELEASES

alerts = dg.AssetSpec(
    "alerts",
    partitions_def=RELEASES,
    deps=["regression_analysis", "running_day"],
    group_name="watch",
    owners=["team:sre"],
    kinds={"sql"},
    description="Alerts of the gates that do not hold, with what each receiver was told; kept in the outbox.",
)
