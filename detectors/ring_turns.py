"""Whether members take turns with each other: who bought of a member last sells to one next."""

from __future__ import annotations

import math

import numpy as np

from detectors.ring_chance import too_often
from detectors.ring_tallies import Market, place_of
from ingest.compiled import njit
from ingest.events import Array


@njit(cache=True)
def habit(node: int, who: Array, first: int, end: int, market: Market) -> float:
    """Return how often an account turns round with others than members, at least one half.

    Of its meetings with them, those in which it does the opposite of what it did in the one before
    with another account (rule of succession: (hits + 1) / (trials + 2)).

    Parameters
    ----------
    node : int
    who : (k,) int64
        Members, ascending.
    first, end : int
        The while: meetings first to end - 1.
    """
    turned, tried, partner, bought = 0, 0, -1, False
    for k in range(place_of(node, first, market), place_of(node, end, market)):
        t = market.at[k]
        buys = market.dst[t] == node
        other = market.src[t] if buys else market.dst[t]
        at = np.searchsorted(who, other)
        if at < len(who) and who[at] == other:
            continue
        if partner >= 0 and partner != other:
            tried += 1
            turned += buys != bought
        partner, bought = other, buys
    return max(0.5, (turned + 1.0) / (tried + 2.0))


@njit(cache=True)
def take_turns(who: Array, rows: Array, first: int, end: int, market: Market) -> float:
    """Return the surprise of how often who bought of a member last sells to a member next.

    A meeting tells where its one side's last meeting with a member was a purchase or its other's
    a sale, and nothing speaks against it; of more than two members not where two meet again before
    either met another, for what is handed on in pieces. By chance each side turns round as often
    as it does with others (`habit`).

    Parameters
    ----------
    who : (k,) int64
        Members, ascending.
    rows : (m,) int64
        Meetings of members with each other, ascending; others than those of the span are left out.
    """
    odds = np.empty(len(who), np.float64)
    for i in range(len(who)):
        often = habit(who[i], who, first, end, market)
        odds[i] = math.log(often / (1.0 - often))
    met = np.full(len(who), -1, np.int64)
    last = np.zeros(len(who), np.int64)  # 1 it bought, -1 it sold
    told, sold, by_chance = 0, 0, 0.0
    for t in rows[np.searchsorted(rows, first) : np.searchsorted(rows, end)]:
        seller, buyer = np.searchsorted(who, market.src[t]), np.searchsorted(who, market.dst[t])
        against = last[seller] < 0 or last[buyer] > 0
        known = last[seller] != 0 or last[buyer] != 0
        crossed = last[seller] * last[buyer] > 0
        again = met[seller] == buyer and met[buyer] == seller and len(who) > 2
        if known and not crossed and not again:
            told += 1
            sold += not against
            both = abs(last[seller]) * odds[seller] + abs(last[buyer]) * odds[buyer]
            by_chance += 1.0 / (1.0 + math.exp(-both))
        met[seller], last[seller] = buyer, -1
        met[buyer], last[buyer] = seller, 1
    return too_often(float(sold), float(told), by_chance) if told else 0.0
