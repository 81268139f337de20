"""What stop_hunting hands on: how often the group runs stops, and how strange its runs are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from detectors.hunt_params import StopHuntingParams
from detectors.hunt_rates import Tally
from detectors.hunt_reach import CLASSES
from detectors.hunt_runs import Run
from ingest.signs import Measure, Rate, Surprise

CAUGHT, STRANGE = 1, 2
"""Grades: runs that the group caught from, and those that are strange by themselves."""
EVEN: Final = 0.5
"""Of others' runs, more than were seen: what a rate of nought may be."""


def grade_of(run: Run, chance: float, params: StopHuntingParams) -> int:
    """Return the grade of a run by the group, 0 where it is nothing to be told."""
    if not run.caught or run.caught < params.worth_ratio * run.pushed:
        return 0
    return STRANGE if chance <= params.strange_chance else CAUGHT


def measures_of(run: Run, tally: Tally, params: StopHuntingParams) -> tuple[Measure, ...]:
    """Return how often the group's orders run stops, beside others', and how strange its runs are.

    Others' are those that move the price as far, class by class. Of a class in which the group has
    most, others are taken to have one more.
    """
    most = params.strange_chance
    strange = Measure(
        grade=STRANGE,
        cases=tally.strange,
        expected=most * tally.runs,
        legs=(Surprise(name="as_strange", tests=tally.runs, most=most, nats=tally.surprise),),
    )
    classes = list(_classes(run))
    if not classes:
        return (strange,)
    own = max(range(len(classes)), key=lambda n: classes[n][3])
    often = Measure(
        grade=CAUGHT,
        cases=sum(hits for *_, hits in classes),
        expected=sum(
            pushes * (others_hits + EVEN * (n == own)) / max(others, 1)
            for n, (others, others_hits, pushes, _) in enumerate(classes)
        ),
        legs=tuple(
            Rate(
                name="as_often",
                cases=hits,
                others=others_hits,
                share=pushes / (pushes + others),
                spare=int(n == own),
            )
            for n, (others, others_hits, pushes, hits) in enumerate(classes)
        ),
    )
    return (often, strange)


def _classes(run: Run) -> Iterator[tuple[int, ...]]:
    """Yield others' pushes and hits, and the group's, of each class of reach with any hit.

    Of a class in which nobody else pushes there is nothing to compare with.
    """
    for place in range(CLASSES):
        row = run.reach[4 * place : 4 * place + 4]
        if row[0] and (row[1] or row[3]):
            yield row
