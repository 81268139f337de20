"""Executions of all instruments of an underlying, one by one, and client episodes meanwhile.

One compiled pass: `run` takes executions, in the order of event time, into the pools of their
underlyings, and stops at each that concerns a case: one in whose window there was another, one that
was sent within the window of another, or one that an open case waits for.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.across_trades import (
    GROUP,
    T_ACCOUNT,
    T_ACTOR,
    T_CLIENT,
    T_CLOCK,
    T_DOUBT,
    T_INCOMING,
    T_INSTRUMENT,
    T_LOTS,
    T_MAKER,
    T_ORIGINATOR,
    T_PRICE,
    T_RECEIVED,
    T_SEQ,
    T_SIDE,
    last_of,
)
from detectors.rows import write
from ingest.compiled import kernel, njit
from ingest.events import Array
from ingest.times import DAY

KEPT: Final = 512
"""Executions kept of the group, trades of all, and sizes of client instructions; an underlying."""
KEPT_OTHERS: Final = 1024
"""Executions kept of all others: an episode that pauses for longer than they reach is two."""
TRIES: Final = 256
"""Client instructions of which nothing was filled, kept an underlying: apart, so that nobody can
push executions out by them."""
FEW: Final = 16
"""Client instructions without which no size is usual; also how often it is computed anew."""
MOST_ACTS: Final = KEPT + 2 * KEPT_OTHERS + TRIES

# Fields of an execution, all trades of one incoming instruction; the last two are of a client's
# parent episode up to it: windows that the day does not count yet, and how many those are.
E_INSTRUMENT, E_SEQ, E_RECEIVED, E_CLOCK, E_SIDE, E_ACCOUNT, E_ACTOR, E_PRICE = range(8)
E_FIRST, E_LAST, E_DOUBT, E_ORIGINATOR, E_CLIENT, E_EXPOSED, E_WINDOWS = range(8, 15)
EXECUTION_FIELDS: Final = 15
AMOUNT, PARENT = range(2)
"""Base units: of an execution (of a try 0), and of the client's parent episode up to it."""

# Fields of a pool.
P_SINCE, P_DAY, P_CLIENTS, P_GROUP, P_OTHERS, P_FILLS, P_TRIES = range(7)
P_EXPOSED: Final = 7  # clients selling, buying: length of the day's windows of large episodes, ns
P_WINDOWS: Final = 9  # likewise: how many
POOL_FIELDS: Final = 11

# Fields of an open case.
C_POOL, C_CLIENT, C_ORIGINATOR, C_SIDE, C_ACTOR, C_TRADED, C_DUE, C_LAPSES, C_UNWINDS = range(9)
CASE_FIELDS: Final = 9


@kernel()
def rates(  # noqa: PLR0917
    kept: Array, amounts: Array, made: int, since_ns: int, actor: int, at_ns: int, least: float,
    local_ns: int,
) -> tuple[float, float]:  # fmt: skip
    """Return how often one executes at least so much, selling and buying, per ns.

    The greater of the rate over all that is kept and that of the last `local_ns`; where all that is
    kept came later, of that.
    """
    room = len(kept)
    if made >= room:
        since_ns = kept[made % room, E_CLOCK]
        if at_ns <= since_ns:
            at_ns = kept[(made - 1) % room, E_CLOCK] + 1
    sold = bought = sold_lately = bought_lately = 0
    for at in range(min(made, room)):
        other = kept[at]
        if other[E_ACTOR] == actor and other[E_CLOCK] < at_ns and amounts[at, AMOUNT] >= least:
            lately = at_ns - other[E_CLOCK] <= local_ns
            if other[E_SIDE] > 0:
                bought += 1
                bought_lately += lately
            else:
                sold += 1
                sold_lately += lately
    span_ns = max(at_ns - since_ns, 1)
    return (
        max((sold + 1) / span_ns, sold_lately / local_ns),
        max((bought + 1) / span_ns, bought_lately / local_ns),
    )


@kernel()
def _same(kept: Array, made: int, instrument: int, seq: int) -> int:
    """Return where the rest of an execution belongs, or -1."""
    room = len(kept)
    for back in range(1, min(made, FEW) + 1):
        at = (made - back) % room
        if kept[at, E_SEQ] == seq and kept[at, E_INSTRUMENT] == instrument:
            return at
    return -1


@kernel()
def _episode(  # noqa: PLR0917
    kept: Array, made: int, actor: int, originator: int, side: int, since_ns: int
) -> int:
    """Return where the latest execution of a client's episode stands, or -1."""
    room = len(kept)
    for back in range(1, min(made, room) + 1):
        at = (made - back) % room
        other = kept[at]
        if other[E_CLOCK] < since_ns:
            break
        if (
            other[E_CLIENT] and other[E_ACTOR] == actor
            and other[E_ORIGINATOR] == originator and other[E_SIDE] == side
        ):  # fmt: skip
            return at
    return -1


@kernel()
def _meanwhile(  # noqa: PLR0917
    kept: Array, amounts: Array, made: int, since_ns: int, first: Array, delta: int, local_ns: int,
    acts: Array, of_acts: Array, written: int,
) -> int:  # fmt: skip
    """Write what others executed on a client's side between δ after its arrival and its matching.

    The group in the client's own instrument is another detector's. `of_acts`: the amount, and how
    often the same executes at least as much on that side, per ns.
    """
    room = len(kept)
    for back in range(1, min(made, room) + 1):
        at = (made - back) % room
        other = kept[at]
        if other[E_CLOCK] < first[T_RECEIVED]:
            break
        if (
            other[E_SIDE] != first[T_SIDE]
            or other[E_RECEIVED] <= first[T_RECEIVED] + delta
            or other[E_RECEIVED] >= first[T_CLOCK]
            or other[E_ACTOR] == first[T_ACTOR]
            or other[E_INSTRUMENT] < 0
            or (other[E_ACTOR] == GROUP and other[E_INSTRUMENT] == first[T_INSTRUMENT])
        ):
            continue
        sell, buy = rates(
            kept, amounts, made, since_ns, other[E_ACTOR], first[T_RECEIVED], amounts[at, AMOUNT],
            local_ns,
        )  # fmt: skip
        write(acts[written], other)
        of_acts[written, 0] = amounts[at, AMOUNT]
        of_acts[written, 1] = buy if first[T_SIDE] > 0 else sell
        written += 1
    return written


@kernel()
def _matched_before(  # noqa: PLR0917
    clients: tuple[Array, Array, int], beside: tuple[Array, Array, int], group: Array,
    amounts: Array, made: int, since_ns: int, first: Array, amount: float, delta: int,
    local_ns: int, acts: Array, of_acts: Array, written: int,
) -> int:  # fmt: skip
    """Write clients' executions on the group's side, matched more than δ after it sent its own.

    But before that was matched. Of others only who overtook counts: of two clients who answer the
    same news through a slow gateway each second one is sent while the first waits.

    `clients`: executions of clients among others, their amounts, how many; `beside`: tries, or the
    other way round, with which they make episodes. `of_acts`: as `_meanwhile`, of the execution
    itself; and what the client's parent episode has. A window of the day before is none of the
    day's, by which it would be judged.
    """
    waited, of_waited, count = clients
    room = len(waited)
    for back in range(1, min(count, room) + 1):
        at = (count - back) % room
        other = waited[at]
        if other[E_CLOCK] <= first[T_RECEIVED] + delta:
            break
        if other[E_CLOCK] // DAY != first[T_CLOCK] // DAY:
            continue
        if (
            not other[E_CLIENT]
            or other[E_SIDE] != first[T_SIDE]
            or other[E_CLOCK] > first[T_CLOCK]
            or first[T_RECEIVED] <= other[E_RECEIVED] + delta
            or other[E_INSTRUMENT] < 0
            or other[E_INSTRUMENT] == first[T_INSTRUMENT]
        ):
            continue
        sell, buy = rates(
            group, amounts, made, since_ns, GROUP, other[E_RECEIVED], amount, local_ns
        )
        write(acts[written], other)
        of_acts[written, 0] = amount
        of_acts[written, 1] = buy if first[T_SIDE] > 0 else sell
        actor, originator = other[E_ACTOR], other[E_ORIGINATOR]
        side, since = other[E_SIDE], other[E_CLOCK]
        newest = _episode(waited, count, actor, originator, side, since)
        of_acts[written, 2] = of_waited[newest, PARENT]
        later = _episode(beside[0], beside[2], actor, originator, side, since)
        if later >= 0 and beside[0][later, E_CLOCK] > waited[newest, E_CLOCK]:
            of_acts[written, 2] = beside[1][later, PARENT]
        written += 1
    return written


@kernel()
def _concerned(cases: Array, pool: int, first: Array) -> bool:
    """Return whether an open case waits for an execution: to be unwound, marked or extended."""
    for case in cases:
        if case[C_POOL] != pool:
            continue
        if case[C_DUE] < first[T_CLOCK] and (
            case[C_TRADED] == first[T_INSTRUMENT] or case[C_LAPSES] < first[T_CLOCK]
        ):
            return True
        if (
            case[C_UNWINDS] and case[C_ACTOR] == first[T_ACTOR]
            and case[C_TRADED] == first[T_INSTRUMENT] and case[C_SIDE] == -first[T_SIDE]
        ):  # fmt: skip
            return True
        if (
            first[T_CLIENT] and case[C_CLIENT] == first[T_ACTOR]
            and case[C_ORIGINATOR] == first[T_ORIGINATOR] and case[C_SIDE] == first[T_SIDE]
        ):  # fmt: skip
            return True
    return False


@kernel()
def _filled(trades: Array, pool_of: Array, lot: Array, state: tuple[Array, ...]) -> None:
    """Take in what both sides of trades have traded."""
    pools, fills, filled = state[0], state[6], state[7]
    for trade in trades:
        if trade[T_LOTS] == 0:
            continue
        x = pool_of[trade[T_INSTRUMENT]]
        amount = trade[T_SIDE] * (trade[T_LOTS] * lot[trade[T_INSTRUMENT]])
        for who, way in ((T_MAKER, -1.0), (T_ACTOR, 1.0)):
            at = pools[x, P_FILLS] % KEPT
            fills[x, at, 0], fills[x, at, 1] = trade[T_CLOCK], trade[who]
            filled[x, at] = way * amount
            pools[x, P_FILLS] += 1


@njit(cache=True)
def _taken(  # noqa: PLR0917
    done: Array, amount: float, x: int, times: tuple[int, int, int], large_ratio: float,
    state: tuple[Array, ...], acts: Array, of_acts: Array,
) -> tuple[int, int, float]:  # fmt: skip
    """Take an execution into its pool.

    Return the acts in its window, with these the clients in whose windows it was sent though they
    were matched before it, and its client's episode.
    """
    pools, usual, group, group_amounts, others, others_amounts, _, _, sizes, tries, tried = state
    delta, gap_ns, local_ns = times
    pool, first = pools[x], done[0]
    kept, amounts, count = others[x], others_amounts[x], P_OTHERS
    if first[T_ACTOR] == GROUP:
        kept, amounts, count = group[x], group_amounts[x], P_GROUP
    elif amount == 0:
        kept, amounts, count = tries[x], tried[x], P_TRIES
    written, parent, before = 0, 0.0, -1
    last, last_amounts = others[x], others_amounts[x]
    if first[T_CLIENT]:
        since = first[T_CLOCK] - gap_ns
        actor, originator, side = first[T_ACTOR], first[T_ORIGINATOR], first[T_SIDE]
        before = _episode(others[x], pool[P_OTHERS], actor, originator, side, since)
        attempt = _episode(tries[x], pool[P_TRIES], actor, originator, side, since)
        if attempt >= 0 and (before < 0 or tries[x, attempt, E_CLOCK] >= last[before, E_CLOCK]):
            before, last, last_amounts = attempt, tries[x], tried[x]
        parent = amount + (last_amounts[before, PARENT] if before >= 0 else 0.0)
    instrument, seq = first[T_INSTRUMENT], first[T_INCOMING]
    if amount == 0 and _same(others[x], pool[P_OTHERS], instrument, seq) >= 0:
        return 0, 0, parent  # the end of one that was filled in part
    rest_of = _same(kept, pool[count], instrument, seq)
    if rest_of >= 0:
        amounts[rest_of, AMOUNT] += amount
        if before >= 0:
            last_amounts[before, PARENT] = parent
        return 0, 0, parent
    exposed = windows = 0
    if first[T_CLIENT]:
        if before >= 0:
            exposed, windows = last[before, E_EXPOSED], last[before, E_WINDOWS]
        window = first[T_CLOCK] - first[T_RECEIVED] - delta
        if window > 0:
            exposed += window
            windows += 1
            written = _meanwhile(
                group[x], group_amounts[x], pool[P_GROUP], pool[P_SINCE], first, delta, local_ns,
                acts, of_acts, 0,
            )  # fmt: skip
            written = _meanwhile(
                others[x], others_amounts[x], pool[P_OTHERS], pool[P_SINCE], first, delta, local_ns,
                acts, of_acts, written,
            )  # fmt: skip
        if usual[x] > 0 and parent >= large_ratio * usual[x]:
            s = 1 if first[T_SIDE] > 0 else 0
            pool[P_EXPOSED + s] += exposed
            pool[P_WINDOWS + s] += windows
            exposed = windows = 0
        if amount > 0:
            sizes[x, pool[P_CLIENTS] % KEPT] = amount
            pool[P_CLIENTS] += 1
            if pool[P_CLIENTS] % FEW == 0:
                known = np.sort(sizes[x, : min(pool[P_CLIENTS], KEPT)])
                usual[x] = known[(len(known) - 1) // 2]
    met = written
    if first[T_ACTOR] == GROUP:
        filled = (others[x], others_amounts[x], pool[P_OTHERS])
        in_vain = (tries[x], tried[x], pool[P_TRIES])
        for clients, beside in ((filled, in_vain), (in_vain, filled)):
            met = _matched_before(
                clients, beside, kept, amounts, pool[count], pool[P_SINCE], first, amount, delta,
                local_ns, acts, of_acts, met,
            )  # fmt: skip
    at = pool[count] % len(kept)
    row = kept[at]
    row[E_INSTRUMENT], row[E_SEQ] = first[T_INSTRUMENT], first[T_INCOMING]
    row[E_RECEIVED], row[E_CLOCK] = first[T_RECEIVED], first[T_CLOCK]
    row[E_SIDE], row[E_ACCOUNT] = first[T_SIDE], first[T_ACCOUNT]
    row[E_ACTOR], row[E_PRICE] = first[T_ACTOR], first[T_PRICE]
    row[E_FIRST], row[E_LAST] = first[T_SEQ], last_of(done)
    row[E_DOUBT] = done[:, T_DOUBT].max()
    row[E_ORIGINATOR], row[E_CLIENT] = first[T_ORIGINATOR], first[T_CLIENT]
    row[E_EXPOSED], row[E_WINDOWS] = exposed, windows
    amounts[at, AMOUNT], amounts[at, PARENT] = amount, parent
    pool[count] += 1
    return written, met, parent


@kernel()
def run(  # noqa: PLR0917
    trades: Array,
    spans: Array,
    first_span: int,
    pool_of: Array,
    lot: Array,
    times: tuple[int, int, int],
    large_ratio: float,
    state: tuple[Array, ...],
    cases: Array,
    acts: Array,
    of_acts: Array,
) -> tuple[int, int, int, float, float]:
    """Take in executions up to one that concerns a case.

    Parameters
    ----------
    trades : Array
        Trades; those of one execution together.
    spans : Array
        First and end row of each execution, in the order of event time.
    first_span : int
        The first to be taken. What the one before it filled is taken in now: the case that it
        concerns was judged by what had been filled before.
    pool_of, lot : Array
        By instrument: its pool, and its lot in base units.
    times : tuple of int
        δ, the gap that ends an episode, and what is lately, ns.

    Returns
    -------
    span : int
        The one after that which concerns a case; one more than there are when none does.
    written, met : int
        Rows of `acts` and `of_acts`: executions in its window, and up to where behind them clients'
        in whose windows it was sent.
    amount, parent : float
        What it executed, and what its client's episode has; 0 when it is no client's.
    """
    pools = state[0]
    for n in range(first_span, len(spans) + 1):
        if n > 0:
            _filled(trades[spans[n - 1, 0] : spans[n - 1, 1]], pool_of, lot, state)
        if n == len(spans):
            break
        done = trades[spans[n, 0] : spans[n, 1]]
        x = pool_of[done[0, T_INSTRUMENT]]
        day = done[0, T_CLOCK] // DAY
        if day != pools[x, P_DAY]:
            pools[x, P_DAY] = day
            pools[x, P_EXPOSED:] = 0
        amount = 0.0
        for trade in done:
            amount += trade[T_LOTS] * lot[trade[T_INSTRUMENT]]
        written, met, parent = _taken(done, amount, x, times, large_ratio, state, acts, of_acts)
        if met or _concerned(cases, x, done[0]):
            return n + 1, written, met, amount, parent
    return len(spans) + 1, 0, 0, 0.0, 0.0
