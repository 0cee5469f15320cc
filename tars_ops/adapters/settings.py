"""What does the environment say?

Every variable that the project reads, in one model; the table in ``docs/reference/environment.md`` is made from it.
Secrets come from here and nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tars_ops.core.errors import ConfigurationError

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout, or the folder that holds the installed package."""
RECORDING_SCHEME = "recording:"
DEFAULT_WATCH_DAYS = 7


def _own(name: str) -> AliasChoices:
    return AliasChoices(f"TARS_OPS_{name}")


class Settings(BaseSettings):
    """The environment of one process."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    source: Annotated[str, Field(validation_alias=_own("SOURCE"))] = "recording:demo"
    """Where telemetry comes from: `http(s)://host:port` of a Prometheus-compatible server, `recording:demo` for the
    embedded week, or `recording:PATH` of a file that `tars-ops record` wrote."""
    store: Annotated[str, Field(validation_alias=_own("STORE"))] = "var/store"
    """Where artifacts are kept: a directory, or any fsspec URL such as `s3://bucket/prefix`."""
    policies: Annotated[str, Field(validation_alias=_own("POLICIES"))] = "policies"
    """Directory of the policy files."""
    releases: Annotated[str, Field(validation_alias=_own("RELEASES"))] = "releases"
    """Directory of release manifests, `*.yaml`; it may be absent."""
    outbox: Annotated[str, Field(validation_alias=_own("OUTBOX"), repr=False)] = "var/outbox.sqlite"
    """Where alerts wait for delivery: a file, or the URL of a database: `sqlite:///...`, or `postgresql+psycopg2://...`
    with the extra `postgres`."""
    receivers: Annotated[str, Field(validation_alias=_own("RECEIVERS"))] = ""
    """File that says who is told about alerts; without one they are kept in the outbox and nobody is told."""
    environment: Annotated[str, Field(validation_alias=_own("ENVIRONMENT"))] = "production"
    """Label `environment` of every alert."""
    ui_url: Annotated[str, Field(validation_alias=_own("UI_URL"))] = ""
    """Address of the Dagster UI; links from alerts to their verdict start with it."""
    runbook_url: Annotated[str, Field(validation_alias=_own("RUNBOOK_URL"))] = ""
    """Address under which `docs/runbooks` is published; links in the UI start with it."""
    watch_days: Annotated[int, Field(validation_alias=_own("WATCH_DAYS"), ge=1, le=99)] = DEFAULT_WATCH_DAYS
    """Longest watch of this deployment, days; it sets the day partitions."""
    grace_s: Annotated[int, Field(validation_alias=_own("GRACE_S"), ge=0, le=21600)] = 600
    """Seconds after the end of a day that late samples are waited for; never longer than a day of the watch."""
    overdue_s: Annotated[int, Field(validation_alias=_own("OVERDUE_S"), ge=60, le=604800)] = 7200
    """Seconds after the end of a day after which a day without a verdict is overdue; less where days are short."""
    provisional_every_s: Annotated[int, Field(validation_alias=_own("PROVISIONAL_EVERY_S"), ge=30, le=86400)] = 900
    """Seconds between two provisional judgements of the running day of a release."""
    autostart: Annotated[bool, Field(validation_alias=_own("AUTOSTART"))] = False
    """`1` starts schedules and sensors with the daemon; otherwise they are switched on in the UI."""
    deadline_s: Annotated[float, Field(validation_alias=_own("PROMETHEUS_DEADLINE_S"), gt=0, allow_inf_nan=False)] = (
        120.0
    )
    """Seconds that one query may take in all, with its retries."""
    token: Annotated[SecretStr | None, Field(validation_alias=_own("PROMETHEUS_TOKEN"))] = None
    """Bearer token of the server."""
    user: Annotated[str | None, Field(validation_alias=_own("PROMETHEUS_USER"))] = None
    """User of the server, for basic authentication."""
    password: Annotated[SecretStr | None, Field(validation_alias=_own("PROMETHEUS_PASSWORD"))] = None
    """Password of that user."""
    ca: Annotated[str | None, Field(validation_alias=_own("PROMETHEUS_CA"))] = None
    """File of the certificate authority that signed the server's certificate."""
    cert: Annotated[str | None, Field(validation_alias=_own("PROMETHEUS_CERT"))] = None
    """File of the client certificate."""
    key: Annotated[str | None, Field(validation_alias=_own("PROMETHEUS_KEY"))] = None
    """File of the client certificate's key."""

    @property
    def policies_dir(self) -> Path:
        """The policy directory; a relative one is looked for here, then beside the package."""
        here = Path(self.policies)
        return here if here.is_absolute() or here.is_dir() else PROJECT / here

    @property
    def releases_dir(self) -> Path:
        """The directory of manifests; a relative one is below the working directory."""
        return Path(self.releases)

    @property
    def store_url(self) -> str:
        """The store; a relative directory is below the working directory."""
        return self.store if "://" in self.store else str(Path(self.store).absolute())

    @property
    def outbox_url(self) -> str:
        """The outbox as a database URL; a relative file is below the working directory. It may hold a password."""
        return self.outbox if "://" in self.outbox else f"sqlite:///{Path(self.outbox).absolute()}"


def load_settings() -> Settings:
    """Read the environment.

    Raises
    ------
    ConfigurationError
        Naming the variable and the rule, never the value of a secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigurationError(f"environment variable {first['loc'][0]}: {first['msg']}") from error
