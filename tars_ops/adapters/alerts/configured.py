"""What of a receiver stands in the receivers file, whatever its kind?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tars_ops.adapters.alerts.receivers import ReceiverSettings
from tars_ops.adapters.alerts.wording import Origin
from tars_ops.core.verdict import Severity


@dataclass(frozen=True)
class Configured:
    """A receiver of the file; its kind says how it is told."""

    config: ReceiverSettings
    origin: Origin

    @property
    def name(self) -> str:
        """Name in the receivers file."""
        return self.config.name

    @property
    def at_least(self) -> Severity:
        """The mildest severity that it is told of."""
        return self.config.at_least

    @property
    def max_requests(self) -> int:
        """Requests in one round, at most."""
        return self.config.max_requests

    def heartbeat(self, *, now: datetime) -> None:
        """Do nothing: a person or a pager is not told that all is well."""
