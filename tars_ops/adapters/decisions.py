"""How does a person's decision about a release take effect?

It is recorded with who, when and why; more days of watch are added to the registry as well. A decision outlives the
advice that it answers.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from tars_ops.adapters.facts import gather_facts
from tars_ops.adapters.history import History
from tars_ops.adapters.registry import Registered, Registry
from tars_ops.adapters.store import Store
from tars_ops.core.errors import UsageError
from tars_ops.core.history import By, Entry, Why
from tars_ops.core.lifecycle import DECISIONS, Choice, Code, successor

_BY, _WHY = TypeAdapter(By), TypeAdapter(Why)


def decide(
    store: Store,
    key: str,
    choice: Choice,
    *,
    by: str,
    why: str,
    now: datetime,
    n_days: int | None = None,
    longest: int,
) -> Entry:
    """Record a decision about a release and return its entry; what the evidence says is recorded before it.

    Parameters
    ----------
    n_days : int, optional
        Days of watch in all, for ``extend`` and for nothing else.
    longest : int
        Days that this deployment watches at most.

    Raises
    ------
    UsageError
        If who, why or the number of days is missing or breaks its rule.
    IllegalTransitionError
        If it may not be decided in the state of the release.
    """
    _check_words(by, why)
    if (choice is Choice.EXTEND) != (n_days is not None):
        raise UsageError("--days N goes with `extend`, which needs it, and with nothing else")
    history, code = History(store), DECISIONS[choice]
    registered = Registry(store).get(key)
    facts = gather_facts(store, registered, now=now)
    history.follow(key, facts, now=now)
    over = facts.week_is_over
    successor(history.state(key), code, week_is_over=over)  # before anything is extended
    details = {"as_of": facts.verdict.as_of} if facts.verdict else {}
    if n_days is not None:
        Registry(store).extend(key, n_days, longest=longest)
        details |= {"n_days": n_days, "n_days_before": registered.release.n_days}
    return history.record(key, code, at=now, by=by, why=why, details=details, week_is_over=over)


def change_policy(store: Store, key: str, policy_text: bytes, *, by: str, why: str, now: datetime) -> Registered:
    """Pin a release to another policy, and record who did and why; the same policy again changes nothing.

    What was judged stays as it is: freeze the baseline and judge the days again to see them under the new policy.

    Raises
    ------
    UsageError
        If who or why breaks its rule, or the policy does not fit the release.
    IllegalTransitionError
        If nothing may happen to the release any more.
    """
    _check_words(by, why)
    history, before = History(store), Registry(store).get(key)
    history.follow(key, gather_facts(store, before, now=now), now=now)
    successor(history.state(key), Code.POLICY_CHANGED)  # before anything is changed
    pinned = Registry(store).repin(key, policy_text)
    if pinned.release != before.release:
        details = {"policy_sha256": pinned.release.policy_sha256, "before_sha256": before.release.policy_sha256}
        history.record(key, Code.POLICY_CHANGED, at=now, by=by, why=why, details=details)
    return pinned


def _check_words(by: str, why: str) -> None:
    if not why.strip():
        raise UsageError("--why TEXT is empty; say why, for whoever reads the history")
    for option, rule, text in (("--by", _BY, by), ("--why", _WHY, why)):
        try:
            rule.validate_python(text)
        except ValidationError as error:
            raise UsageError(f"{option}: {error.errors(include_url=False)[0]['msg']}") from error
