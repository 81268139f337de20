"""Cycles that tell by themselves: set aside where the rest of a day is asked for a pattern.

Several cycles within minutes are a case by how close they came. They are a great part of the size
that went after fills that day, too; were they left in, that one case would make each lone cycle of
the day look like one of a pattern. So a lone one is held against the day without them.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from detectors.layers_state import BLOCKS
from detectors.spoofing_cycle import Cycle
from detectors.spoofing_rate import OWN_FILLED, OWN_FILLED_GONE
from ingest.axes import Rows
from ingest.events import Array
from ingest.sections import Layout
from ingest.state import Snapshot

MOST: Final = 512
"""Cycles kept an instrument, the latest; an older one stays in the day."""
_CODE, _DUE_NS, _MEASURE, _SIZE, _STOOD, _WHOLE, _EPISODE, _TELLS = range(8)
_FIELDS: Final = 8


class Aside:
    """The complex's cycles of the last day by episode, and which episodes tell by themselves.

    State: 64 B a cycle, `MOST` cycles an instrument at most.

    Parameters
    ----------
    window_ns : int
        How long a cycle counts, ns. The scan counts surges in `BLOCKS` blocks of it: what it has
        forgotten already is not taken off its tallies.
    """

    layout: ClassVar[Layout] = {"aside": Rows("aside", column=_CODE)}

    def __init__(self, window_ns: int) -> None:
        self._window_ns, self._block_ns = window_ns, window_ns // BLOCKS
        self._of: dict[int, list[list[int]]] = {}

    def add(self, cycle: Cycle, episode: int) -> None:
        """Note a cycle as one of an episode, which is named by its `first_seq`."""
        held = self._of.setdefault(cycle.instrument, [])
        held.append(
            [
                cycle.instrument, cycle.due_ns, cycle.measure, cycle.size, cycle.stood,
                int(cycle.whole), episode, 0,
            ]
        )  # fmt: skip
        # A block more than the window, in which a large cycle still counts.
        oldest = cycle.due_ns - self._window_ns - self._block_ns
        held[:] = [each for each in held if each[_DUE_NS] >= oldest][-MOST:]

    def mark(self, code: int, episode: int, *, tells: bool) -> None:
        """Say whether an episode tells by itself."""
        for row in self._of.get(code, ()):
            if row[_EPISODE] == episode:
                row[_TELLS] = int(tells)

    def episodes(self, code: int, but: int | None = None) -> set[int]:
        """Return the episodes of an instrument that tell by themselves, but for one."""
        rows = self._of.get(code, ())
        return {row[_EPISODE] for row in rows if row[_TELLS] and row[_EPISODE] != but}

    def left(self, cycle: Cycle, but: int | None = None) -> Array:
        """Return a cycle's tallies without the cycles of the episodes that `episodes` returns."""
        left, aside = cycle.tallies, self.episodes(cycle.instrument, but)
        if aside:
            left = left.copy()
            oldest = cycle.due_ns // self._block_ns - BLOCKS
            for row in self._of[cycle.instrument]:
                # An account's by itself is in no tally.
                counted = row[_WHOLE] and row[_DUE_NS] // self._block_ns > oldest
                if counted and row[_EPISODE] in aside:
                    of_class = left[row[_MEASURE], row[_SIZE], row[_STOOD]]
                    of_class[OWN_FILLED] -= 1
                    of_class[OWN_FILLED_GONE] -= 1
        return left

    def snapshot(self) -> Snapshot:
        """Return the cycles kept; of an instrument together, in order."""
        rows = [row for code in sorted(self._of) for row in self._of[code]]
        return {"aside": np.array(rows, np.int64).reshape(-1, _FIELDS)}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._of = {}
        for row in snapshot["aside"].tolist():
            self._of.setdefault(row[_CODE], []).append(row)
