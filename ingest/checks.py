"""The checks of a record's values, over arrays: which records lack a field or leave its range.

The kernel marks; `careful.judge` says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ingest.compiled import kernel
from ingest.events import NULL, Array, Kind, OrderType, Topic
from ingest.records import ACTIONS, ENUMS, FIRST_NS, LAST_NS, VERSION, WIRE_FIELDS

_TYPES: Final = max(OrderType) + 1


class Checks:
    """The contract's demands on one topic as tables.

    Parameters
    ----------
    topic : Topic
    least : function of (field, action)
        Least count of a decimal; None when any will do.
    """

    def __init__(self, topic: Topic, least: Callable[[str, str], int | None]) -> None:
        fields = WIRE_FIELDS[topic]
        bits = {name: np.uint64(1 << place) for place, name in enumerate(fields)}
        actions = ACTIONS if topic is Topic.ORDERS else {"trade": int(Kind.TRADE)}
        types = {"": int(OrderType.NONE)}
        if topic is Topic.ORDERS:
            types |= ENUMS[topic]["type"]
        # By kind and order type; a bust is exempt from what it waives.
        self._required = np.zeros((len(Kind), _TYPES), dtype=np.uint64)
        self._waived = np.uint64(0)
        for name, field in fields.items():
            for action in field.required_for:
                for word, code in types.items():
                    if not field.order_types or word in field.order_types:
                        self._required[actions[action], code] |= bits[name]
            if field.waived_by_bust:
                self._waived |= bits[name]
        self._bust = bits.get("busts", np.uint64(0))
        self._times = [name for name in fields if name.endswith("_ns")]
        self._decimals = [name for name in fields if fields[name].form == "decimal"]
        self._least = np.full((len(self._decimals), len(Kind)), NULL, dtype=np.int64)
        for row, name in enumerate(self._decimals):
            for action, kind in actions.items():
                lowest = least(name, action)
                self._least[row, kind] = NULL if lowest is None else lowest

    def mark(self, columns: dict[str, Array], version: Array, present: Array, bad: Array) -> None:
        """Set `bad` where a record must be refused.

        Parameters
        ----------
        columns : mapping of name to array
            kind, type, instrument, seq, times and decimals as in `WIRE`.
        version : int64 array
        present : uint64 array
            Bit sets over the topic's fields.
        bad : bool array
            Written to.
        """
        _demand(
            columns["kind"],
            columns.get("type", np.zeros(len(bad), dtype=np.int8)),
            columns["instrument"],
            columns["seq"],
            version,
            present,
            self._required,
            self._bust,
            self._waived,
            bad,
        )
        for name in self._times:
            _times(columns[name], bad)
        for row, name in enumerate(self._decimals):
            _at_least(columns[name], columns["kind"], self._least[row], bad)


@kernel()
def _demand(  # noqa: PLR0917
    kinds: Array,
    types: Array,
    instruments: Array,
    seq: Array,
    version: Array,
    present: Array,
    required: Array,
    bust: np.uint64,
    waived: np.uint64,
    bad: Array,
) -> None:
    for row in range(len(bad)):
        if bad[row]:
            continue
        need = required[kinds[row], types[row]]
        if present[row] & bust:
            need &= ~waived
        bad[row] = (
            present[row] & need != need
            or instruments[row] < 0
            or seq[row] < 1
            or version[row] != VERSION
        )


@kernel()
def _times(times: Array, bad: Array) -> None:
    for row in range(len(bad)):
        at = times[row]
        if at != NULL and not FIRST_NS <= at < LAST_NS:
            bad[row] = True


@kernel()
def _at_least(counts: Array, kinds: Array, least: Array, bad: Array) -> None:
    for row in range(len(bad)):
        if counts[row] != NULL and not bad[row] and counts[row] < least[kinds[row]]:
            bad[row] = True
