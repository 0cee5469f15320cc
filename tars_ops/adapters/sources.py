"""Which source does an address mean?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.settings import RECORDING_SCHEME, Settings, load_settings
from tars_ops.adapters.source import ReleaseSightings, TelemetrySource
from tars_ops.core.errors import ConfigurationError

if TYPE_CHECKING:
    from tars_ops.adapters.prometheus.client import PrometheusServer

DEMO = Path(__file__).resolve().parents[1] / "demo" / "tars@1.0.1.zip"
"""The embedded release week: a recording of a synthetic product."""
SIGHTING_DEADLINE_S = 20.0
"""Sensors ask for sightings, and a tick may take 60 s in all."""


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
        return _recording(address)
    from tars_ops.adapters.prometheus.source import PrometheusSource

    return PrometheusSource(_server(address, load_settings()))


def open_sightings(address: str) -> ReleaseSightings:
    """Open what a source knows of running versions; addresses and errors are those of ``open_source``."""
    if address.startswith(RECORDING_SCHEME):
        from tars_ops.adapters.recording import RecordingSightings

        return RecordingSightings(_recording(address))
    from tars_ops.adapters.prometheus.sightings import PrometheusSightings

    settings = load_settings()
    patience = {"deadline_s": min(settings.deadline_s, SIGHTING_DEADLINE_S)}
    return PrometheusSightings(_server(address, settings.model_copy(update=patience)))


def _recording(address: str) -> RecordingSource:
    name = address.removeprefix(RECORDING_SCHEME)
    return RecordingSource(DEMO if name == "demo" else Path(name))


def _server(address: str, settings: Settings) -> PrometheusServer:
    from tars_ops.adapters.prometheus.client import Credentials, Limits, PrometheusServer

    if not address.startswith(("http://", "https://")):
        shown = re.sub(r"//.*@", "//***@", address)  # a password has no place here; where it stands it is not repeated
        raise ConfigurationError(
            f"TARS_OPS_SOURCE {shown!r} is neither `http(s)://host:port`, `recording:demo` nor `recording:PATH`"
        )
    credentials = Credentials(
        token=settings.token.get_secret_value() if settings.token else None,
        user=settings.user,
        password=settings.password.get_secret_value() if settings.password else None,
        ca=settings.ca,
        cert=settings.cert,
        key=settings.key,
    )
    return PrometheusServer(address, credentials=credentials, limits=Limits(deadline_s=settings.deadline_s))
