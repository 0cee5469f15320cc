"""What does a source say of staging, and what if it does not answer?

A watch does without staging rather than wait for it: the reason takes its place, and nobody mistakes it for normal.
"""

from __future__ import annotations

from tars_ops.adapters.registry import Registered
from tars_ops.adapters.source import TelemetrySource
from tars_ops.core.errors import NoPermissionError, SourceError
from tars_ops.core.watch.staging import NOT_ASKED, StagingTelemetry, not_staged, staged


def ask_staging(source: TelemetrySource, registered: Registered, *, may_try_again: bool) -> StagingTelemetry:
    """Fetch staging of the day before GA, where the policy names one; nothing is asked where it does not.

    Raises
    ------
    SourceUnavailableError
        If the source did not answer and there is another attempt to come; after the last one that is the reason why
        staging is absent.
    """
    release, staging = registered.release, registered.policy.baselines.staging
    if staging is None:
        return not_staged(release, None, NOT_ASKED)
    try:
        telemetry = source.fetch_staging(release, registered.policy, selector=staging.selector)
    except (SourceError, NoPermissionError) as error:
        if error.may_pass_later and may_try_again:
            raise
        return not_staged(release, staging.selector, str(error))
    return staged(release, staging.selector, telemetry)
