"""What does the stored evidence say that has to be recorded next of a release?

Asked as often as one likes: what is recorded already is not due again, and what a person decided is not undone by the
advice that the person has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from tars_ops.core.history import Entry, Why
from tars_ops.core.lifecycle import Code, possible_codes, successor
from tars_ops.core.model import Frozen, Sha256
from tars_ops.core.verdict import Decision


class BaselineFact(Frozen):
    """The baseline that is stored."""

    sha256: Sha256
    supersedes: Sha256 | None


class VerdictFact(Frozen):
    """The verdict as of the latest day."""

    as_of: int
    decision: Decision
    sha256: Sha256


class CertificationFact(Frozen):
    """What the certification as of the latest verdict says."""

    as_of: int
    may_close: bool
    sha256: Sha256


class RunningFact(Frozen):
    """What is known of the latest day that was judged before its end."""

    day: int
    advises_roll_back: bool
    sha256: Sha256


class Facts(Frozen):
    """Everything that is stored of a release and moves it."""

    release: str
    n_days: int
    ga_reached: bool
    policy_sha256: Sha256
    """Policy that the release is judged by."""
    baseline: BaselineFact | None = None
    verdict: VerdictFact | None = None
    certification: CertificationFact | None = None
    running: RunningFact | None = None

    @property
    def week_is_over(self) -> bool:
        """Tell whether the last day of the watch was judged."""
        return self.verdict is not None and self.verdict.as_of >= self.n_days


class Due(Frozen):
    """An entry that is not recorded yet."""

    code: Code
    why: Why
    evidence_sha256: Sha256 | None = None
    details: Mapping[str, str | int] = {}
    week_is_over: bool = False


VERDICTS: Final = {
    Decision.KEEP: Code.VERDICT_KEEP,
    Decision.WATCH_CLOSER: Code.VERDICT_WATCH_CLOSER,
    Decision.EXTEND: Code.VERDICT_WATCH_CLOSER,
    Decision.ROLL_BACK: Code.VERDICT_ROLL_BACK,
}
"""More days are advised where too little is known: somebody has to look."""
_FROM_MILDEST: Final = (Code.VERDICT_KEEP, Code.VERDICT_WATCH_CLOSER, Code.VERDICT_ROLL_BACK)
_DECIDED: Final = frozenset({Code.DECIDED_KEEP, Code.DECIDED_WATCH_CLOSER, Code.DECIDED_EXTEND})
_BASELINES: Final = frozenset({Code.BASELINE_FROZEN, Code.BASELINE_REFROZEN})
_POLICIES: Final = frozenset({Code.REGISTERED, Code.POLICY_CHANGED})


def due_entries(facts: Facts, history: Sequence[Entry]) -> tuple[Due, ...]:
    """Return what has to be recorded next, in order; nothing where the history says it already.

    Parameters
    ----------
    facts : Facts
        What is stored now.
    history : sequence of Entry
        What is recorded, oldest first.
    """
    state = history[-1].to_state if history else None
    due: list[Due] = []
    for rule in _RULES:
        if (one := rule(facts, history)) and one.code in possible_codes(state, week_is_over=one.week_is_over):
            due.append(one)
            state = successor(state, one.code, week_is_over=one.week_is_over)
    return tuple(due)


def _registered(facts: Facts, history: Sequence[Entry]) -> Due | None:
    if history:
        return None
    details = {"policy_sha256": facts.policy_sha256, "n_days": facts.n_days}
    return Due(code=Code.REGISTERED, why="found in the registry", details=details)


def _ga_started(facts: Facts, history: Sequence[Entry]) -> Due | None:
    del history
    if not (facts.ga_reached or facts.baseline):
        return None
    return Due(code=Code.GA_STARTED, why="the GA instant has passed")


def _baseline_frozen(facts: Facts, history: Sequence[Entry]) -> Due | None:
    del history
    if not facts.baseline:
        return None
    return Due(
        code=Code.BASELINE_FROZEN, why="the summary of the GA day is frozen", evidence_sha256=facts.baseline.sha256
    )


def _baseline_refrozen(facts: Facts, history: Sequence[Entry]) -> Due | None:
    known = _last(history, _BASELINES)
    if not facts.baseline or not known or known.evidence_sha256 in {None, facts.baseline.sha256}:
        return None
    return Due(
        code=Code.BASELINE_REFROZEN,
        why="the frozen baseline was replaced on purpose",
        evidence_sha256=facts.baseline.sha256,
        details={"supersedes": facts.baseline.supersedes or "not said"},
    )


def _policy_changed(facts: Facts, history: Sequence[Entry]) -> Due | None:
    known = _last(history, _POLICIES)
    before = known.details.get("policy_sha256") if known else None
    if before in {None, facts.policy_sha256}:
        return None
    details = {"policy_sha256": facts.policy_sha256}
    return Due(code=Code.POLICY_CHANGED, why=f"judged by another policy than {str(before)[:12]}", details=details)


def _verdict(facts: Facts, history: Sequence[Entry]) -> Due | None:
    verdict = facts.verdict
    if not verdict:
        return None
    code = VERDICTS[verdict.decision]
    if not _is_news(code, verdict.as_of, history) or _is_answered(code, verdict.as_of, history):
        return None
    return Due(
        code=code,
        why=f"verdict as of day {verdict.as_of}: {verdict.decision.value.replace('_', ' ')}",
        evidence_sha256=verdict.sha256,
        details={"as_of": verdict.as_of},
        week_is_over=facts.week_is_over,
    )


def _is_news(code: Code, as_of: int, history: Sequence[Entry]) -> bool:
    """Tell whether a verdict says something else than the last one, or says it of a later day."""
    known = _last(history, _FROM_MILDEST)
    return known is None or as_of > _day(known) or (as_of == _day(known) and code is not known.code)


def _is_answered(code: Code, as_of: int, history: Sequence[Entry]) -> bool:
    """Tell whether a person has decided over an advice for this day that was no milder."""
    decided = max((n for n, one in enumerate(history) if one.code in _DECIDED), default=0)
    seen = [one.code for one in history[:decided] if one.code in _FROM_MILDEST and _day(one) == as_of]
    return any(_FROM_MILDEST.index(one) >= _FROM_MILDEST.index(code) for one in seen)


def _burns_fast(facts: Facts, history: Sequence[Entry]) -> Due | None:
    running = facts.running
    if not running or not running.advises_roll_back or _is_judged(running.day, facts):
        return None
    if any(one.code is Code.BUDGET_BURNS_FAST and _day(one) >= running.day for one in history):
        return None
    return Due(
        code=Code.BUDGET_BURNS_FAST,
        why=f"day {running.day} is still running and advises to roll back",
        evidence_sha256=running.sha256,
        details={"as_of": running.day},
    )


def _is_judged(day: int, facts: Facts) -> bool:
    """Tell whether the complete day has replaced the provisional one; the GA day is replaced by its baseline."""
    as_of = facts.verdict.as_of if facts.verdict else 0 if facts.baseline else -1
    return as_of >= day


def _certified(facts: Facts, history: Sequence[Entry]) -> Due | None:
    del history
    certification = facts.certification
    if not certification or not certification.may_close or not _is_of_the_verdict(certification, facts):
        return None
    return Due(
        code=Code.CERTIFIED,
        why=f"certification as of day {certification.as_of}: may be closed",
        evidence_sha256=certification.sha256,
        details={"as_of": certification.as_of},
        week_is_over=facts.week_is_over,
    )


def _is_of_the_verdict(certification: CertificationFact, facts: Facts) -> bool:
    """Tell whether a certification is of the last day: one of an earlier day, or of a shorter watch, closes nothing."""
    return facts.week_is_over and facts.verdict is not None and certification.as_of == facts.verdict.as_of


def _week_closed(facts: Facts, history: Sequence[Entry]) -> Due | None:
    del history
    return Due(
        code=Code.WEEK_CLOSED,
        why=f"all {facts.n_days} days are judged and certified",
        evidence_sha256=facts.certification.sha256 if facts.certification else None,
        week_is_over=facts.week_is_over,
    )


def _last(history: Sequence[Entry], codes: Iterable[Code]) -> Entry | None:
    wanted = frozenset(codes)
    return next((one for one in reversed(history) if one.code in wanted), None)


def _day(entry: Entry) -> int:
    """Return the day that an entry is about; 0 where it says none, so that every real day is newer."""
    return int(entry.details.get("as_of", 0))


_Rule = Callable[[Facts, Sequence[Entry]], Due | None]
_RULES: Final[tuple[_Rule, ...]] = (
    _registered,
    _ga_started,
    _baseline_frozen,
    _baseline_refrozen,
    _policy_changed,
    _verdict,
    _burns_fast,
    _certified,
    _week_closed,
)
"""In the order in which things happen; each may happen once in one go. A rule says what is known, the table of
transitions whether it may happen now."""
