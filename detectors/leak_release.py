"""Suspects of whom nothing is seen are let go, so that there is a place for others in the day."""

from __future__ import annotations

import math

import numpy as np

from detectors.kept import Kept
from detectors.leak_chance import strength
from detectors.leak_screen import forget
from detectors.leak_state import (
    A_SLOT,
    ACCOUNT,
    E_STATE,
    EVERY_SCALE,
    KNOWN_BITS,
    N_LET_GO,
    S_ACCOUNT,
    SUSPECTED,
    SUSPECTS,
    T_HITS,
    T_KNOWN,
)
from ingest.events import Array


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
    parts = [kept["leak_tallies"][x, related] for x, related in places]
    met = [
        sum(int(part[:, 0, :, T_KNOWN + 2 * n + 1].sum()) for part in parts)
        for n in range(SUSPECTS)
    ]
    shown = [
        strength(parts, SUSPECTED + n) if met[n] >= least else math.inf for n in range(SUSPECTS)
    ]
    slot = int(np.argmin(shown))
    if shown[slot] >= nothing:
        return
    unit, known = T_HITS + 2 * (SUSPECTED + slot), T_KNOWN + 2 * slot
    for part in parts:
        part[..., unit : unit + 2] = 0
        part[..., known : known + 2] = 0
    mine = (EVERY_SCALE << (SUSPECTED + slot)) | (1 << (KNOWN_BITS + slot))
    for x, related in places:
        states = kept["leak_open"][x, :, E_STATE + related]
        states[states > 0] &= ~mine
    acts, screen = kept["leak_clients"][code], kept["leak_screen"][code]
    acts[acts[:, A_SLOT] == slot + 1, A_SLOT] = 0
    for place in np.flatnonzero(screen[:, S_ACCOUNT] == suspects[slot, ACCOUNT]):
        forget(own, screen[place])
    suspects[slot] = 0
    own[N_LET_GO] += 1
