"""Whether a venue keeps the order of arrival: how often others' instructions are matched reversed.

Of two instructions of different accounts that are not the group's, the one that reached the gateway
first is matched first where the venue keeps that order. Where gateways take now longer and now
less, it often is not, for instructions that came close after each other: there a client overtaken
by the group by as little says nothing of the group. Pairs are counted by octave of the time between
their arrivals, an instrument each.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from detectors.kept import Kept
from ingest.axes import ByCode
from ingest.compiled import kernel
from ingest.events import NULL, Array, Batch, Kind, Phase, Reason, Role
from ingest.sections import Layout
from ingest.state import Snapshot

COLUMNS: Final = (
    "kind", "instrument", "engine_ns", "received_ns", "account", "role", "in_complex", "reason",
    "phase",
)  # fmt: skip
RECENT: Final = 16
"""Instructions that each one is held against, the latest."""
FIRST_OCTAVE: Final = 14
"""2^14 ns, 16 µs: closer ones are within any clock uncertainty."""
OCTAVES: Final = 11
"""Up to 2^25 ns, 34 ms: gateways that differ by more are not how a venue works, but a hold."""
IN_ORDER, SOME_REVERSED, EITHER_WAY = range(3)
"""Of instructions so far apart: matched in the order of arrival, as far as was seen; some the other
way round, or too few were seen; either way, which is how the venue works."""
UNKNOWN: Final = ((1 << OCTAVES) - 1) << OCTAVES
"""What is made of an instrument's pairs before any was seen."""
_MOST: Final = 1 << 16
"""Pairs of an octave at which its counts are halved, so that what a venue was long ago fades."""

_NULL: Final = int(NULL)
_NEW, _REPLACE = int(Kind.NEW), int(Kind.REPLACE)
_CONTINUOUS, _SPEED_BUMP = int(Phase.CONTINUOUS), int(Reason.SPEED_BUMP)
_CLIENT, _EXTERNAL = int(Role.CLIENT), int(Role.EXTERNAL_MM)


@kernel()
def octave(gap_ns: int) -> int:
    """Return the octave of a time apart, from 0; -1 = closer than the first, or farther than all.

    >>> octave(20_000), octave(100_000), octave(10_000), octave(40_000_000)
    (0, 2, -1, -1)
    """
    if not 1 << FIRST_OCTAVE <= gap_ns < 1 << (FIRST_OCTAVE + OCTAVES):
        return -1  # most pairs
    found, left = 0, gap_ns >> FIRST_OCTAVE
    while left > 1:
        left >>= 1
        found += 1
    return found


@kernel(inline="always")
def _any_near(recent: Array, x: int, received_ns: int) -> bool:
    """Return whether any of the latest instructions may have come near enough to be a pair."""
    near = False
    for n in range(RECENT):
        near |= abs(received_ns - recent[x, n, 0]) < 1 << (FIRST_OCTAVE + OCTAVES)
    return near


@kernel()
def _pair(received_ns: int, account: int, ring: Array, made: int, counts: Array) -> bool:
    """Count the pairs that an instruction makes with the latest; return whether there are any."""
    counted = False
    for back in range(min(made, RECENT)):
        at = (made - 1 - back) % RECENT
        gap = received_ns - ring[at, 0]
        near = octave(abs(gap))
        if near < 0 or ring[at, 1] == account:
            continue
        counted = True
        counts[near, 0] += 1
        counts[near, 1] += 1 if gap < 0 else 0
        if counts[near, 0] >= _MOST:
            counts[near, 0] //= 2
            counts[near, 1] //= 2
    return counted


@kernel()
def _scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    limits: tuple[float, int, int],
    made: Array,
    recent: Array,
    pairs: Array,
    unordered: Array,
    out: Array,
) -> None:
    """Count the pairs of a batch; write for each row in which octaves there is no order so far."""
    ratio, fewest, enough = limits
    kind, instrument, engine, received, account, role, in_complex, reason, phase = columns
    for i in range(len(kind)):
        x = instrument[i]
        # One branch that is hard to foresee, in place of a chain of them.
        judged = ((kind[i] == _NEW) | (kind[i] == _REPLACE)) & (phase[i] == _CONTINUOUS)
        judged &= (received[i] != _NULL) & (received[i] <= engine[i])
        judged &= (role[i] >= _CLIENT) & (role[i] <= _EXTERNAL) & (in_complex[i] == 0)
        if judged & (reason[i] != _SPEED_BUMP):
            if _any_near(recent, x, received[i]) and _pair(
                received[i], account[i], recent[x], made[x], pairs[x]
            ):
                unordered[x] = without_order(pairs[x], ratio, fewest)
                unordered[x] |= some_reversed(pairs[x], ratio, enough) << OCTAVES
            at = made[x] % RECENT
            recent[x, at, 0], recent[x, at, 1] = received[i], account[i]
            made[x] += 1
        out[i] = unordered[x]


@kernel()
def without_order(counts: Array, ratio: float, fewest: int) -> int:
    """Return the octaves in which the venue keeps no order: a bit each.

    Where those farther apart are matched either way, so are nearer ones of which too few pairs
    were seen to say otherwise.
    """
    found, farther = 0, False
    for near in range(OCTAVES - 1, -1, -1):
        own = counts[near, 1] >= fewest and counts[near, 1] >= ratio * counts[near, 0]
        if own or (farther and ratio * counts[near, 0] < fewest):
            found |= 1 << near
        farther |= own
    return found


@kernel()
def some_reversed(counts: Array, ratio: float, enough: int) -> int:
    """Return the octaves in which more than that share were reversed, or few were seen: a bit each.

    Of pairs so far apart; where these are not enough, of nearer ones too.
    """
    found, nearest, pairs, turned = 0, 0, 0, 0
    for near in range(OCTAVES):
        pairs, turned = pairs + counts[near, 0], turned + counts[near, 1]
        while nearest < near and pairs - counts[nearest, 0] >= enough:
            pairs, turned = pairs - counts[nearest, 0], turned - counts[nearest, 1]
            nearest += 1
        found |= (1 << near) if pairs < enough or turned > ratio * pairs else 0
    return found


@kernel()
def order_of(octaves: int, gap_ns: int) -> int:
    """Return what the venue makes of instructions so far apart, as far as was seen."""
    near = octave(gap_ns)
    if near < 0:
        return IN_ORDER
    if octaves >> near & 1:
        return EITHER_WAY
    return SOME_REVERSED if octaves >> (OCTAVES + near) & 1 else IN_ORDER


@kernel()
def is_unordered(octaves: int, gap_ns: int) -> bool:
    """Return whether instructions so far apart are matched either way by the venue."""
    return order_of(octaves, gap_ns) == EITHER_WAY


class Overtaking:
    """Pairs of others' instructions matched in the order of arrival, and the other way round.

    State: half a kB an instrument, whatever the traffic.

    Parameters
    ----------
    instruments : int
        How many the table holds.
    ratio : float
        Share of pairs matched the other way round from which there is no order, 0 to 1.
    fewest : int
        Such pairs without which there is one.
    enough : int
        Pairs so far apart from which they alone say whether any are reversed.
    """

    layout: ClassVar[Layout] = {
        "overtaking_made": ByCode(),
        "overtaking_recent": ByCode(),
        "overtaking_pairs": ByCode(),
        "overtaking": ByCode(UNKNOWN),
    }

    def __init__(self, instruments: int, ratio: float, fewest: int, enough: int) -> None:
        self._limits = (ratio, fewest, enough)
        self._kept = Kept(
            "overtaking",
            {
                "overtaking_made": np.zeros(instruments, np.int64),
                "overtaking_recent": np.zeros((instruments, RECENT, 2), np.int64),
                "overtaking_pairs": np.zeros((instruments, OCTAVES, 2), np.int64),
                "overtaking": np.full(instruments, UNKNOWN, np.int64),
            },
        )
        self._before = np.zeros(instruments, np.int64)
        self._rows = np.zeros(0, np.int64)

    def scan(self, batch: Batch) -> Array:
        """Count a batch's pairs; return for each row what `order_of` asks of."""
        kept = self._kept
        self._before = kept["overtaking"].copy()
        self._rows = np.empty(len(batch), np.int64)
        _scan(
            tuple(batch[name] for name in COLUMNS), self._limits,
            kept["overtaking_made"], kept["overtaking_recent"], kept["overtaking_pairs"],
            kept["overtaking"], self._rows,
        )  # fmt: skip
        return self._rows

    def at(self, batch: Batch, code: int, seq: int) -> int:
        """Return those bits as of a record of the batch last scanned, or of the one before it."""
        upto = np.flatnonzero((batch["instrument"] == code) & (batch["seq"] <= seq))
        return int(self._rows[upto[-1]] if len(upto) else self._before[code])

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return self._kept.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
