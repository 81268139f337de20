"""How many instructions a maker gives, and how many a limiter of the rate disclosed lets through.

Where in the venue a limiter stands, and how it works, is not known. But whatever passes it does so
between its receipt at the gateway and its time at the engine; and over whole seconds in a row no
limiter lets through more than its rate for each of them and what may come at once. So what came and
was done within such a run, and is more, has passed no limiter of that rate. The order of receipts
is of no matter: each record is held by its own two times.
"""

from __future__ import annotations

from detectors.access_facts import fact
from detectors.access_rules import BURST_S, disclosed
from detectors.access_state import (
    AFMM,
    D_FROM,
    D_VALUE,
    F_BETTER,
    F_COUNT,
    F_DUE,
    F_FIRST_NS,
    F_GOT,
    F_LAST_NS,
    F_LEAST,
    F_PROVED,
    F_REFS,
    F_SURE,
    F_TOLD,
    M_COUNT,
    M_MOST,
    RATES,
    REFS,
    S_ACCOUNT,
    S_ASKED_NS,
    S_ASKED_SEQ,
    S_BEYOND,
    S_DONE_NS,
    S_IN_SECOND,
    S_LIMIT,
    S_PARTY,
    S_RUN,
    S_RUN_MOST,
    S_RUN_NS,
    S_RUN_SEQ,
    S_SECOND,
    TOLD_RATE,
)
from ingest.compiled import kernel
from ingest.events import Array
from ingest.times import SECOND


@kernel(inline="always")
def asked(  # noqa: PLR0917
    slots: Array, s: int, fact_row: Array, measured: Array, told: Array, code: int, seq: int,
    at_ns: int, came_ns: int, shares: Array,
) -> None:  # fmt: skip
    """Take an accepted instruction, and count the one before it, which was not refused since.

    Records of an account that follow one another with one receipt are one instruction: many orders
    quoted or cancelled at once.
    """
    own = slots[s]
    if came_ns == own[S_ASKED_NS]:
        return
    if own[S_ASKED_NS]:
        count(own, s, fact_row, measured, told, code, shares)
    own[S_ASKED_NS], own[S_ASKED_SEQ], own[S_DONE_NS] = came_ns, seq, at_ns


@kernel()
def taken_back(slots: Array, s: int, came_ns: int, known: bool) -> None:
    """Take a refusal: of the instruction that is not counted yet, or of one that was.

    `known`: whether the order that it names had been seen.
    """
    own = slots[s]
    if came_ns == own[S_ASKED_NS]:
        own[S_ASKED_NS] = 0
    elif known and own[S_RUN] and not own[S_BEYOND] and came_ns >= own[S_RUN_NS]:
        own[S_RUN] -= 1
        if own[S_IN_SECOND] and came_ns // SECOND == own[S_SECOND]:
            own[S_IN_SECOND] -= 1


@kernel(inline="always")
def count(  # noqa: PLR0917
    own: Array, s: int, fact_row: Array, measured: Array, told: Array, code: int, shares: Array
) -> None:
    """Count a slot's instruction, and hold the affiliate's runs against the rate disclosed.

    A run begins anew once it holds no more than the rate alone, once it has been told, and with a
    new rate: of all runs of what came and was done since, the one that begins there is the furthest
    beyond.
    """
    came_ns, at_ns = own[S_ASKED_NS], own[S_DONE_NS]
    second, affiliate = at_ns // SECOND, own[S_PARTY] == AFMM
    if second != own[S_SECOND]:
        own[S_SECOND], own[S_IN_SECOND] = second, 0
    own[S_IN_SECOND] += came_ns // SECOND == second
    seen = measured[RATES if affiliate else RATES + 1]
    seen[M_COUNT] += 1
    seen[M_MOST] = max(seen[M_MOST], float(own[S_IN_SECOND]))
    if not affiliate or came_ns // SECOND > second:
        return  # times that contradict one another say nothing
    row = disclosed(told, own[S_ACCOUNT] - 1, code, TOLD_RATE, at_ns)
    limit = int(told[row, D_VALUE]) if row >= 0 else 0
    if limit != own[S_LIMIT]:
        begun_ns = at_ns if own[S_LIMIT] else second * SECOND
        begin_run(own, max(begun_ns, int(told[row, D_FROM])) if limit else at_ns)
        own[S_LIMIT] = limit
    if not limit:
        return
    over = second - own[S_RUN_NS] // SECOND
    told_before = own[S_BEYOND] and second > own[S_BEYOND]
    if over and (told_before or own[S_RUN] <= over * limit):
        begin_run(own, second * SECOND)
        over = 0
    if came_ns < own[S_RUN_NS]:
        return  # it may have passed before
    if not own[S_RUN]:
        own[S_RUN_SEQ] = own[S_ASKED_SEQ]
    own[S_RUN] += 1
    own[S_RUN_MOST] = max(own[S_RUN_MOST], own[S_IN_SECOND])
    bound = (over + 1 + shares[BURST_S]) * limit
    if own[S_RUN] <= bound:
        return
    if own[S_BEYOND]:
        if not fact_row[F_COUNT]:
            return  # of a run that was told with the bucket before
        fact_row[F_GOT] += 1
        fact_row[F_LAST_NS] = at_ns
    else:
        own[S_BEYOND] = second
        fact(fact_row, s, own[S_ASKED_SEQ], at_ns)
        n = fact_row[F_COUNT]
        if n == 1:
            fact_row[F_FIRST_NS] = own[S_RUN_NS]
        if n <= REFS // 2:  # cite a run's first instruction beside the one that was too many
            fact_row[F_REFS + REFS // 2 + n - 1] = own[S_RUN_SEQ]
        fact_row[F_BETTER] += 1
        fact_row[F_SURE] += 1
        fact_row[F_PROVED] += 1
        fact_row[F_GOT] += own[S_RUN]
        fact_row[F_DUE] += int(bound)
    if -own[S_RUN_MOST] < fact_row[F_LEAST]:
        fact_row[F_LEAST], fact_row[F_TOLD] = -own[S_RUN_MOST], limit


@kernel()
def begin_run(own: Array, at_ns: int) -> None:
    """Begin a run of seconds."""
    own[S_RUN_NS], own[S_RUN], own[S_RUN_MOST], own[S_BEYOND] = at_ns, 0, 0, 0
