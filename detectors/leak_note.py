"""What is kept of large orders traded ahead of, to be cited once a look tells of them."""

from __future__ import annotations

from detectors.leak_screen import latest_of
from detectors.leak_state import (
    A_ACCOUNT,
    A_DOUBT,
    A_LOTS,
    A_RECEIVED,
    A_SEQ,
    E_ACT,
    E_BEGAN,
    E_DOUBT,
    E_GRADE,
    E_HIT,
    E_NOTED,
    E_ORIGINATOR,
    E_OWNER,
    E_SEQ,
    E_SIDE,
    E_STATE,
    EVERY_SCALE,
    H_ACCOUNT,
    H_ACT_RECEIVED,
    H_ACT_SEQ,
    H_BEGAN,
    H_CITED,
    H_DOUBT,
    H_GRADE,
    H_LOTS,
    H_NS,
    H_ORIGINATOR,
    H_OWNER,
    H_RELATED,
    H_SEQ,
    H_SIDE,
    H_STATE,
    HITS,
    N_HITS,
    RELATED,
    SUSPECTED,
    SUSPECTS,
)  # fmt: skip
from ingest.compiled import kernel
from ingest.events import Array


@kernel()
def _hit(  # noqa: PLR0917
    row_ns: int, episode: Array, own: Array, hits: Array, related: int, state: int, act: Array
) -> None:
    """Keep an execution ahead of a large order."""
    hit = hits[own[N_HITS] % HITS]
    hit[H_NS], hit[H_BEGAN], hit[H_SEQ] = row_ns, episode[E_BEGAN], episode[E_SEQ]
    hit[H_SIDE], hit[H_RELATED], hit[H_STATE] = episode[E_SIDE], related, state
    hit[H_ACT_RECEIVED], hit[H_ACT_SEQ] = act[A_RECEIVED], act[A_SEQ]
    hit[H_ACCOUNT], hit[H_LOTS] = act[A_ACCOUNT], act[A_LOTS]
    hit[H_DOUBT] = act[A_DOUBT] | episode[E_DOUBT]
    hit[H_OWNER], hit[H_ORIGINATOR] = episode[E_OWNER], episode[E_ORIGINATOR]
    hit[H_GRADE], hit[H_CITED] = episode[E_GRADE], 0
    own[N_HITS] += 1


@kernel()
def note(  # noqa: PLR0917
    row_ns: int,
    numbers: Array,
    episode: Array,
    x: int,
    own: Array,
    hits: Array,
    acts: Array,
    clients: Array,
    kin: Array,
) -> None:
    """Keep what the group and each suspect did ahead of a large order, to be cited."""
    episode[E_HIT] = own[x, N_HITS]
    for related in range(RELATED):
        y, state, place = kin[related], episode[E_STATE + related], episode[E_ACT + related]
        if place:
            act = acts[y, 0, place - 1]
            if act[A_RECEIVED] < episode[E_BEGAN]:  # else a later one took its place
                _hit(row_ns, episode, own[x], hits, related, state, act)
        if state < 0:
            continue
        for n in range(SUSPECTS):
            mine = EVERY_SCALE << (SUSPECTED + n)
            if state & mine:
                latest = latest_of(numbers, episode, own, clients, y, n + 1)
                if latest >= 0:
                    _hit(row_ns, episode, own[x], hits, related, state & mine, clients[y, latest])
    episode[E_NOTED] = own[x, N_HITS] - episode[E_HIT]


@kernel()
def regrade(episode: Array, own: Array, hits: Array) -> None:
    """Note how large the order of an episode's hits is by now."""
    first = episode[E_HIT]
    for number in range(max(first, own[N_HITS] - HITS), first + episode[E_NOTED]):
        hits[number % HITS, H_GRADE] = episode[E_GRADE]
