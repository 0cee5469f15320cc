"""In which states can a release be, and what moves it from one to the next?

The page is made of the table in ``core.lifecycle``, so that it cannot disagree with what is recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from tars_ops.core.lifecycle import TERMINAL, TRANSITIONS, State, Transition

_HEAD: Final = """\
# The lifecycle of a release

<!-- Generated from the table by `make docs`; change tars_ops/core/lifecycle.py instead. -->

`tars-ops release show` prints where a release stands and how it came there. Whatever is not in the table below is
refused with exit code 64 and the events that may happen instead.

```mermaid
stateDiagram-v2
"""
_ENTRIES: Final = """\
```

Left out of the picture: events that keep the state, and those that end a release in any open state
(`decided_roll_back`, `went_back`, `superseded_by_newer`).

## What may happen

| Event | May happen in | Leads to | Means |
|---|---|---|---|
"""
_TAIL: Final = """
## What is recorded

Every event is one entry of the release's history: number, time, event, state before and after, who, why, the digest of
the evidence, and the digest of the entry before. `tars-ops release show KEY --json` prints them all.

- A verdict is recorded once per day that it is given for, and again where the verdict of that day changes.
- A person's decision stands until the evidence says something new: the verdict of a later day, or a worse verdict of
  the same day. The same advice, judged again, moves nothing.
- A day that is still running is recorded at most once, and not after the complete day was judged.
- A release is certified by the certification of its last day only; after an extension that is a later day.
- A history that was changed, reordered or lost an entry before its newest is refused with exit code 12. A history that
  lost its newest entries is only a shorter one: the sensor `lifecycle_follows_the_evidence` tells, because it remembers
  how long each history was; without it nothing can.
"""


def lifecycle_reference() -> str:
    """Write the reference of the lifecycle in Markdown."""
    return _HEAD + "".join(_arrows()) + _ENTRIES + "".join(map(_row, TRANSITIONS)) + _TAIL


def _arrows() -> Iterator[str]:
    for one in TRANSITIONS:
        for source in [state for state in State if state in one.sources] or ["[*]"]:
            if one.target not in {None, source} and not _ends_anything(one):
                yield f"    {source} --> {one.target}: {one.code}\n"
    for state in State:
        if state in TERMINAL:
            yield f"    {state} --> [*]\n"


def _ends_anything(transition: Transition) -> bool:
    return transition.target in TERMINAL and State.CANDIDATE in transition.sources


def _row(transition: Transition) -> str:
    sources = ", ".join(f"`{state}`" for state in State if state in transition.sources) or "not registered"
    when = {None: "", True: "; only after its last day was judged", False: "; only before its last day was judged"}
    target = f"`{transition.target}`" if transition.target else "the same state"
    return f"| `{transition.code}` | {sources}{when[transition.when_over]} | {target} | {transition.means} |\n"


if __name__ == "__main__":
    sys.stdout.write(lifecycle_reference())
