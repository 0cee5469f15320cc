"""Which courier serves this deployment?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tars_ops.adapters.alerts.alertmanager import Alertmanager
from tars_ops.adapters.alerts.courier import Courier
from tars_ops.adapters.alerts.notice import Receiver
from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops.adapters.alerts.receivers import (
    AlertmanagerConfig,
    AppriseConfig,
    ReceiverConfig,
    WebhookConfig,
    read_receivers,
)
from tars_ops.adapters.alerts.transport import checked_url
from tars_ops.adapters.alerts.wording import Origin
from tars_ops.adapters.settings import Settings
from tars_ops.core.errors import ConfigurationError


def open_courier(settings: Settings, outbox: Outbox) -> Courier:
    """Return the courier to the receivers of the settings; to nobody where no file is set.

    Raises
    ------
    ConfigurationError
        If the file breaks a rule or a variable that it names is not set.
    """
    return Courier(outbox, open_receivers(settings))


def open_receivers(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> tuple[Receiver, ...]:
    """Return the receivers of the settings with their secrets; raises as `open_courier`."""
    if not settings.receivers:
        return ()
    origin = Origin(environment=settings.environment, ui_url=settings.ui_url, runbook_url=settings.runbook_url)
    configured = read_receivers(Path(settings.receivers)).receivers
    return tuple(receiver(config, origin, environ=environ) for config in configured)


def receiver(config: ReceiverConfig, origin: Origin, *, environ: Mapping[str, str]) -> Receiver:
    """Give a receiver its secrets."""
    match config:
        case AlertmanagerConfig():
            token = _secret(config.token_env, config.name, environ) if config.token_env else None
            return Alertmanager(config, origin, token)
        case WebhookConfig():
            from tars_ops.adapters.alerts.webhook import Webhook

            secret = _secret(config.secret_env, config.name, environ)
            url = config.url or _address(config.url_env or "", config.name, environ)
            return Webhook(config, origin, url, secret)
        case AppriseConfig():
            from tars_ops.adapters.alerts.chat import Chat

            return Chat(config, origin, _secret(config.url_env, config.name, environ))


def _address(variable: str, name: str, environ: Mapping[str, str]) -> str:
    try:
        return checked_url(_secret(variable, name, environ))
    except ValueError as error:
        raise ConfigurationError(f"receiver {name}: the address in {variable} is refused: {error}") from None


def _secret(variable: str, name: str, environ: Mapping[str, str]) -> str:
    text = environ.get(variable, "")
    if not text or not text.isprintable() or not text.isascii():
        fault = "must be printable ASCII in one line" if text else "is not set"
        raise ConfigurationError(f"receiver {name}: {variable} {fault}; set it in the environment of the daemon")
    return text
