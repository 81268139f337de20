"""Arrays dealt out in blocks: an instrument's tables, each of the size that it needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ingest.events import Array


class Blocks:
    """Arrays of as many rows, of which blocks are taken, and given back.

    Sizes are powers of two. A block given back is taken again by who needs one of its size, so no
    more rows are held than were taken at once, size by size.

    Parameters
    ----------
    arrays : sequence of Array
        Of no rows.

    Examples
    --------
    >>> import numpy as np
    >>> blocks = Blocks([np.zeros((0, 3), np.int64)])
    >>> one, other = blocks.take(4), blocks.take(8)
    >>> blocks.give_back(one, 4); blocks.take(4) == one != other
    True
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = list(arrays)
        self._used = 0
        self._free: dict[int, list[int]] = {}

    def take(self, size: int) -> int:
        """Return the first row of a block in which all is 0."""
        if self._free.get(size):
            return self._free[size].pop()
        at, self._used = self._used, self._used + size
        short = self._used - len(self.arrays[0])
        if short > 0:
            more = max(short, len(self.arrays[0]))
            self.arrays = [
                np.concatenate([each, np.zeros((more, *each.shape[1:]), each.dtype)])
                for each in self.arrays
            ]
        return at

    def give_back(self, at: int, size: int) -> None:
        """Forget a block."""
        if size:
            for each in self.arrays:
                each[at : at + size] = 0
            self._free.setdefault(size, []).append(at)
