"""What can go wrong, and who has to act on it.

Every error that an operator can meet has a class here. The class decides two things: the exit code of the command
line (``sysexits.h``, plus 10..12 for verdicts) and whether trying again can help.
"""

from __future__ import annotations

from typing import ClassVar


class TarsOpsError(Exception):
    """Root of the tree; on its own it is a defect of this program."""

    exit_code: ClassVar[int] = 70
    may_pass_later: ClassVar[bool] = False
    who_acts: ClassVar[str] = "the maintainers: this is a defect, report it with the command and its output"


class UsageError(TarsOpsError):
    """The command line asks for something that does not exist."""

    exit_code = 64
    who_acts = "the caller: correct the command; `--help` lists what exists"


class IllegalTransitionError(TarsOpsError):
    """What is asked for may not happen to a release in the state that it is in."""

    exit_code = 64
    who_acts = "the caller: `tars-ops release show` prints the state; the message names what may happen to it"


class ContractError(TarsOpsError):
    """Data break the contract of the function that reads them."""

    exit_code = 65
    who_acts = "whoever made the data: the message names the rule"


class MissingInputError(TarsOpsError):
    """An artifact, a file or a release that a step needs is not there."""

    exit_code = 66
    who_acts = "the operator: materialise or register what the message names"


class SourceError(TarsOpsError):
    """The metrics server answered in a way that more attempts will not mend."""

    exit_code = 69
    who_acts = "the operator of the metrics server or of its proxy"


class SourceUnavailableError(SourceError):
    """The metrics server could not be reached or did not answer in time."""

    exit_code = 69
    may_pass_later = True
    who_acts = "the operator of the metrics server; the next attempt may succeed by itself"


class QueryRefusedError(SourceError):
    """The server understood the query and refused it (HTTP 400 or 422)."""

    exit_code = 65
    who_acts = "the owner of the policy: the message holds the query and the server's reason"


class CannotCreateError(TarsOpsError):
    """An output could not be created: disk full, read-only, no directory."""

    exit_code = 73
    who_acts = "the operator: make room or choose another place"


class StoreError(TarsOpsError):
    """Reading or writing the artifact store failed."""

    exit_code = 74
    who_acts = "the operator of the store's disk or bucket"


class OutboxError(TarsOpsError):
    """The outbox of alerts could not be read or written, or its file is damaged."""

    exit_code = 74
    who_acts = "the operator of the outbox's disk or database; its content can be derived again from the store"


class OutboxBusyError(OutboxError):
    """Another process held the outbox for too long."""

    exit_code = 75
    may_pass_later = True
    who_acts = "nobody: the next attempt may succeed by itself"


class DeliveryError(TarsOpsError):
    """A receiver did not take what it was sent."""

    exit_code = 69
    may_pass_later = True
    who_acts = "the operator of the receiver; the message names it and its answer"


class ConflictError(TarsOpsError):
    """Another run committed a newer version first."""

    exit_code = 75
    may_pass_later = True
    who_acts = "nobody: run again, the newer version is kept"


class NotYetError(TarsOpsError):
    """What is asked for lies in the future."""

    exit_code = 75
    may_pass_later = True
    who_acts = "nobody: ask again after the instant that the message names"


class NoPermissionError(TarsOpsError):
    """Credentials are missing or refused."""

    exit_code = 77
    who_acts = "the operator: set the variable that the message names"


class ConfigurationError(TarsOpsError):
    """A policy, a setting or an environment variable breaks its rule."""

    exit_code = 78
    who_acts = "the owner of the file: the message names file, line, key and rule"


class FrozenBaselineError(TarsOpsError):
    """The frozen GA baseline exists and its content would change."""

    exit_code = 65
    who_acts = "the release manager: refreeze on purpose, or find out why GA telemetry changed"


class TamperedError(TarsOpsError):
    """Evidence does not match its digest."""

    exit_code = 12
    who_acts = "the auditor: the evidence was changed after it was made, or the disk is failing"
