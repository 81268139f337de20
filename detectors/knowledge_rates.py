"""How often the group does what it did while a client's instruction waited."""

from __future__ import annotations

from detectors.knowledge_fields import (
    A_CLOCK,
    A_LOTS,
    A_SIDE,
    ACTS,
    EXCESS,
    Q_CLOCK,
    Q_LOTS,
    Q_SIDE,
    Q_STOOD,
    QUOTES,
    SIZES,
)
from ingest.compiled import kernel
from ingest.events import Array


@kernel()
def size_class(lots: int) -> int:
    """Return the class of a size: four an octave."""
    octave = 0
    while lots >> octave > 1:
        octave += 1
    return min(4 * octave + int((lots << 2 >> octave) & 3), SIZES - 1)


@kernel()
def act_rate(  # noqa: PLR0917
    acts: Array, made: int, taken: Array, act: Array, received: int, since: int, local_ns: int,
    row: Array,
) -> None:  # fmt: skip
    """Write how often the group executed on that side before, and how often as much.

    Among the latest `ACTS`, and of late; as much also since the first record, by class of size.
    """
    oldest = since
    if made > ACTS:
        oldest = max(since, acts[made % ACTS, A_CLOCK])
    c = size_class(act[A_LOTS])
    later = count = large = local = local_large = 0
    for back in range(min(made, ACTS)):
        other = acts[(made - 1 - back) % ACTS]
        if other[A_SIDE] != act[A_SIDE]:
            continue
        if other[A_CLOCK] >= received:
            later += size_class(other[A_LOTS]) >= c
            continue
        as_large = other[A_LOTS] >= act[A_LOTS]
        count += 1
        large += as_large
        if received - other[A_CLOCK] <= local_ns:
            local += 1
            local_large += as_large
    row[21], row[22], row[23] = count, large, max(received - oldest, 1)
    row[24], row[25], row[26] = local, local_large, local_ns
    row[35] = large if made <= ACTS else taken[c:].sum() - later
    row[36] = max(received - since, 1)


@kernel()
def quote_rate(  # noqa: PLR0917
    quotes: Array, made: int, kinds: Array, rested: Array, quote: Array, received: int, since: int,
    local_ns: int, row: Array,
) -> None:  # fmt: skip
    """Write how often the group has entered new resting orders on that side, and the like of it.

    The like: at least as large, or beside as many of its own; whichever is rarer. With it, in how
    many of the day's quiet windows it entered the like before, as far as `rested` tells.
    """
    c, stood = size_class(quote[Q_LOTS]), SIZES + quote[Q_STOOD]
    large, many = kinds[c:SIZES].sum(), kinds[stood:].sum()
    row[21], row[22], row[23] = kinds[:SIZES].sum(), min(large, many), max(received - since, 1)
    oldest = received - local_ns
    if made > QUOTES:
        oldest = max(oldest, quotes[made % QUOTES, Q_CLOCK])
    local = local_like = 0
    for back in range(min(made, QUOTES)):
        other = quotes[(made - 1 - back) % QUOTES]
        if other[Q_CLOCK] < oldest:
            break
        if other[Q_CLOCK] < received and other[Q_SIDE] == quote[Q_SIDE]:
            local += 1
            if large <= many:
                local_like += size_class(other[Q_LOTS]) >= c
            else:
                local_like += other[Q_STOOD] >= quote[Q_STOOD]
    row[24], row[25], row[26] = local, local_like, max(received - oldest, 1)
    row[36] = row[23]
    row[38] = rested[c:].sum() if large <= many else 0


@kernel()
def likely(row: Array, chance: float) -> bool:
    """Return whether chance alone gives such an instruction, and so many, in a day's windows."""
    alike = max((row[22] + 1) / row[23], row[25] / row[26])
    if alike * (row[33] if row[32] else row[28]) <= chance or row[38] > EXCESS * alike * row[39]:
        return False
    return bool(row[37] <= EXCESS * max((row[21] + 1) / row[23], row[24] / row[26]) * row[39])
