"""What does the detector find, what does it miss, and how often does it cry wolf?

A program: ``python -m tars_ops_tests.benchmarks.detect [--nab DIR] [--smd DIR]``. It writes the section "Detection" of
``docs/reference/benchmarks.md``; without a data set its tables are left as they were measured last.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from tars_ops_tests.benchmarks.calm import false_alarm_table, fault_table
from tars_ops_tests.benchmarks.nab import nab_table
from tars_ops_tests.benchmarks.page import PAGE, measured_by, write_section
from tars_ops_tests.benchmarks.smd import smd_table

TITLE = "Detection"


def kept(heading: str) -> str:
    """Return the table under a heading of the page as it was measured last."""
    text = PAGE.read_text() if PAGE.exists() else ""
    found = re.search(rf"^### {re.escape(heading)}\n\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    before = found.group(1).strip() if found else "Never measured here."
    note = "Not measured in this run: no path to the data."
    return before if before.startswith(note) else f"{note}\n\n{before}"


def part(heading: str, table: Callable[[Path], str], data: Path | None) -> str:
    """Return a heading with its table."""
    return f"### {heading}\n\n{table(data) if data else kept(heading)}\n"


def main() -> None:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nab", type=Path, help="folder with labels.json and the series of the benchmark of Numenta")
    parser.add_argument("--smd", type=Path, help="folder with the .npz files of the Server Machine Dataset")
    options = parser.parse_args()
    command = "make bench-detect" + "".join(f" {name}=..." for name in ("NAB", "SMD") if getattr(options, name.lower()))
    parts = [
        f"{measured_by(command)}\n",
        part("Numenta Anomaly Benchmark", nab_table, options.nab),
        part("Server Machine Dataset", smd_table, options.smd),
        f"### False alarms on calm series\n\n{false_alarm_table()}\n",
        f"### Injected faults\n\n{fault_table()}\n",
    ]
    write_section(TITLE, "\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main()
