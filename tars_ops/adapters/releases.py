"""How is a release described on the command line, and what is known of it?"""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError

from tars_ops.adapters.catalogue import BY_ASSET, GA_BASELINE, OF_A_DAY, as_of_key, days_with
from tars_ops.adapters.references import pinned_references
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.store import Store
from tars_ops.core.errors import NotYetError, UsageError
from tars_ops.core.release import Release, checked_key, day_key
from tars_ops.core.watch.references import described


def release_from(
    key: str,
    *,
    ga: str,
    n_days: int,
    longest: int,
    day_length_s: int,
    policy_sha256: str,
    commit: str | None,
    artifact_sha256: str | None,
    previous: str | None,
) -> Release:
    """Return a release from what a person typed.

    Raises
    ------
    UsageError
        Naming the option and its rule.
    """
    product, _, version = checked_key(key).partition("@")
    if n_days > longest:
        raise UsageError(f"--days {n_days}: this deployment watches at most {longest} days (TARS_OPS_WATCH_DAYS)")
    given = {
        "product": product,
        "version": version,
        "ga_at": ga,
        "n_days": n_days,
        "day_length_s": day_length_s,
        "policy_sha256": policy_sha256,
        "commit": commit,
        "artifact_sha256": artifact_sha256,
        "previous": previous,
    }
    try:
        return Release.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = {"ga_at": "--ga"}.get(str(first["loc"][0]) if first["loc"] else "", "")
        name = option or (f"--{str(first['loc'][0]).replace('_', '-')}" if first["loc"] else "release")
        raise UsageError(f"{name} {first.get('input')!r}: {first['msg']}") from error


def check_is_over(release: Release, day: int, *, now: datetime) -> None:
    """Refuse a day that a live server has not seen to its end; 0 is the GA day.

    Raises
    ------
    NotYetError
        Naming the instant from which on it can be judged.
    UsageError
        If the release is not watched that long.
    """
    end_at = release.window(day).end_at
    if end_at > now:
        name = day_key(day) if day else "the GA day"
        raise NotYetError(
            f"{name} of {release.key} ends at {end_at:%Y-%m-%d %H:%M:%S} UTC; it can be judged from then on"
        )


def overview(store: Store, registered: Registered) -> dict[str, object]:
    """Return what a release is pinned to and what is stored of it."""
    release = registered.release
    known = {kind.asset: days_with(store, release.key, kind, up_to=release.n_days) for kind in OF_A_DAY}
    verdicts = [d for d in release.days if store.pointer(BY_ASSET["executive_bundle"].key(release.key, as_of_key(d)))]
    is_open = store.pointer(GA_BASELINE.key(release.key)) is not None
    pinned = pinned_references(store, release.key)
    return {
        **release.model_dump(mode="json"),
        "key": release.key,
        "baseline": "frozen" if is_open else "not frozen yet",
        "references": described(pinned, release, registered.policy.baselines) if is_open else "not pinned yet",
        "days": {day_key(day): "judged" if day in known["daily_health"] else "not judged" for day in release.days},
        "verdicts": [as_of_key(day) for day in verdicts],
    }
