"""Which source does an address mean?"""

from __future__ import annotations

import re
from pathlib import Path

from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.settings import RECORDING_SCHEME, Settings, load_settings
from tars_ops.adapters.source import TelemetrySource
from tars_ops.core.errors import ConfigurationError

DEMO = Path(__file__).resolve().parents[1] / "demo" / "tars@1.0.1.zip"
"""The embedded release week: a recording of a synthetic product."""


def open_source(address: str) -> TelemetrySource:
    """Open a source of telemetry: ``http(s)://...``, ``recording:demo`` or ``recording:PATH``.

    Raises
    ------
    ConfigurationError
        If the address is neither.
    MissingInputError
        If there is no such recording.
    """
    if address.startswith(RECORDING_SCHEME):
        name = address.removeprefix(RECORDING_SCHEME)
        return RecordingSource(DEMO if name == "demo" else Path(name))
    if address.startswith(("http://", "https://")):
        return _server(address, load_settings())
    shown = re.sub(r"//.*@", "//***@", address)  # a password does not belong here; where it stands it is not repeated
    raise ConfigurationError(
        f"TARS_OPS_SOURCE {shown!r} is neither `http(s)://host:port`, `recording:demo` nor `recording:PATH`"
    )


def _server(address: str, settings: Settings) -> TelemetrySource:
    from tars_ops.adapters.prometheus.client import Credentials, Limits, PrometheusServer
    from tars_ops.adapters.prometheus.source import PrometheusSource

    credentials = Credentials(
        token=settings.token.get_secret_value() if settings.token else None,
        user=settings.user,
        password=settings.password.get_secret_value() if settings.password else None,
        ca=settings.ca,
        cert=settings.cert,
        key=settings.key,
    )
    limits = Limits(deadline_s=settings.deadline_s)
    return PrometheusSource(PrometheusServer(address, credentials=credentials, limits=limits))
