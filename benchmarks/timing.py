"""One way to time everything: what is prepared is not counted, nor is the run that compiles."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable

import msgspec

BUDGET_DETECTOR_NS = 100.0
BUDGET_BOOK_NS = 150.0


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """What one part costs, in nanoseconds an event."""

    part: str
    on_market: bool = False
    """Whether on a simulated market's tape; else on one of orders at random."""
    batch_rows: int
    """Events that it was given at a time."""
    events: int
    """Events of one repeat."""
    repeats: int
    best_ns: float
    median_ns: float
    budget_ns: float | None = None

    @property
    def over(self) -> bool:
        """Whether even the best repeat is over the budget."""
        return self.budget_ns is not None and self.best_ns > self.budget_ns


def each(function: Callable[..., object], *columns: Iterable[object]) -> Callable[[], object]:
    """Return work that calls a function with each row and keeps no result, as the pipeline does."""

    def work() -> None:
        for row in zip(*columns, strict=True):
            function(*row)

    return work


def repeated(
    part: str,
    prepare: Callable[[], Callable[[], object]],
    *,
    events: int,
    batch_rows: int,
    repeats: int,
    budget_ns: float | None = None,
    on_market: bool = False,
) -> Timing:
    """Return the timing of some work; `prepare` gives it anew, with fresh state, each time."""
    prepare()()
    taken = []
    for _ in range(repeats):
        work = prepare()
        begun = time.perf_counter_ns()
        work()
        taken.append((time.perf_counter_ns() - begun) / events)
    return Timing(
        part=part,
        on_market=on_market,
        batch_rows=batch_rows,
        events=events,
        repeats=repeats,
        best_ns=min(taken),
        median_ns=statistics.median(taken),
        budget_ns=budget_ns,
    )
