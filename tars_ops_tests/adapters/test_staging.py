"""Staging that cannot be asked is a reason, and the watch goes on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tars_ops.adapters.prometheus.client import PrometheusServer
from tars_ops.adapters.prometheus.source import PrometheusSource
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.staging import ask_staging
from tars_ops.core.errors import ContractError, NoPermissionError, SourceError, SourceUnavailableError, TarsOpsError
from tars_ops.core.policy import Baselines, Policy, Staging
from tars_ops.core.release import Release, Window
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.staging import NOT_ASKED
from tars_ops_tests.adapters.factories import POLICY, POLICY_TEXT, RELEASE, STAGING, telemetry
from tars_ops_tests.adapters.prometheus.fake_server import Call, FakeServer, matrix, says, success, vector

ASKED = POLICY.model_copy(update={"baselines": Baselines(staging=Staging(selector=STAGING))})
REGISTERED = Registered(RELEASE, ASKED, POLICY_TEXT)


@dataclass
class Source:
    """A source that knows staging, or fails."""

    error: TarsOpsError | None = None
    n_asked: int = 0

    def fetch(self, release: Release, policy: Policy, *, day: int) -> Telemetry:
        raise NotImplementedError

    def fetch_window(self, release: Release, policy: Policy, window: Window) -> Telemetry:
        raise NotImplementedError

    def fetch_staging(self, release: Release, policy: Policy, *, selector: str) -> Telemetry:
        assert (policy, selector) == (ASKED, STAGING)
        self.n_asked += 1
        if self.error:
            raise self.error
        return telemetry(release.day_before_ga)

    def close(self) -> None:
        pass


def test_staging_that_answers_is_kept_with_its_selector() -> None:
    found = ask_staging(Source(), REGISTERED, may_try_again=True)

    assert (found.day.selector, found.day.absent) == (STAGING, None)
    assert found.telemetry is not None


def test_a_policy_without_staging_asks_nobody() -> None:
    source = Source()

    found = ask_staging(source, Registered(RELEASE, POLICY, POLICY_TEXT), may_try_again=True)

    assert source.n_asked == 0
    assert (found.day.selector, found.day.absent, found.telemetry) == (None, NOT_ASKED, None)


@pytest.mark.parametrize(
    ("error", "may_try_again"),
    [
        (SourceUnavailableError("no answer from the server"), False),
        (SourceError("recording week.zip holds no staging"), True),
        (NoPermissionError("HTTP 403"), True),
    ],
)
def test_what_refuses_or_never_answers_is_the_reason(error: TarsOpsError, *, may_try_again: bool) -> None:
    found = ask_staging(Source(error), REGISTERED, may_try_again=may_try_again)

    assert found.telemetry is None
    assert (found.day.selector, found.day.absent) == (STAGING, str(error))


@pytest.mark.parametrize("error", [SourceUnavailableError("no answer from the server"), ContractError("wrong release")])
def test_what_may_pass_is_tried_again_and_what_is_wrong_is_never_swallowed(error: TarsOpsError) -> None:
    with pytest.raises(type(error), match=str(error)):
        ask_staging(Source(error), REGISTERED, may_try_again=True)


def test_a_server_is_asked_for_the_day_before_ga_by_the_selector_of_staging() -> None:
    def answers(call: Call) -> None:
        build = success({"version": "2.53.0", "application": "Prometheus"})
        empty = vector() if call.path.endswith("/query") else matrix()
        says(build if "buildinfo" in call.path else empty)(call)

    with FakeServer([answers]) as server:
        source = PrometheusSource(PrometheusServer(server.url.replace("localhost", "127.0.0.1")))
        found = ask_staging(source, REGISTERED, may_try_again=False)
        source.close()
    forms = [call.form for call in server.calls if "query" in call.form]
    window = RELEASE.day_before_ga

    assert found.day.absent == f"no series of 1.0.1 carry {STAGING}"
    assert forms
    assert [form["query"] for form in forms if f'{STAGING},version="1.0.1"' not in form["query"]] == []
    assert {float(form["end"]) for form in forms if "end" in form} <= {(window.end_ms - 1) / 1000}
    assert min(float(form["start"]) for form in forms if "start" in form) > window.start_ms / 1000
