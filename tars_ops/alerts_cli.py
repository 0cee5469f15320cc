"""``tars-ops alerts``: what can be done about alerts from a terminal?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tars_ops.core.errors import DeliveryError, UsageError

if TYPE_CHECKING:
    from tars_ops.adapters.alerts.outbox import Delivery, Standing

_one_receiver = click.option("--receiver", default=None, help="Name of one receiver; default: all of them.")


@click.group()
def alerts() -> None:
    """See what is alerted, and mend its delivery."""


@alerts.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what resolved more than a day ago.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def alerts_list(everything: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """List the alerts that fire or resolved in the last day, with what each receiver was told."""
    from tars_ops.adapters.alerts.outbox import KEPT_S, RECENT_S, Outbox
    from tars_ops.adapters.settings import load_settings

    outbox = Outbox.open(load_settings().outbox_url)
    standing = outbox.standing(now=datetime.now(UTC), recent_s=KEPT_S if everything else RECENT_S)
    outbox.close()
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in standing]))
        return
    for one in standing:
        click.echo("\n".join(_lines(one)))
    if not standing:
        click.echo("no alert fires", err=True)


def _lines(one: Standing) -> Iterator[str]:
    alert = one.alert
    since = f"since {alert.since_at:%Y-%m-%d %H:%M} UTC"
    yield f"{one.state}\t{alert.severity}\t{alert.name}\t{alert.release}\t{alert.service}\t{since}\t{alert.summary}"
    for delivery in one.deliveries:
        yield f"\t{delivery.receiver}: {_told(delivery, one.revision)}"
    if not one.deliveries:
        yield "\tnobody was told yet"


def _told(delivery: Delivery, revision: int) -> str:
    told = "not told yet"
    if delivery.told_at:
        told = f"told revision {delivery.delivered_revision} of {revision} at {delivery.told_at:%Y-%m-%d %H:%M:%S} UTC"
    if delivery.quarantined_at:
        return f"{told}, in quarantine since {delivery.quarantined_at:%Y-%m-%d %H:%M} UTC: {delivery.last_error}"
    if delivery.attempts:
        wait = f", next after {delivery.next_at:%H:%M:%S} UTC" if delivery.next_at else ""
        return f"{told}, {delivery.attempts} failed attempts{wait}: {delivery.last_error}"
    return told


@alerts.command("retry")
@_one_receiver
def alerts_retry(receiver: str | None) -> None:
    """Let the next round try again what is in quarantine or waits after a failure."""
    from tars_ops.adapters.alerts.ledger import Ledger
    from tars_ops.adapters.alerts.outbox import Outbox
    from tars_ops.adapters.settings import load_settings

    outbox = Outbox.open(load_settings().outbox_url)
    ledger = Ledger(outbox.database)
    known = [record.receiver for record in ledger.records()]
    if receiver is not None and receiver not in known:
        raise UsageError(f"nothing was ever sent to a receiver {receiver!r}; known are: {', '.join(known) or 'none'}")
    n_freed = ledger.free(receiver)
    outbox.close()
    click.echo(f"{n_freed} deliveries out of quarantine; the next round tries them again")


@alerts.command("rebuild")
def alerts_rebuild() -> None:
    """Move a damaged outbox aside and begin a new one.

    The daemon fills it from the store again. Receivers are told again of everything that fires; a receiver that was
    told of an alert which has ended meanwhile is not told of its end.
    """
    from tars_ops.adapters.alerts.outbox import Outbox
    from tars_ops.adapters.settings import load_settings

    outbox, aside = Outbox.rebuild(load_settings().outbox_url)
    outbox.close()
    click.echo(f"the damaged outbox is now {aside}", err=True)
    click.echo(f"began a new outbox: {outbox.database.name}")


@alerts.command("check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def alerts_check(file: Path) -> None:
    """Check a receivers FILE; every broken rule names file, line, key and what to do."""
    from tars_ops.adapters.alerts.receivers import read_receivers

    for one in read_receivers(file).receivers:
        click.echo(f"{one.name}\t{one.kind}\tat least {one.at_least}")


@alerts.command("test")
@_one_receiver
def alerts_test(receiver: str | None) -> None:
    """Send each receiver of TARS_OPS_RECEIVERS one test alert and its resolution; exits with 69 if one fails."""
    from tars_ops.adapters.alerts.deployment import open_receivers
    from tars_ops.adapters.alerts.trial import try_out
    from tars_ops.adapters.settings import load_settings

    receivers = open_receivers(load_settings())
    chosen = [one for one in receivers if receiver in {None, one.name}]
    if not chosen:
        known = ", ".join(one.name for one in receivers) or "none: set TARS_OPS_RECEIVERS"
        raise UsageError(f"there is no receiver {receiver or ''}; configured are: {known}")
    failed = []
    for one in chosen:
        try:
            try_out(one, now=datetime.now(UTC))
            click.echo(f"{one.name}: took the alert and its resolution")
        except DeliveryError as error:
            failed.append(str(error))
    if failed:
        raise DeliveryError("\n".join(failed))
