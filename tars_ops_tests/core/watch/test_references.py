"""What stays pinned, what is said of what is not there, and when staging is known."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tars_ops.core.errors import ContractError
from tars_ops.core.policy import Baselines, Staging
from tars_ops.core.watch.references import (
    NOT_PINNED,
    BaselineKind,
    PinnedArtifact,
    PinnedDay,
    PinnedStaging,
    ReferenceBaselines,
    described,
    pin_once,
    why_absent,
)
from tars_ops.core.watch.staging import StagingDay, StagingTelemetry, not_staged, of_staging, staged
from tars_ops_tests.core.factories import Scene, demo_policy, make, release, telemetry

PREVIOUS, STAGING = BaselineKind.PREVIOUS_RELEASE, BaselineKind.STAGING
SELECTOR = 'product="tars-staging"'
ASKED = Baselines(staging=Staging(selector=SELECTOR))
NOTHING = {PREVIOUS: "no release before it is registered", STAGING: "recording week.zip holds no staging"}
WEEK = release()
BEFORE = WEEK.model_copy(update={"ga_at": WEEK.day_before_ga.start_at})
"""A release whose GA day is the day before GA: what is made of it is of the window of staging."""


def artifact(name: str, *, version: int = 1) -> PinnedArtifact:
    return PinnedArtifact(artifact=f"tars@1.0.0/{name}", version=version, files={"quality.json": "f" * 64})


def day(number: int, *, version: int = 1) -> PinnedDay:
    of_day = artifact(f"stability/day_{number:02d}/telemetry", version=version)
    return PinnedDay(day=number, telemetry=of_day, stability=None, anomalies=None)


def pinned(*days: PinnedDay, staging: str | None = None, absent: dict | None = None, **more: Any) -> ReferenceBaselines:
    return ReferenceBaselines(
        release="tars@1.0.1",
        previous="tars@1.0.0",
        previous_days=days,
        staging=PinnedStaging(selector=staging, telemetry=artifact("ga/staging")) if staging else None,
        absent=NOTHING if absent is None else absent,
        **more,
    )


# -- what stays pinned ------------------------------------------------------------------------------------------------

FIRST, LATER = pinned(day(1)), pinned(day(1, version=2), day(2))
REPLACED = FIRST.model_copy(update={"supersedes": "d" * 64})


@pytest.mark.parametrize(
    ("found", "before", "refreeze", "kept"),
    [
        (FIRST, None, False, FIRST),
        (FIRST, FIRST, False, FIRST),
        (LATER, FIRST, False, FIRST),
        (LATER, FIRST, True, LATER.model_copy(update={"supersedes": "e" * 64})),
        (FIRST, REPLACED, True, REPLACED),
    ],
    ids=["nothing pinned", "the same again", "more days later", "asked to look again", "nothing new to pin"],
)
def test_the_first_references_stay_until_somebody_asks_to_look_again(
    found: ReferenceBaselines, before: ReferenceBaselines | None, *, refreeze: bool, kept: ReferenceBaselines
) -> None:
    assert pin_once(found, pinned=before, pinned_sha256="e" * 64 if before else None, refreeze=refreeze) == kept


@pytest.mark.parametrize("absent", [{}, {PREVIOUS: "x"}, {PREVIOUS: "", STAGING: "x"}])
def test_what_is_not_pinned_has_its_reason(absent: dict) -> None:
    with pytest.raises(ValidationError, match="no reason is given in `absent`"):
        pinned(absent=absent)


# -- what is said of what is not there --------------------------------------------------------------------------------

ALL_DAYS = [day(n) for n in WEEK.days]


@pytest.mark.parametrize(
    ("found", "baselines", "reasons"),
    [
        (None, ASKED, {PREVIOUS: NOT_PINNED, STAGING: NOT_PINNED}),
        (None, Baselines(previous_release=False), {}),
        (pinned(), ASKED, NOTHING),
        (pinned(), Baselines(), {PREVIOUS: NOTHING[PREVIOUS]}),
        (pinned(*ALL_DAYS, staging=SELECTOR), ASKED, {}),
        (
            pinned(*ALL_DAYS[:4]),
            Baselines(),
            {PREVIOUS: "days 5, 6, 7 of tars@1.0.0 were not in the store when the watch opened"},
        ),
        (
            pinned(*ALL_DAYS[:2], *ALL_DAYS[3:]),
            Baselines(),
            {PREVIOUS: "day 3 of tars@1.0.0 was not in the store when the watch opened"},
        ),
        (
            pinned(*ALL_DAYS, staging='env="pre"'),
            ASKED,
            {STAGING: f'pinned is staging of env="pre", and the policy names {SELECTOR} since'},
        ),
    ],
)
def test_every_reference_that_the_policy_asks_for_and_that_is_not_there_has_a_reason(
    found: ReferenceBaselines | None, baselines: Baselines, reasons: dict[BaselineKind, str]
) -> None:
    assert why_absent(found, WEEK, baselines) == reasons


@pytest.mark.parametrize(
    ("found", "baselines", "said"),
    [
        (None, Baselines(), {PREVIOUS: NOT_PINNED}),
        (pinned(*ALL_DAYS[:6]), Baselines(previous_release=False), {}),
        (
            pinned(*ALL_DAYS[:6], staging=SELECTOR),
            ASKED,
            {
                PREVIOUS: "tars@1.0.0, days 1, 2, 3, 4, 5, 6; "
                "day 7 of tars@1.0.0 was not in the store when the watch opened",
                STAGING: SELECTOR,
            },
        ),
        (pinned(*ALL_DAYS), ASKED, {PREVIOUS: "tars@1.0.0, days 1, 2, 3, 4, 5, 6, 7", STAGING: NOTHING[STAGING]}),
    ],
)
def test_what_is_pinned_is_told_beside_what_is_not(
    found: ReferenceBaselines | None, baselines: Baselines, said: dict[BaselineKind, str]
) -> None:
    assert described(found, WEEK, baselines) == said


def test_a_watch_that_was_extended_says_which_days_it_cannot_compare() -> None:
    longer = WEEK.model_copy(update={"n_days": 9})

    assert why_absent(pinned(*ALL_DAYS), longer, Baselines()) == {
        PREVIOUS: "days 8, 9 of tars@1.0.0 were not in the store when the watch opened"
    }


# -- staging ----------------------------------------------------------------------------------------------------------


def test_staging_is_the_day_before_ga_as_it_was_answered() -> None:
    answered = make(demo_policy(), BEFORE, 0)

    found = staged(WEEK, SELECTOR, answered)

    assert found.telemetry is answered
    assert (found.day.start_at, found.day.end_at, found.day.absent) == (*WEEK.day_before_ga, None)
    assert found.day.end_at == WEEK.ga_at


@pytest.mark.parametrize(
    ("scene", "why"),
    [
        (Scene(keep=0.0), f"no series of 1.0.1 carry {SELECTOR}"),
        (Scene(refused=tuple(demo_policy().judged)), "not measured: HTTP 422: too many samples"),
    ],
)
def test_an_answer_without_any_service_is_no_staging(scene: Scene, why: str) -> None:
    found = staged(WEEK, SELECTOR, make(demo_policy(), BEFORE, 0, scene))

    assert found.telemetry is None
    assert found.day.absent == why


def test_staging_is_measured_like_production_but_for_its_selector() -> None:
    changed = of_staging(demo_policy(), SELECTOR)

    assert changed.measurement.selector == SELECTOR
    assert of_staging(changed, demo_policy().measurement.selector) == demo_policy()


def test_staging_is_either_telemetry_or_the_reason_why_there_is_none() -> None:
    absent = not_staged(WEEK, None, "no answer").day
    silent = StagingDay.model_validate({**absent.model_dump(), "absent": None})

    for of_day, found in ((absent, make(demo_policy(), BEFORE, 0)), (silent, None)):
        with pytest.raises(ContractError, match="either telemetry or the reason"):
            StagingTelemetry(of_day, found)


def test_telemetry_of_another_window_is_no_staging() -> None:
    with pytest.raises(ContractError, match="is not of staging from"):
        staged(WEEK, SELECTOR, telemetry(0))
