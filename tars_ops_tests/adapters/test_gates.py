"""The gates of the demo week: exactly what broke fails, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from tars_ops.adapters.catalogue import (
    ANOMALY_EVENTS,
    BUNDLE,
    DAILY_HEALTH,
    DAILY_STABILITY,
    DAILY_TELEMETRY,
    GA_BASELINE,
    GA_TELEMETRY,
    PROVENANCE,
    RETROSPECTIVE,
    Kind,
    as_of_key,
)
from tars_ops.adapters.gates import Checked, Gates, bundle_flaws
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.store import Store
from tars_ops.core.alert import Alert, alerts_of
from tars_ops.core.errors import MissingInputError, TamperedError
from tars_ops.core.gate import AlertName
from tars_ops.core.gates.promise import KEEPS
from tars_ops.core.release import day_key
from tars_ops.core.verdict import Severity, Verdict
from tars_ops_tests.adapters.damage import flip_a_byte, lose
from tars_ops_tests.defs.conftest import WEEK, lineages

AS_OF = 3
RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store that holds the GA day, days 1 to 3 and the verdict as of day 3; nobody changes it."""
    folder = tmp_path_factory.mktemp("judged")
    with lineages(folder) as make:
        lineage = make()
        runs = [lineage.open(), *(lineage.watch(day) for day in (1, 2, 3)), lineage.judge(AS_OF)]
    assert all(run.success for run in runs)
    return str(folder / "store")


@pytest.fixture
def copy(judged: str, tmp_path: Path) -> str:
    """A copy of that store, to be damaged."""
    return shutil.copytree(judged, str(tmp_path / "copy"))


def gates_of(url: str) -> Gates:
    store = Store.at(url)
    return Gates(store, Registry(store).get(WEEK))


def verdicts(found: Iterable[Checked]) -> dict[str, Verdict]:
    return {one.gate.name: one.gate.verdict for one in found if not one.gate.not_applicable}


def not_holding(found: Iterable[Checked]) -> dict[str, tuple[Verdict, list[str]]]:
    """Return the gates that do not hold, with every service that they do not hold for."""
    return {
        one.gate.name: (one.gate.verdict, [c.service for c in one.gate.claims if c.verdict in {FAIL, UNKNOWN}])
        for one in found
        if not one.gate.holds
    }


PASS, WARN, FAIL, UNKNOWN = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN


# What the week was like


def test_the_ga_day_and_the_first_day_hold_every_claim(judged: str) -> None:
    gates = gates_of(judged)

    assert set(verdicts(gates.of_ga()).values()) == {PASS}
    assert set(verdicts(gates.of_day(1)).values()) == {PASS}


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (
            2,
            {
                "p99_latency_keeps_its_objective": (FAIL, ["search"]),
                "no_kpi_drifts": (FAIL, ["search"]),
                "no_anomaly_is_critical": (FAIL, ["search"]),
                "health_stays_above_its_floor": (FAIL, ["*"]),
            },
        ),
        (
            3,
            {
                "availability_keeps_its_objective": (FAIL, ["reports"]),
                "no_kpi_drifts": (FAIL, ["reports"]),
                "no_anomaly_is_critical": (FAIL, ["gateway", "reports"]),
                "health_stays_above_its_floor": (FAIL, ["*"]),
            },
        ),
    ],
)
def test_a_bad_day_fails_the_gates_of_what_broke_and_no_other(
    judged: str, day: int, expected: dict[str, tuple[Verdict, list[str]]]
) -> None:
    assert not_holding(gates_of(judged).of_day(day)) == expected


def test_the_verdict_as_of_the_third_day_asks_for_a_closer_watch(judged: str) -> None:
    gates = gates_of(judged)
    found = {one.gate.name: one.gate for one in gates.of_verdict(AS_OF)}

    assert not_holding(gates.of_verdict(AS_OF)) == {}
    assert found["no_rollback_is_advised"].verdict is WARN
    assert found["release_can_be_closed_as_stable"].reason == "not applicable: the watch is not over"
    assert found["bundle_verifies"].verdict is found["bundle_is_complete"].verdict is PASS


def test_the_figures_of_a_broken_objective_are_those_of_the_day(judged: str) -> None:
    gate = next(one.gate for one in gates_of(judged).of_day(3) if one.gate.name == "availability_keeps_its_objective")
    evidence = next(one.evidence for one in gate.claims if one.service == "reports")

    assert gate.query is not None
    assert "http_requests_total" in gate.query
    assert evidence["sli_ratio"] == pytest.approx(0.98988, abs=1e-5)
    assert evidence["burn_rate"] == pytest.approx(10.1, abs=0.1)
    assert evidence["budget_left_ratio"] == pytest.approx(0.640, abs=1e-3)
    assert (evidence["n_bad"], evidence["n_total"], evidence["objective_ratio"]) == (76, 7512, 0.999)


def test_the_budget_of_the_ga_day_is_known_too(judged: str) -> None:
    found = [one.gate for one in gates_of(judged).of_ga() if one.gate.name == "availability_keeps_its_objective"]

    left = [claim.evidence["budget_left_ratio"] for gate in found for claim in gate.claims]
    assert len(left) == 5
    assert all(isinstance(one, float) and 0.9 < one < 1 for one in left)


def test_every_gate_names_the_digest_of_the_artifact_it_was_read_from(judged: str) -> None:
    store, gates = Store.at(judged), gates_of(judged)
    keys = {
        "ga_telemetry": GA_TELEMETRY.key(WEEK),
        "ga_baseline": GA_BASELINE.key(WEEK),
        **{kind.asset: kind.key(WEEK, day_key(2)) for kind in (DAILY_TELEMETRY, DAILY_STABILITY, ANOMALY_EVENTS)},
        DAILY_HEALTH.asset: DAILY_HEALTH.key(WEEK, day_key(2)),
    }

    for one in (*gates.of_ga(), *gates.of_day(2)):
        pointer = store.pointer(keys[one.gate.asset])
        assert pointer is not None
        assert one.seen.evidence_sha256 == pointer.sha256, one.gate.name


def test_a_gate_knows_the_partition_and_the_window_it_speaks_of(judged: str) -> None:
    gates = gates_of(judged)
    ga, day, week = (next(iter(found)).seen for found in (gates.of_ga(), gates.of_day(2), gates.of_verdict(AS_OF)))

    assert (ga.partition, ga.day, ga.when) == ("tars@1.0.1", 0, "the GA day")
    assert (day.partition, day.day, f"{day.start_at:%Y-%m-%d}") == ("day_02|tars@1.0.1", 2, "2025-11-20")
    assert (week.partition, week.day) == ("tars@1.0.1", AS_OF)


def alerts(found: Iterable[Checked]) -> list[Alert]:
    return [alert for one in found for alert in alerts_of(one.gate, one.seen, unknown=Severity.HIGH)]


def test_the_alerts_of_a_day_are_those_of_its_gates(judged: str) -> None:
    found = {(one.name, one.service): one for one in alerts(gates_of(judged).of_day(3))}

    assert set(found) == {
        (AlertName.OBJECTIVE_BROKEN, "reports"),
        (AlertName.KPI_DRIFTED, "reports"),
        (AlertName.ANOMALY_CRITICAL, "gateway"),
        (AlertName.ANOMALY_CRITICAL, "reports"),
        (AlertName.HEALTH_LOW, "*"),
    }
    assert found[AlertName.OBJECTIVE_BROKEN, "reports"].summary == (
        "tars@1.0.1, day_03: objective broken, availability of reports: 98.988 % of 7512 events were good, "
        "promised are 99.900 % (76 bad; chance 9e-49 if the promise held)"
    )


def test_a_claim_of_another_product_is_asked_and_alerts_nobody(judged: str) -> None:
    (one,) = gates_of(judged).not_promised("daily_stability", ["availability", "checkout_success"])

    assert one.gate.holds
    assert one.gate.reason.startswith("not applicable: ")
    assert alerts([one]) == []


def test_the_alert_of_a_gate_leads_to_the_page_that_names_it(judged: str) -> None:
    gates = gates_of(judged)

    for one in (*gates.of_ga(), *gates.of_day(2), *gates.of_verdict(AS_OF), gates.integrity(DAILY_TELEMETRY, 2)):
        page = (RUNBOOKS / f"{one.gate.alert}.md").read_text(encoding="utf-8")
        name = f"<kpi>{KEEPS}" if one.gate.name.endswith(KEEPS) else one.gate.name
        assert f"`{name}`" in page.split("## Meaning")[0], one.gate.name


# One gate needs what it speaks of, and no more


def test_the_gates_of_the_telemetry_need_no_judgement(copy: str) -> None:
    for kind in (DAILY_STABILITY, ANOMALY_EVENTS, DAILY_HEALTH):
        lose(copy, kind.key(WEEK, day_key(2)))
    lose(copy, GA_BASELINE.key(WEEK))

    assert set(verdicts(gates_of(copy).of_ga({"ga_telemetry"})).values()) == {PASS}


def test_the_gates_of_a_fetched_day_need_no_judgement_of_it(copy: str) -> None:
    for kind in (DAILY_STABILITY, ANOMALY_EVENTS, DAILY_HEALTH):
        lose(copy, kind.key(WEEK, day_key(2)))

    assert set(verdicts(gates_of(copy).of_day(2, {"daily_telemetry"})).values()) == {PASS}


def test_a_gate_without_its_artifact_says_what_to_materialise(judged: str) -> None:
    with pytest.raises(MissingInputError, match="day_04/telemetry is not in the store; materialise `daily_telemetry`"):
        list(gates_of(judged).of_day(4, {"daily_stability"}))


# Damage


@pytest.mark.parametrize("ending", ["samples.parquet", "counts.parquet", "quality.json"])
@pytest.mark.parametrize("day", [0, 2])
def test_a_flipped_byte_of_the_telemetry_fails_its_integrity(copy: str, day: int, ending: str) -> None:
    kind, at = (DAILY_TELEMETRY, day_key(day)) if day else (GA_TELEMETRY, "")
    before = gates_of(copy).integrity(kind, day)
    path = flip_a_byte(copy, kind.key(WEEK, at), ending=ending)

    after = gates_of(copy).integrity(kind, day)

    assert (before.gate.verdict, after.gate.verdict) == (PASS, FAIL)
    assert path in after.gate.reason
    assert "restore it from a backup" in after.gate.reason
    assert (after.gate.severity, after.gate.alert) == (Severity.CRITICAL, AlertName.EVIDENCE_DAMAGED)


@pytest.mark.parametrize(
    ("kind", "day"),
    [(GA_BASELINE, 0), (DAILY_STABILITY, 2), (DAILY_HEALTH, 2)],
    ids=lambda one: getattr(one, "asset", one),
)
def test_a_damaged_judgement_is_never_read_as_one(copy: str, kind: Kind, day: int) -> None:
    flip_a_byte(copy, kind.key(WEEK, day_key(day) if day else ""))
    gates = gates_of(copy)

    with pytest.raises(TamperedError, match="differs from its digest"):
        list(gates.of_day(day, {kind.asset}) if day else gates.of_ga({kind.asset}))


Spoil = Callable[[dict[str, bytes]], Mapping[str, bytes]]


def truncated(files: dict[str, bytes]) -> Mapping[str, bytes]:
    return {name: data[: len(data) // 2] if name.endswith(".zip") else data for name, data in files.items()}


def one_form_only(files: dict[str, bytes]) -> Mapping[str, bytes]:
    return {name: data for name, data in files.items() if ".tar.gz" not in name}


def another_digest(files: dict[str, bytes]) -> Mapping[str, bytes]:
    return {name: b"0" * 64 + data[64:] if name.endswith(".sha256") else data for name, data in files.items()}


@pytest.mark.parametrize("spoil", [truncated, one_form_only, another_digest])
def test_a_bundle_that_is_not_what_it_says_does_not_verify(copy: str, spoil: Spoil) -> None:
    store, key = Store.at(copy), BUNDLE.key(WEEK, as_of_key(AS_OF))
    store.put(key, spoil(store.get(key)))

    assert verdicts(gates_of(copy).of_verdict(AS_OF, {"executive_bundle"}))["bundle_verifies"] is FAIL


def test_a_bundle_without_an_archive_has_nothing_that_could_verify() -> None:
    assert bundle_flaws({}) == ["0 archives instead of 2"]


def test_a_flipped_byte_of_the_stored_bundle_fails_its_gate(copy: str) -> None:
    flip_a_byte(copy, BUNDLE.key(WEEK, as_of_key(AS_OF)), ending=".zip")

    found = {one.gate.name: one.gate for one in gates_of(copy).of_verdict(AS_OF, {"executive_bundle"})}

    assert found["bundle_verifies"].verdict is FAIL
    assert "differs from its digest" in found["bundle_verifies"].reason
    assert found["bundle_is_complete"].verdict is UNKNOWN


def test_an_artifact_that_is_gone_leaves_the_bundle_incomplete(copy: str) -> None:
    lose(copy, PROVENANCE.key(WEEK, as_of_key(AS_OF)))

    found = {one.gate.name: one.gate for one in gates_of(copy).of_verdict(AS_OF, {"executive_bundle"})}

    assert found["bundle_verifies"].verdict is PASS
    assert found["bundle_is_complete"].verdict is UNKNOWN
    assert "tars@1.0.1/verdict/as_of_03/provenance" in found["bundle_is_complete"].reason


def test_a_bundle_of_an_older_version_is_not_complete(copy: str) -> None:
    store, key = Store.at(copy), RETROSPECTIVE.key(WEEK, as_of_key(AS_OF))
    changed = {path: data + b"\n" if path.endswith(".md") else data for path, data in store.get(key).items()}
    store.put(key, changed)

    gate = {one.gate.name: one.gate for one in gates_of(copy).of_verdict(AS_OF, {"executive_bundle"})}
    complete = gate["bundle_is_complete"]

    assert complete.verdict is UNKNOWN
    assert complete.claims[0].evidence["n_missing"] == 1
    assert "final/GA_7DAY_RETROSPECTIVE.md of the bundle is not the stored one" in complete.reason


def test_a_day_that_was_never_judged_leaves_the_bundle_incomplete(copy: str) -> None:
    lose(copy, DAILY_HEALTH.key(WEEK, day_key(2)))

    found = verdicts(gates_of(copy).of_verdict(AS_OF, {"executive_bundle"}))

    assert found["bundle_is_complete"] is UNKNOWN


def test_a_replaced_ga_day_is_not_what_the_baseline_was_made_of(copy: str) -> None:
    store, key = Store.at(copy), GA_TELEMETRY.key(WEEK)
    other = store.get(DAILY_TELEMETRY.key(WEEK, day_key(1)))
    store.put(key, {f"ga/telemetry/{path.rsplit('/', 1)[1]}": data for path, data in other.items()})

    assert verdicts(gates_of(copy).of_ga({"ga_baseline"}))["baseline_is_frozen"] is FAIL
