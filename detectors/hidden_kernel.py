"""The pass over trades: how each account's trading stands beside the group's, event by event."""

from __future__ import annotations

import math
from typing import Final

from detectors.hidden_rows import row_of
from detectors.hidden_state import (
    ABSENT,
    AGAINST,
    ALIKE,
    BEGAN_NS,
    BESIDE,
    CITED,
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
    MARKET,
    MET,
    NET,
    OWED,
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
    TURNS,
    W_ACCOUNT,
    W_GROUP,
    W_ROLE,
)
from detectors.hidden_units import (
    ABSENT_NS,
    EXTERNAL_MM,
    NOBODY,
    RUN_GAP,
    apart,
    fade,
    fade_given,
    give,
    is_quick,
    makers_of,
    note_usual,
    traded,
    unit_of,
    unit_trades,
)
from ingest.compiled import kernel
from ingest.events import Array

TELLING: Final = 0.5
"""Part of the largest value from which on an execution is worth citing: above the usual size."""


@kernel()
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


@kernel()
def _way(side: int) -> int:
    """Return where runs of a side are summed."""
    return 0 if side > 0 else 1


@kernel()
def _event(  # noqa: PLR0917
    numbers: Array, about: Array, sums: Array, counts: Array, row: Array, kind: int, side: int
) -> None:
    """Note that an account trades; end its run where that was on another side, or long ago."""
    at = RUN + 2 * kind
    now_ns = row[P_CLOCK]
    way = _way(about[at])
    if counts[way, kind, RUN_N] > 0.0 and (
        about[at] != side or now_ns - about[at + 1] > numbers[RUN_GAP]
    ):
        if kind == TAKES:
            _end_run(sums[way], counts[way], kind, 0, ABSENT)
        else:
            _end_run(sums[way], counts[way], kind, ABSENT, ABSENT + 1)
    if kind == TAKES and about[at] == -side:
        about[TURNS] += 1
    about[at], about[at + 1] = side, now_ns
    if about[EVENTS] == 0:
        about[BEGAN_NS], about[FIRST_SEQ] = now_ns, row[P_SEQ]
    about[EVENTS] += 1
    about[ENDED_NS] = now_ns
    about[DOUBT] |= row[P_DOUBT]


@kernel()
def _takes(  # noqa: PLR0917
    numbers: Array,
    own: Array,
    flow: Array,
    size: Array,
    times: Array,
    now: Array,
    about: Array,
    given: Array,
    row: Array,
) -> None:
    """Hold an instruction that takes against what the group and the makers did before it."""
    side, account = row[P_SIDE], row[TAKER + W_ACCOUNT] + 1
    now[:] = 0.0
    own[LOTS] = 0
    makers = makers_of(own)
    telling = 0.0
    fade_given(numbers, about, given, row[P_CLOCK])
    for unit in range(1 + makers):
        into, part = (0, 1.0) if unit == GROUP else (1, 1.0 / makers)
        owed = given[unit, OWED]
        for scale in range(SCALES):
            net = apart(flow[unit, NET, scale], given[unit, NET, scale], owed)
            taken = apart(flow[unit, TAKEN, scale], given[unit, TAKEN, scale], owed)
            usual = size[unit, NET, scale]
            if usual > 0.0:
                x = -side * net / (abs(net) + usual)
                now[into, AGAINST + scale] += part * x
                if unit == GROUP:
                    telling = max(telling, abs(x))
            usual = size[unit, TAKEN, scale]
            if usual > 0.0:
                now[into, ALIKE + scale] += part * side * taken / (abs(taken) + usual)
        if is_quick(numbers, times[unit], account, row[P_CLOCK]):
            now[into, QUICK] += part
    others = is_quick(numbers, times[MARKET], account, row[P_CLOCK])
    now[0, BESIDE] = now[0, QUICK] if now[0, QUICK] > 0.0 or not others else -1.0
    if telling >= TELLING:
        about[SEQS + about[MET] % CITED] = row[P_SEQ]
        about[MET] += 1


@kernel()
def _fills(own: Array, now: Array, sums: Array, counts: Array, lots: int) -> None:
    """Give an instruction the weight that a fill adds to it: the root of all it took."""
    before = own[LOTS]
    own[LOTS] = min(before, EVER - max(lots, 1)) + max(lots, 1)
    weight = math.sqrt(own[LOTS]) - math.sqrt(before)
    counts[TAKES, RUN_N] += weight
    for measure in range(ABSENT):
        sums[measure, RUN_G] += weight * now[0, measure]
        sums[measure, RUN_M] += weight * now[1, measure]


@kernel()
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
    way = _way(-row[P_SIDE])
    counts[way, RESTS, RUN_N] += 1.0
    makers = makers_of(own)
    for unit in range(1 + makers):
        if row[P_CLOCK] - times[unit, RESTED] > numbers[ABSENT_NS]:
            if unit == GROUP:
                sums[way, ABSENT, RUN_G] += 1.0
            else:
                sums[way, ABSENT, RUN_M] += 1.0 / makers


@kernel()
def _is_new(own: Array, row: Array) -> bool:
    """Return whether a trade is the first of an instruction; without its seq, of its moment."""
    if row[P_INCOMING] != own[INCOMING]:
        return True
    return bool(
        row[P_INCOMING] == 0
        and (row[TAKER + W_ACCOUNT] + 1 != own[LAST_TAKER] or row[P_CLOCK] != own[LAST_NS])
    )


@kernel()
def scan(  # noqa: PLR0917
    rows: Array,
    numbers: Array,
    own: Array,
    flow: Array,
    size: Array,
    times: Array,
    now: Array,
    accounts: Array,
    given: Array,
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
        takes, rests = unit_of(mine, taker), unit_of(mine, rester)
        new = _is_new(mine, row)
        signed = row[P_SIDE] * row[P_LOTS]
        fade(numbers, mine, flow[code], row[P_CLOCK])
        if new:
            mine[INCOMING], mine[LAST_TAKER] = row[P_INCOMING], taker[W_ACCOUNT] + 1
            note_usual(mine, flow[code], size[code])
        if takes == NOBODY and taker[W_ROLE] != EXTERNAL_MM:
            at = row_of(
                mine, accounts[code], given[code], sums[code], counts[code], index[code], lost,
                taker[W_ACCOUNT],
            )  # fmt: skip
            if new:
                about = accounts[code, at]
                _event(numbers, about, sums[code, at], counts[code, at], row, TAKES, row[P_SIDE])
                _takes(
                    numbers, mine, flow[code], size[code], times[code], now[code], about,
                    given[code, at], row,
                )  # fmt: skip
                mine[FRESH] = 1
            way = _way(row[P_SIDE])
            _fills(mine, now[code], sums[code, at, way], counts[code, at, way], row[P_LOTS])
            if rests != NOBODY:
                about = accounts[code, at]
                give(numbers, about, given[code, at], rests, -signed, False, row[P_CLOCK])
        if rests == NOBODY and rester[W_ROLE] != EXTERNAL_MM:
            at = row_of(
                mine, accounts[code], given[code], sums[code], counts[code], index[code], lost,
                rester[W_ACCOUNT],
            )  # fmt: skip
            about = accounts[code, at]
            _rests(numbers, mine, times[code], about, sums[code, at], counts[code, at], row)
            if takes != NOBODY:
                give(numbers, about, given[code, at], takes, signed, True, row[P_CLOCK])
        if not (taker[W_GROUP] or rester[W_GROUP]):
            traded(times[code, MARKET], taker[W_ACCOUNT] + 1, row[P_CLOCK])
        if takes != rests:
            if takes != NOBODY:
                who = rester[W_ACCOUNT]
                unit_trades(flow[code], times[code], takes, who, signed, True, row[P_CLOCK])
            if rests != NOBODY:
                who = taker[W_ACCOUNT]
                unit_trades(flow[code], times[code], rests, who, -signed, False, row[P_CLOCK])
