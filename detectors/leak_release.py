"""What is forgotten: all of a day at its end, and in it suspects of whom nothing is seen."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.kept import Kept
from detectors.leak_chance import strength
from detectors.leak_screen import forget
from detectors.leak_state import (
    A_SLOT,
    ACCOUNT,
    COMPLEX,
    CROWD,
    E_STATE,
    EACH,
    EVERY_SCALE,
    HIT_BITS,
    KNOWN_BITS,
    N_RUNS,
    PEERS,
    RELATED,
    S_ACCOUNT,
    SCREENED_GRADE,
    SUSPECTED,
    SUSPECTS,
    T_HITS,
    T_KNOWN,
)
from ingest.compiled import kernel
from ingest.events import Array

_LASTING: Final = ((1 << HIT_BITS) - 1) | sum(EVERY_SCALE << n for n in (COMPLEX, PEERS, CROWD))
"""What a new day keeps of an episode's state: flow, and hits of units that are there each day."""


@kernel()
def new_day(  # noqa: PLR0917
    own: Array,
    episodes: Array,
    day: Array,
    bets: Array,
    group: Array,
    slots: Array,
    clients: Array,
    screen: Array,
    suspects: Array,
) -> None:
    """Forget the day's tallies and bets, which account has which slot, and who is suspected."""
    day[:] = 0
    bets[:] = 0.0
    group[:] = 0.0
    slots[:] = 0
    screen[:] = 0
    suspects[:] = 0
    own[N_RUNS:] = 0
    clients[:, A_SLOT] = 0
    for n in range(len(episodes)):
        for related in range(RELATED):
            state = episodes[n, E_STATE + related]
            if state > 0:
                episodes[n, E_STATE + related] = state & _LASTING


def release(kept: Kept, kin: Array, code: int, nothing: float, least: int) -> None:
    """Let go of an instrument's weakest suspect, where all places are taken and it shows nothing.

    What is kept of it goes as well: it may be suspected anew, and is then as new. One beside which
    fewer than `least` large orders have come could show nothing yet, and stays.

    Parameters
    ----------
    kin : (instruments, RELATED) int64
        Codes of an instrument and of others on its underlying; -1 = none.
    nothing : float
        Deviations beyond expectation below which nothing is seen.
    """
    suspects, own = kept["leak_suspects"][code], kept["leak"][code]
    if not suspects[:, ACCOUNT].all():
        return
    places = [(int(x), int(related)) for x, related in np.argwhere(kin == code)]
    parts = [kept["leak_day"][x, related] for x, related in places]
    met = [
        sum(int(part[:, 0, :, T_KNOWN + EACH * n + 1 + SCREENED_GRADE].sum()) for part in parts)
        for n in range(SUSPECTS)
    ]
    shown = [
        strength(parts, SUSPECTED + n) if met[n] >= least else math.inf for n in range(SUSPECTS)
    ]
    slot = int(np.argmin(shown))
    if shown[slot] >= nothing:
        return
    unit, known = T_HITS + EACH * (SUSPECTED + slot), T_KNOWN + EACH * slot
    for part in parts:
        part[..., unit : unit + EACH] = 0
        part[..., known : known + EACH] = 0
    for x, related in places:
        kept["leak_bets"][x, related, :, :, SUSPECTED + slot] = 0.0
    mine = (EVERY_SCALE << (SUSPECTED + slot)) | (1 << (KNOWN_BITS + slot))
    for x, related in places:
        states = kept["leak_open"][x, :, E_STATE + related]
        states[states > 0] &= ~mine
    acts, screen = kept["leak_clients"][code], kept["leak_screen"][code]
    acts[acts[:, A_SLOT] == slot + 1, A_SLOT] = 0
    for place in np.flatnonzero(screen[:, S_ACCOUNT] == suspects[slot, ACCOUNT]):
        forget(own, screen[place])
    suspects[slot] = 0
