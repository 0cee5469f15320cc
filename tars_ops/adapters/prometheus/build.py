"""Which program answers, and which of its dialects does it speak?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from tars_ops.adapters.prometheus.exchange import Answer
from tars_ops.adapters.prometheus.refusal import require_ok
from tars_ops.adapters.prometheus.reply import read_envelope


@dataclass(frozen=True, slots=True)
class ServerBuild:
    """Which program answers: ``product`` in lower case, ``version`` as it says, "" if it does not say.

    Examples
    --------
    >>> ServerBuild("prometheus", "3.5.0").range_is_left_open
    True
    """

    product: str
    version: str

    @property
    def range_is_left_open(self) -> bool:
        """Whether ``metric[5m]`` leaves out a sample exactly five minutes old, as Prometheus does since version 3.

        Other products, and servers that hide their version, count as closed.
        """
        major = re.match(r"v?(\d+)\.", self.version)
        return self.product == "prometheus" and major is not None and int(major[1]) >= 3


def read_build(answer: Answer) -> ServerBuild:
    """Read the answer of ``/api/v1/status/buildinfo``; HTTP 404 means that the server does not say."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return ServerBuild(_product(answer, {}), "")
    require_ok(answer, query="buildinfo")
    data = read_envelope(answer, query="buildinfo")["data"]
    return ServerBuild(_product(answer, data), answer.quote(str(data.get("version") or ""), limit=80))


def _product(answer: Answer, data: Mapping[str, object]) -> str:
    """Mimir names itself in ``application``; VictoriaMetrics is known by a header of its own."""
    if data.get("application"):
        return answer.quote(str(data["application"]).lower(), limit=80)
    return "victoriametrics" if "X-Server-Hostname" in answer.headers else "prometheus"
