"""What a number that a person may set says of itself."""

from __future__ import annotations

import msgspec


class Parameter(msgspec.Struct, frozen=True):
    """Meaning, unit and reason of one default; put in `Annotated` as metadata."""

    meaning: str
    unit: str
    reason: str
