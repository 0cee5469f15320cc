"""What an operator sees of a gate, and where gates come from."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml

from tars_ops.adapters.gates import Checked
from tars_ops.core.alert import Seen
from tars_ops.core.gate import AlertName, Claim, Gate
from tars_ops.core.verdict import Severity, Verdict
from tars_ops.defs.gates import result
from tars_ops_tests.defs.conftest import Make
from tars_ops_tests.defs.test_automation import run_python

PROJECT = Path(__file__).parents[2]
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
SEEN = Seen(
    release="tars@1.0.1",
    partition="day_02|tars@1.0.1",
    day=2,
    start_at=datetime(2025, 11, 20, tzinfo=UTC),
    evidence_sha256="b" * 64,
)


def checked(*claims: Claim, severity: Severity = Severity.HIGH, not_applicable: str = "") -> Checked:
    gate = Gate(
        name="availability_keeps_its_objective",
        alert=AlertName.OBJECTIVE_BROKEN,
        asset="daily_stability",
        severity=severity,
        claims=claims,
        kpi="availability",
        query="sum by (service) (...)",
        not_applicable=not_applicable,
    )
    return Checked(gate, SEEN)


def claim(verdict: Verdict, service: str = "api", **evidence: float | None) -> Claim:
    return Claim(service=service, verdict=verdict, reason=f"{service} is {verdict.value}", evidence=evidence)


@pytest.mark.parametrize(
    ("verdict", "severity", "passed", "shown"),
    [
        (Verdict.PASS, Severity.CRITICAL, True, WARN),
        (Verdict.WARN, Severity.CRITICAL, True, WARN),
        (Verdict.UNKNOWN, Severity.CRITICAL, False, WARN),
        (Verdict.FAIL, Severity.CRITICAL, False, ERROR),
        (Verdict.FAIL, Severity.HIGH, False, ERROR),
        (Verdict.FAIL, Severity.MEDIUM, False, ERROR),
        (Verdict.FAIL, Severity.LOW, False, WARN),
    ],
)
def test_a_known_failure_is_an_error_unless_the_policy_calls_it_low_and_unknown_is_a_warning(
    verdict: Verdict, severity: Severity, passed: bool, shown: dg.AssetCheckSeverity
) -> None:
    found = result(checked(claim(verdict), severity=severity))

    assert (found.passed, found.severity) == (passed, shown)


def test_a_gate_that_does_not_concern_the_release_passes_and_says_so() -> None:
    found = result(checked(claim(Verdict.UNKNOWN), not_applicable="the watch is not over"))

    assert found.passed
    assert found.description == "not applicable: the watch is not over"
    assert {name: one.value for name, one in found.metadata.items()} == {"verdict": "not_applicable"}


def test_the_figures_beside_a_gate_are_those_of_its_worst_service() -> None:
    found = result(checked(claim(Verdict.PASS, "api", sli_ratio=0.9999), claim(Verdict.FAIL, "db", sli_ratio=0.98)))

    assert found.metadata["worst_service"].value == "db"
    assert found.metadata["sli_ratio"].value == 0.98
    assert found.metadata["query"].value == "sum by (service) (...)"
    assert found.metadata["evidence_sha256"].value == "b" * 64
    assert (found.metadata["verdict"].value, found.metadata["severity"].value) == ("fail", "high")


def test_a_figure_that_nobody_knows_is_a_dash_in_the_table_and_no_number() -> None:
    found = result(checked(claim(Verdict.UNKNOWN, sli_ratio=None, n_total=3)))
    figures = found.metadata["figures"]

    assert "sli_ratio" not in found.metadata
    assert isinstance(figures, dg.TableMetadataValue)
    assert [record.data for record in figures.records] == [{"service": "api", "sli_ratio": "-", "n_total": 3}]


def test_a_figure_has_six_digits_in_the_table_so_that_it_fits_a_page() -> None:
    found = result(checked(claim(Verdict.FAIL, sli_ratio=0.9898828541001065, n_total=12345678)))
    figures = found.metadata["figures"]

    assert isinstance(figures, dg.TableMetadataValue)
    assert [record.data for record in figures.records] == [
        {"service": "api", "sli_ratio": 0.989883, "n_total": 12345678}
    ]


def test_a_gate_that_nothing_was_said_about_does_not_pass() -> None:
    found = result(checked())

    assert (found.passed, found.severity, found.description) == (False, WARN, "nothing was judged")


def test_a_failed_day_shows_every_figure_of_its_promise(make_lineage: Make) -> None:
    lineage = make_lineage(fault="failing_requests", days=(1,))
    lineage.open()

    gates = {one.check_name: one for one in lineage.watch(1).get_asset_check_evaluations()}
    shown = gates["availability_keeps_its_objective"].metadata

    assert set(shown) == {
        "verdict",
        "severity",
        "worst_service",
        "query",
        "evidence_sha256",
        "objective_ratio",
        "sli_ratio",
        "sli_lower_ratio",
        "sli_upper_ratio",
        "n_bad",
        "n_total",
        "burn_rate",
        "budget_left_ratio",
        "coverage_ratio",
        "findings",
        "figures",
    }
    assert float(str(shown["sli_upper_ratio"].value)) < 0.999
    assert "http_requests_total" in str(shown["query"].value)


# Gates come from the policies


def policies(folder: Path) -> Path:
    """Write the policy of the demo with one more objective, and that of another product with a KPI of its own."""
    tars = yaml.safe_load((PROJECT / "policies" / "tars.yaml").read_text(encoding="utf-8"))
    tars["kpis"]["p95_latency"]["slo"] = {"threshold_s": 0.5}
    shop = {**tars, "product": "shop", "kpis": {"checkout_success": tars["kpis"]["availability"]}}
    folder.mkdir()
    for name, tree in (("tars", tars), ("shop", shop)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return folder


GATES_OF_THE_CODE_LOCATION = """
from tars_ops.adapters.settings import load_settings
from tars_ops.definitions import build
graph = build(load_settings()).resolve_asset_graph()
print("\\n".join(sorted(f"{key.asset_key.to_user_string()} {key.name}" for key in graph.asset_check_keys)))
"""
GA_DAY = """
import json, sys
from pathlib import Path
from tars_ops.adapters.gates import Gates
from tars_ops.adapters.registry import Registry
from tars_ops.core.alert import alerts_of
from tars_ops.core.verdict import Severity
from tars_ops.defs.gates import PROMISED
from tars_ops_tests.defs.conftest import WEEK, lineages
with lineages(Path({folder!r})) as make:
    lineage = make()
    result = lineage.open()
    gates = Gates(lineage.store, Registry(lineage.store).get(WEEK))
    silent = [one.gate.name for one in gates.not_promised("ga_baseline", PROMISED)]
    alerts = [a.gate for one in gates.not_promised("ga_baseline", PROMISED) for a in
              alerts_of(one.gate, one.seen, unknown=Severity.CRITICAL)]
    found = {{e.check_name: [e.passed, e.description] for e in result.get_asset_check_evaluations()}}
print(json.dumps([result.success, found, silent, alerts]))
"""


def test_an_objective_of_a_policy_has_its_gate_without_code(tmp_path: Path) -> None:
    folder = policies(tmp_path / "policies")

    before, after = (
        set(run_python(GATES_OF_THE_CODE_LOCATION, TARS_OPS_POLICIES=str(place)).splitlines())
        for place in (PROJECT / "policies", folder)
    )

    assert before - after == set()
    assert after - before == {
        f"{asset} {kpi}_keeps_its_objective"
        for asset in ("ga_baseline", "daily_stability")
        for kpi in ("p95_latency", "checkout_success")
    }


def test_an_objective_of_another_product_passes_as_not_applicable_and_alerts_nobody(tmp_path: Path) -> None:
    folder = policies(tmp_path / "policies")

    program = GA_DAY.format(folder=str(tmp_path))
    success, found, silent, alerts = json.loads(run_python(program, TARS_OPS_POLICIES=str(folder)).splitlines()[-1])

    assert success
    assert found["checkout_success_keeps_its_objective"] == [
        True,
        "not applicable: the policy of tars promises nothing for checkout_success",
    ]
    assert found["availability_keeps_its_objective"][0]
    assert sorted(silent) == ["checkout_success_keeps_its_objective", "p95_latency_keeps_its_objective"]
    assert alerts == []
