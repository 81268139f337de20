"""Whether an order that leaves was taken away by a rule of the venue: no choice of its owner's."""

from __future__ import annotations

from ingest.compiled import kernel
from ingest.events import Reason

_FIRST, _AFTER = int(Reason.MMP), int(Reason.OTHER)


@kernel()
def is_forced(reason: int) -> bool:
    """Return whether it is maker protection, a disconnect, a kill, self-trade prevention or such.

    >>> is_forced(int(Reason.KILL)), is_forced(int(Reason.USER)), is_forced(int(Reason.OTHER))
    (True, False, False)
    """
    return _FIRST <= reason < _AFTER
