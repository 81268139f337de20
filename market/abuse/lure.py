"""Who believes in layers: clients that wait on their side, and fear to be left behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from market.abuse.base import Venue
from market.clients import Entry
from market.draws import unit
from market.loop import Port
from market.orders import Order

LED: Final = 0.7
"""Share of patient clients that would cross the spread if all displayed depth were on their side:
an imbalance of the book foretells its next move (Cont, Kukanov, Stoikov 2014, "The price impact of
order book events"), and who waits on the thick side fears to be left behind."""
NEAR_BPS: Final = 6.0
"""A layer so far from the touch is believed by 1/e."""
LEVELS: Final = 20
"""How many levels of the other side a client looks at."""


def is_led(venue: Venue, port: Port, entry: Entry, layers: Sequence[Order]) -> bool:
    """Return whether a client, about to wait on the layers' side, is led to cross the spread."""
    side, engine = entry.side, port.engine
    own, _ = venue.flows[engine.name].touch(side)
    shown = 0.0
    for layer in layers:
        if layer.live and layer.price is not None:
            away_bps = abs(own - layer.price) / own * 1e4
            shown += math.exp(-away_bps / NEAR_BPS) * layer.leaves
    book = engine.asks if side > 0 else engine.bids
    levels = [book.levels[key].front for key in book.keys[-LEVELS:]]
    depth = sum(order.shown for front in levels for order in front)
    return unit(venue.seed, entry.tag) < LED * shown / (shown + depth + 1)
