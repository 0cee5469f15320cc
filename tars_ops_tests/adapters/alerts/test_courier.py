"""What every receiver knows in the end, whatever fails on the way."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tars_ops.adapters.alerts.courier import Courier
from tars_ops.adapters.alerts.ledger import LEASE_S, Ledger
from tars_ops.adapters.alerts.notice import AlertState, Deferred, Notice, Outcome, Pace, Refused, Sent
from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops.core.verdict import Severity
from tars_ops_tests.adapters.alerts.factories import (
    NOW,
    RELEASE,
    Call,
    Desk,
    Listener,
    alert,
    alertmanager,
    courier,
    later,
    many,
    outbox_at,
    says,
    serving,
    webhook,
)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return outbox_at(tmp_path)


def always(outcome: Outcome):  # noqa: ANN201
    return lambda _batch: outcome


DOWN, GONE = always(Deferred(reason="it is down")), always(Refused(reason="HTTP 404"))


# The whole promise


class Killed(BaseException):
    """The process ends here."""


SETS = st.dictionaries(st.sampled_from("abcde"), st.sampled_from(list(Severity)), max_size=5)
STEPS = st.lists(
    st.tuples(SETS, st.lists(st.sampled_from(["take", "defer", "die before", "die after"]), max_size=4)), max_size=8
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_every_receiver_ends_up_with_exactly_what_stands(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:
    outbox = outbox_at(tmp_path_factory.mktemp("outbox"))
    told: list[Notice] = []
    fates: list[str] = []

    def answer(batch: Sequence[Notice]) -> Outcome:
        fate = fates.pop(0) if fates else "take"
        if fate == "die before":
            raise Killed
        if fate == "defer":
            return Deferred(reason="busy")
        told.extend(batch)
        if fate == "die after":
            raise Killed
        return Sent()

    wanted: dict[str, Severity] = {}
    ever: set[str] = set()
    at_s = 0.0
    for services, fates_of_step in steps:
        wanted, fates = services, list(fates_of_step)
        ever |= set(wanted)
        outbox.settle(RELEASE, [alert(name, severity=level) for name, level in wanted.items()], now=later(at_s))
        try:
            courier(outbox, Listener(answer=answer)).deliver(now=later(at_s))
        except Killed:
            at_s += LEASE_S
        at_s += 1
    fates = []
    courier(outbox, Listener(answer=answer)).deliver(now=later(at_s + 1000))
    outbox.close()
    last = {one.alert.service: (one.state, one.alert.severity) for one in told}
    revisions = {name: [one.revision for one in told if one.alert.service == name] for name in ever}

    assert {name: level for name, (state, level) in last.items() if state is AlertState.FIRING} == wanted
    assert set(last) == ever
    assert all(numbers == sorted(numbers) for numbers in revisions.values())


# What is told, and when


def test_people_hear_news_at_once_and_reminders_at_their_pace(outbox: Outbox) -> None:
    listener = Listener(pace=Pace(repeat_s=3600))
    heard = []
    for at_s, services in ((0, "ab"), (60, "ab"), (3599, "ab"), (3600, "ab"), (3700, "a"), (3760, "a"), (90000, "")):
        outbox.settle(RELEASE, [alert(name) for name in services], now=later(at_s))
        heard.append(courier(outbox, listener).deliver(now=later(at_s)).n_sent)

    assert heard == [2, 0, 0, 2, 1, 0, 1]


def test_figures_that_change_wake_nobody_but_keep_a_mirror_current(outbox: Outbox) -> None:
    person, mirror = Listener("person"), Listener("mirror", pace=Pace(repeat_s=3600, every_revision=True))
    for day, severity in ((1, Severity.HIGH), (2, Severity.HIGH), (3, Severity.CRITICAL)):
        outbox.settle(RELEASE, [alert(day=day, severity=severity)], now=later(day))
        courier(outbox, person, mirror).deliver(now=later(day))

    assert [one.alert.day for one in person.taken] == [1, 3]
    assert [one.alert.day for one in mirror.taken] == [1, 2, 3]


def test_a_resolution_is_echoed_for_a_while(outbox: Outbox) -> None:
    mirror = Listener(pace=Pace(repeat_s=60, every_revision=True, echo_s=300))
    outbox.settle(RELEASE, [alert()], now=NOW)
    outbox.settle(RELEASE, [], now=NOW)
    for at_s in range(0, 1200, 60):
        courier(outbox, mirror).deliver(now=later(at_s))

    assert [one.state for one in mirror.taken] == [AlertState.RESOLVED] * 5


def test_who_is_told_only_the_worst_still_hears_how_it_ends(outbox: Outbox) -> None:
    listener = Listener(at_least=Severity.CRITICAL)
    for at_s, levels in enumerate(({"a": "high"}, {"a": "critical"}, {"a": "low"}, {}, {"a": "low"})):
        outbox.settle(RELEASE, [alert(name, severity=Severity(of)) for name, of in levels.items()], now=later(at_s))
        courier(outbox, listener).deliver(now=later(at_s))

    said = [(one.state.value, one.alert.severity.value) for one in listener.taken]
    assert said == [("firing", "critical"), ("firing", "low"), ("resolved", "low")]


def test_a_new_receiver_is_not_told_what_was_over_before_it_came(outbox: Outbox) -> None:
    outbox.settle(RELEASE, [alert("over"), alert("stands")], now=NOW)
    outbox.settle(RELEASE, [alert("stands")], now=NOW)
    listener = Listener()
    courier(outbox, listener).deliver(now=later(60))

    assert listener.states() == {"stands": "firing"}


def test_what_fired_and_resolved_while_a_receiver_was_down_is_not_lost(outbox: Outbox) -> None:
    listener = Listener(answer=DOWN)
    courier(outbox, listener).deliver(now=NOW)
    outbox.settle(RELEASE, [alert()], now=later(1))
    courier(outbox, listener).deliver(now=later(1))
    outbox.settle(RELEASE, [], now=later(2))
    listener.answer = always(Sent())
    courier(outbox, listener).deliver(now=later(7200))

    assert listener.states() == {"checkout": "resolved"}


def test_a_round_without_anything_to_say_writes_nothing(outbox: Outbox, tmp_path: Path) -> None:
    listener = Listener()
    outbox.settle(RELEASE, [alert()], now=NOW)
    courier(outbox, listener).deliver(now=NOW)
    before = (tmp_path / "outbox.sqlite-wal").read_bytes()
    delivered = courier(outbox, listener).deliver(now=later(60))

    assert delivered.n_sent == 0
    assert (tmp_path / "outbox.sqlite-wal").read_bytes() == before


def test_nobody_configured_costs_nothing_and_loses_nothing(outbox: Outbox) -> None:
    outbox.settle(RELEASE, [alert()], now=NOW)
    delivered = courier(outbox).deliver(now=NOW)

    assert delivered.rounds == ()
    assert [one.deliveries for one in outbox.standing(now=NOW)] == [()]


# Failures


def test_a_receiver_that_fails_does_not_hold_up_another(outbox: Outbox) -> None:
    outbox.settle(RELEASE, many(7), now=NOW)
    down, well = Listener("down", answer=DOWN), Listener("well")
    delivered = courier(outbox, down, well).deliver(now=NOW)

    assert [(one.n_requests, one.n_sent) for one in delivered.rounds] == [(1, 0), (3, 7)]
    assert (delivered.n_deferred, delivered.n_waiting) == (3, 4)


def test_a_failing_receiver_is_asked_less_and_less_and_regains_everything(outbox: Outbox) -> None:
    listener, attempts = Listener(answer=DOWN), []
    outbox.settle(RELEASE, many(4), now=NOW)
    for at_s in range(0, 4500, 5):
        before = listener.n_requests
        courier(outbox, listener).deliver(now=later(at_s))
        attempts += [at_s] * (listener.n_requests - before)
    listener.answer = always(Sent())
    courier(outbox, listener).deliver(now=later(9000))
    waits = [after - before for before, after in itertools.pairwise(attempts)]

    assert waits[:8] == [5, 10, 20, 40, 80, 160, 320, 640]
    assert set(waits[8:]) == {900}
    assert len(listener.states()) == 4


def test_a_receiver_that_took_something_is_patiently_asked_again(outbox: Outbox) -> None:
    outbox.settle(RELEASE, many(6), now=NOW)
    listener = Listener(answer=DOWN)
    for at_s in (0, 10, 100):
        courier(outbox, listener).deliver(now=later(at_s))
    listener.answer = lambda _: Sent() if len(listener.taken) == 0 else Deferred(reason="busy")
    courier(outbox, listener).deliver(now=later(1000))
    (record,) = Ledger(outbox.database).records()

    assert (record.failures, record.next_at) == (1, later(1005))


def test_a_slow_receiver_is_not_asked_for_longer_than_its_share_of_a_round(outbox: Outbox) -> None:
    outbox.settle(RELEASE, many(30), now=NOW)
    spent_s = [0.0]

    def slow(_batch: Sequence[Notice]) -> Outcome:
        spent_s[0] += 8
        return Sent()

    patient = Courier(outbox, [Listener(answer=slow)], elapsed_s=lambda: spent_s[0])
    (first,) = patient.deliver(now=NOW).rounds

    assert (first.n_requests, first.n_sent, first.n_waiting) == (3, 9, 21)


def test_an_alert_that_a_receiver_chokes_on_does_not_stand_before_the_rest(outbox: Outbox) -> None:
    n_chokes = [0]

    def answer(batch: Sequence[Notice]) -> Outcome:
        chokes = any(one.alert.service == "service-0000" for one in batch)
        n_chokes[0] += chokes
        return Deferred(reason="HTTP 500") if chokes else Sent()

    bad, *good = many(4)
    listener = Listener(answer=answer, batch=1)
    for at_s in range(0, 600, 6):
        level = (Severity.HIGH, Severity.CRITICAL)[at_s // 6 % 2]
        outbox.settle(RELEASE, [bad, *(one.model_copy(update={"severity": level}) for one in good)], now=later(at_s))
        courier(outbox, listener).deliver(now=later(at_s))

    assert len(listener.states()) == 3
    assert n_chokes[0] < 10


def test_what_is_refused_is_tried_once_per_news_and_freed_by_hand(outbox: Outbox) -> None:
    listener = Listener(answer=GONE)
    outbox.settle(RELEASE, [alert()], now=NOW)
    for at_s in (0, 10, 100_000):
        courier(outbox, listener).deliver(now=later(at_s))
    n_once = listener.n_requests
    outbox.settle(RELEASE, [alert(severity=Severity.CRITICAL)], now=later(100_001))
    for at_s in (100_001, 200_000):
        courier(outbox, listener).deliver(now=later(at_s))
    n_twice = listener.n_requests
    (row,) = next(one for one in outbox.standing(now=NOW) if one.alert.release == RELEASE).deliveries
    freed = Ledger(outbox.database).free("listener")
    listener.answer = always(Sent())
    courier(outbox, listener).deliver(now=later(200_001))

    assert (n_once, n_twice, freed) == (1, 2, 1)
    assert (row.quarantined_at, row.last_error, row.delivered_revision) == (later(100_001), "HTTP 404", 0)
    assert listener.states() == {"checkout": "firing"}


def test_a_receiver_that_refuses_everything_is_asked_once_a_round(outbox: Outbox) -> None:
    outbox.settle(RELEASE, many(30), now=NOW)
    (first,) = courier(outbox, Listener(answer=GONE)).deliver(now=NOW).rounds

    assert (first.n_requests, first.n_quarantined, first.n_waiting) == (1, 3, 27)


def test_one_bad_alert_is_found_and_does_not_hold_the_others(outbox: Outbox) -> None:
    def answer(batch: Sequence[Notice]) -> Outcome:
        bad = any(one.alert.service == "service-0041" for one in batch)
        return Refused(reason="HTTP 400", divisible=True) if bad else Sent()

    outbox.settle(RELEASE, many(64), now=NOW)
    listener = Listener(answer=answer, batch=64)
    rounds = [courier(outbox, listener).deliver(now=later(at_s)) for at_s in range(4)]

    assert sum(one.n_quarantined for one in rounds) == 1
    assert len(listener.states()) == 63
    assert listener.n_requests <= 2 * 7 + 1


def test_a_storm_makes_few_requests_and_loses_nothing(outbox: Outbox) -> None:
    for number in range(20):
        release = f"tars@2.0.{number}"
        outbox.settle(release, many(50, release=release), now=NOW)
    with serving(Desk()) as desk:
        rounds = [courier(outbox, webhook(desk.url)).deliver(now=later(at_s)) for at_s in range(3)]

    assert [one.rounds[0].n_requests for one in rounds] == [10, 10, 0]
    assert [(one.n_sent, one.n_waiting) for one in rounds] == [(500, 500), (500, 0), (0, 0)]
    assert len({one["fingerprint"] for one in desk.alerts}) == len(desk.alerts) == 1000


@pytest.mark.parametrize(
    ("status", "text", "wait_s"),
    [
        (429, "120", 120),
        (503, "120", 120),
        (503, "0", 0),
        (503, "999999999999", 3600),
        (429, "-5", 5),
        (429, "soon", 5),
        (429, "", 5),
        (429, "Wed, 21 Oct 2015 07:28:00 GMT", 5),
        (429, "Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        (500, "120", 5),
    ],
)
def test_a_receiver_is_left_alone_for_as_long_as_it_asks(outbox: Outbox, status: int, text: str, wait_s: float) -> None:
    outbox.settle(RELEASE, [alert()], now=NOW)
    with serving(Desk(says(status, {"Retry-After": text}))) as desk:
        courier(outbox, webhook(desk.url)).deliver(now=NOW)
    (record,) = Ledger(outbox.database).records()

    assert record.next_at == later(wait_s)


def test_a_pause_outlives_the_process(outbox: Outbox, tmp_path: Path) -> None:
    outbox.settle(RELEASE, [alert()], now=NOW)
    listener = Listener(answer=always(Deferred(reason="HTTP 429", retry_after_s=600)))
    courier(outbox, listener).deliver(now=NOW)
    outbox.close()
    listener.answer = always(Sent())
    again = outbox_at(tmp_path)
    waits, goes = (courier(again, listener).deliver(now=later(at_s)) for at_s in (599, 600))

    assert waits.rounds[0].skipped.startswith("left alone until")
    assert (waits.n_sent, goes.n_sent) == (0, 1)


# Telling the others


def test_the_others_are_told_that_a_receiver_fails_and_that_it_is_well_again(outbox: Outbox) -> None:
    pager, desk = Listener("pager", answer=DOWN), Listener("desk")
    outbox.settle(RELEASE, [alert()], now=NOW)
    for at_s in range(0, 4000, 100):
        courier(outbox, pager, desk).deliver(now=later(at_s))
    fired = [(one.alert.name.value, one.alert.service, one.since_at) for one in desk.taken if one.alert.release == "*"]
    pager.answer = always(Sent())
    for at_s in range(5000, 7000, 100):
        courier(outbox, pager, desk).deliver(now=later(at_s))

    assert fired[0] == ("ReceiverFails", "pager", NOW)
    assert desk.states() == {"checkout": "firing", "pager": "resolved"}
    assert pager.states() == {"checkout": "firing"}


def test_a_quarantine_is_told_to_the_others_too(outbox: Outbox) -> None:
    pager, desk = Listener("pager", answer=GONE), Listener("desk")
    outbox.settle(RELEASE, [alert()], now=NOW)
    for at_s in range(2):
        courier(outbox, pager, desk).deliver(now=later(at_s))

    assert desk.states() == {"checkout": "firing", "pager": "firing"}
    assert pager.n_requests == 1


# One sender at a time


def test_two_couriers_never_send_to_one_receiver_at_once(outbox: Outbox) -> None:
    outbox.settle(RELEASE, [alert()], now=NOW)
    inner = []

    def answer(_batch: Sequence[Notice]) -> Outcome:
        if not inner:
            inner.append(courier(outbox, Listener()).deliver(now=later(1)).rounds[0].skipped)
        return Sent()

    delivered = courier(outbox, Listener(answer=answer)).deliver(now=NOW)

    assert inner == ["another process is sending"]
    assert delivered.n_sent == 1


def test_what_an_overtaken_sender_told_is_told_again(outbox: Outbox) -> None:
    told: list[Notice] = []

    def slow(batch: Sequence[Notice]) -> Outcome:
        if not told:  # it hangs for longer than its lease; meanwhile the alert resolves and another one says so
            outbox.settle(RELEASE, [], now=later(LEASE_S))
            fast = Listener(answer=lambda later_batch: told.extend(later_batch) or Sent())
            courier(outbox, fast).deliver(now=later(LEASE_S + 1))
        told.extend(batch)
        return Sent()

    outbox.settle(RELEASE, [alert()], now=NOW)
    courier(outbox, Listener(answer=slow)).deliver(now=NOW)
    courier(outbox, Listener(answer=slow)).deliver(now=later(LEASE_S + 100))

    assert [one.state.value for one in told] == ["resolved", "firing", "resolved"]


DELIVER = """
import sys
from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops_tests.adapters.alerts.factories import courier, later, webhook
outbox = Outbox.open(sys.argv[1])
courier(outbox, webhook(sys.argv[2], max_requests=100)).deliver(now=later(float(sys.argv[3])))
"""


def test_a_process_killed_while_it_delivers_loses_nothing_and_doubles_at_most_one_request(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path)
    for number in range(8):
        release = f"tars@2.0.{number}"
        outbox.settle(release, many(10, release=release), now=NOW)
    victim: list[subprocess.Popen[bytes]] = []

    def kills(n: int, _call: Call) -> tuple[int, dict[str, str], bytes]:
        if n == 4:
            os.kill(victim[0].pid, signal.SIGKILL)  # taken, never acknowledged
        return 200, {}, b""

    url = f"sqlite:///{tmp_path / 'outbox.sqlite'}"
    with serving(Desk(kills)) as desk:
        for at_s in (0, LEASE_S + 1):
            victim[:] = [subprocess.Popen([sys.executable, "-c", DELIVER, url, desk.url, str(at_s)])]
            victim[0].wait(60)
    keys = Counter(one["annotations"]["notice_key"] for one in desk.alerts)
    requests = Counter(call.headers["Idempotency-Key"] for call in desk.calls)

    assert victim[0].returncode == 0
    assert (len(keys), sum(keys.values())) == (80, 90)
    assert sorted(requests.values()) == [1] * 7 + [2]


def test_every_round_lets_the_receiver_know_that_somebody_looks(tmp_path: Path) -> None:
    outbox, listener = outbox_at(tmp_path), Listener()

    courier(outbox, listener).deliver(now=NOW)
    outbox.close()

    assert (listener.heard_at, listener.n_requests) == (NOW, 0)


@pytest.mark.parametrize(("watchdog_s", "n_requests"), [(None, 0), (300.0, 1)])
def test_an_alertmanager_gets_a_watchdog_only_where_the_file_asks_for_one(
    watchdog_s: float | None, n_requests: int
) -> None:
    with serving(Desk()) as desk:
        alertmanager(desk.url, watchdog_s=watchdog_s).heartbeat(now=NOW)

    assert len(desk.calls) == n_requests
    assert [one["labels"]["alertname"] for call in desk.calls for one in call.json] == ["Watchdog"] * n_requests
