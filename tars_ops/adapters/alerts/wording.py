"""In which words, labels and links is an alert told?

Labels are what it is for as long as it lives; whatever may change meanwhile - day, severity, figures - is an
annotation.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

from tars_ops.adapters.alerts.notice import AlertState, Notice
from tars_ops.core.alert import Alert
from tars_ops.core.model import Frozen


class Origin(Frozen):
    """Where alerts come from."""

    environment: str = "production"
    ui_url: str = ""
    """Address of the Dagster UI; empty where nobody can open it."""
    runbook_url: str = ""
    """Address of the runbooks; empty where they are not published."""

    def verdict_url(self, alert: Alert) -> str:
        """Address of the artifact whose gate it is; empty without a UI."""
        if not self.ui_url:
            return ""
        base = self.ui_url.rstrip("/")
        if not alert.asset:
            return base
        view = urlencode({"view": "partitions", "partition": alert.partition})
        return f"{base}/assets/{quote(alert.asset)}?{view}"

    def page_url(self, alert: Alert) -> str:
        """Address of the runbook; empty where none is published."""
        return f"{self.runbook_url.rstrip('/')}/{alert.name}.md" if self.runbook_url else ""


def labels_of(alert: Alert, origin: Origin) -> dict[str, str]:
    """Return what identifies an alert, and nothing that changes while it is the same alert."""
    found = {
        "alertname": alert.name.value,
        "gate": alert.gate,
        "service": alert.service,
        "release": alert.release,
        "product": alert.product,
        "environment": origin.environment,
    }
    return found if alert.kpi is None else {**found, "kpi": alert.kpi}


def annotations_of(notice: Notice, origin: Origin) -> dict[str, str]:
    """Return what is known of an alert now; unknown is left out."""
    alert = notice.alert
    found = {
        "summary": alert.summary,
        "description": alert.description,
        "severity": alert.severity.value,
        "verdict": alert.verdict.value,
        "provisional": "true" if alert.provisional else "false",
        "day": "" if alert.day is None else str(alert.day),
        "runbook_url": origin.page_url(alert),
        "verdict_url": origin.verdict_url(alert),
        "evidence_sha256": alert.evidence_sha256 or "",
    }
    return {name: text for name, text in found.items() if text}


def stamp(at: datetime) -> str:
    """Write an instant as RFC 3339.

    Examples
    --------
    >>> from datetime import UTC
    >>> stamp(datetime(2025, 11, 18, 6, 30, tzinfo=UTC))
    '2025-11-18T06:30:00.000Z'
    """
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line(notice: Notice) -> str:
    """Say an alert in one line for a chat."""
    alert = notice.alert
    if notice.state is AlertState.RESOLVED:
        return f"RESOLVED {alert.name}: {alert.summary}"
    mark = ", provisional" if alert.provisional else ""
    since = f"since {alert.since_at:%Y-%m-%d %H:%M} UTC"
    return f"{alert.severity.upper()} {alert.name}: {alert.summary} ({alert.verdict}, {since}{mark})"
