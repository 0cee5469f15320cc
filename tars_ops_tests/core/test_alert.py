"""One alert per gate, service and release, with what an operator asks first in one line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import product

import pytest

from tars_ops.core.alert import Alert, Seen, alerts_of
from tars_ops.core.gate import AlertName, Claim, Gate
from tars_ops.core.policy import ALL_SERVICES
from tars_ops.core.verdict import Severity, Verdict

START = datetime(2025, 11, 20, tzinfo=UTC)
SEEN = Seen(release="tars@1.0.1", partition="day_02|tars@1.0.1", day=2, start_at=START, evidence_sha256="b" * 64)


def claim(service: str, verdict: Verdict, reason: str = "95 % of 100 events were good") -> Claim:
    return Claim(service=service, verdict=verdict, reason=reason)


def gate(*claims: Claim, severity: Severity = Severity.HIGH, not_applicable: str = "", name: str = "it_holds") -> Gate:
    return Gate(
        name=name,
        alert=AlertName.OBJECTIVE_BROKEN,
        asset="daily_stability",
        severity=severity,
        claims=claims,
        kpi="availability",
        not_applicable=not_applicable,
    )


def alerts(found: Gate, seen: Mapping[str, object] = {}, *, unknown: Severity = Severity.CRITICAL) -> list[Alert]:
    return list(alerts_of(found, SEEN.model_copy(update=seen), unknown=unknown))


@pytest.mark.parametrize(
    "found",
    [
        gate(claim("api", Verdict.PASS)),
        gate(claim("api", Verdict.PASS), claim("db", Verdict.WARN)),
        gate(claim("api", Verdict.UNKNOWN), not_applicable="the watch is not over"),
        gate(claim("api", Verdict.FAIL), not_applicable="the watch is not over"),
    ],
    ids=["pass", "warn", "not applicable", "would fail if it were"],
)
def test_a_gate_that_holds_alerts_nobody(found: Gate) -> None:
    assert alerts(found) == []


def test_every_service_that_the_claim_does_not_hold_for_is_an_alert_of_its_own() -> None:
    found = alerts(
        gate(
            claim("api", Verdict.FAIL),
            claim("db", Verdict.PASS),
            claim("queue", Verdict.UNKNOWN),
            claim("web", Verdict.WARN),
        )
    )

    assert [(one.service, one.verdict) for one in found] == [("api", Verdict.FAIL), ("queue", Verdict.UNKNOWN)]


def test_a_gate_that_nothing_was_said_about_alerts_all_the_same() -> None:
    (found,) = alerts(gate())

    assert (found.service, found.verdict, found.description) == (ALL_SERVICES, Verdict.UNKNOWN, "nothing was judged")


def test_an_alert_carries_what_was_judged() -> None:
    (found,) = alerts(gate(claim("api", Verdict.FAIL)))

    assert (found.name, found.asset, found.kpi) == (AlertName.OBJECTIVE_BROKEN, "daily_stability", "availability")
    assert (found.partition, found.day, found.since_at) == ("day_02|tars@1.0.1", 2, START)
    assert (found.release, found.product, found.evidence_sha256) == ("tars@1.0.1", "tars", "b" * 64)
    assert not found.provisional


# Identity


@pytest.mark.parametrize(
    "seen",
    [
        {"day": 3, "partition": "day_03|tars@1.0.1"},
        {"evidence_sha256": "c" * 64},
        {"start_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"provisional": True},
    ],
    ids=str,
)
def test_an_alert_stays_the_same_whatever_day_it_is_seen_on(seen: dict[str, object]) -> None:
    failing = gate(claim("api", Verdict.FAIL))

    assert alerts(failing, seen)[0].identity == alerts(failing)[0].identity


def test_an_alert_stays_the_same_whatever_its_figures_and_severity() -> None:
    known = alerts(gate(claim("api", Verdict.FAIL)))[0]
    dark = alerts(gate(claim("api", Verdict.UNKNOWN, "no data"), severity=Severity.LOW))[0]

    assert known.identity == dark.identity
    assert known != dark


def test_gate_service_and_release_tell_alerts_apart() -> None:
    found = [
        alerts(gate(claim(service, Verdict.FAIL), name=name), {"release": release})[0].identity
        for name, service, release in product(
            ("a", "ab", "a_b"), ("b", "bb", ALL_SERVICES, "b\ntars@1.0.1"), ("tars@1.0.1", "tars@1.0.10", "b@1")
        )
    ]

    assert len(set(found)) == 3 * 4 * 3


# Severity


@pytest.mark.parametrize(
    ("of_gate", "of_unknown", "severity"),
    [
        (Severity.CRITICAL, Severity.HIGH, Severity.HIGH),
        (Severity.CRITICAL, Severity.CRITICAL, Severity.CRITICAL),
        (Severity.HIGH, Severity.LOW, Severity.LOW),
        (Severity.LOW, Severity.CRITICAL, Severity.LOW),
    ],
)
def test_what_is_not_known_is_at_most_as_severe_as_the_policy_says(
    of_gate: Severity, of_unknown: Severity, severity: Severity
) -> None:
    failing, dark = alerts(
        gate(claim("api", Verdict.FAIL), claim("db", Verdict.UNKNOWN), severity=of_gate), unknown=of_unknown
    )

    assert failing.severity is of_gate
    assert dark.severity is severity


# Words


@pytest.mark.parametrize(
    ("one", "seen", "summary"),
    [
        (
            claim("api", Verdict.FAIL),
            {},
            "tars@1.0.1, day_02: objective broken, availability of api: 95 % of 100 events were good",
        ),
        (
            claim("api", Verdict.FAIL),
            {"provisional": True},
            "tars@1.0.1, day_02, so far: objective broken, availability of api: 95 % of 100 events were good",
        ),
        (
            claim("api", Verdict.UNKNOWN, "no data"),
            {"day": 0},
            "tars@1.0.1, the GA day: objective broken (unknown), availability of api: no data",
        ),
        (
            claim(ALL_SERVICES, Verdict.FAIL, "it broke"),
            {"day": None},
            "tars@1.0.1: objective broken, availability: it broke",
        ),
    ],
    ids=["day", "running day", "ga day", "no day"],
)
def test_the_summary_says_what_failed_where_and_by_how_much(one: Claim, seen: dict[str, object], summary: str) -> None:
    assert alerts(gate(one), seen)[0].summary == summary


def test_a_provisional_alert_says_that_the_day_still_runs() -> None:
    (found,) = alerts(gate(claim("api", Verdict.FAIL)), {"provisional": True})

    assert found.provisional


def test_a_text_of_a_server_cannot_break_the_line_or_flood_the_page() -> None:
    (found,) = alerts(gate(claim("api", Verdict.UNKNOWN, "a\nb\x1b[31m" + 5000 * "x")))

    assert (len(found.summary), len(found.description)) == (300, 1000)
    assert "\n" not in found.summary + found.description
    assert "\x1b" not in found.summary + found.description
    assert found.summary.startswith("tars@1.0.1, day_02: objective broken (unknown), availability of api: a b")
