"""Which policy files are accepted, and where a refusal points."""

from __future__ import annotations

import hashlib
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tars_ops.adapters.policies import Policies, load_policy
from tars_ops.adapters.strict_yaml import MAX_BYTES
from tars_ops.core.errors import ConfigurationError, MissingInputError
from tars_ops.core.policy import Policy, RatioKpi

SHIPPED = Path(__file__).parents[2] / "policies"
TEXT = (SHIPPED / "tars.yaml").read_text()

SMALL = """\
version: 1
product: tars
owner: team:sre
measurement:
  selector: 'product="tars"'
kpis:
  uptime:
    kind: uptime
    title: Uptime
"""


def changed(old: str, new: str) -> bytes:
    """The shipped policy with one text replaced, which must be there."""
    assert old in TEXT
    return TEXT.replace(old, new, 1).encode()


def line_of(text: bytes, words: str) -> int:
    return text.decode().split(words)[0].count("\n") + 1


def refusal(text: bytes) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load_policy(text, name="tars.yaml")
    return str(raised.value)


# What is accepted


def test_the_shipped_policy_loads() -> None:
    policy = Policies(SHIPPED).find("tars").policy

    assert policy.kpis["cost_per_hour"].prices["storage"].usd_per_unit_hour == 5.0e-12
    assert policy.kpis["firing_critical_alerts"].absent_is_zero is True
    assert len(policy.kpis["availability"].causes) == 3
    assert isinstance(policy.kpis["availability"], RatioKpi)


def test_a_loaded_policy_is_what_a_plain_reader_gives() -> None:
    assert load_policy(TEXT.encode(), name="tars.yaml") == Policy.model_validate(yaml.safe_load(TEXT))


def test_a_loaded_policy_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_policy(SMALL.encode(), name="tars.yaml").product = "other"


@pytest.mark.parametrize(
    "written", ["no", "yes", "on", "off", "y", "12:30:45", "0o17", "0x1F", "017", "1_000", "=", "2026-01-01"]
)
def test_what_other_readers_turn_into_something_else_stays_text(written: str) -> None:
    policy = load_policy(SMALL.replace("title: Uptime", f"title: {written}").encode(), name="tars.yaml")

    assert policy.kpis["uptime"].title == written


@pytest.mark.parametrize(
    ("written", "value"),
    [("0.2", 0.2), ("1e-1", 0.1), ("1.5E-1", 0.15), (".2", 0.2), ("+0.2", 0.2), ("00.2", None), ("0_.2", None)],
)
def test_numbers_are_those_of_yaml_1_2(written: str, value: float | None) -> None:
    text = SMALL + f"    drift_warn: {written}\n"
    if value is None:
        assert "write a number" in refusal(text.encode())
    else:
        assert load_policy(text.encode(), name="tars.yaml").kpis["uptime"].drift_warn == value


@pytest.mark.parametrize("written", ["", "~", "null", "Null", "NULL"])
def test_nothing_is_null(written: str) -> None:
    text = SMALL.replace("measurement:\n", f"measurement:\n  version_label: {written}\n")

    assert load_policy(text.encode(), name="tars.yaml").measurement.version_label is None


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_ends_of_every_editor_are_read(ending: str) -> None:
    assert load_policy(SMALL.replace("\n", ending).encode(), name="tars.yaml").product == "tars"


# What is refused: the YAML

NESTED = "a: " + "[" * 300 + "]" * 300 + "\n"

BROKEN_YAML = [
    ("", 1, "", "the file is empty"),
    ("# only a comment\n", 2, "", "the file is empty"),
    ("just words\n", 1, "", "should be an object"),
    (SMALL + "product: other\n", 10, "product", "the key occurs twice, first on line 2"),
    (SMALL + "    title: Again\n", 10, "kpis.uptime.title", "the key occurs twice, first on line 9"),
    (SMALL.replace("kpis:", "kpis: &all"), 6, "kpis", "anchors are refused (got &all)"),
    (SMALL.replace("Uptime", "&t Uptime"), 9, "kpis.uptime.title", "anchors are refused (got &t)"),
    (SMALL.replace("title: Uptime", "&k title: Uptime"), 9, "kpis.uptime", "anchors are refused (got &k)"),
    (SMALL.replace("title: Uptime", "title: *t"), 9, "kpis.uptime.title", "aliases are refused (got *t)"),
    (SMALL + "    <<: {drift_warn: 0.1}\n", 10, "kpis.uptime", "merge keys are refused"),
    (SMALL.replace("tars", "!!python/object:os.system tars", 1), 2, "product", "tags are refused"),
    (SMALL.replace("tars", "!!str tars", 1), 2, "product", "tags are refused"),
    (SMALL.replace("tars", "! tars", 1), 2, "product", "tags are refused"),
    (SMALL.replace("kpis:", "kpis: !!map"), 6, "kpis", "tags are refused"),
    ("%YAML 1.1\n---\n" + SMALL, 1, "", "directives are refused"),
    ("%TAG ! tag:x,2000:\n---\n" + SMALL, 1, "", "directives are refused"),
    (SMALL + "---\n" + SMALL, 10, "", "a second document begins"),
    (SMALL + "7: x\n", 10, "", "a key is not a text (got 7)"),
    (SMALL + "true: x\n", 10, "", "a key is not a text (got true)"),
    (SMALL + "? \n: x\n", 10, "", "a key is not a text (got nothing)"),
    (SMALL + "? [a]\n: x\n", 10, "", "a key is not a plain text"),
    (NESTED, 1, "a" + "[0]" * 19, "nesting is deeper than 20"),
    ("{" * 300, 1, "", "a key is not a plain text"),
    ("\n".join(" " * n + "a:" for n in range(300)), 21, ".".join("a" * 20), "nesting is deeper than 20"),
    (SMALL + "    drift_warn: .nan\n", 10, "kpis.uptime.drift_warn", "infinity and NaN are refused (got .nan)"),
    (SMALL + "    drift_warn: -.INF\n", 10, "kpis.uptime.drift_warn", "infinity and NaN are refused"),
    (SMALL + "    drift_warn: 1e999\n", 10, "kpis.uptime.drift_warn", "infinity and NaN are refused"),
    (SMALL + "    drift_warn: " + "9" * 5000, 10, "kpis.uptime.drift_warn", "infinity and NaN are refused"),
    (SMALL + "\tx: 1\n", 10, "", "this is no YAML"),
    (SMALL + "x: [1\n", 11, "", "this is no YAML"),
    (SMALL + "x: 'y\n", 11, "", "this is no YAML"),
    (SMALL.replace("Uptime", '"\\x1b[31m"'), 9, "kpis.uptime.title", "does not print (got U+001B)"),
    (SMALL.replace("Uptime", '"\\uD800"'), 9, "kpis.uptime.title", "does not print (got U+D800)"),
    (SMALL.replace("Uptime", '"\\UFFFFFFFF"'), 1, "", "this is no YAML"),
    (SMALL.replace("Uptime", "Up\x1btime"), 9, "", "a character does not print (got U+001B)"),
    (SMALL.replace("Uptime", "Up\u202etime"), 9, "", "a character does not print (got U+202E)"),
    (SMALL.replace("Uptime", "Up\u00a0time"), 9, "", "a character does not print (got U+00A0)"),
    ("\ufeff" + SMALL, 1, "", "a character does not print (got U+FEFF)"),
    (SMALL + "#" * MAX_BYTES, 1, "", f"the file is longer than {MAX_BYTES} bytes"),
]


@pytest.mark.parametrize(("text", "line", "key", "rule"), BROKEN_YAML)
def test_yaml_that_could_mean_something_else_is_refused(text: str, line: int, key: str, rule: str) -> None:
    message = refusal(text.encode("utf-8", "surrogatepass"))

    assert message.startswith(f"tars.yaml, line {line}: {key}{':' if key else ''}")
    assert rule in message
    assert "; " in message


@pytest.mark.parametrize("text", [b"a: \xff\n", b"product: x\n\xc3\x28\n", "a: 1".encode("utf-16"), b"a: \xed\xa0\x80"])
def test_a_file_that_is_not_utf_8_is_refused_with_the_byte(text: bytes) -> None:
    assert re.search(r"line [12]: the file is not UTF-8 \(got byte 0x[0-9a-f]{2}\); save it as UTF-8", refusal(text))


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x, x]\n" + "".join(f"{new}: &{new} [*{old}, *{old}]\n" for old, new in pairwise("abcdefghijkl")),
        "[" * MAX_BYTES,
        "- " * (MAX_BYTES // 2),
        "a: " + "9" * (MAX_BYTES - 10),
        "%YAML 1." + "9" * (MAX_BYTES - 100) + "\n---\n",
        "&a " * 1000,
    ],
)
def test_a_bomb_does_not_go_off(bomb: str) -> None:
    began_s = time.perf_counter()

    message = refusal(bomb.encode())

    assert time.perf_counter() - began_s < 2
    assert len(message) < 1000


# What is refused: the policy

BROKEN_POLICY = [
    (
        "objective: 0.999",
        "objective: 99.9",
        "kpis.availability.slo.objective",
        ["less than 1", "got 99.9", "write 0.999"],
    ),
    ("objective: 0.999", "objective: 99.9%", "kpis.availability.slo.objective", ["valid number", "write 0.999"]),
    ("objective: 0.999", 'objective: "0.999"', "kpis.availability.slo.objective", ['got "0.999"', "without quotes"]),
    ("objective: 0.999", "objective: true", "kpis.availability.slo.objective", ["valid number", "got true"]),
    ("objective: 0.999", "objective:", "kpis.availability.slo.objective", ["got nothing", "write a value"]),
    ("objective: 0.999", "objektive: 0.9", "kpis.availability.slo.objektive", ["unknown", "did you mean `objective`?"]),
    ("min_coverage: 0.90", "min_coverage: 90", "measurement.min_coverage", ["less than 1", "write 0.9"]),
    ("minimum: 0.90", "minimum: 90", "kpis.cache_hit_ratio.minimum", ["less than or equal to 1", "write 0.9"]),
    ("minimum: 0.90", "maximum: 0.9", "kpis.cache_hit_ratio.maximum", ["unknown", "did you mean `minimum`?"]),
    ("unit: cores", "unit: ms", "kpis.cpu.unit", ["'cores'", "got ms", "write `unit: seconds`"]),
    ("unit: bytes", "unit: MiB", "kpis.memory.unit", ["got MiB", "write `unit: bytes`"]),
    ("unit: bytes", "unit: byts", "kpis.memory.unit", ["did you mean `bytes`?"]),
    ("kind: uptime", "kind: uptime\n    unit: percent", "kpis.uptime.unit", ["'ratio'", "write `unit: ratio`"]),
    ("kind: uptime", "kind: uptme", "kpis.uptime.kind", ["not one of", "got uptme", "did you mean `uptime`?"]),
    ("    kind: uptime\n", "", "kpis.uptime.kind", ["is missing", "complement"]),
    ("worse: either", "worse: sideways", "kpis.request_rate.worse", ["'up', 'down' or 'either'"]),
    ("threshold_s: 0.5", "threshold_s: 0.6", "kpis.p99_latency.slo.threshold_s", ["no bucket bound", "0.25, 0.5, 1"]),
    ("threshold_s: 0.5", "threshold_s: 500ms", "kpis.p99_latency.slo.threshold_s", ["got 500ms", "write 0.5"]),
    ("threshold_s: 0.5", "threshold_s: -1", "kpis.p99_latency.slo.threshold_s", ["greater than 0", "got -1"]),
    ("quantile: 0.5", "quantile: 50", "kpis.p50_latency.quantile", ["write 0.5"]),
    ("    quantile: 0.5\n", "", "kpis.p50_latency.quantile", ["is missing", "add it"]),
    ("of: availability", "of: uptime", "kpis.error_rate.of", ["not a KPI of kind ratio", "got uptime"]),
    ("db_query_duration_seconds: [", "db_query: [", "kpis.db_p95_latency.histogram", ["not a key of `histograms`"]),
    ("[0.001, 0.0025,", "[0.0025, 0.0025,", "histograms", ["strictly increasing"]),
    ("[0.001, 0.0025,", "[x, 0.0025,", "histograms.db_query_duration_seconds[0]", ["valid number", "got x"]),
    ("absent_is_zero: true", "absent_is_zero: no", "kpis.firing_critical_alerts.absent_is_zero", ["boolean", "got no"]),
    (
        "absent_is_zero: true",
        "absent_is_zero: 1",
        "kpis.firing_critical_alerts.absent_is_zero",
        ["write true or false"],
    ),
    (
        "scrape_interval_s: 60",
        "scrape_interval_s: 12:30:45",
        "measurement.scrape_interval_s",
        ["got 12:30:45", "colons"],
    ),
    ("scrape_interval_s: 60", "scrape_interval_s: 017", "measurement.scrape_interval_s", ["got 017", "leading zeros"]),
    ("scrape_interval_s: 60", "scrape_interval_s: 60.0", "measurement.scrape_interval_s", ["whole number"]),
    ("scrape_interval_s: 60", "scrape_interval_s: 1m", "measurement.scrape_interval_s", ["whole number"]),
    ("scrape_interval_s: 60", "scrape_interval_s: 1min", "measurement.scrape_interval_s", ["write 60"]),
    ("  step_s: 60", "  step_s: 61", "measurement.step_s", ["multiple of scrape_interval_s", "got 61"]),
    ("[$window]", "[$windw]", "kpis.request_rate.promql", ["unknown placeholder $windw", "$window"]),
    ("{$selector}", "", "kpis.request_rate.promql", ["$selector is missing"]),
    ("series: http_requests_total", "series: rate(x[5m])", "kpis.request_rate.series", ["not a series selector"]),
    ("    compute:", "    computer:", "kpis.cost_per_hour.prices.computer", ["did you mean `compute`?"]),
    (
        "usd_per_unit_hour: 0.12",
        "usd: 1",
        "kpis.cost_per_hour.prices.compute.usd",
        ["unknown", "write one of: promql, usd_per_unit_hour, note"],
    ),
    ("unit: cores", "unit: cores\n    drift_fail: 0.1", "kpis.cpu.drift_fail", ["drift_warn (0.1) < drift_fail (0.1)"]),
    ("version: 1", "version: 1\nhealth:\n  drift: 0.2", "health", ["sum to 1.05, not to 1"]),
    ("version: 1", "version: 1\nhealth: 5", "health", ["should be an object"]),
    ("version: 1", "version: 2", "version", ["only version 1 is known", "got 2", "write `version: 1`"]),
    ("version: 1", 'version: "1"', "version", ['got "1"']),
    ("version: 1", "version:", "version", ["got nothing"]),
    ("version: 1", "version: true", "version", ["got true"]),
    ("version: 1", "version: 1.0", "version", ["got 1.0"]),
    ("version: 1\n", "", "version", ["is missing"]),
    ("  cpu:", "  CPU:", "kpis.CPU", ["should match pattern", "got CPU"]),
    ("title: CPU", "title: 5", "kpis.cpu.title", ["valid string", "put it in quotes"]),
    ("owner: team:sre", "owner: sre", "owner", ["should match pattern", "got sre"]),
    ("owner: team:sre", "owner: team:sre\ncolour: red", "colour", ["unknown", "write one of: version, product"]),
    ("      - More work per request in the new release", "      - 7", "kpis.cpu.causes[0]", ["valid string", "got 7"]),
]


@pytest.mark.parametrize(("old", "new", "key", "words"), BROKEN_POLICY)
def test_a_broken_rule_is_reported_with_key_value_and_remedy(old: str, new: str, key: str, words: list[str]) -> None:
    message = refusal(changed(old, new))

    line = next(line for line in message.splitlines() if f": {key}: " in line)

    assert re.match(r"tars\.yaml, line [0-9]+: ", line)
    assert all(word in line for word in words), line
    assert line.partition("; ")[2]


@pytest.mark.parametrize(
    ("old", "new", "at"),
    [
        ("objective: 0.999", "objective: 99.9", "objective: 99.9"),
        ("objective: 0.999", "objektive: 0.9", "objektive"),
        ("threshold_s: 0.5", "threshold_s: 0.6", "threshold_s: 0.6"),
        ("of: availability", "of: uptime", "of: uptime"),
        ("unit: bytes", "unit: ms", "unit: ms"),
        ("[$window]", "[$windw]", "promql: sum by ($service) (rate(http_requests_total{$selector}[$windw"),
        ("    quantile: 0.5\n", "", "p50_latency:"),
        ("kind: uptime", "kind: uptme", "kind: uptme"),
        ("unit: cores", "unit: cores\n    drift_fail: 0.1", "drift_fail: 0.1"),
        ("version: 1", "version: 1\nhealth:\n  drift: 0.2", "health:"),
        ("      - Higher traffic", "      - 7", "- 7"),
        ("  step_s: 60", "  step_s: 61", "step_s: 61"),
        ("    compute:", "    computer:", "    computer:"),
    ],
)
def test_a_refusal_points_at_the_line_of_the_key(old: str, new: str, at: str) -> None:
    text = changed(old, new)

    assert f"tars.yaml, line {line_of(text, at)}: " in refusal(text)


def test_all_broken_rules_are_listed_at_once_in_the_order_of_lines() -> None:
    text = TEXT.replace("objective: 0.999", "objective: 99.9").replace("unit: cores", "unit: ms")
    lines = refusal(text.replace("absent_is_zero: true", "absent_is_zero: no").encode()).splitlines()

    assert [re.findall(r": ([a-z_.]+): ", line)[0] for line in lines] == [
        "kpis.availability.slo.objective",
        "kpis.cpu.unit",
        "kpis.firing_critical_alerts.absent_is_zero",
    ]


def test_a_very_broken_file_is_told_in_few_lines() -> None:
    text = SMALL + "".join(f"k{n}: 1\n" for n in range(1000))
    lines = refusal(text.encode()).splitlines()

    assert len(lines) == 21
    assert lines[-1] == "and 980 more"


def test_a_long_value_is_cut() -> None:
    assert len(refusal(changed("owner: team:sre", f"owner: {'x' * 10_000}"))) < 500


# A directory


def test_a_directory_holds_one_policy_per_product_with_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(SMALL)
    (tmp_path / "a.yaml").write_text(SMALL.replace("product: tars", "product: case"))
    (tmp_path / "README.md").write_text("# no policy")
    (tmp_path / "c.yml").write_text("no policy")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "d.yaml").write_text(SMALL)
    policies = Policies(tmp_path)

    assert [loaded.policy.product for loaded in policies.all()] == ["case", "tars"]
    assert policies.find("tars").text == SMALL.encode()
    assert policies.find("tars").sha256 == hashlib.sha256(SMALL.encode()).hexdigest()
    assert policies.find("tars").path == tmp_path / "b.yaml"


def test_two_files_of_one_product_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALL)
    (tmp_path / "b.yaml").write_text(SMALL)

    with pytest.raises(ConfigurationError, match=r"b\.yaml: product: 'tars' has its policy in .*a\.yaml already"):
        Policies(tmp_path).find("tars")


def test_a_broken_file_of_another_product_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALL)
    (tmp_path / "b.yaml").write_text("product: [")

    with pytest.raises(ConfigurationError, match=r"b\.yaml, line 1: "):
        Policies(tmp_path).find("tars")


def test_a_product_without_a_policy_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALL)

    with pytest.raises(MissingInputError, match=r"no policy of product 'hal'.*only of: tars"):
        Policies(tmp_path).find("hal")


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere: No such file or directory; check TARS_OPS_POLICIES"):
        Policies(tmp_path / "nowhere").all()


def test_a_file_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(2**40)

    with pytest.raises(ConfigurationError, match=f"longer than {MAX_BYTES} bytes"):
        Policies(tmp_path).all()


# Anything at all


def loads_or_is_refused(text: bytes) -> None:
    try:
        load_policy(text, name="tars.yaml")
    except ConfigurationError as refused:
        assert str(refused).startswith("tars.yaml, line ")  # noqa: PT017 - accepted files are as welcome


@given(st.binary(max_size=200))
def test_random_bytes_load_or_are_refused_in_words(text: bytes) -> None:
    loads_or_is_refused(text)


@given(st.text(alphabet="ab01:.-[]{},&*!?|>'\"%#~<$ \n\t\\xuU", max_size=60))
def test_random_yaml_loads_or_is_refused_in_words(text: str) -> None:
    loads_or_is_refused(text.encode())


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(st.integers(0, len(TEXT)), st.integers(0, 40), st.text(alphabet="ab01:.-[]{}&*!'\"~$ \n", max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_policy_with_a_piece_replaced_loads_or_is_refused_in_words(at: int, length: int, new: str) -> None:
    loads_or_is_refused((TEXT[:at] + new + TEXT[at + length :]).encode())


@given(st.sampled_from(sorted(set(re.findall(r"(?m)^ *([a-z_]+):", TEXT)))), TREES)
@settings(deadline=None)
def test_a_policy_with_any_value_at_a_key_loads_or_is_refused_in_words(key: str, value: object) -> None:
    tree = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).strip().removesuffix("...")
    text = re.sub(rf"(?m)^( *{key}:).*$", lambda match: f"{match[1]} {tree.strip()}", TEXT, count=1)
    loads_or_is_refused(text.encode("utf-8", "surrogatepass"))
