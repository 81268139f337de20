"""The pass over trades: how each account's trading stands beside the group's, event by event."""

from __future__ import annotations

import math
from typing import Final

from detectors.hidden_state import (
    ABSENT,
    ACCOUNT,
    ACCOUNTS,
    AGAINST,
    ALIKE,
    BEGAN_NS,
    CITED,
    COUNTED,
    DOUBT,
    ENDED_NS,
    EVENTS,
    EVER,
    FIRST_SEQ,
    FRESH,
    GROUP,
    INCOMING,
    LAST_NS,
    LAST_TAKER,
    LOTS,
    MAKER,
    MAKERS,
    MET,
    N_ACCOUNTS,
    NET,
    P_CLOCK,
    P_CODE,
    P_DOUBT,
    P_INCOMING,
    P_LOTS,
    P_SEQ,
    P_SIDE,
    QUICK,
    RESTED,
    RESTER,
    RESTS,
    RUN,
    RUN_G,
    RUN_M,
    RUN_N,
    RUNS,
    SCALES,
    SEQS,
    SLOTS,
    SUM_G,
    SUM_GG,
    SUM_GM,
    SUM_GN,
    SUM_M,
    SUM_MM,
    SUM_MN,
    SUM_N,
    SUM_NN,
    TAKEN,
    TAKER,
    TAKES,
    TRADED,
    TURNS,
    UNITS,
    W_ACCOUNT,
    W_GROUP,
    W_ROLE,
)
from ingest.compiled import njit
from ingest.events import Array, Role

RUN_GAP, QUICK_NS, ABSENT_NS, HALF_LIVES = range(4)
"""Places in the numbers that a pass is given, ns; the half-lives come last."""
_EXTERNAL_MM: Final = int(Role.EXTERNAL_MM)
NOBODY: Final = -1
TYPICAL: Final = 2_000.0
"""Instructions over which the usual size of a unit's remembered trading is averaged, at most."""
TELLING: Final = 0.5
"""Part of the largest value from which on an execution is worth citing: above the usual size."""
SPREAD: Final = 2_654_435_761
"""Knuth's multiplicative hash, 2**32 over the golden ratio."""


@njit(cache=True)
def _slot(index: Array, accounts: Array, account: int) -> int:
    """Return where an account stands in the table, or the free place where it would."""
    slot = account * SPREAD % SLOTS
    while index[slot] and accounts[index[slot] - 1, ACCOUNT] != account + 1:
        slot = (slot + 1) % SLOTS
    return int(slot)


@njit(cache=True)
def index_of(accounts: Array, index: Array) -> None:
    """Fill the table that finds accounts' rows."""
    index[:] = 0
    for row in range(ACCOUNTS):
        if accounts[row, ACCOUNT]:
            index[_slot(index, accounts, accounts[row, ACCOUNT] - 1)] = row + 1


@njit(cache=True)
def _least(accounts: Array) -> int:
    """Return the row of the account that traded least; of several, longest ago, or later first."""
    least = 0
    for row in range(1, ACCOUNTS):
        if accounts[row, EVENTS] != accounts[least, EVENTS]:
            less = accounts[row, EVENTS] < accounts[least, EVENTS]
        elif accounts[row, ENDED_NS] != accounts[least, ENDED_NS]:
            less = accounts[row, ENDED_NS] < accounts[least, ENDED_NS]
        else:
            less = accounts[row, FIRST_SEQ] > accounts[least, FIRST_SEQ]
        if less:
            least = row
    return least


@njit(cache=True)
def _row_of(  # noqa: PLR0917
    own: Array, accounts: Array, sums: Array, counts: Array, index: Array, lost: Array, account: int
) -> int:
    """Return an account's row, made for it if it has none."""
    slot = _slot(index, accounts, account)
    if index[slot]:
        return int(index[slot] - 1)
    if own[N_ACCOUNTS] < ACCOUNTS:
        row = own[N_ACCOUNTS]
        own[N_ACCOUNTS] += 1
        accounts[row, ACCOUNT] = account + 1
        index[slot] = row + 1
        return int(row)
    lost[0] += 1
    row = _least(accounts)
    accounts[row] = 0
    sums[row] = 0.0
    counts[row] = 0.0
    accounts[row, ACCOUNT] = account + 1
    index_of(accounts, index)
    return int(row)


@njit(cache=True)
def _unit(own: Array, who: Array) -> int:
    """Return the unit that somebody belongs to; `NOBODY` for a client."""
    if who[W_GROUP]:
        return GROUP
    if who[W_ROLE] != _EXTERNAL_MM:
        return NOBODY
    for maker in range(MAKERS):
        if own[MAKER + maker] == 0:
            own[MAKER + maker] = who[W_ACCOUNT] + 1
        if own[MAKER + maker] == who[W_ACCOUNT] + 1:
            return 1 + maker
    return NOBODY


@njit(cache=True)
def _makers(own: Array) -> int:
    """Return how many external makers have a place in an instrument."""
    makers = 0
    while makers < MAKERS and own[MAKER + makers]:
        makers += 1
    return makers


@njit(cache=True)
def _fade(numbers: Array, own: Array, flow: Array, now_ns: int) -> None:
    """Let what is remembered fade up to an event time."""
    if own[LAST_NS]:
        for scale in range(SCALES):
            left = 0.5 ** ((now_ns - own[LAST_NS]) / numbers[HALF_LIVES + scale])
            for unit in range(UNITS):
                flow[unit, NET, scale] *= left
                flow[unit, TAKEN, scale] *= left
    own[LAST_NS] = now_ns


@njit(cache=True)
def _end_run(sums: Array, counts: Array, kind: int, first: int, end: int) -> None:
    """Add an account's open run of a kind of event to those that are closed."""
    n = counts[kind, RUN_N]
    counts[kind, RUNS] += 1.0
    counts[kind, SUM_N] += n
    counts[kind, SUM_NN] += n * n
    counts[kind, RUN_N] = 0.0
    for measure in range(first, end):
        of = sums[measure]
        g, m = of[RUN_G], of[RUN_M]
        of[SUM_G] += g
        of[SUM_M] += m
        of[SUM_GG] += g * g
        of[SUM_GM] += g * m
        of[SUM_MM] += m * m
        of[SUM_GN] += g * n
        of[SUM_MN] += m * n
        of[RUN_G] = of[RUN_M] = 0.0


@njit(cache=True)
def _event(  # noqa: PLR0917
    numbers: Array, about: Array, sums: Array, counts: Array, row: Array, kind: int, side: int
) -> None:
    """Note that an account trades; end its run where that was on another side, or long ago."""
    at = RUN + 2 * kind
    now_ns = row[P_CLOCK]
    if counts[kind, RUN_N] > 0.0 and (
        about[at] != side or now_ns - about[at + 1] > numbers[RUN_GAP]
    ):
        if kind == TAKES:
            _end_run(sums, counts, kind, 0, ABSENT)
        else:
            _end_run(sums, counts, kind, ABSENT, ABSENT + 1)
    if kind == TAKES and about[at] == -side:
        about[TURNS] += 1
    about[at], about[at + 1] = side, now_ns
    if about[EVENTS] == 0:
        about[BEGAN_NS], about[FIRST_SEQ] = now_ns, row[P_SEQ]
    about[EVENTS] += 1
    about[ENDED_NS] = now_ns
    about[DOUBT] |= row[P_DOUBT]


@njit(cache=True)
def _takes(  # noqa: PLR0917
    numbers: Array,
    own: Array,
    flow: Array,
    size: Array,
    times: Array,
    now: Array,
    about: Array,
    row: Array,
) -> None:
    """Hold an instruction that takes against what the group and the makers did before it."""
    side = row[P_SIDE]
    now[:] = 0.0
    own[LOTS] = 0
    makers = _makers(own)
    telling = 0.0
    for unit in range(1 + makers):
        into, part = (0, 1.0) if unit == GROUP else (1, 1.0 / makers)
        for scale in range(SCALES):
            net, taken = flow[unit, NET, scale], flow[unit, TAKEN, scale]
            usual = size[unit, NET, scale]
            if usual > 0.0:
                x = -side * net / (abs(net) + usual)
                now[into, AGAINST + scale] += part * x
                if unit == GROUP:
                    telling = max(telling, abs(x))
            usual = size[unit, TAKEN, scale]
            if usual > 0.0:
                now[into, ALIKE + scale] += part * side * taken / (abs(taken) + usual)
        last_ns = times[unit, TRADED]
        if last_ns and row[P_CLOCK] - last_ns <= numbers[QUICK_NS]:
            now[into, QUICK] += part
    if telling >= TELLING:
        about[SEQS + about[MET] % CITED] = row[P_SEQ]
        about[MET] += 1


@njit(cache=True)
def _fills(own: Array, now: Array, sums: Array, counts: Array, lots: int) -> None:
    """Give an instruction the weight that a fill adds to it: the root of all it took."""
    before = own[LOTS]
    own[LOTS] = min(before, EVER - max(lots, 1)) + max(lots, 1)
    weight = math.sqrt(own[LOTS]) - math.sqrt(before)
    counts[TAKES, RUN_N] += weight
    for measure in range(ABSENT):
        sums[measure, RUN_G] += weight * now[0, measure]
        sums[measure, RUN_M] += weight * now[1, measure]


@njit(cache=True)
def _rests(  # noqa: PLR0917
    numbers: Array,
    own: Array,
    times: Array,
    about: Array,
    sums: Array,
    counts: Array,
    row: Array,
) -> None:
    """Hold a fill of a resting order against whether the group and the makers are filled too."""
    _event(numbers, about, sums, counts, row, RESTS, -row[P_SIDE])
    counts[RESTS, RUN_N] += 1.0
    makers = _makers(own)
    for unit in range(1 + makers):
        if row[P_CLOCK] - times[unit, RESTED] > numbers[ABSENT_NS]:
            if unit == GROUP:
                sums[ABSENT, RUN_G] += 1.0
            else:
                sums[ABSENT, RUN_M] += 1.0 / makers


@njit(cache=True)
def _usual(own: Array, flow: Array, size: Array) -> None:
    """Note how large what is remembered of each unit usually is, instruction by instruction."""
    own[COUNTED] += 1
    weight = 1.0 / min(float(own[COUNTED]), TYPICAL)
    for unit in range(UNITS):
        for what in range(2):
            for scale in range(SCALES):
                value = abs(flow[unit, what, scale])
                size[unit, what, scale] += weight * (value - size[unit, what, scale])


@njit(cache=True)
def _unit_trades(  # noqa: PLR0917
    flow: Array, times: Array, unit: int, signed_lots: int, took: bool, now_ns: int
) -> None:
    for scale in range(SCALES):
        flow[unit, NET, scale] += signed_lots
        if took:
            flow[unit, TAKEN, scale] += signed_lots
    times[unit, TRADED] = now_ns
    if not took:
        times[unit, RESTED] = now_ns


@njit(cache=True)
def _is_new(own: Array, row: Array) -> bool:
    """Return whether a trade is the first of an instruction; without its seq, of its moment."""
    if row[P_INCOMING] != own[INCOMING]:
        return True
    return bool(
        row[P_INCOMING] == 0
        and (row[TAKER + W_ACCOUNT] + 1 != own[LAST_TAKER] or row[P_CLOCK] != own[LAST_NS])
    )


@njit(cache=True)
def scan(  # noqa: PLR0917
    rows: Array,
    numbers: Array,
    own: Array,
    flow: Array,
    size: Array,
    times: Array,
    now: Array,
    accounts: Array,
    sums: Array,
    counts: Array,
    index: Array,
    lost: Array,
) -> None:
    """Take trades, each instrument's in seq order; the arrays have a row an instrument.

    Parameters
    ----------
    rows : (n, PENDING_FIELDS) int64
    numbers : (HALF_LIVES + SCALES,) int64
    index : (instruments, SLOTS) int32
    lost : (1,) int64
        Accounts whose place another took.
    """
    for n in range(len(rows)):
        row = rows[n]
        code = row[P_CODE]
        mine = own[code]
        taker, rester = row[TAKER : TAKER + 3], row[RESTER : RESTER + 3]
        takes, rests = _unit(mine, taker), _unit(mine, rester)
        new = _is_new(mine, row)
        _fade(numbers, mine, flow[code], row[P_CLOCK])
        if new:
            mine[INCOMING], mine[LAST_TAKER] = row[P_INCOMING], taker[W_ACCOUNT] + 1
            _usual(mine, flow[code], size[code])
        if takes == NOBODY and taker[W_ROLE] != _EXTERNAL_MM:
            at = _row_of(
                mine, accounts[code], sums[code], counts[code], index[code], lost, taker[W_ACCOUNT]
            )
            if new:
                about = accounts[code, at]
                _event(numbers, about, sums[code, at], counts[code, at], row, TAKES, row[P_SIDE])
                _takes(numbers, mine, flow[code], size[code], times[code], now[code], about, row)
                mine[FRESH] = 1
            _fills(mine, now[code], sums[code, at], counts[code, at], row[P_LOTS])
        if rests == NOBODY and rester[W_ROLE] != _EXTERNAL_MM:
            at = _row_of(
                mine, accounts[code], sums[code], counts[code], index[code], lost, rester[W_ACCOUNT]
            )
            _rests(
                numbers, mine, times[code], accounts[code, at], sums[code, at], counts[code, at],
                row,
            )  # fmt: skip
        if takes != rests:
            signed = row[P_SIDE] * row[P_LOTS]
            if takes != NOBODY:
                _unit_trades(flow[code], times[code], takes, signed, True, row[P_CLOCK])
            if rests != NOBODY:
                _unit_trades(flow[code], times[code], rests, -signed, False, row[P_CLOCK])


@njit(cache=True)
def forget(  # noqa: PLR0917
    own: Array, accounts: Array, sums: Array, counts: Array, index: Array, account: int
) -> None:
    """Forget what an account did in an instrument that day, if anything; the last takes its row."""
    slot = _slot(index, accounts, account)
    if index[slot] == 0:
        return
    row = index[slot] - 1
    own[N_ACCOUNTS] -= 1
    last = own[N_ACCOUNTS]
    accounts[row], sums[row], counts[row] = accounts[last], sums[last], counts[last]
    accounts[last], sums[last], counts[last] = 0, 0.0, 0.0
    index_of(accounts, index)


@njit(cache=True)
def new_day(own: Array, accounts: Array, sums: Array, counts: Array, index: Array) -> None:
    """Forget the accounts of an instrument; what the group and the makers did fades by itself."""
    own[N_ACCOUNTS] = own[FRESH] = 0
    accounts[:] = 0
    sums[:] = 0.0
    counts[:] = 0.0
    index[:] = 0
