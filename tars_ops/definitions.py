"""The code location: everything that Dagster knows of this project."""

from __future__ import annotations

import dagster as dg

from tars_ops import defs as shell
from tars_ops.adapters.settings import Settings, load_settings
from tars_ops.defs.automation import alerts, days, jobs, lifecycle, policy, releases, running, verdicts
from tars_ops.defs.io_manager import StoreIOManager
from tars_ops.defs.resources import AsOf, OutboxResource, SourceResource, StoreResource


def resources(*, store_url: str, source: str) -> dict[str, object]:
    """Return the resources of the project for a store and a source."""
    store = StoreResource(url=store_url)
    as_of = AsOf.configure_at_launch()
    return {
        "store": store,
        "source": SourceResource(address=source),
        "outbox": OutboxResource(),
        "as_of": as_of,
        "io_manager": StoreIOManager(store=store, as_of=as_of),
    }


def build(settings: Settings) -> dg.Definitions:
    """Return every asset and gate below ``defs``, with the jobs, schedules and the sensor that run them."""
    return dg.Definitions(
        assets=dg.load_assets_from_package_module(shell, include_specs=True),
        asset_checks=dg.load_asset_checks_from_package_module(shell),
        jobs=[*jobs.ALL, *policy.ALL],
        schedules=[days.baselines_that_are_due, days.days_that_are_due],
        sensors=[
            releases.releases_are_registered,
            days.days_are_judged,
            verdicts.verdict_follows_every_judged_day,
            lifecycle.lifecycle_follows_the_evidence,
            running.running_days_are_judged,
            alerts.alerts_follow_the_evidence,
        ],
        resources=resources(store_url=settings.store_url, source=settings.source),
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Load the code location for the environment of this process."""
    return build(load_settings())


if __name__ == "__main__":
    dg.Definitions.validate_loadable(build(load_settings()))
