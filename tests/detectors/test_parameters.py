"""No threshold is a number that the simulated abuse is made with."""

from __future__ import annotations

import sys

import msgspec
import pytest

from detectors.base import Parameter
from detectors.catalogue import DETECTORS
from market.abuse.catalogue import INJECTORS

BY_RULE = {
    "clock_uncertainty_ns": "RTS 25: 100 µs",
    "harm_horizon_s": "the product's contract: an unfilled client is marked to mid after 300 s",
    "horizon_s": "likewise",
}
"""Parameters that a rule sets, for the simulated venue and its truth as well."""
UNITS = {"ns": 1e-9, "ms": 1e-3, "s": 1.0, "ratio": 1.0}
"""Of parameters that an injector's constants can be compared with, in its units: s, and shares."""
PAIRS = [
    (kind, scenario)
    for kind in DETECTORS.values()
    for scenario in kind.spec.scenarios
    if scenario in INJECTORS
]


def numbers(value):
    """Return the numbers in a value: itself, or those in a tuple."""
    values = value if isinstance(value, tuple) else (value,)
    return {float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)}


def modules_of(scenario):
    """Return the module of an injector and those of its room that it is made from."""
    found, due = set(), [sys.modules[INJECTORS[scenario].__module__]]
    while due:
        module = due.pop()
        found.add(module)
        used = {getattr(value, "__module__", "") or "" for value in vars(module).values()}
        due += [
            sys.modules[name]
            for name in used
            if name.startswith("market.abuse.") and sys.modules[name] not in found
        ]
    return found


def constants(scenario):
    """Return an injector's named numbers by unit: those whose names end in _s, _ns or _ratio."""
    named = {unit: set() for unit in ("s", "ratio")}
    for module in modules_of(scenario):
        holders = [vars(module), vars(INJECTORS[scenario])]
        for name, value in (item for holder in holders for item in holder.items()):
            unit = name.lower().rpartition("_")[2]
            if unit in UNITS and numbers(value):
                base = "ratio" if unit == "ratio" else "s"
                named[base] |= {number * UNITS[unit] for number in numbers(value)}
    return named


@pytest.mark.parametrize(
    ("kind", "scenario"), PAIRS, ids=[f"{k.spec.id}-{name}" for k, name in PAIRS]
)
def test_no_parameter_equals_a_constant_of_the_injector(kind, scenario):
    theirs = constants(scenario)
    assert any(theirs.values())
    equal = {}
    for field in msgspec.structs.fields(kind.Params):
        (about,) = (each for each in field.type.__metadata__ if isinstance(each, Parameter))
        if about.unit in UNITS and field.name not in BY_RULE:
            values = {number * UNITS[about.unit] for number in numbers(field.default)}
            same = values & theirs["ratio" if about.unit == "ratio" else "s"]
            if same:
                equal[field.name] = same
    assert equal == {}
