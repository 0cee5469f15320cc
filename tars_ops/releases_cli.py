"""``tars-ops release``: what can be done about releases from a terminal?"""

from __future__ import annotations

import json

import click

from tars_ops.core.errors import UsageError
from tars_ops.core.lifecycle import Choice

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


@click.group()
def release() -> None:
    """Register releases and look at them."""


@release.command("add")
@click.argument("key")
@click.option("--ga", required=True, help="Start of the GA day, UTC: 2025-11-18T00:00:00Z.")
@click.option("--days", type=click.IntRange(1, 99), default=None, help="Days to watch; default: TARS_OPS_WATCH_DAYS.")
@click.option(
    "--day-length", type=click.IntRange(10, 86400), default=86400, show_default=True, help="Seconds of a day."
)
@click.option("--commit", default=None, help="Commit that was released.")
@click.option("--artifact-sha256", default=None, help="Digest of what was released.")
@click.option("--previous", default=None, help="Key of the release before.")
def release_add(
    key: str,
    ga: str,
    days: int | None,
    day_length: int,
    commit: str | None,
    artifact_sha256: str | None,
    previous: str | None,
) -> None:
    """Register KEY (product@version) and pin it to the policy of its product."""
    from tars_ops.adapters.policies import Policies
    from tars_ops.adapters.releases import release_from
    from tars_ops.adapters.settings import load_settings
    from tars_ops.core.release import checked_key
    from tars_ops.session import open_session

    settings = load_settings()
    product = checked_key(key).partition("@")[0]
    policy = Policies(settings.policies_dir).find(product)
    entry = release_from(
        key,
        ga=ga,
        n_days=days or settings.watch_days,
        longest=settings.watch_days,
        day_length_s=day_length,
        policy_sha256=policy.sha256,
        commit=commit,
        artifact_sha256=artifact_sha256,
        previous=previous,
    )
    with open_session(settings) as session:
        session.register(entry, policy.text)
    click.echo(
        f"registered {entry.key}: GA {entry.ga_at.isoformat()}, {entry.n_days} days, policy {policy.sha256[:12]}"
    )


@release.command("list")
@_as_json
def release_list(as_json: bool) -> None:  # noqa: FBT001
    """List the registered releases, each with its state."""
    from tars_ops.adapters.history import History
    from tars_ops.adapters.registry import Registry
    from tars_ops.adapters.settings import load_settings
    from tars_ops.adapters.store import Store

    store = Store.at(load_settings().store_url)
    registry, history = Registry(store), History(store)
    releases = [(one, history.state(one.key)) for one in (registry.get(key).release for key in registry.all_keys())]
    if as_json:
        click.echo(json.dumps([{**one.model_dump(mode="json"), "state": state} for one, state in releases]))
        return
    for one, state in releases:
        click.echo(f"{one.key}\tGA {one.ga_at.isoformat()}\t{one.n_days} days\t{state or '-'}")
    if not releases:
        click.echo("no release is registered; add one with `tars-ops release add`", err=True)


@release.command("show")
@click.argument("key")
@_as_json
def release_show(key: str, as_json: bool) -> None:  # noqa: FBT001
    """Show what KEY is pinned to, what is known of each of its days, where it stands and how it came there."""
    from tars_ops.adapters import console
    from tars_ops.adapters.history import History
    from tars_ops.adapters.registry import Registry
    from tars_ops.adapters.releases import overview
    from tars_ops.adapters.settings import load_settings
    from tars_ops.adapters.store import Store

    store = Store.at(load_settings().store_url)
    registered = Registry(store).get(key)
    entries = History(store).entries(key)
    seen = {**overview(store, registered), "state": entries[-1].to_state if entries else None}
    if as_json:
        click.echo(json.dumps({**seen, "history": [one.model_dump(mode="json") for one in entries]}))
        return
    out = console.out()
    console.say_rows(out, ((name, console.plain(value)) for name, value in seen.items()))
    console.say_history(out, entries)


@release.command("decide")
@click.argument("key")
@click.argument("choice", type=click.Choice([one.value for one in Choice]))
@click.option("--why", required=True, help="Reason, one line, for whoever reads the history.")
@click.option("--by", default=None, help="Who decides; default: the user of the operating system.")
@click.option("--days", type=click.IntRange(1, 99), default=None, help="Days of watch in all; with `extend` only.")
@_as_json
def release_decide(key: str, choice: str, why: str, by: str | None, days: int | None, as_json: bool) -> None:  # noqa: FBT001
    """Record what somebody decides about KEY: keep, watch-closer, roll-back or extend.

    A decision is not undone by the advice that it answers: only the verdict of a later day, or a worse one of the same
    day, moves the release again. `keep` closes the release once its last day was judged. `extend` watches it for
    --days days in all, at most TARS_OPS_WATCH_DAYS. Nothing is deployed or rolled back by this command.
    """
    from datetime import UTC, datetime

    from tars_ops.adapters.decisions import decide
    from tars_ops.adapters.settings import load_settings
    from tars_ops.adapters.store import Store

    settings = load_settings()
    entry = decide(
        Store.at(settings.store_url),
        key,
        Choice(choice),
        by=_user() if by is None else by,
        why=why,
        now=datetime.now(UTC),
        n_days=days,
        longest=settings.watch_days,
    )
    if as_json:
        click.echo(json.dumps(entry.model_dump(mode="json")))
        return
    click.echo(f"{key} is {entry.to_state.value.replace('_', ' ')}: {choice} decided by {entry.by} ({entry.why})")


@release.command("repin")
@click.argument("key")
@click.option("--why", required=True, help="Reason, one line, for whoever reads the history.")
@click.option("--by", default=None, help="Who decides; default: the user of the operating system.")
def release_repin(key: str, why: str, by: str | None) -> None:
    """Judge KEY by the policy of its product as the file is now, and everything that is stored of it again.

    Nothing is fetched: what the new policy asks for and nobody fetched is unknown. The old judgements stay in the
    store, and the baseline says that it was replaced.
    """
    from tars_ops.adapters.policies import Policies
    from tars_ops.adapters.settings import load_settings
    from tars_ops.core.release import checked_key
    from tars_ops.session import open_session

    settings = load_settings()
    policy = Policies(settings.policies_dir).find(checked_key(key).partition("@")[0])
    with open_session(settings) as session:
        days = session.judge_by_new_policy(key, policy.text, by=_user() if by is None else by, why=why)
    click.echo(f"{key} is judged by policy {policy.sha256[:12]}: {len(days)} days judged again")


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UsageError("--by NAME is needed: the operating system has no name for this user") from error
