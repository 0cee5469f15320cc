"""The GA day, summarised once and frozen."""

from __future__ import annotations

import numpy as np
import pytest

from tars_ops.core.errors import ContractError, FrozenBaselineError
from tars_ops.core.policy import Policy
from tars_ops.core.telemetry import sample_table
from tars_ops.core.watch.baseline import GaBaseline, expected_services, freeze, summarise
from tars_ops_tests.core.factories import (
    Change,
    Scene,
    baseline,
    demo_policy,
    during,
    policy_tree,
    release,
    telemetry,
)

OTHER = during(Change(memory=2.0))


def test_the_baseline_holds_what_every_kpi_was() -> None:
    found = baseline()

    assert found.services == ("api", "worker")
    assert found.doubts == ()
    assert found.of("availability", "api").value == pytest.approx(0.9999, abs=1e-4)
    assert found.of("memory", "*").value == pytest.approx(6e8, rel=0.01)
    assert found.telemetry_sha256 == telemetry(0).sha256


def test_the_spread_of_a_series_is_that_of_its_samples() -> None:
    found = next(one for one in baseline().spreads if (one.kpi, one.service) == ("memory", "api"))
    values = sample_table(telemetry(0), "memory").values[0]

    assert found.median == np.median(values)
    assert found.mad == np.median(np.abs(values - np.median(values)))
    assert found.quantiles == tuple(np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95)))
    assert found.n_samples == 1440


def test_series_are_calibrated_and_shares_of_events_are_not() -> None:
    found = baseline()

    assert found.memory("memory", "api").sigma == pytest.approx(0.02 * 3e8, rel=0.4)
    assert found.memory("availability", "api") is None
    assert found.memory("memory", "nobody") is None


@pytest.mark.parametrize(
    ("scene", "kpi", "reason"),
    [
        (Scene(keep=0.5), "memory", "coverage 0.50 < 0.90"),
        (Scene(warned=("memory",)), "memory", "the server warned"),
        (Scene(refused=("memory",)), "memory", "not measured"),
        (Scene(without=(("memory", "api"),)), "memory", "no data"),
        (Scene(unrecorded=("memory",)), "memory", "not part of this telemetry"),
        (Scene(nan=(("memory", "api", 0.6),)), "memory", "numbers for 0.40 < 0.90"),
    ],
)
def test_what_the_ga_day_cannot_speak_for_is_a_doubt_and_no_baseline(scene: Scene, kpi: str, reason: str) -> None:
    found = baseline(scene)

    assert reason in found.doubt(kpi, "api")
    assert found.of(kpi, "api") is None
    assert found.memory(kpi, "api") is None


def test_a_ga_day_without_any_service_is_refused() -> None:
    with pytest.raises(ContractError, match=r"no service of tars@1\.0\.1 left any data"):
        baseline(Scene(services=()))


def test_telemetry_of_another_day_is_no_ga_day() -> None:
    with pytest.raises(ContractError, match="is not of the GA day"):
        summarise(telemetry(1), release(), demo_policy())


def test_services_of_the_policy_are_expected_beside_those_that_were_seen() -> None:
    tree = policy_tree()
    policy = Policy.model_validate({**tree, "measurement": {**tree["measurement"], "services": ["ghost"]}})

    assert expected_services(telemetry(0), policy) == ("api", "ghost", "worker")
    assert summarise(telemetry(0), release(), policy).doubt("memory", "ghost") == "no data"


# Freezing


def test_the_first_baseline_is_kept() -> None:
    assert freeze(baseline(), frozen=None, frozen_sha256=None, refreeze=False) == baseline()


@pytest.mark.parametrize("refreeze", [False, True])
def test_the_same_content_changes_nothing(refreeze: bool) -> None:
    frozen = baseline().model_copy(update={"supersedes": "c" * 64})

    assert freeze(baseline(), frozen=frozen, frozen_sha256="d" * 64, refreeze=refreeze) is frozen


def test_another_content_is_refused() -> None:
    with pytest.raises(FrozenBaselineError, match="`refreeze: true`"):
        freeze(baseline(OTHER), frozen=baseline(), frozen_sha256="d" * 64, refreeze=False)


def test_a_refrozen_baseline_says_what_it_replaced() -> None:
    found = freeze(baseline(OTHER), frozen=baseline(), frozen_sha256="d" * 64, refreeze=True)

    assert found.supersedes == "d" * 64
    assert found.of("memory", "api") == baseline(OTHER).of("memory", "api")


def test_another_policy_is_another_baseline() -> None:
    other = baseline().model_copy(update={"policy_sha256": "f" * 64})

    with pytest.raises(FrozenBaselineError):
        freeze(other, frozen=baseline(), frozen_sha256="d" * 64, refreeze=False)


def test_a_baseline_survives_json() -> None:
    assert GaBaseline.model_validate_json(baseline().model_dump_json()) == baseline()
