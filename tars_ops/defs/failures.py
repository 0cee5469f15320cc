"""How does an error of the project become a failure that an operator understands?

The one place where the exception tree meets Dagster. Errors of the tree become ``dg.Failure`` with the person who
acts and whether a retry can help; anything else is a defect and passes through as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from tars_ops.core.errors import TarsOpsError

ATTENDED = "tars_ops/attended"
"""Tag of a run that somebody waits for at a terminal: it fails at once, the person decides about another attempt."""


@contextmanager
def reported(*, retry: bool = True) -> Iterator[None]:
    """Turn an error of the project into a failure of the step; ``retry=False`` where a person is waiting."""
    try:
        yield
    except TarsOpsError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__, "who acts": error.who_acts, "exit code": error.exit_code},
            allow_retries=error.may_pass_later and retry,
        ) from error
