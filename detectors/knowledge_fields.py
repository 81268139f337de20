"""What is kept of an instrument by `detectors.knowledge_kernel`, and what it reads and writes."""

from __future__ import annotations

from typing import Final

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "engine_ns", "received_ns", "account", "owner",
    "originator", "role", "in_complex", "side", "type", "tif", "quantity", "price", "phase",
    "coverage", "busts_hi", "busts_lo", "incoming_seq", "incoming_received_ns", "buy_account",
    "buy_complex", "sell_account", "sell_complex", "leaves_before", "entry_seq",
)  # fmt: skip
ACTS: Final = 128
"""Executions of the group kept an instrument."""
ORDERS: Final = 256
"""Client orders kept an instrument: what a usual size is, and who came before."""
QUOTES: Final = 128
"""New resting orders of the group kept an instrument."""
FILLS: Final = 64
"""Trades of the group kept an instrument: what may have to be hedged."""
SIZES: Final = 192
"""Classes of size, four an octave."""
LIVE: Final = 64
"""Classes of how many orders of the group stood on a side."""
FEW: Final = 16
"""Client orders without which no size is usual."""
EXCESS: Final = 2.0
"""How many times what chance gives must be entered to rest in a day's windows for that to count:
where chance itself explains half, it says nothing, and is not written out."""

# Fields of an instrument's state.
FROM_NS, ON_DAY, ORDERS_MADE, FILLS_MADE, MADE, QUOTES_MADE, USUAL = range(7)
EXPOSED: Final = 7  # buying, selling: ns of windows of large episodes that day
WINDOWS: Final = 9  # likewise: how many
ALONE: Final = 11  # as EXPOSED and WINDOWS, of orders that are large by themselves
ALONE_WINDOWS: Final = 13
QUIET: Final = 15  # as EXPOSED and WINDOWS, of instructions that come a while after the last
QUIET_WINDOWS: Final = 17
STOOD: Final = 19  # orders of the group that stand in the book, entered since: to buy, to sell
G_SEQ, G_SIDE, G_LOTS = range(21, 24)  # its latest such order, and what is left of it
FIELDS: Final = 24

# Fields of an execution, all trades of one incoming instruction.
A_SEQ, A_RECEIVED, A_CLOCK, A_SIDE, A_ACCOUNT = range(5)
A_LOTS, A_PRICE, A_EXTRA, A_FIRST, A_LAST, A_DOUBT = range(5, 11)
ACT_FIELDS: Final = 11

# Fields of a client order; of its parent episode up to it: lots, windows not yet counted, how many
# those are, the same of quiet ones, one more than the class of size that the group entered to rest
# within these (0 = nothing), and whether it did anything in any.
R_CLOCK, R_OWNER, R_ORIGINATOR, R_SIDE, R_LOTS, R_PARENT = range(6)
R_EXPOSED, R_WINDOWS, R_QUIET, R_QUIETS, R_RESTED, R_HIT = range(6, 12)
ORDER_FIELDS: Final = 12

# Fields of a resting instruction; Q_MET: it has been counted as within a window; lots that were
# filled as it rested, and the first and last of these trades.
Q_SEQ, Q_RECEIVED, Q_CLOCK, Q_SIDE, Q_ACCOUNT, Q_LOTS, Q_PRICE, Q_DOUBT, Q_STOOD = range(9)
Q_MET, Q_FILLED, Q_FIRST, Q_LAST = range(9, 13)
QUOTE_FIELDS: Final = 13

OUT_FIELDS: Final = 42
"""Of what is written out: those of `detectors.knowledge.Known`."""
