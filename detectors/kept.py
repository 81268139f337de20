"""What a kernel keeps of each instrument: arrays by name, as they go into snapshots."""

from __future__ import annotations

from collections.abc import Mapping

from ingest.errors import SnapshotError
from ingest.events import Array
from ingest.state import Snapshot


class Kept:
    """Arrays that a kernel writes to: a row an instrument each, or counts of no instrument.

    Parameters
    ----------
    what : str
        What an error calls them.
    arrays : mapping of str to Array
        By their names in snapshots; the first has a row an instrument.

    Examples
    --------
    >>> import numpy as np
    >>> kept = Kept("fills", {"fills": np.zeros((2, 3)), "lost": np.zeros(1)})
    >>> told = kept.snapshot(); kept["lost"][0] = 5; kept.restore(told); float(kept["lost"][0])
    0.0
    >>> Kept("fills", {"fills": np.zeros((4, 3)), "lost": np.zeros(1)}).restore(told)
    Traceback (most recent call last):
    ingest.errors.SnapshotError: fills: expected state of 4 instruments, found 2
    """

    def __init__(self, what: str, arrays: Mapping[str, Array]) -> None:
        self._what = what
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def snapshot(self) -> Snapshot:
        """Return copies of all arrays."""
        return {name: array.copy() for name, array in self._arrays.items()}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        name, mine = next(iter(self._arrays.items()))
        if snapshot[name].shape != mine.shape:
            raise SnapshotError(
                f"{self._what}: expected state of {len(mine)} instruments, "
                f"found {len(snapshot[name])}"
            )
        self._arrays = {name: snapshot[name].copy() for name in self._arrays}
