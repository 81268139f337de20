"""What the scan behind trading_ahead keeps of an instrument: how many of each, and their fields."""

from __future__ import annotations

from typing import Final

from ingest.events import NULL

# Instruction in flight; the held order in flight; places in the rings; counts of the rate.
I_SEQ, I_RECEIVED, I_LATE, I_COUNTED, MADE, PRICES, CAME_CLIENT, CAME_MAKER = range(8)
C_SEQ, C_ENTRY, C_ACCOUNT, C_ROLE, C_SIDE, C_LIMIT, C_FROM, C_RELEASED, C_LOTS, C_OPEN = range(
    8, 18
)
C_LAST_SEQ, C_LAST_NS, C_FILLS, C_FOK, C_DOUBT, C_LATE, C_WAY, C_USUAL, C_CLEAR = range(18, 27)
C_PASSED, C_EXPECTED, C_CLASS, C_CROSSED, C_AT_ONCE = range(27, 32)
C_OF_SIZE: Final = 32
"""Whether the hold is clear beside those of orders as large, too."""
BEGAN_NS, RATED_NS, HOLDS, OVERTAKEN, MAKERS, TESTS, STALLED = range(33, 40)
FIELDS: Final = 40
UNSEEN: Final = tuple(int(NULL) if f in (BEGAN_NS, RATED_NS) else 0 for f in range(FIELDS))
"""State of an instrument of which nothing has been seen."""

EXECUTIONS: Final = 512
"""Executions of the group, and aggressive ones of external makers, kept an instrument."""
E_SEQ, E_NS, E_SIDE, E_PRICE, E_LOTS, E_ACCOUNT, E_GROUP, E_ENTRY, E_RECEIVED = range(9)
E_TOOK, E_LATE, E_FROM, E_INCOMING, E_SINCE = range(9, 14)
EXECUTION_FIELDS: Final = 14
MOVED_KEPT: Final = 2048
"""Latest seqs of which the group's replacements are kept: seq, received_ns of what was first."""
PRICES_KEPT: Final = 256
"""Changes of the last price kept an instrument: columns ns, seq, price, incoming_seq."""
CAME_KEPT: Final = 128
"""Latest instructions of clients, and of external makers, kept: columns received_ns, origin."""
FILLS_KEPT: Final = 64
"""Prices at which one held order was filled that are kept."""

R_GROUP, R_MAKERS, R_GROUP_FAST, R_MAKERS_FAST = 0, 2, 4, 6  # each selling, then buying
EXPECTED, EXPECTED_MAKERS = range(8, 10)
RATES: Final = 10
SLOW_NS: Final = 3_600 * 10**9
FAST_NS: Final = 60 * 10**9
"""Memory of the rate of aggressive executions: the higher of an hour's and a minute's is usual."""

GATE, TRIGGER, RFQ = range(3)
"""Where an order was held."""
HEAD, EXECUTION, FILL = range(3)
"""Kinds of rows written."""
OUT_FIELDS: Final = 35
OUT_ROWS: Final = 2048
