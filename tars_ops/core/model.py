"""What is every named value of this project made of?

One base class: frozen, refusing unknown keys and NaN. ``None`` means unknown; it is never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """A value: immutable, closed to unknown keys, without NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the fields alone: what was derived from them and kept does not hold for others."""
        copied = super().model_copy(update=update, deep=deep)
        kept = vars(copied)
        for name in kept.keys() - type(copied).model_fields.keys():
            del kept[name]
        return copied


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        msg = f"{instant.isoformat()} has no time zone; write it in UTC, for example {instant.isoformat()}Z"
        raise ValueError(msg)
    return instant.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_utc)]
"""A moment in UTC; a stamp without a zone is refused."""

Ratio = Annotated[float, Field(gt=0, lt=1)]
"""A share of one, never a percentage: 99.9 % is ``0.999``."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A share of one that may be nothing or all."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in lower-case hexadecimal."""
