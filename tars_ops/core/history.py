"""What has happened to a release, and can that be proved?

A chain of entries, oldest first. Each holds the digest of the one before, so that none can be changed, left out or
moved without the next one saying so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from tars_ops.core.errors import IllegalTransitionError, TamperedError
from tars_ops.core.lifecycle import Code, State, successor
from tars_ops.core.model import Frozen, Instant, Sha256

LONGEST_WHY, LONGEST_BY = 500, 64


def _one_line(text: str) -> str:
    if not text.isprintable():
        msg = f"{text!r} holds a line break or another character that is not printed; write one plain line"
        raise ValueError(msg)
    return text


Why = Annotated[str, Field(max_length=LONGEST_WHY), AfterValidator(_one_line)]
"""One printable line."""
By = Annotated[str, Field(min_length=1, max_length=LONGEST_BY), AfterValidator(_one_line)]
"""A person or a part of the program."""


class Entry(Frozen):
    """One thing that happened to a release."""

    release: str
    seq: Annotated[int, Field(ge=1)]
    """1 for the first entry."""
    at: Instant
    """When it was recorded."""
    code: Code
    from_state: State | None
    """None for the first entry."""
    to_state: State
    week_is_over: bool = False
    """The last day of the watch had been judged."""
    by: By
    why: Why = ""
    evidence_sha256: Sha256 | None = None
    """Digest of the stored artifact that it rests on."""
    details: Mapping[str, str | int] = {}
    """What else was known, by name with its unit."""
    previous_sha256: Sha256 | None
    """Digest of the entry before; None for the first."""


def check_chain(entries: Sequence[Entry], sha256s: Sequence[str], *, release: str) -> None:
    """Prove that the entries of a release, oldest first, are an unbroken and legal chain; each with its digest.

    What it cannot see is that entries are missing at the end: a chain without its last entries is a chain.

    Raises
    ------
    TamperedError
        Naming the first entry that does not follow from the one before.
    """
    state, previous = None, None
    for number, (entry, sha256) in enumerate(zip(entries, sha256s, strict=True), start=1):
        _check_follows(entry, number, release, state, previous)
        state, previous = entry.to_state, sha256


def _check_follows(entry: Entry, number: int, release: str, state: State | None, previous: str | None) -> None:
    where = f"entry {number} of the history of {release}"
    if (entry.release, entry.seq) != (release, number):
        raise TamperedError(f"{where} is entry {entry.seq} of {entry.release}; restore the history from a backup")
    if entry.previous_sha256 != previous:
        raise TamperedError(f"{where} does not follow the entry before it; restore the history from a backup")
    if entry.from_state is not state:
        raise TamperedError(f"{where} starts from {entry.from_state}, but the release was {state}")
    try:
        legal = successor(state, entry.code, week_is_over=entry.week_is_over)
    except IllegalTransitionError as error:
        raise TamperedError(f"{where} may not stand there: {error}") from error
    if entry.to_state is not legal:
        raise TamperedError(f"{where} leads to {entry.to_state}; {entry.code} leads to {legal}")
