"""What the documents name exists: pages, make targets, commands with their options, decisions."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import dagster as dg
import pytest

from tars_ops.adapters.alerts.failing import GATE as ALERTS_ARE_DELIVERED
from tars_ops.adapters.settings import load_settings
from tars_ops.cli import cli
from tars_ops.core.gate import AlertName
from tars_ops.core.gates.on_time import EVERY_DAY_IS_JUDGED
from tars_ops.core.gates.promise import KEEPS
from tars_ops.definitions import build

PROJECT = Path(__file__).parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), PROJECT / "policies" / "README.md"])


def _name(page: Path) -> str:
    return str(page.relative_to(PROJECT))


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _links(text: str) -> Iterator[str]:
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            yield target


def _anchors(text: str) -> set[str]:
    """Anchors of the headings, as code forges make them."""
    titles = re.findall(r"(?m)^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _shell(text: str) -> Iterator[str]:
    """Lines of shell blocks, here-documents left out, and commands in running text."""
    for block in re.findall(r"(?m)^ *```sh\n(.*?)^ *```", text, flags=re.DOTALL):
        without_files = re.sub(r"(?ms)<<'END'\n.*?^END$", "", block)
        yield from (line.strip() for line in without_files.splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def _make_targets(page: Path) -> set[str]:
    found = (re.match(r"(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]*)", line) for line in _shell(_text(page)))
    return {match.group(1) for match in found if match}


def _commands(page: Path) -> list[list[str]]:
    """Words after ``tars-ops`` of each command that a page names."""
    found = (re.match(r"(?:[A-Z_]+=\S+ )*(?:\S*/)?tars-ops(?: (.*))?$", line) for line in _shell(_text(page)))
    lines = (re.sub(r"\$\([^)]*\)", "X", match.group(1) or "") for match in found if match)
    return [shlex.split(line.replace("...", ""), comments=True) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _links(_text(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(_text(target))):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", makefile))

    assert _make_targets(page) - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_that_a_page_names_is_understood(page: Path) -> None:
    for words in _commands(page):
        command, context, rest = _resolved(words)

        command.make_parser(context).parse_args(args=rest)  # refuses an option that does not exist


def _resolved(words: list[str]) -> tuple[click.Command, click.Context, list[str]]:
    command: click.Command = cli
    context, rest = click.Context(cli, info_name="tars-ops"), list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"there is no command `tars-ops {' '.join(words)}`"
        command, context = found, click.Context(found, parent=context, info_name=name)
    return command, context, rest


def test_every_page_is_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [PROJECT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in _links(_text(page)))
        waiting += [target for target in targets if target.suffix == ".md"]

    assert set(PAGES) - seen - {PROJECT / "docs" / "reference" / "benchmarks.md"} == set()


def test_every_decision_is_listed_in_order() -> None:
    folder = PROJECT / "docs" / "adr"
    pages = sorted(page.name for page in folder.glob("[0-9]*.md"))
    listed = re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", _text(folder / "README.md"))

    assert listed == pages
    assert [int(page[:4]) for page in pages] == list(range(1, len(pages) + 1))


def test_a_decision_is_short_and_has_its_three_parts() -> None:
    for page in (PROJECT / "docs" / "adr").glob("[0-9]*.md"):
        text = _text(page)

        assert len(text.splitlines()) <= 40, page.name
        assert all(part in text for part in ("Context", "Decision", "Consequences")), page.name


def test_the_readme_fits_on_one_screen() -> None:
    assert len(_text(PROJECT / "README.md").splitlines()) <= 60


RUNBOOKS = PROJECT / "docs" / "runbooks"


def _gates_of(page: Path) -> set[str]:
    """Gates that a runbook says it is for: in backticks, in the paragraph under its title."""
    title, named = _text(page).split("\n\n")[:2]
    assert title == f"# {page.stem}"
    assert named.startswith("Gates: ")
    return set(re.findall(r"`([a-z_<>]+)`", named))


def _kind(gate: str) -> str:
    return f"<kpi>{KEEPS}" if gate.endswith(KEEPS) else gate


@pytest.mark.parametrize("alert", list(AlertName))
def test_every_alert_has_a_runbook_that_names_its_gates(alert: AlertName) -> None:
    page = RUNBOOKS / f"{alert}.md"

    assert _gates_of(page) != set()
    assert re.findall(r"(?m)^## (.*)$", _text(page)) == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert f"[{alert}]({alert}.md)" in _text(RUNBOOKS / "README.md")


def test_every_gate_has_exactly_one_runbook_and_no_runbook_names_another() -> None:
    with dg.DagsterInstance.ephemeral():
        graph = build(load_settings()).resolve_asset_graph()
    gates = sorted({_kind(key.name) for key in graph.asset_check_keys} | {EVERY_DAY_IS_JUDGED, ALERTS_ARE_DELIVERED})

    assert sorted(gate for alert in AlertName for gate in _gates_of(RUNBOOKS / f"{alert}.md")) == gates


def test_every_runbook_is_of_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {*AlertName, "README"}


def test_every_sensor_and_schedule_is_explained() -> None:
    definitions = build(load_settings())
    running = {one.name for one in [*(definitions.sensors or ()), *(definitions.schedules or ())]}
    named = set(re.findall(r"^\| `([a-z_]+)` \|", _text(PROJECT / "docs/how-to/let-it-run-by-itself.md"), re.MULTILINE))

    assert named == running
