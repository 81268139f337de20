"""A detector's docs page, made of its spec and parameters alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_type_hints

from detectors.base import Detector, Parameter, Params

SCOPES = {
    "instrument": "one instrument at a time, as events come",
    "platform": "across instruments, at fixed boundaries of event time",
}
CLASSES = {
    "breach": "breach: deterministic, tolerance 0",
    "rule": "rule: with stated exceptions, each citing its evidence",
    "indicator": "indicator: statistical",
}
MARKS = (
    "[V] read in the instrument's own words, [S] second-hand, [M] from memory and unverified. "
    "No text sets a numeric threshold: every threshold is Ringfence's own."
)


def detector_page(detector: type[Detector]) -> str:
    """Return the page of a detector as Markdown.

    Examples
    --------
    >>> from detectors.catalogue import DETECTORS
    >>> detector_page(DETECTORS["wash_trading"]).splitlines()[0]
    '# Wash trading'
    """
    spec = detector.spec
    parts = [
        f"# {spec.title}",
        (
            f"`{spec.id}`, version {spec.version}. Scope: {SCOPES[spec.scope]}. "
            f"Class: {CLASSES[spec.evidence_class]}."
        ),
        "Scenarios: " + ", ".join(f"`{name}`" for name in spec.scenarios) + ".",
        "## Looks for",
        spec.looks_for,
        "## Legal basis",
        _bullets(spec.legal_basis),
        MARKS,
        "## Innocent look-alikes",
        "Each has a test that it does not fire.",
        _bullets(spec.look_alikes),
        "## Blind spots",
        "Known gaps; each has a test that is expected to fail.",
        _bullets(spec.blind_spots),
        "## Triage",
        "\n".join(f"{place}. {step}" for place, step in enumerate(spec.runbook, start=1)),
        "## Fields",
        "Needs: " + _codes(spec.needs) + ".",
        "Narrower without: " + _codes(spec.wants) + "." if spec.wants else "",
        "## Parameters",
        f"Table `[detectors.{spec.id}]` of the configuration.",
        _parameters(detector.Params),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def parameters(params: type[Params]) -> Sequence[tuple[str, Any, Parameter]]:
    """Return (name, default, meaning) of each parameter."""
    hints = get_type_hints(params, include_extras=True)
    defaults = params()
    return [
        (
            name,
            getattr(defaults, name),
            next(note for note in hints[name].__metadata__ if isinstance(note, Parameter)),
        )
        for name in params.__struct_fields__
    ]


def _parameters(params: type[Params]) -> str:
    rows = ["| name | default | unit | meaning | why this default |", "|---|---|---|---|---|"]
    for name, default, note in parameters(params):
        shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
        cells = (f"`{name}`", str(shown), note.unit, note.meaning, note.reason)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _codes(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
