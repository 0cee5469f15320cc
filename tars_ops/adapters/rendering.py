"""How do reports become Markdown and HTML that cannot be turned against their reader?

Templates hold the words of the page, ``core`` the facts. Whatever comes from data passes the ``md`` filter, which
leaves neither Markdown nor HTML in it; pages are rendered with raw HTML off, then cleaned, and carry no script.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache

import nh3
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from tars_ops.core.report.burn_down import exhaustion_text
from tars_ops.core.report.compliance import ComplianceIndex
from tars_ops.core.report.documented import DocumentedUnit
from tars_ops.core.report.narrative import Narrative
from tars_ops.core.report.retrospective import Retrospective
from tars_ops.core.report.week import days_text
from tars_ops.core.units import UNKNOWN_TEXT, Unit, percent, show

_SPECIAL = re.compile(r"[\\`*{}\[\]#|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""An underscore within a word is plain text to every reader of Markdown."""
_LEADS_A_BLOCK = re.compile(r"^(?:[-+](?=\s|$)|[-=](?=[-=\s]*$)|\d{1,9}(?=[.)](?:\s|$)))")
_PRIORITY = re.compile(r"^\[P[0-3]\] ")
_TAGS = {
    *("h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "hr", "br"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_TASK = "<li>[ ] "


def escape_markdown(text: object) -> str:
    r"""Return a text that a Markdown reader shows as it is, on one line.

    Examples
    --------
    >>> escape_markdown("a|b <script>\n# `x`")
    'a\\|b &lt;script&gt; \\# \\`x\\`'
    >>> escape_markdown("1. [x](javascript:alert)")
    '1\\. \\[x\\](javascript:alert)'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    escaped = _SPECIAL.sub(r"\\\g<0>", line)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("://", r":\/\/"), ("www.", r"www\.")):
        escaped = escaped.replace(character, entity)
    return _LEADS_A_BLOCK.sub(lambda match: match[0] + "\\" if match[0].isdigit() else "\\" + match[0], escaped)


def retrospective_markdown(retrospective: Retrospective) -> str:
    """Return a retrospective as Markdown; the same retrospective gives the same bytes."""
    return _tidy(_environment().get_template("retrospective.md.j2").render(r=retrospective))


def narrative_markdown(narrative: Narrative) -> str:
    """Return a narrative as Markdown; the same narrative gives the same bytes."""
    return _tidy(_environment().get_template("narrative.md.j2").render(n=narrative))


def compliance_markdown(index: ComplianceIndex) -> str:
    """Return a compliance index as Markdown; the same index gives the same bytes."""
    return _tidy(_environment().get_template("compliance.md.j2").render(c=index))


def page_html(markdown: str, title: str) -> str:
    """Return Markdown as one self-contained page without script, links or outside resources."""
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    body = nh3.clean(rendered, tags=_TAGS, attributes={}).replace(_TASK, "<li>\N{BALLOT BOX} ")
    page = _environment().get_template("page.html.j2")
    return page.render(title=title, body=Markup(body)).rstrip() + "\n"  # noqa: S704 - cleaned just above


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tars_ops", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "md": escape_markdown,
        "tagged": _tagged,
        "days": days_text,
        "documented": _documented,
        "usd": lambda value: show(value, Unit.USD),
        "tenths": _tenths,
        "exhaustion": exhaustion_text,
        "csp": _csp_hash,
    }
    return environment


def _documented(value: float | None, unit: DocumentedUnit) -> str:
    """Write a figure of the documented JSON with its unit."""
    if value is None:
        return UNKNOWN_TEXT
    return show(value / 1000, Unit.SECONDS) if unit == "ms" else show(value / 100, Unit.RATIO)


def _tenths(value: float | None) -> str:
    """Write a documented percentage with one digit."""
    return percent(None if value is None else value / 100)


def _tagged(text: str) -> str:
    """Escape a recommendation, but leave its priority tag as the documents have it."""
    tag = match[0] if (match := _PRIORITY.match(text)) else ""
    return tag + escape_markdown(text.removeprefix(tag))


def _csp_hash(text: str) -> str:
    """Return the source expression that allows exactly one inline style sheet."""
    return f"sha256-{base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()}"


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
