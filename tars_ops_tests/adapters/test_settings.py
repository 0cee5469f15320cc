"""What the environment may say, and what is said back when it is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tars_ops.adapters.settings import PROJECT, Settings, load_settings
from tars_ops.adapters.settings_reference import is_secret, settings_reference, variables
from tars_ops.core.errors import ConfigurationError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "environment.md"
GIVEN = {
    "TARS_OPS_SOURCE": ("source", "https://prometheus:9090", "https://prometheus:9090"),
    "TARS_OPS_STORE": ("store", "s3://bucket/prefix", "s3://bucket/prefix"),
    "TARS_OPS_POLICIES": ("policies", "/etc/policies", "/etc/policies"),
    "TARS_OPS_RELEASES": ("releases", "/etc/releases", "/etc/releases"),
    "TARS_OPS_OUTBOX": ("outbox", "sqlite:////srv/outbox.sqlite", "sqlite:////srv/outbox.sqlite"),
    "TARS_OPS_RECEIVERS": ("receivers", "/etc/receivers.yaml", "/etc/receivers.yaml"),
    "TARS_OPS_ENVIRONMENT": ("environment", "staging", "staging"),
    "TARS_OPS_UI_URL": ("ui_url", "https://dagster", "https://dagster"),
    "TARS_OPS_RUNBOOK_URL": ("runbook_url", "https://docs/runbooks", "https://docs/runbooks"),
    "TARS_OPS_WATCH_DAYS": ("watch_days", "14", 14),
    "TARS_OPS_GRACE_S": ("grace_s", "300", 300),
    "TARS_OPS_OVERDUE_S": ("overdue_s", "3600", 3600),
    "TARS_OPS_PROVISIONAL_EVERY_S": ("provisional_every_s", "120", 120),
    "TARS_OPS_AUTOSTART": ("autostart", "1", True),
    "TARS_OPS_PROMETHEUS_DEADLINE_S": ("deadline_s", "7.5", 7.5),
    "TARS_OPS_PROMETHEUS_TOKEN": ("token", "canary-token-91", "canary-token-91"),
    "TARS_OPS_PROMETHEUS_USER": ("user", "watcher", "watcher"),
    "TARS_OPS_PROMETHEUS_PASSWORD": ("password", "canary-password-92", "canary-password-92"),
    "TARS_OPS_PROMETHEUS_CA": ("ca", "/etc/ca.pem", "/etc/ca.pem"),
    "TARS_OPS_PROMETHEUS_CERT": ("cert", "/etc/cert.pem", "/etc/cert.pem"),
    "TARS_OPS_PROMETHEUS_KEY": ("key", "/etc/key.pem", "/etc/key.pem"),
}
SECRETS = ("canary-token-91", "canary-password-92")


@contextmanager
def environment(given: Mapping[str, str]) -> Iterator[None]:
    """Run with these variables of the project and no other."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.upper().startswith("TARS_OPS_")]:
        del os.environ[name]
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def settings(**given: str) -> Settings:
    with environment(given):
        return load_settings()


def everything() -> dict[str, str]:
    return {name: text for name, (_, text, _) in GIVEN.items()}


@pytest.mark.parametrize("name", GIVEN)
def test_every_variable_is_read(name: str) -> None:
    field, text, value = GIVEN[name]
    found = getattr(settings(**{name: text}), field)

    assert (found.get_secret_value() if hasattr(found, "get_secret_value") else found) == value
    assert getattr(settings(), field) != found


def test_an_empty_environment_runs_the_demo() -> None:
    found = settings()

    assert (found.source, found.store, found.watch_days, found.autostart) == ("recording:demo", "var/store", 7, False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TARS_OPS_WATCH_DAYS", "0"),
        ("TARS_OPS_WATCH_DAYS", "100"),
        ("TARS_OPS_WATCH_DAYS", "a week"),
        ("TARS_OPS_WATCH_DAYS", "7.5"),
        ("TARS_OPS_WATCH_DAYS", ""),
        ("TARS_OPS_AUTOSTART", "perhaps"),
        ("TARS_OPS_PROMETHEUS_DEADLINE_S", "0"),
        ("TARS_OPS_PROMETHEUS_DEADLINE_S", "-1"),
        ("TARS_OPS_PROMETHEUS_DEADLINE_S", "soon"),
        ("TARS_OPS_PROMETHEUS_DEADLINE_S", "nan"),
        ("TARS_OPS_PROMETHEUS_DEADLINE_S", "inf"),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused_by_the_name_of_the_variable(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"environment variable {name}: "):
        settings(**{name: text})


def test_a_refusal_repeats_no_value_even_where_somebody_mixed_up_the_variables() -> None:
    with pytest.raises(ConfigurationError) as told:
        settings(**everything() | {"TARS_OPS_PROMETHEUS_DEADLINE_S": SECRETS[0]})

    for text in (str(told.value), repr(told.value), str(told.value.__cause__), repr(told.value.__cause__)):
        assert SECRETS[0] not in text
        assert SECRETS[1] not in text


def test_secrets_are_not_in_what_is_printed_or_dumped() -> None:
    found = settings(**everything())

    for text in (repr(found), str(found), str(found.model_dump()), found.model_dump_json(), str(vars(found))):
        assert not any(secret in text for secret in SECRETS)
    assert "watcher" in repr(found)


@pytest.mark.parametrize("name", [name for name in GIVEN if re.search("TOKEN|PASSWORD|SECRET", name)])
def test_what_sounds_like_a_secret_is_one(name: str) -> None:
    assert is_secret(variables()[name])
    assert re.search(rf"`{name}` \| none \| .* A secret\. \|", settings_reference())


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings().source = "elsewhere"  # type: ignore[misc]


def test_a_relative_store_lies_below_the_working_directory_and_a_url_stays() -> None:
    assert settings(TARS_OPS_STORE="here").store_url == str(Path.cwd() / "here")
    assert settings(TARS_OPS_STORE="s3://bucket/a").store_url == "s3://bucket/a"


def test_policies_are_found_from_any_working_directory(tmp_path: Path) -> None:
    assert settings(TARS_OPS_POLICIES=str(tmp_path)).policies_dir == tmp_path
    assert (PROJECT / "policies" / "tars.yaml").is_file()
    assert settings(TARS_OPS_POLICIES="nowhere/at/all").policies_dir == PROJECT / "nowhere/at/all"


# The page


def test_the_page_is_the_one_that_the_model_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_reference(), f"{PAGE.name} is stale: run `make docs`"


def test_the_names_of_the_page_are_those_of_the_model_and_of_this_table() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)`", settings_reference())

    assert rows == list(variables()) == list(GIVEN)
    assert len(rows) == len(Settings.model_fields)


def test_every_variable_has_a_meaning() -> None:
    assert [name for name, field in variables().items() if not field.description] == []


@pytest.mark.parametrize("module", ["settings_reference", "exit_codes"])
def test_the_page_is_printed_by_its_module(module: str) -> None:
    command = [sys.executable, "-m", f"tars_ops.adapters.{module}"]
    done = subprocess.run(command, capture_output=True, check=True)
    page = {"settings_reference": PAGE, "exit_codes": PAGE.with_name("exit-codes.md")}[module]

    assert done.stdout == page.read_bytes()
