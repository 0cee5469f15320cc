"""Which tables does the outbox have?

Times are whole microseconds since 1970, so that both databases compare them alike and exactly.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Column, Dialect, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Utc(TypeDecorator[datetime]):
    """A UTC instant as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Give what is stored."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the instant that was stored."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


TABLES = MetaData()

ALERTS = Table(
    "tars_ops_alerts",
    TABLES,
    Column("identity", String(64), primary_key=True),
    Column("release", Text, nullable=False, index=True),
    Column("state", String(8), nullable=False, index=True),
    Column("revision", Integer, nullable=False),  # counts every change
    Column("news_revision", Integer, nullable=False),  # the last revision that people want to hear of
    Column("severity_rank", Integer, nullable=False),  # 0 is the worst
    Column("since_at", Utc, nullable=False),
    Column("changed_at", Utc, nullable=False),
    Column("resolved_at", Utc),
    Column("alert", Text, nullable=False),  # JSON of `core.alert.Alert`
)
DELIVERIES = Table(
    "tars_ops_deliveries",
    TABLES,
    Column("identity", String(64), primary_key=True),
    Column("receiver", String(40), primary_key=True),
    Column("delivered_revision", Integer, nullable=False, default=0),  # 0 = nothing yet
    Column("told_state", String(8)),
    Column("told_at", Utc),
    Column("attempts", Integer, nullable=False, default=0),  # failures since the last success
    Column("next_at", Utc),
    Column("last_error", Text, nullable=False, default=""),
    Column("quarantined_at", Utc),
    Column("quarantined_revision", Integer, nullable=False, default=0),
)
RECEIVERS = Table(
    "tars_ops_receivers",
    TABLES,
    Column("receiver", String(40), primary_key=True),
    Column("known_since_at", Utc, nullable=False),  # what was over before is no news for it
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("failing_since_at", Utc),
    Column("next_at", Utc),
    Column("last_error", Text, nullable=False, default=""),
    Column("lease_holder", String(64)),
    Column("lease_until_at", Utc),
)
CLAIMS = Table(
    "tars_ops_claims",
    TABLES,
    Column("key", String(500), primary_key=True),
    Column("until_at", Utc, nullable=False),
    Index("tars_ops_claims_until_at", "until_at"),
)
BASES = Table(
    "tars_ops_bases",
    TABLES,
    Column("release", String(100), primary_key=True),
    Column("basis", String(64), nullable=False),  # what the standing alerts were derived from
)
