"""The contract of telemetry: what is refused, what the digest notices, and that tables and frames say the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tars_ops.core.errors import ContractError
from tars_ops.core.policy import Policy
from tars_ops.core.telemetry import (
    BAD,
    INF,
    TOTAL,
    CountTable,
    SampleTable,
    SeriesQuality,
    Telemetry,
    count_frame,
    count_table,
    gap_lengths_s,
    prior_table,
    sample_frame,
    sample_table,
    utc_column,
)
from tars_ops_tests.core.factories import GA_AT, STEADY, Scene, make, policy_tree, release, telemetry

HOUR = release(day_length_s=3600)
SMALL = Policy.model_validate(
    policy_tree(
        kpis={
            name: kpi
            for name, kpi in policy_tree()["kpis"].items()
            if name in {"availability", "p99_latency", "memory"}
        }
    )
)


def small(scene: Scene = STEADY, *, day: int = 0) -> Telemetry:
    return make(SMALL, HOUR, day, scene)


def with_frames(found: Telemetry, **frames: pd.DataFrame) -> Telemetry:
    return replace(found, **frames)


def with_quality(found: Telemetry, **changes: Any) -> Telemetry:
    return replace(found, quality=found.quality.model_copy(update=changes))


# What is refused


def twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame.iloc[:1], frame], ignore_index=True)


BROKEN: Mapping[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "unsorted": (lambda frame: frame.iloc[::-1].reset_index(drop=True), "not sorted"),
    "one row out of place": (lambda frame: frame.iloc[[1, 0, *range(2, len(frame))]], "not sorted"),
    "a row twice": (twice, "a row twice"),
    "a column missing": (lambda frame: frame.iloc[:, 1:], "has the columns"),
    "a column more": (lambda frame: frame.assign(extra=1), "has the columns"),
    "columns in another order": (lambda frame: frame[frame.columns[::-1]], "has the columns"),
    "names as text": (lambda frame: frame.assign(service=frame["service"].astype(str)), "not a category"),
    "categories unsorted": (
        lambda frame: frame.assign(service=frame["service"].cat.reorder_categories(["worker", "api"])),
        "categories of",
    ),
}


@pytest.mark.parametrize("frame", ["samples", "counts"])
@pytest.mark.parametrize(("broken", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_frame_that_breaks_the_contract_is_refused(
    frame: str, broken: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    found = small()

    with pytest.raises(ContractError, match=message):
        with_frames(found, **{frame: broken(getattr(found, frame))})


@pytest.mark.parametrize(
    ("frame", "column", "dtype"),
    [
        ("samples", "value", "float64"),
        ("samples", "value", "int64"),
        ("samples", "value", "object"),
        ("samples", "at", "datetime64[ns, UTC]"),
        ("samples", "at", "int64"),
        ("counts", "count", "float64"),
        ("counts", "count", "int32"),
        ("counts", "slot", "datetime64[s, UTC]"),
    ],
)
def test_a_column_of_another_type_is_refused(frame: str, column: str, dtype: str) -> None:
    found = small()
    whole = getattr(found, frame)

    with pytest.raises(ContractError, match=rf"{frame}\.{column} is of type"):
        with_frames(found, **{frame: whole.assign(**{column: whole[column].astype(dtype)})})


def test_a_time_without_a_zone_is_refused() -> None:
    found = small()
    naive = found.samples.assign(at=found.samples["at"].dt.tz_localize(None))

    with pytest.raises(ContractError, match=r"samples\.at is of type"):
        with_frames(found, samples=naive)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    found = small()
    values = found.samples["value"].to_numpy().copy()
    values[3] = value

    with pytest.raises(ContractError, match="not a number"):
        with_frames(found, samples=found.samples.assign(value=values))


def test_a_negative_count_is_refused() -> None:
    found = small()
    counts = found.counts["count"].to_numpy().copy()
    counts[3] = -1

    with pytest.raises(ContractError, match="below 0"):
        with_frames(found, counts=found.counts.assign(count=counts))


@pytest.mark.parametrize("frame", ["samples", "counts"])
@pytest.mark.parametrize("shift_s", [-3600, -300, 1, 3600])
def test_a_row_outside_the_window_is_refused(frame: str, shift_s: int) -> None:
    found = small()
    moved = found.quality.model_copy(
        update={
            "start_at": found.quality.start_at + timedelta(seconds=shift_s),
            "end_at": found.quality.end_at + timedelta(seconds=shift_s),
        }
    )
    other = "counts" if frame == "samples" else "samples"

    with pytest.raises(ContractError, match=f"{frame}.* leaves its window"):
        Telemetry(
            **{frame: getattr(found, frame), other: getattr(found, other).iloc[:0]}, prior=found.prior, quality=moved
        )


def test_a_sample_on_a_border_belongs_to_the_window_that_starts_there() -> None:
    start_ms = HOUR.window(1).start_ms
    border = sample_frame({"memory": SampleTable(("api",), np.array([start_ms]), np.array([[1.0]]))})
    before, after = small(day=0), small(day=1)

    assert with_frames(after, samples=border).samples["value"].tolist() == [1.0]
    with pytest.raises(ContractError, match="leaves its window"):
        with_frames(before, samples=border)


def test_empty_telemetry_is_valid_and_holds_nothing() -> None:
    empty = small(Scene(services=()))

    assert (len(empty.samples), len(empty.counts), len(empty.prior)) == (0, 0, 0)
    assert sample_table(empty, "memory").services == ()
    assert count_table(empty, "availability").services == ()
    assert empty.quality.services == ()


# What the digest notices


def test_equal_telemetry_has_an_equal_digest_whatever_the_server_calls_itself() -> None:
    newer = small(Scene(server_version="4.0.0"))

    assert newer.quality.server != small().quality.server
    assert newer.sha256 == small().sha256


def test_categories_that_nobody_uses_are_not_content() -> None:
    found = small()
    wider = found.samples.assign(service=found.samples["service"].cat.set_categories(["api", "nobody", "worker"]))

    assert with_frames(found, samples=wider).sha256 == found.sha256


def changed(frame: pd.DataFrame, row: int) -> pd.DataFrame:
    values = frame.iloc[:, -1].to_numpy().copy()
    values[row] = np.nextafter(values[row], np.float32(1e9)) if values.dtype == np.float32 else values[row] + 1
    return frame.assign(**{frame.columns[-1]: values})


@settings(max_examples=30)
@given(st.data())
def test_the_digest_notices_every_value_and_every_count(data: st.DataObject) -> None:
    found = make(SMALL, HOUR, 0, Scene(prior_errors=1e-4))
    frame = data.draw(st.sampled_from(["samples", "counts", "prior"]))
    row = data.draw(st.integers(0, len(getattr(found, frame)) - 1))

    other = with_frames(found, **{frame: changed(getattr(found, frame), row)})

    assert other.sha256 != found.sha256


def test_the_digest_notices_a_lost_row_another_name_and_another_time() -> None:
    found = small()
    lost = found.samples.iloc[1:].reset_index(drop=True)
    renamed = found.samples.assign(service=found.samples["service"].cat.rename_categories({"worker": "workers"}))
    later = found.counts.assign(slot=utc_column(found.counts["slot"].astype("int64").to_numpy() + 1))

    digests = {
        found.sha256,
        with_frames(found, samples=lost).sha256,
        with_frames(found, samples=renamed).sha256,
        with_frames(found, counts=later).sha256,
    }

    assert len(digests) == 4


@pytest.mark.parametrize(
    "scene",
    [Scene(warned=("memory",)), Scene(refused=("memory",)), Scene(unrecorded=("memory",)), Scene(keep=0.5)],
    ids=["warning", "refusal", "not asked", "coverage"],
)
def test_the_digest_notices_what_is_known_of_the_quality(scene: Scene) -> None:
    assert small(scene).sha256 != small().sha256


def test_the_digest_notices_a_warning_and_a_coverage_alone() -> None:
    found = small()
    warned = tuple(one.model_copy(update={"warnings": ("partial",)}) for one in found.quality.kpis)
    thinner = tuple(one.model_copy(update={"n_arrived": one.n_arrived - 1}) for one in found.quality.series)

    assert with_quality(found, kpis=warned).sha256 != found.sha256
    assert with_quality(found, series=thinner).sha256 != found.sha256


def test_the_same_seed_gives_the_same_telemetry_and_another_one_another() -> None:
    assert make(SMALL, HOUR, 0, seed=7).sha256 == make(SMALL, HOUR, 0, seed=7).sha256
    assert make(SMALL, HOUR, 0, seed=7).sha256 != make(SMALL, HOUR, 0, seed=8).sha256


# Tables and frames

GRID = np.arange(HOUR.window(0).start_ms, HOUR.window(0).end_ms, 300_000, dtype=np.int64)
NAMES = st.lists(st.sampled_from(["api", "billing", "worker", "\u00fc"]), min_size=1, max_size=3, unique=True).map(
    sorted
)


@st.composite
def sample_tables(draw: st.DrawFn) -> SampleTable:
    services = tuple(draw(NAMES))
    numbers = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6, width=32))
    rows = draw(
        st.lists(st.lists(numbers, min_size=12, max_size=12), min_size=len(services), max_size=len(services)).filter(
            lambda rows: all(not np.isnan(row).all() for row in rows)
        )
    )
    return SampleTable(services, GRID, np.array(rows))


@st.composite
def count_tables(draw: st.DrawFn) -> CountTable:
    services = tuple(draw(NAMES))
    les = draw(st.sampled_from([(BAD, TOTAL), ("0.05", "0.5", "2.5", "10", INF)]))
    shape = (len(services), len(les), len(GRID))
    flat = draw(st.lists(st.integers(0, 2**40), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    counts = np.array(flat, dtype=np.int64).reshape(shape)
    counts[:, :, 0] += 1  # a row of zeros leaves no trace in a frame
    return CountTable(services, les, GRID, counts)


def holding(samples: pd.DataFrame | None = None, counts: pd.DataFrame | None = None) -> Telemetry:
    found = small()
    kpis = tuple(one.model_copy(update={"step_s": 300}) for one in found.quality.kpis)
    return Telemetry(
        samples=found.samples.iloc[:0] if samples is None else samples,
        counts=found.counts.iloc[:0] if counts is None else counts,
        prior=found.prior,
        quality=found.quality.model_copy(update={"kpis": kpis}),
    )


@settings(max_examples=40)
@given(sample_tables())
def test_samples_survive_the_way_into_a_frame_and_back(table: SampleTable) -> None:
    found = sample_table(holding(samples=sample_frame({"memory": table})), "memory")

    assert found.services == table.services
    np.testing.assert_array_equal(found.at_ms, table.at_ms)
    np.testing.assert_array_equal(found.values, table.values)


@settings(max_examples=40)
@given(count_tables())
def test_counts_survive_the_way_into_a_frame_and_back(table: CountTable) -> None:
    found = count_table(holding(counts=count_frame({"availability": table})), "availability")

    assert (found.services, found.les) == (table.services, table.les)
    np.testing.assert_array_equal(found.counts, table.counts)


@settings(max_examples=15)
@given(st.lists(count_tables(), min_size=2, max_size=2))
def test_two_counters_in_one_frame_do_not_mix(tables: list[CountTable]) -> None:
    frame = count_frame({"b": tables[1], "a": tables[0]})

    for name, table in zip("ab", tables, strict=True):
        np.testing.assert_array_equal(count_table(holding(counts=frame), name).counts, table.counts)


def test_a_value_that_is_not_finite_leaves_no_row() -> None:
    values = np.array([[1.0, np.nan, np.inf, -np.inf]])

    frame = sample_frame({"memory": SampleTable(("api",), GRID[:4], values)})

    assert frame["value"].tolist() == [1.0]


def test_a_bucket_in_which_nothing_fell_is_still_a_bound() -> None:
    table = CountTable(("api",), ("0.1", "0.5", INF), GRID, np.repeat([[[0], [7], [7]]], len(GRID), axis=2))

    found = count_table(holding(counts=count_frame({"h": table})), "h", les=table.les)

    assert found.les == table.les
    np.testing.assert_array_equal(found.counts, table.counts)


def test_buckets_stand_in_the_order_of_their_bounds_not_of_their_names() -> None:
    les = ("0.05", "0.5", "2.5", "10", INF)
    table = CountTable(("api",), les, GRID, np.ones((1, 5, len(GRID)), dtype=np.int64))

    assert count_table(holding(counts=count_frame({"h": table})), "h").les == les


def test_all_services_together_are_their_sum() -> None:
    table = count_table(small(), "availability")

    np.testing.assert_array_equal(table.of("*"), table.of("api") + table.of("worker"))


def test_the_days_before_ga_stand_beside_the_window() -> None:
    table = prior_table(telemetry(0, Scene(prior_errors=1e-3)), "availability")

    assert table.slot_ms[-1] == release().window(0).start_ms - 86_400_000
    assert table.of("api")[:, 0].tolist() == [1728, 1_728_000]


# What is said about the quality


def series(n_arrived: int, n_expected: int = 100) -> SeriesQuality:
    return SeriesQuality(
        kpi="memory",
        service="api",
        n_expected=n_expected,
        n_arrived=n_arrived,
        n_gaps=1,
        longest_gap_s=300,
        n_nan=0,
        n_resets=0,
        n_series=1,
    )


@pytest.mark.parametrize(
    ("n_arrived", "n_expected", "coverage"), [(0, 100, 0.0), (50, 100, 0.5), (120, 100, 1.0), (0, 0, 0.0)]
)
def test_coverage_is_arrived_over_expected_scrapes(n_arrived: int, n_expected: int, coverage: float) -> None:
    assert series(n_arrived, n_expected).coverage == coverage


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        (Scene(), None),
        (Scene(unrecorded=("memory",)), "the KPI is not part of this telemetry"),
        (Scene(refused=("memory",)), "not measured: HTTP 422: too many samples"),
        (Scene(warned=("memory",)), "the server warned: a shard did not answer"),
        (Scene(services=("worker",)), "no data"),
        (Scene(silent=(("api", 0, 24),)), "no data"),
        (Scene(without=(("memory", "api"),)), "no data"),
        (Scene(keep=0.5), "coverage 0.50 < 0.90: 50.0 % of the scrapes are missing, longest gap 0 s"),
        (Scene(silent=(("api", 6, 12),)), "coverage 0.75 < 0.90: 25.0 % of the scrapes are missing, longest gap 900 s"),
    ],
)
def test_why_a_kpi_is_unknown_is_said_in_words(scene: Scene, said: str | None) -> None:
    quality = small(scene).quality

    assert quality.why_unknown("memory", "api", min_coverage=0.9) == said


def test_a_coverage_that_just_suffices_is_known() -> None:
    quality = small(Scene(keep=0.9)).quality

    assert quality.of_series("memory", "api").coverage == 0.9
    assert quality.why_unknown("memory", "api", min_coverage=0.9) is None


@pytest.mark.parametrize(
    ("arrived", "gaps_s"), [([], []), ([5, 5], []), ([0, 0, 0], [900]), ([0, 5, 0, 0], [300, 600]), ([5, 0, 5], [300])]
)
def test_gaps_are_runs_of_slots_without_a_scrape(arrived: list[int], gaps_s: list[int]) -> None:
    assert gap_lengths_s(np.array(arrived, dtype=np.int64), slot_s=300) == gaps_s


def test_ga_is_the_instant_that_the_factory_says() -> None:
    assert small().quality.start_at == GA_AT


# What is looked up


def test_a_copy_of_quality_with_other_series_is_looked_up_anew() -> None:
    quality = small().quality
    found = quality.of_series("memory", "worker")

    copied = quality.model_copy(update={"series": tuple(one for one in quality.series if one != found)})

    assert found is not None
    assert copied.of_series("memory", "worker") is None


def test_samples_of_a_series_are_counted_without_its_gaps() -> None:
    day = small(Scene(silent=(("worker", 0.0, 6.0),)))

    counted = [day.n_samples("memory", service) for service in ("api", "worker", "nobody")]

    assert counted == [60, 45, 0]
    assert day.n_samples("nothing", "api") == 0


def test_a_name_that_only_the_categories_know_is_in_no_table() -> None:
    day = small()
    only = with_frames(day, samples=day.samples[day.samples["service"] == "worker"].reset_index(drop=True))

    table = sample_table(only, "memory")

    assert table.services == ("worker",)
    np.testing.assert_array_equal(table.values, sample_table(day, "memory").values[1:])
