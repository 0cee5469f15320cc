"""How does this program prove to a metrics server who it is?

Values come from the environment and leave only in the ``Authorization`` header or the TLS handshake.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tars_ops.core.errors import ConfigurationError

_VARIABLE = "TARS_OPS_PROMETHEUS_"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the environment gives for one server; ``None`` or empty means "not used".

    ``ca`` is the path of a bundle of trusted authorities, ``cert`` and ``key`` are the paths of a client certificate.
    """

    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        """Refuse what a header cannot carry, what contradicts itself and files that are not there."""
        if self.token and not re.fullmatch(r"[\x21-\x7e]+", self.token):
            raise _refused("TOKEN", "must be printable ASCII without blanks or line ends")
        if self.token and (self.user or self.password):
            raise _refused("TOKEN", f"and {_VARIABLE}USER exclude each other; set one of them")
        if self.password and not self.user:
            raise _refused("PASSWORD", f"needs {_VARIABLE}USER as well")
        if self.user and (":" in self.user or not self.user.isprintable()):
            raise _refused("USER", "must be printable and without a colon")
        if self.key and not self.cert:
            raise _refused("KEY", f"needs {_VARIABLE}CERT as well")
        for name, path in (("CA", self.ca), ("CERT", self.cert), ("KEY", self.key)):
            if path and not Path(path).is_file():
                raise _refused(name, f"names a file that does not exist: {path}")

    def headers(self) -> Mapping[str, str]:
        """Give the header that authenticates a request, if any is needed."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.user:
            return {"Authorization": f"Basic {self._basic()}"}
        return {}

    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may repeat, longest first."""
        texts = {self.token, self.password, self._basic() if self.user else None}
        return tuple(sorted((text for text in texts if text), key=len, reverse=True))

    def equip(self, session: requests.Session) -> None:
        """Make every request of ``session`` use these credentials and none from files or other variables."""
        session.trust_env = False
        session.auth = None
        session.headers.update(self.headers())
        session.verify = self.ca or True
        session.cert = (self.cert, self.key) if self.cert and self.key else (self.cert or None)

    def _basic(self) -> str:
        return base64.b64encode(f"{self.user}:{self.password or ''}".encode()).decode("ascii")


def _refused(name: str, rule: str) -> ConfigurationError:
    return ConfigurationError(f"{_VARIABLE}{name} {rule}")
