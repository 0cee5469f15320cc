"""Was every day judged that is over? The one gate that no run can check: it is about runs that never came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tars_ops.core.gate import AlertName, Claim, Gate
from tars_ops.core.policy import ALL_SERVICES, Policy
from tars_ops.core.release import Release, day_key
from tars_ops.core.verdict import Verdict

EVERY_DAY_IS_JUDGED = "every_day_is_judged"


def on_time_gate(overdue: Sequence[int], unsaid: int, blind: datetime | None, release: Release, policy: Policy) -> Gate:
    """Every day that has been over for long enough was judged, and somebody looks at the running one.

    Parameters
    ----------
    overdue : sequence of int
        Days that are over and were not judged; 0 is the GA day.
    unsaid : int
        Latest judged day, where it should have had a verdict and reports by now and has none; else 0.
    blind : datetime or None
        Up to when the running day was judged, where that is too long ago.
    """
    said = [*_overdue(overdue, release), *_unsaid(unsaid, release), *_blind(blind)]
    claim = Claim(
        service=ALL_SERVICES,
        verdict=Verdict.UNKNOWN if said else Verdict.PASS,
        reason="; ".join(said) or "every day that is over was judged, and has its verdict",
        evidence={"n_overdue": len(overdue)},
    )
    return Gate(
        name=EVERY_DAY_IS_JUDGED,
        alert=AlertName.DAY_NOT_JUDGED,
        asset="daily_stability",
        severity=policy.gates.on_time,
        claims=(claim,),
    )


def _unsaid(day: int, release: Release) -> list[str]:
    return [f"{day_key(day)} was judged and has no verdict; look at the runs of {release.key}"] if day else []


def _blind(until: datetime | None) -> list[str]:
    return [f"nobody has looked at the running day since {until:%Y-%m-%d %H:%M} UTC"] if until else []


def _overdue(overdue: Sequence[int], release: Release) -> list[str]:
    if not overdue:
        return []
    names = ", ".join(day_key(day) if day else "the GA day" for day in overdue)
    ended = release.window(overdue[0]).end_at
    verb = "is" if len(overdue) == 1 else "are"
    return [f"{names} {verb} over since {ended:%Y-%m-%d %H:%M} UTC and not judged; look at the runs of {release.key}"]
