"""A market of four makers, one of which may see ahead, as arrays: for examples and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from detectors.examples import COLUMNS
from ingest.events import Array, Batch, Kind, OrderType, Role, Side, TimeInForce, empty
from ingest.instruments import Instruments
from ingest.times import MILLI

START_NS: Final = 1_763_900_100_000 * MILLI
"""A full five minutes."""
LASTS_MS: Final = 302_000
STEP_MS: Final = 250
"""The public price moves once in so long."""
MAKERS: Final = (1, 2, 3, 4)
"""Accounts; the first is the group's."""
CLIENT: Final = 9
SIZE: Final = 10_000


STORM: Final = 4
"""Times as far as usual that the public price may step in a storm."""


def walk(
    steps: int, *, seed: int = 0, reach: int = 3, storms_ms: Sequence[tuple[int, int]] = ()
) -> Array:
    """Return a public price, ticks: steps of up to `reach` each way, of a fixed generator's luck.

    In storms they go up to `STORM` times as far. The generator is SplitMix64 on (seed, step): it
    needs no state and repeats.
    """
    z = (np.arange(steps, dtype=np.uint64) + np.uint64(1 + 1_000_003 * seed)) * np.uint64(
        0x9E3779B97F4A7C15
    )
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    ms = np.arange(steps) * STEP_MS
    wild = np.any([(ms >= begun) & (ms < over) for begun, over in storms_ms], axis=0)
    far = np.where(wild, STORM * reach, reach)
    luck = (z ^ (z >> np.uint64(31))) % (2 * far + 1).astype(np.uint64)
    return np.asarray(100_000 + np.cumsum(luck.astype(np.int64) - far))


def quoted(
    instruments: Instruments,
    *,
    ahead_ms: Sequence[int] = (0, 0, 0, 0),
    spells_ms: Sequence[tuple[int, int]] = ((0, 2**62),),
    every_ms: Sequence[int] = (250, 250, 250, 250),
    late_ms: Sequence[int] = (10, 50, 90, 130),
    half: Sequence[int] = (12, 12, 12, 12),
    skew: Sequence[int] = (0, 0, 0, 0),
    jitter: int = 0,
    sides: Sequence[int] = (1, -1),
    ahead_sides: Sequence[int] = (1, -1),
    sees: Callable[[Array], Array] | None = None,
    fills: Sequence[tuple[int, int, int]] = (),
    lasts_ms: int = LASTS_MS,
    reach: int = 3,
    storms_ms: Sequence[tuple[int, int]] = (),
    seed: int = 0,
) -> Batch:
    """Return makers that re-quote around a public price, and clients' fills against them.

    Parameters
    ----------
    ahead_ms, every_ms, late_ms, half, skew : four ints, by maker
        How far it sees ahead; time between its looks; how long after a look it acts; half its
        spread, ticks; by how many ticks its quotes are off for a minute in turn each way.
    jitter : int
        By up to how many ticks the group's quotes are off at each look, at random.
    spells_ms : sequence of (from, to)
        When who sees ahead does.
    sides, ahead_sides : sequence of int
        On which the group quotes; on which of its quotes who sees ahead does.
    sees : callable, optional
        What the external makers quote around, by the prices at their looks.
    fills : sequence of (ms, maker, side)
        Clients' fills: when, with which maker (its place), the client's side; those at one time
        are of one instruction.
    storms_ms : sequence of (from, to)
        When the public price steps farther.
    """
    steps = (lasts_ms + max(ahead_ms)) // STEP_MS + 2
    path = walk(steps, seed=seed, reach=reach, storms_ms=storms_ms)
    rows: list[Array] = []  # ms, maker, side, price, first
    for maker in range(len(MAKERS)):
        looks = np.arange(0, lasts_ms, every_ms[maker])
        within = np.any([(looks >= begun) & (looks < over) for begun, over in spells_ms], axis=0)
        for side in (1, -1):
            if maker == 0 and side not in sides:
                continue
            ahead = ahead_ms[maker] * within * (side in ahead_sides)
            mids = path[(looks + ahead) // STEP_MS]
            if sees is not None and maker:
                mids = sees(mids)
            mids = mids + skew[maker] * np.where(looks // 60_000 % 2, 1, -1)
            if maker == 0:
                mids = mids + np.diff(walk(len(looks) + 1, seed=seed + 1, reach=jitter))
            shape = np.full(len(looks), 1)
            price = mids - side * half[maker]
            rows.append(
                np.stack(
                    [looks + late_ms[maker], maker * shape, side * shape, price, looks == 0], axis=1
                )
            )
    for ms, maker, side in fills:
        price = int(path[ms // STEP_MS]) + side * half[maker]
        rows.append(np.array([[ms, maker, side, price, 2]]))
    every = np.concatenate(rows)
    every = every[np.argsort(every[:, 0], kind="stable")]
    return _batch(instruments, every, path, min(half))


def _batch(instruments: Instruments, rows: Array, path: Array, half: int) -> Batch:
    ms, maker, side, price, what = rows.T
    quote = what < 2
    columns = empty(COLUMNS, len(rows))
    columns["instrument"][:] = 0
    columns["seq"][:] = np.arange(1, len(rows) + 1)
    for name in ("engine_ns", "clock_ns"):
        columns[name][:] = START_NS + ms * MILLI
    columns["received_ns"][:] = START_NS + ms * MILLI - MILLI
    columns["kind"][:] = np.where(quote, np.where(what == 1, Kind.NEW, Kind.REPLACE), Kind.TRADE)
    columns["side"][:] = side
    columns["price"][:] = price
    columns["quantity"][:] = np.where(quote, SIZE, 1)
    columns["leaves"][quote] = SIZE
    columns["type"][quote], columns["tif"][quote] = OrderType.LIMIT, TimeInForce.GTC
    account = np.array(MAKERS)[maker]
    role = np.where(maker == 0, Role.AFFILIATED_MM, Role.EXTERNAL_MM)
    columns["account"][quote], columns["role"][quote] = account[quote], role[quote]
    columns["in_complex"][quote] = maker[quote] == 0
    columns["order_lo"][quote] = (2 * account + (side == Side.SELL))[quote]
    for way, name in ((1, "buy"), (-1, "sell")):
        client, hit = ~quote & (side == way), ~quote & (side == -way)
        columns[f"{name}_account"][client], columns[f"{name}_role"][client] = CLIENT, Role.CLIENT
        columns[f"{name}_account"][hit], columns[f"{name}_role"][hit] = account[hit], role[hit]
        columns[f"{name}_complex"][hit] = maker[hit] == 0
        columns[f"{name}_lo"][hit] = (2 * account + (side == Side.BUY))[hit]
    columns["incoming_seq"][~quote] = 1 + ms[~quote]
    public = path[ms // STEP_MS]
    columns["best_bid"][:], columns["best_ask"][:] = public - half, public + half
    columns["bid_lots"][:] = columns["ask_lots"][:] = 4 * SIZE
    return Batch(columns, instruments)
