"""What readers see, and what data cannot make them see."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tars_ops.adapters.rendering import escape_markdown, narrative_markdown, page_html, retrospective_markdown
from tars_ops.core.report.narrative import Narrative
from tars_ops.core.report.retrospective import Retrospective
from tars_ops_tests.core.report.factories import UNKNOWN, event, evidence, release

API = ("availability", "api")
MIXED = {
    (2, *API): 0.985,
    (5, "cache_hit_ratio", "worker"): UNKNOWN,
    (7, "cpu", "api"): 0.6,
    (7, "p99_latency", "worker"): 0.6,
    **{(day, "cost_per_hour", "api"): 1.29 for day in (4, 5, 6, 7)},
}
SECTIONS = (
    "Executive Summary",
    "What Went Well [OK]",
    "What Could Be Improved [!]",
    "Unexpected Drifts",
    "Cost Analysis",
    "SLO Compliance Summary",
    "Recommendations for v1.0.2",
    "Process Improvements",
    "Action Items",
)
HOSTILE = (
    "<script>alert(1)</script>",
    "a|b|c",
    "`code` ``more``",
    "one\n\n# two\n- three\r\n> four\u2028five",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "https://evil.example www.evil.example <https://evil.example>",
    "**bold** _em_ ~~gone~~ \\",
    "&lt;b&gt; &#60;i&#62;",
    "\u202eright to left",
    "[x]: https://evil.example",
)
FREE_TEXT = {
    *("description", "impact", "resolution_details", "service", "kpi", "reason", "sentence", "title", "metric_name"),
    *("worst_service", "worst_value", "target_value", "actual_value", "tier_reason", "text", "owner", "due", "note"),
    *("release", "slo_name", "objective", "value", "budget_spent", "summary", "who", "decision_text", "id", "slo"),
}
FREE_LISTS = {
    *("potential_causes", "cost_optimization_recommendations", "recommendations", "recommendations_v1_0_2"),
    *("process_improvements", "evidence", "facts", "risks", "changes", "unknowns", "by_day"),
}


class Tags(HTMLParser):
    """Collects what a browser would build."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    return tags


def body(html: str) -> str:
    return html.partition("<main>")[2]


def poisoned(value: Any, poison: str, name: str = "") -> Any:
    """Put a hostile text into every field that may hold words of somebody else."""
    if isinstance(value, dict):
        names = {key: poison if key.startswith("day_0") else key for key in value}
        return {names[key]: poisoned(inner, poison, key) for key, inner in value.items()}
    if isinstance(value, list):
        strings = name in FREE_LISTS and all(isinstance(one, str) for one in value)
        return [poison if strings else poisoned(one, poison, name) for one in value]
    return poison if name in FREE_TEXT and isinstance(value, str) else value


def poisoned_retrospective(poison: str, *, missing: Sequence[int]) -> Retrospective:
    made = evidence(MIXED, missing=missing, supersedes="c" * 64, events={4: [event(4)]}).retrospective()
    return Retrospective.model_validate_json(json.dumps(poisoned(made.model_dump(mode="json"), poison)))


def poisoned_narrative(poison: str) -> Narrative:
    made = evidence(MIXED, missing=[3], supersedes="c" * 64).narrative()
    return Narrative.model_validate_json(json.dumps(poisoned(made.model_dump(mode="json"), poison)))


def headings(markdown: str) -> list[str]:
    return [line[3:] for line in markdown.splitlines() if line.startswith("## ")]


def section(markdown: str, name: str) -> str:
    return markdown.partition(f"## {name}\n")[2].partition("\n## ")[0]


class TestTheRetrospective:
    def test_has_the_documented_sections_in_their_order(self) -> None:
        found = headings(retrospective_markdown(evidence(MIXED).retrospective()))

        assert [one for one in found if one in SECTIONS] == list(SECTIONS)

    def test_an_odd_version_names_no_next_one(self) -> None:
        made = evidence(of_release=release(version="2025-11")).retrospective()

        assert "Recommendations for the next release" in headings(retrospective_markdown(made))

    def test_shows_the_state_of_each_day(self) -> None:
        found = retrospective_markdown(evidence(as_of=4, missing=[3]).retrospective())

        assert "| 2 | 2025-11-20 00:00:00 | judged | pass | 98.0 | 0 |" in found
        assert "| 3 | 2025-11-21 00:00:00 | missing | unknown | unknown | unknown |" in found
        assert "| 5 | 2025-11-23 00:00:00 | pending | - | - | - |" in found

    def test_warns_of_missing_pending_and_unknown(self) -> None:
        found = retrospective_markdown(evidence({(2, *API): UNKNOWN}, as_of=5, missing=[3]).retrospective())

        assert "> **Missing:** day 3." in found
        assert "> **Pending:** days 6 and 7." in found
        assert "> **Unknown:** 2 results" in found
        assert "| 2 | availability | api | coverage 0.50 &lt; 0.90 |" in found

    def test_says_that_nothing_failed_only_if_all_is_known(self) -> None:
        known = retrospective_markdown(evidence().retrospective())
        unknown = retrospective_markdown(evidence({(2, *API): UNKNOWN}).retrospective())

        assert "No day failed" in section(known, "What Could Be Improved [!]")
        assert "No day failed" not in unknown
        assert "none can be ruled out" in section(unknown, "What Could Be Improved [!]")
        assert "unknown results may hide one" in section(unknown, "Unexpected Drifts")

    def test_no_section_is_ever_empty(self) -> None:
        for made in (evidence(), evidence(missing=[3]), evidence(MIXED), evidence(as_of=1)):
            found = retrospective_markdown(made.retrospective())

            assert all(section(found, name).strip() for name in headings(found))

    def test_marks_its_budgets_as_documented(self) -> None:
        found = section(retrospective_markdown(evidence(MIXED).retrospective()), "SLO Compliance Summary")

        assert "[!] At Risk" in found
        assert "[OK] Healthy" in found

    def test_action_items_can_be_ticked_off(self) -> None:
        found = section(retrospective_markdown(evidence(MIXED).retrospective()), "Action Items")

        assert re.search(r"^- \[ \] \*\*AI-01\*\* ", found, re.MULTILINE)
        assert "### P1: within 24 to 48 h" in found

    def test_recommendations_keep_their_tags(self) -> None:
        found = section(retrospective_markdown(evidence(MIXED).retrospective()), "Recommendations for v1.0.2")

        assert found.strip().startswith("1. [P0] ")


class TestBoth:
    def test_say_that_the_baseline_was_refrozen(self) -> None:
        made = evidence(supersedes="c" * 64)

        for found in (retrospective_markdown(made.retrospective()), narrative_markdown(made.narrative())):
            assert "> **Refrozen baseline:**" in found
            assert "c" * 64 in found

    def test_are_silent_about_a_baseline_that_was_not(self) -> None:
        made = evidence()

        for found in (retrospective_markdown(made.retrospective()), narrative_markdown(made.narrative())):
            assert "efrozen" not in found

    def test_are_the_same_bytes_for_the_same_input(self) -> None:
        for make in (
            lambda: retrospective_markdown(evidence(MIXED, missing=[3]).retrospective()),
            lambda: narrative_markdown(evidence(MIXED, missing=[3]).narrative()),
            lambda: page_html(narrative_markdown(evidence(MIXED).narrative()), "tars"),
        ):
            found = make()

            assert found == make()
            assert found.endswith("\n")
            assert not found.endswith("\n\n")


class TestTheNarrative:
    def test_counts_its_three_facts(self) -> None:
        found = narrative_markdown(evidence(MIXED).narrative())

        assert found.startswith("# tars@1.0.1: RED\n")
        assert [line[:2] for line in section(found, "Why RED").strip().splitlines()] == ["1.", "2.", "3."]

    def test_every_row_of_its_tables_is_as_wide_as_its_head(self) -> None:
        html = page_html(narrative_markdown(evidence(MIXED, as_of=5).narrative()), "tars")
        rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)

        assert {len(re.findall(r"<t[hd]>", row)) for row in rows} == {7}

    def test_says_when_nothing_is_at_risk_only_if_all_is_known(self) -> None:
        known = narrative_markdown(evidence().narrative())
        unknown = narrative_markdown(evidence({(5, "cpu", "api"): UNKNOWN}).narrative())

        assert "No degradation is open" in section(known, "Risks")
        assert "some results are unknown" in section(unknown, "Risks")


class TestHostileData:
    @pytest.mark.parametrize("poison", HOSTILE)
    def test_is_shown_as_it_is(self, poison: str) -> None:
        html = MarkdownIt("commonmark", {"html": True}).enable("table").render(f"- {escape_markdown(poison)}")
        tags = parsed(html)

        assert [tag for tag, _ in tags.seen] == ["ul", "li"]
        assert tags.text.split() == "".join(c if c.isprintable() else " " for c in poison).split()

    def test_makes_no_link_on_sites_that_look_for_addresses(self) -> None:
        found = escape_markdown("https://evil.example www.evil.example")

        assert "://" not in found
        assert "www." not in found

    @given(st.text(max_size=40))
    def test_cannot_leave_its_place(self, poison: str) -> None:
        html = (
            MarkdownIt("commonmark", {"html": True})
            .enable("table")
            .render(f"| a | b |\n| --- | --- |\n| {escape_markdown(poison)} | end |")
        )
        tags = parsed(html)

        assert [tag for tag, _ in tags.seen] == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
        assert tags.text.split() == ["a", "b", *"".join(c if c.isprintable() else " " for c in poison).split(), "end"]

    @given(st.text(alphabet="-+=#>*_`~|[]()!<&:0123456789. \t\nax", max_size=12))
    def test_cannot_open_a_block(self, poison: str) -> None:
        html = (
            MarkdownIt("commonmark", {"html": True})
            .enable(["table", "strikethrough"])
            .render(f"- {escape_markdown(poison)}\n- next")
        )

        assert [tag for tag, _ in parsed(html).seen] == ["ul", "li", "li"]

    @pytest.mark.parametrize("poison", HOSTILE)
    @pytest.mark.parametrize("missing", [(), (3,)])
    def test_changes_no_tag_of_a_retrospective(self, poison: str, missing: tuple[int, ...]) -> None:
        found, plain = (retrospective_markdown(poisoned_retrospective(one, missing=missing)) for one in (poison, "x"))

        assert parsed(page_html(found, "tars")).seen == parsed(page_html(plain, "tars")).seen
        assert len(found.splitlines()) == len(plain.splitlines())

    @pytest.mark.parametrize("poison", HOSTILE)
    def test_changes_no_tag_of_a_narrative(self, poison: str) -> None:
        found, plain = (narrative_markdown(poisoned_narrative(one)) for one in (poison, "x"))

        assert parsed(page_html(found, "tars")).seen == parsed(page_html(plain, "tars")).seen
        assert len(found.splitlines()) == len(plain.splitlines())

    def test_a_service_name_is_harmless_from_end_to_end(self) -> None:
        name = "<script>alert(1)</script>|`x`[y](javascript:alert(2))\n# z"
        made = evidence({(7, "availability", name): 0.98, (7, "cpu", name): 0.6}, services=["api", name])

        for markdown in (retrospective_markdown(made.retrospective()), narrative_markdown(made.narrative())):
            page = page_html(markdown, name)

            assert "<script" not in markdown
            assert "<script" not in page
            assert "\n# z" not in markdown
            assert {tag for tag, _ in parsed(body(page)).seen}.isdisjoint({"script", "a", "img", "iframe"})
            assert "&lt;script&gt;alert(1)" in page


class TestThePage:
    def test_stands_alone_without_script(self) -> None:
        page = page_html(retrospective_markdown(evidence(MIXED).retrospective()), "Retrospective")
        tags = parsed(page)
        names = {tag for tag, _ in tags.seen}
        attributes = {name for _, attrs in tags.seen for name, _ in attrs}

        assert page.startswith('<!doctype html>\n<html lang="en">')
        assert names.isdisjoint({"script", "link", "img", "iframe", "a", "form"})
        assert attributes == {"lang", "charset", "http-equiv", "content", "name"}
        assert "<title>Retrospective</title>" in page
        assert "prefers-color-scheme: dark" in page
        assert "@media print" in page

    def test_its_policy_allows_nothing_but_its_own_style(self) -> None:
        page = page_html("# x", "x")
        style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)

        assert style is not None
        assert policy is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        assert policy[1] == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"

    def test_its_title_is_escaped(self) -> None:
        assert "<title>&lt;b&gt;&#34;</title>" in page_html("x", '<b>"')

    @pytest.mark.parametrize(
        "markdown",
        [
            "<script>x</script>",
            "[x](javascript:x)",
            "[x](data:text/html,x)",
            "![x](https://evil.example)",
            "[x](https://a.example)",
            "<b>x</b>",
        ],
    )
    def test_even_raw_markdown_brings_nothing_in(self, markdown: str) -> None:
        assert {tag for tag, _ in parsed(body(page_html(markdown, "x"))).seen} <= {"p"}

    def test_shows_raw_html_as_text(self) -> None:
        assert "<p>a &lt;b&gt;x&lt;/b&gt;</p>" in page_html("a <b>x</b>", "x")

    def test_shows_boxes_for_tasks(self) -> None:
        assert "<li>\N{BALLOT BOX} do" in page_html("- [ ] do", "x")
