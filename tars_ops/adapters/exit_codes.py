"""With which codes do commands exit, what do they mean, and who acts on them?

The page is made of the exception tree in `core.errors`, so that it cannot disagree with what a command does.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

from tars_ops.core.errors import TarsOpsError


class ExitCode(NamedTuple):
    """One way for a command to end."""

    code: int
    name: str
    means: str
    who_acts: str


VERDICTS: Final = (
    ExitCode(0, "pass or warn", "The command did what it was asked; a warning is said in words.", "nobody"),
    ExitCode(10, "fail", "The verdict of the day is `fail`, or the decision is to roll back.", "the release manager"),
    ExitCode(
        11, "unknown", "The verdict of the day is `unknown`: too little is known to judge.", "the release manager"
    ),
)
INTERRUPTED: Final = ExitCode(
    130, "interrupted", "Somebody pressed Ctrl-C; what was committed before is kept.", "nobody"
)

_HEAD: Final = """\
# Exit codes

<!-- Generated from the exceptions by `make docs`; change tars_ops/core/errors.py instead. -->

`watch` exits by verdict; `demo` exits with 0 when it completed, whatever the verdict; `verify` exits with 12 on any
difference. Codes from 64 on are those of `sysexits.h`; several errors share a code, and the message tells them apart.
"Try again" means that the same command may succeed later without anybody changing anything.

| Code | Name | Means | Who acts | Try again |
|---|---|---|---|---|
"""


def exit_codes() -> list[ExitCode]:
    """Return every way for a command to end, sorted by code.

    Examples
    --------
    >>> [one.code for one in exit_codes()][:4]
    [0, 10, 11, 12]
    """
    return sorted([*VERDICTS, *map(_of, _kinds(TarsOpsError)), INTERRUPTED])


def _kinds(kind: type[TarsOpsError]) -> Iterator[type[TarsOpsError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == kind.__module__:
            yield from _kinds(child)


def _of(kind: type[TarsOpsError]) -> ExitCode:
    means = (inspect.getdoc(kind) or "").partition("\n\n")[0]
    return ExitCode(kind.exit_code, kind.__name__, " ".join(means.split()), kind.who_acts)


def exit_codes_reference() -> str:
    """Write the reference of all exit codes in Markdown."""
    passing = {kind.__name__ for kind in _kinds(TarsOpsError) if kind.may_pass_later}
    rows = (
        f"| {one.code} | `{one.name}` | {_cell(one.means)} | {_cell(one.who_acts)} "
        f"| {'yes' if one.name in passing else 'no'} |\n"
        for one in exit_codes()
    )
    return _HEAD + "".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(exit_codes_reference())
