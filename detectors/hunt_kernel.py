"""The compiled scan behind stop_hunting: who ran the price through which stops, who was there.

One pass over a batch keeps, for each instrument, the latest incoming orders that traded (flights),
the clients' stops that triggered lately, and open *runs*: stops of one side that one party's push
has triggered. A run is written out once its instrument's clock has passed its deadline.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.forced import is_forced
from detectors.hunt_hedge import traded
from detectors.hunt_push import initiated, leg_of, run_of
from detectors.hunt_quotes import (
    H_LIVE,
    Q_MADE,
    added_to,
    amended,
    away,
    behind_touch,
    come,
    gone,
    less,
    noted,
    place_of,
    quote_at,
    seen,
)
from detectors.hunt_reach import told as reach_told
from detectors.hunt_reach import took, triggered
from detectors.hunt_state import (
    CATCH,
    F_ACCOUNT,
    F_ADDED,
    F_ASK,
    F_BID,
    F_COMPLEX,
    F_DOUBT,
    F_EXTREME,
    F_FIRST,
    F_LAST,
    F_LOTS,
    F_MET,
    F_NS,
    F_ROLE,
    F_RUN,
    F_SEQ,
    F_SET,
    F_SIDE,
    F_STOP,
    FAR,
    FLIGHTS,
    H_COME_ADDED,
    H_COME_SEQ,
    H_COME_SET,
    H_FLIGHTS,
    H_LAST,
    H_LEGS,
    H_NEXT_NS,
    H_OPEN,
    H_SEEN_BUY,
    H_SEEN_OWN,
    H_SEEN_SELL,
    H_STOPS,
    H_TRIGGER,
    L_ACCOUNT,
    L_FIRST,
    L_KIND,
    L_LAST,
    L_LOTS,
    L_NS,
    L_PRICE,
    L_RUN,
    L_SEQ,
    LEGS,
    NEAR,
    R_ASK,
    R_BACK,
    R_BID,
    R_CAUGHT,
    R_DOUBT,
    R_DUE,
    R_FILLED,
    R_FROM_NS,
    R_INSTRUMENT,
    R_KNOWN_NS,
    R_LAST_NS,
    R_NUMBER,
    R_PEAK,
    R_REACH,
    R_SIDE,
    R_STOPS,
    RUNS,
    S_ACCOUNT,
    S_CAUGHT,
    S_COST,
    S_DUE,
    S_ENTRY,
    S_FILLED,
    S_NS,
    S_RUN,
    S_SEQ,
    S_SIDE,
    SAMPLE_NS,
    STOP,
    STOPS,
    TAKE,
)
from detectors.ring_buffer import place_of_seq
from detectors.rows import write
from ingest.compiled import kernel
from ingest.events import NULL, Array, Kind, OrderType, Phase, Role, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "account", "role", "in_complex", "side", "price",
    "quantity", "leaves", "phase", "coverage", "busts_hi", "busts_lo", "incoming_seq", "entry_seq",
    "lifetime_ns", "best_bid", "best_ask", "leaves_before", "buy_account", "sell_account",
    "buy_complex", "sell_complex", "type", "tif", "order_lo", "replaces_lo", "buy_lo", "sell_lo",
    "buy_role", "sell_role", "reason",
)  # fmt: skip

_NULL: Final = int(NULL)
_TRIGGER, _STATUS, _TRADE = int(Kind.TRIGGER), int(Kind.STATUS), int(Kind.TRADE)
_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_NEW, _REPLACE = int(Kind.NEW), int(Kind.REPLACE)
_CANCEL, _EXPIRE, _REJECT = int(Kind.CANCEL), int(Kind.EXPIRE), int(Kind.REJECT)
_BOOK: Final = int(Kind.BOOK)
_LIMIT, _NO_TYPE = int(OrderType.LIMIT), int(OrderType.NONE)
_IOC, _FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
_MAKER: Final = int(Role.AFFILIATED_MM)
_CLIENT, _EXTERNAL_MM = int(Role.CLIENT), int(Role.EXTERNAL_MM)


@kernel()
def _is_near(run: Array, stop: Array, lead_ns: int) -> bool:
    """Return whether a stop triggered on a run's side, in its time or shortly before."""
    return bool(
        stop[S_SIDE] == run[R_SIDE] and run[R_FROM_NS] - lead_ns <= stop[S_NS] <= run[R_LAST_NS]
    )


@kernel()
def _clustered(run: Array, made: int, stops: Array, lead_ns: int) -> int:
    """Return how many stops may make a cluster: those that the run triggered, and those near."""
    found = 0
    for at in range(min(made, STOPS)):
        stop = stops[at]
        found += stop[S_RUN] == run[R_NUMBER] or _is_near(run, stop, lead_ns)
    return found


@kernel()
def _due(  # noqa: PLR0917
    x: int, now_ns: int, lead_ns: int, horizon_ns: int, own: Array, runs: Array, stops: Array,
    legs: Array, reach: Array, least: int, out: Array, out_legs: Array, written: int, told: int,
) -> tuple[int, int]:  # fmt: skip
    """Write out the runs whose deadline lies before now, soonest first; return rows written.

    Legs only of those that may have run a cluster.
    """
    while True:
        at = -1
        for place in range(RUNS):
            run = runs[place]
            if run[R_NUMBER] != 0 and now_ns > run[R_LAST_NS] + horizon_ns:
                earlier = at >= 0 and (run[R_LAST_NS], run[R_NUMBER]) > (
                    runs[at, R_LAST_NS], runs[at, R_NUMBER],
                )  # fmt: skip
                if not earlier:
                    at = place
        if at < 0:
            break
        run = runs[at]
        write(out[written], run)
        out[written, R_INSTRUMENT] = x  # in the state no row tells its code: that may change
        out[written, R_KNOWN_NS] = now_ns
        reach_told(reach, least, now_ns, out[written, R_REACH:])
        clustered = _clustered(run, own[H_STOPS], stops, lead_ns)
        for back in range(min(own[H_LEGS], LEGS) if clustered >= least else 0, 0, -1):
            leg = legs[(own[H_LEGS] - back) % LEGS]
            if leg[L_RUN] == run[R_NUMBER]:
                write(out_legs[told], leg)
                out_legs[told, L_RUN] = written
                told += 1
        for back in range(min(own[H_STOPS], STOPS) if clustered >= least else 0, 0, -1):
            stop = stops[(own[H_STOPS] - back) % STOPS]
            here = stop[S_RUN] == run[R_NUMBER]
            if here or _is_near(run, stop, lead_ns):
                leg = out_legs[told]
                leg[L_RUN], leg[L_KIND] = written, STOP if here else NEAR
                leg[L_SEQ] = stop[S_SEQ] if here else stop[S_NS]
                leg[L_FIRST], leg[L_LAST] = stop[S_ENTRY], stop[S_FILLED]
                leg[L_ACCOUNT], leg[L_LOTS] = stop[S_ACCOUNT], stop[S_CAUGHT]
                leg[L_PRICE], leg[L_NS] = stop[S_COST], stop[S_DUE]
                told += 1
        written += 1
        run[R_NUMBER] = 0
        own[H_OPEN] -= 1
    next_ns = np.int64(FAR)
    for place in range(RUNS):
        if runs[place, R_NUMBER] != 0:
            next_ns = min(next_ns, runs[place, R_LAST_NS] + horizon_ns)
    own[H_NEXT_NS] = next_ns
    return written, told


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    times: Array,
    head: Array,
    flights: Array,
    stops: Array,
    legs: Array,
    runs: Array,
    quotes: Array,
    past: Array,
    usual: Array,
    sizes: Array,
    habit: Array,
    own_habit: Array,
    reach: Array,
    net: Array,
    fills: Array,
    lost: Array,
    out: Array,
    out_legs: Array,
) -> tuple[int, int, int]:
    """Scan rows from `first`; return (row to go on from, runs written, legs written).

    It stops early when `out` or `out_legs` might not hold what falls due; the caller empties them.
    `times`: longest pause within a push, longest push, longest time before it at which an order
    that catches is entered, horizon after the last trigger, ns; stops that make a cluster; time
    within which a hedge is made, ns.
    """
    (
        kind, instrument, seq, clock, account, role, in_complex, side, price,
        quantity, leaves, phase, coverage, busts_hi, busts_lo, incoming, entry,
        lifetime, best_bid, best_ask, leaves_before, buyer, seller,
        buy_complex, sell_complex, order_type, tif, order_id, replaces, buy_id, sell_id,
        buy_role, sell_role, reason,
    ) = columns  # fmt: skip
    pause_ns, push_ns, lead_ns, horizon_ns = times[0], times[1], times[2], times[3]
    least, hedge_ns = times[4], times[5]
    written, told = 0, 0
    for i in range(first, len(kind)):
        x = instrument[i]
        own = head[x]
        k = kind[i]
        if own[H_OPEN] > 0:
            if clock[i] > own[H_NEXT_NS]:
                if written + RUNS > len(out) or told + LEGS + RUNS * STOPS > len(out_legs):
                    return i, written, told
                written, told = _due(
                    x, clock[i], lead_ns, horizon_ns, own, runs[x], stops[x], legs[x], reach[x],
                    least, out, out_legs, written, told,
                )  # fmt: skip
            if k != _TRADE:
                left, place = own[H_OPEN], RUNS - 1  # the last free place is taken first
                while left > 0 and place >= 0:
                    if runs[x, place, R_NUMBER] != 0:
                        left -= 1
                        way = runs[x, place, R_SIDE]
                        touch = best_ask[i] if way > 0 else best_bid[i]
                        if touch != _NULL and way * touch < runs[x, place, R_BACK]:
                            runs[x, place, R_BACK] = way * touch
                    place -= 1
        if k == _TRADE:
            flying = incoming[i]
            made = np.int64(0)
            busts = busts_hi[i] != 0 or busts_lo[i] != 0
            if not busts and (buy_complex[i] != 0 or sell_complex[i] != 0):
                kept = quotes[x]
                resting = sell_id[i] if side[i] > 0 else buy_id[i]
                at = quote_at(own, kept, np.int64(resting))
                made = kept[at, Q_MADE] if at >= 0 else np.int64(0)
                if buy_complex[i] != 0:
                    less(own, kept, np.int64(buy_id[i]), quantity[i], clock[i])
                if sell_complex[i] != 0:
                    less(own, kept, np.int64(sell_id[i]), quantity[i], clock[i])
            if flying == 0 or busts or phase[i] != _CONTINUOUS:
                continue
            buying = side[i] > 0
            newest = flights[x, (own[H_FLIGHTS] - 1) % FLIGHTS]
            if own[H_FLIGHTS] == 0 or newest[F_SEQ] != flying:
                newest = flights[x, own[H_FLIGHTS] % FLIGHTS]
                own[H_FLIGHTS] += 1
                newest[F_SEQ], newest[F_NS], newest[F_SIDE] = flying, clock[i], side[i]
                newest[F_ACCOUNT] = buyer[i] if buying else seller[i]
                newest[F_COMPLEX] = buy_complex[i] if buying else sell_complex[i]
                newest[F_ROLE] = buy_role[i] if buying else sell_role[i]
                newest[F_LOTS], newest[F_EXTREME], newest[F_FIRST] = 0, price[i], seq[i]
                newest[F_BID], newest[F_ASK] = best_bid[i], best_ask[i]
                newest[F_RUN], newest[F_DOUBT], newest[F_MET] = 0, 0, 0
                if flying == own[H_COME_SEQ]:
                    newest[F_ADDED], newest[F_SET] = own[H_COME_ADDED], own[H_COME_SET]
                else:
                    newest[F_ADDED], newest[F_SET] = added_to(
                        own, quotes[x], past[x], usual[x], -side[i], clock[i], lead_ns
                    )
                    due = H_SEEN_BUY if buying else H_SEEN_SELL
                    if clock[i] >= own[due] and newest[F_COMPLEX] == 0:
                        own[due] = clock[i] + SAMPLE_NS
                        seen(habit[x], newest[F_ADDED])
                if newest[F_COMPLEX] != 0 and clock[i] >= own[H_SEEN_OWN]:
                    own[H_SEEN_OWN] = clock[i] + SAMPLE_NS
                    seen(own_habit[x], newest[F_ADDED] * newest[F_SET])
                at = place_of_seq(stops[x], own[H_STOPS], S_SEQ, flying)
                newest[F_STOP] = 1 if at >= 0 or flying == own[H_TRIGGER] else 0
                if flying == own[H_TRIGGER]:
                    newest[F_RUN] = stops[x, at, S_RUN] if at >= 0 else 0
            if buy_complex[i] != sell_complex[i]:
                lots = quantity[i] if buy_complex[i] != 0 else -quantity[i]
                traded(net[x], fills[x], flying, lots, clock[i], hedge_ns)
            took(
                reach[x], least, flying, side[i], newest[F_COMPLEX] != 0, newest[F_STOP] != 0,
                price[i], clock[i],
            )  # fmt: skip
            newest[F_LOTS] += quantity[i]
            newest[F_LAST] = seq[i]
            newest[F_DOUBT] |= coverage[i]
            if side[i] * (price[i] - newest[F_EXTREME]) > 0:
                newest[F_EXTREME] = price[i]
            if own[H_STOPS] == 0:
                continue
            oldest = stops[x, max(0, own[H_STOPS] - STOPS) % STOPS, S_SEQ]
            hunted, mine = side[i], flying
            if flying != own[H_TRIGGER]:
                hunted, mine = -side[i], entry[i]  # perhaps a stop-limit that rests since
            newest[F_MET] = 0
            if mine < oldest:
                continue
            at = place_of_seq(stops[x], own[H_STOPS], S_SEQ, mine)
            if at < 0:
                continue
            stop = stops[x, at]
            here = run_of(runs[x], stop[S_RUN])
            if here < 0:
                continue
            run = runs[x, here]
            newest[F_MET] = run[R_NUMBER] if flying != mine else 0
            run[R_FILLED] += quantity[i]
            if hunted * (price[i] - run[R_PEAK]) > 0:
                run[R_PEAK] = price[i]
            run[R_DOUBT] |= coverage[i]
            stop[S_FILLED] += quantity[i]
            if run[R_BID] != _NULL and run[R_ASK] != _NULL:
                stop[S_COST] += hunted * (2 * price[i] - run[R_BID] - run[R_ASK]) * quantity[i]
            caught = sell_complex[i] if hunted > 0 else buy_complex[i]
            other = seller[i] if hunted > 0 else buyer[i]
            if caught != 0:
                run[R_CAUGHT] += quantity[i]
                stop[S_CAUGHT] += quantity[i]
                rested = flying == mine
                taken = not rested and clock[i] - run[R_LAST_NS] <= push_ns
                from_ns = np.int64(0)
                if rested and made == entry[i] and lifetime[i] != _NULL:
                    from_ns = clock[i] - lifetime[i]
                leg_of(
                    own, legs[x], runs[x], lost, run[R_NUMBER], TAKE if taken else CATCH, seq[i],
                    entry[i] if rested else flying, from_ns, other, quantity[i], price[i],
                    clock[i],
                )  # fmt: skip
        elif k == _TRIGGER:
            own[H_TRIGGER] = seq[i]
            if (
                phase[i] != _CONTINUOUS
                or not _CLIENT <= role[i] <= _EXTERNAL_MM
                or in_complex[i] != 0
            ):
                continue
            triggered(reach[x], side[i], clock[i])
            at = initiated(
                own, flights[x], runs[x], legs[x], habit[x], own_habit[x], net[x],
                lost, side[i], clock[i], pause_ns, push_ns, hedge_ns,
            )  # fmt: skip
            stop = stops[x, own[H_STOPS] % STOPS]
            if own[H_STOPS] >= STOPS and run_of(runs[x], stop[S_RUN]) >= 0:
                lost[0] += 1
                runs[x, run_of(runs[x], stop[S_RUN]), R_DOUBT] = 1
            own[H_STOPS] += 1
            due = leaves[i] if leaves[i] != _NULL else max(0, leaves_before[i])
            stop[S_SEQ], stop[S_ENTRY], stop[S_ACCOUNT] = seq[i], entry[i], account[i]
            stop[S_FILLED], stop[S_CAUGHT], stop[S_COST] = 0, 0, 0
            stop[S_RUN], stop[S_DUE], stop[S_SIDE], stop[S_NS] = 0, due, side[i], clock[i]
            if at < 0:
                continue
            run = runs[x, at]
            stop[S_RUN] = run[R_NUMBER]
            run[R_STOPS] += 1
            run[R_DUE] += due
            run[R_DOUBT] |= coverage[i]
            run[R_LAST_NS], run[R_BACK] = clock[i], FAR
            own[H_NEXT_NS] = min(own[H_NEXT_NS] if own[H_OPEN] > 1 else FAR, clock[i] + horizon_ns)
        elif k == _STATUS:
            own[H_FLIGHTS], own[H_TRIGGER] = 0, 0
        if k != _TRADE and in_complex[i] != 0:
            kept = quotes[x]
            order = np.int64(order_id[i])
            at = quote_at(own, kept, order)
            lane = 0 if role[i] == _MAKER else 1
            behind = behind_touch(side[i], price[i], best_bid[i], best_ask[i])
            if k in (_NEW, _REPLACE) and side[i] != 0:
                touch = best_ask[i] if side[i] > 0 else best_bid[i]
                meets = price[i] == _NULL or side[i] * (price[i] - touch) >= 0
                if touch != _NULL and meets:
                    own[H_COME_SEQ] = seq[i]
                    own[H_COME_ADDED], own[H_COME_SET] = added_to(
                        own, kept, past[x], usual[x], -side[i], clock[i], lead_ns
                    )
            if k in (_NEW, _BOOK):
                if k == _NEW and replaces[i] != 0:
                    away(own, kept, quote_at(own, kept, np.int64(replaces[i])), clock[i])
                if order_type[i] in (_LIMIT, _NO_TYPE) and tif[i] not in (_IOC, _FOK):
                    lots = leaves[i] if leaves[i] != _NULL else quantity[i]
                    come(
                        own, kept, sizes[x], lane, order, side[i], lots, price[i], behind, seq[i],
                        clock[i],
                    )  # fmt: skip
            elif k == _REPLACE:
                if leaves[i] != _NULL:
                    amended(own, kept, sizes[x], at, leaves[i], price[i], behind, clock[i])
            elif k in (_CANCEL, _EXPIRE):
                if k == _EXPIRE or is_forced(reason[i]):
                    gone(own, kept, at)  # by a rule of the venue, and no choice
                else:
                    away(own, kept, at, clock[i])
            elif k == _REJECT and own[H_LAST] == order:
                gone(own, kept, at)  # a post-only order in flight, and no refused amendment
            noted(own, past, x, clock[i], lead_ns)
            if side[i] != 0:
                place = place_of(lane, side[i])
                seen(usual[x, place], own[H_LIVE + place])
        if k != _TRADE:
            own[H_LAST] = np.int64(order_id[i])
    return len(kind), written, told
