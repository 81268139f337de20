"""Blocks of time that are over, each one observation of a test: for client_interaction."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.interaction_state import (
    B_COUNT,
    B_MOVES,
    B_SUM,
    BLOCK,
    BLOCK_FIELDS,
    BLOCK_NS,
    BLOCKS_NS,
    BUCKET,
    GROUP,
    PARTS,
    SEEN,
    SLOTS,
    STRATA,
    T_BLOCKS,
    T_MOVES,
    T_SQUARES,
    T_SUM,
)
from ingest.compiled import kernel
from ingest.events import Array

_BLOCKS: Final = np.array(BLOCKS_NS, np.int64)


@kernel(inline="always")
def close_block(  # noqa: PLR0917
    own: Array, blocks: Array, fill_blocks: Array, tallies: Array, fill_tallies: Array, at_ns: int
) -> None:
    """Make one observation of each running block that is over, and begin the next."""
    before_ns, own[BLOCK] = own[BLOCK], at_ns
    if at_ns // _BLOCKS[0] == before_ns // _BLOCKS[0]:
        return
    bucket = own[BUCKET] % tallies.shape[0]
    for horizon in range(len(_BLOCKS)):
        # Each lasts a whole number of the one before: where one goes on so do all that are longer.
        if at_ns // _BLOCKS[horizon] == before_ns // _BLOCKS[horizon]:
            break
        for slot in range(GROUP + 1, SLOTS):
            for seen in range(STRATA * SEEN):
                row = horizon + len(_BLOCKS) * seen
                count = blocks[slot, row, B_COUNT]
                if count == 0:
                    continue
                moves = blocks[slot, row, B_MOVES] / count
                for part in range(PARTS):
                    mean = blocks[slot, row, B_SUM + part] / count
                    kind = horizon + len(_BLOCKS) * (part + PARTS * seen)
                    tallies[bucket, slot, kind, T_BLOCKS] += 1.0
                    tallies[bucket, slot, kind, T_SUM] += mean
                    tallies[bucket, slot, kind, T_SQUARES] += mean * mean
                    tallies[bucket, slot, kind, T_MOVES] += moves
                for field in range(BLOCK_FIELDS):
                    blocks[slot, row, field] = 0.0
    if at_ns // BLOCK_NS == before_ns // BLOCK_NS:
        return
    for slot in range(SLOTS):
        for side in range(fill_blocks.shape[1]):
            for horizon in range(fill_blocks.shape[2]):
                count = fill_blocks[slot, side, horizon, 1]
                if count > 0:
                    mean = fill_blocks[slot, side, horizon, 0] / count
                    tally = fill_tallies[bucket, slot, side, horizon]
                    tally[T_BLOCKS] += 1.0
                    tally[T_SUM] += mean
                    tally[T_SQUARES] += mean * mean
        fill_blocks[slot] = 0.0
