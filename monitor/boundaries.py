"""The points between two durable writes: where tests end the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Reach = Callable[[str], None]
"""Called at each named boundary between two writes; tests end the process there."""

BOUNDARIES: Final = (
    "claimed",
    "restored",
    "decided",
    "rejected",
    "committed",
    "summary sent",
    "archived",
    "snapshot kept",
    "offsets committed",
    "sent",
    "settled",
    "handed over",
    "trimmed",
)
"""Every point at which a crash leaves another mixture of what is durable and what is not."""
