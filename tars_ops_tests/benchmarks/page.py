"""How does a benchmark publish what it measured?

Each benchmark owns one section of ``docs/reference/benchmarks.md`` and replaces it whole; the others stay as they are.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "reference" / "benchmarks.md"
_CODE = ("tars_ops", "tars_ops_tests", "pyproject.toml", "requirements")


def write_section(title: str, text: str, *, page: Path = PAGE) -> None:
    """Replace the section ``## title`` of the page, or append it; ``text`` comes without its heading."""
    with page.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two benchmarks may end in the same moment
        written = with_section(file.read(), title, text)
        file.seek(0)
        file.truncate()
        file.write(written)


def with_section(page: str, title: str, text: str) -> str:
    r"""Return a page with one section replaced, or appended where there is none.

    Examples
    --------
    >>> with_section("# Page\n\n## A\n\nold\n\n## B\n\nkept\n", "A", "new")
    '# Page\n\n## A\n\nnew\n\n## B\n\nkept\n'
    >>> with_section("# Page\n", "A", "new")
    '# Page\n\n## A\n\nnew\n'
    """
    head, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    texts = {heading: body for heading, _, body in (section.partition("\n") for section in sections)}
    texts[title] = text
    return "\n\n".join([head.strip(), *(f"## {heading}\n\n{body.strip()}" for heading, body in texts.items())]) + "\n"


def measured_by(command: str) -> str:
    """Return the line that every section begins with: which command, commit, day and machine the figures come from."""
    return (
        f"Measured by `{command}` at commit {_commit()} on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores\n"
        f"({_processor()}), Python {platform.python_version()}, {platform.system()}."
    )


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    return f"`{commit}`" + (" and changes after it" if _git("status", "--porcelain", "--", *_CODE) else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{name}, AVX-512" if any("avx512f" in line for line in lines if line.startswith("flags")) else name
