"""Records that a shard turns away before its sequencer sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from alerts.shards import Claim, Shards
from ingest.events import Array, Reject, Topic
from ingest.instruments import Instruments
from ingest.source import Arrivals


class Homes:
    """Which shard each instrument belongs to: the one that read it first.

    State: one code an instrument that was read here.

    Parameters
    ----------
    shards : Shards
    claim : Claim
    instruments : Instruments
    """

    def __init__(self, shards: Shards, claim: Claim, instruments: Instruments) -> None:
        self._shards = shards
        self._claim = claim
        self._instruments = instruments
        self._mine: set[int] = set()
        self._foreign: dict[int, str] = {}

    def without_foreign(self, arrivals: Arrivals, unbound: Callable[[Array], Array]) -> Arrivals:
        """Bind instruments that are new here; reject records of those that another shard has.

        `unbound` returns those of some codes of which no record was taken yet.

        Raises
        ------
        FencedError
            The shard has another owner.
        """
        batch = arrivals.batch
        if not len(batch):
            return arrivals
        self._bind(
            [
                code
                for code in unbound(batch["instrument"]).tolist()
                if code not in self._mine and code not in self._foreign
            ]
        )
        if not self._foreign:
            return arrivals
        return _rejected(
            arrivals,
            np.isin(batch["instrument"], list(self._foreign)),
            "wrong_partition",
            self._why,
        )

    def _bind(self, codes: Iterable[int]) -> None:
        wanted = {self._instruments[code].instrument: code for code in codes}
        if not wanted:
            return
        elsewhere = self._shards.bind(self._claim, wanted)
        self._foreign |= {wanted[name]: shard for name, shard in elsewhere.items()}
        self._mine.update(code for code in wanted.values() if code not in self._foreign)

    def _why(self, code: int) -> str:
        return (
            f"{self._instruments[code].instrument} must come from the partition of shard "
            f"{self._foreign[code]}, as its first record did, came from {self._claim.shard}"
        )


def without_losers(arrivals: Arrivals, losers: Iterable[tuple[int, int, int]]) -> Arrivals:
    """Reject records of which a journal says that another with their seq had come before.

    `losers` are topic, partition and offset of each.
    """
    lost = set(losers)
    if not lost:
        return arrivals
    batch = arrivals.batch
    places = zip(*(batch[c].tolist() for c in ("topic", "partition", "offset")), strict=True)
    mask = np.array([place in lost for place in places], np.bool_)
    return _rejected(arrivals, mask, "conflict", lambda _: "another record had come before")


def _rejected(arrivals: Arrivals, mask: Array, reason: str, why: Callable[[int], str]) -> Arrivals:
    batch = arrivals.batch
    if not mask.any():
        return arrivals
    rejects = [
        Reject(
            topic=Topic(int(batch["topic"][row])),
            partition=int(batch["partition"][row]),
            offset=int(batch["offset"][row]),
            reason=reason,
            detail=why(int(batch["instrument"][row])),
            raw=b"" if batch.raw is None else batch.raw[row],
        )
        for row in np.flatnonzero(mask).tolist()
    ]
    return msgspec.structs.replace(
        arrivals, batch=batch.take(~mask), rejects=(*arrivals.rejects, *rejects)
    )
