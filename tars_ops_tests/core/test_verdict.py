"""Which of two words is worse."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.verdict import Severity, Verdict, worst

verdicts = st.sampled_from(Verdict)


@given(verdicts, verdicts, verdicts)
def test_it_does_not_matter_how_verdicts_are_grouped(a: Verdict, b: Verdict, c: Verdict) -> None:
    assert worst([worst([a, b]), c]) is worst([a, worst([b, c])]) is worst([a, b, c])


@given(st.lists(verdicts))
def test_it_does_not_matter_in_which_order_verdicts_come(some: list[Verdict]) -> None:
    assert worst(some) is worst(reversed(some))


@given(verdicts)
def test_a_verdict_beside_itself_is_itself_and_pass_changes_nothing(one: Verdict) -> None:
    assert worst([one, one]) is worst([one, Verdict.PASS]) is one


def test_unknown_beats_warn_and_a_known_failure_beats_unknown() -> None:
    assert worst([Verdict.WARN, Verdict.UNKNOWN]) is Verdict.UNKNOWN
    assert worst([Verdict.UNKNOWN, Verdict.FAIL]) is Verdict.FAIL
    assert worst([Verdict.PASS, Verdict.WARN]) is Verdict.WARN


def test_nothing_judged_is_unknown() -> None:
    assert worst([]) is Verdict.UNKNOWN


def test_severities_are_ranked_from_the_worst() -> None:
    ranked = sorted(Severity, key=lambda one: one.rank)

    assert ranked == [Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW]
