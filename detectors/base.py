"""The contract of a detector: what it says of itself, what it takes, what it returns.

A detector is one file with one class. Findings are facts with their legs; identity, severity and
words for people are made of them in the alerts room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import msgspec

from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.parameter import Parameter
from ingest.sections import Layout
from ingest.signs import Sign
from ingest.state import Snapshot
from ingest.times import DAY

__all__ = [
    "CoverageWord",
    "Detector",
    "Evidence",
    "EvidenceClass",
    "Feature",
    "Finding",
    "Layout",
    "NotifyClock",
    "Parameter",
    "Params",
    "Ref",
    "Scope",
    "Snapshot",
    "Spec",
    "Status",
    "rounded",
]

Scope = Literal["instrument", "platform"]
EvidenceClass = Literal["breach", "rule", "indicator"]
Evidence = Literal["proved", "supported", "weak"]
Status = Literal["provisional", "confirmed", "retracted"]
CoverageWord = Literal["complete", "incomplete"]
NotifyClock = Literal["none", "asap", "immediate"]


WEEK_NS: Final = 7 * DAY


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a detector says of itself; the source of its docs page."""

    id: str
    version: int
    title: str
    scope: Scope
    evidence_class: EvidenceClass
    scenarios: tuple[str, ...]
    looks_for: str
    legal_basis: tuple[str, ...]
    look_alikes: tuple[str, ...]
    """Innocent conduct that resembles it; each has a must-not-fire test."""
    blind_spots: tuple[str, ...]
    """Known gaps; each has an xfail test."""
    runbook: tuple[str, ...]
    """Triage steps; each names a field and a time window."""
    needs: tuple[str, ...]
    """Contract fields without which it sees nothing."""
    wants: tuple[str, ...] = ()
    """Optional fields whose absence narrows it."""


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a detector's parameters: frozen, units in the names, `Parameter` on each field."""


class Feature(msgspec.Struct, frozen=True):
    """One number of a finding, restated for the episode so far."""

    value: float | int | str
    unit: str
    baseline: float | int | str | None = None


class Ref(msgspec.Struct, frozen=True, order=True):
    """A source event: instrument code and seq."""

    instrument: int
    seq: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that a detector saw. One episode yields one finding for each fact, in event order.

    `evidence_refs` and `context_refs` are what *this* finding adds; every other field restates the
    episode so far, so that the finding with the highest `revision` describes the episode, and
    applying a finding twice changes nothing.
    """

    detector: str
    detector_version: int
    scenario: str
    evidence_class: EvidenceClass
    evidence: Evidence
    instrument: int
    first_seq: int
    """Seq of the episode's first evidence; with `first_accounts` it fixes the alert's identity."""
    first_accounts: tuple[int, ...]
    revision: int
    """Place in the episode, from 1: a function of events, never of batches."""
    accounts: tuple[int, ...]
    window_start_ns: int
    window_end_ns: int
    detected_ns: int
    evidence_refs: tuple[Ref, ...]
    """Records of the conduct and of those that it hurt: the alert names their ids."""
    features: Mapping[str, Feature]
    score: float
    """0 to 1, higher is worse."""
    facets: tuple[str, ...] = ()
    systematic: bool = False
    """The conduct is a pattern, not a slip: raises a proved breach to critical."""
    all_legs: bool = False
    """Every leg of the case was seen: a single case is then worth an alert of medium."""
    significant: bool = False
    """A rate passed its test (indicators), or a materiality mark was passed (rules)."""
    client_harm: float | None = None
    """Quote currency; None = not measured."""
    counterfactual: str = ""
    notify_clock: NotifyClock = "none"
    coverage: CoverageWord = "complete"
    status: Status = "provisional"
    context_refs: tuple[Ref, ...] = ()
    """Records that what is said is measured by: kept as evidence, and not named."""

    @property
    def all_refs(self) -> tuple[Ref, ...]:
        """Records that it adds, named or not."""
        return self.evidence_refs + self.context_refs


class Detector(ABC):
    """One detector with its state.

    Parameters
    ----------
    params : Params
        Instance of the class's `Params`.
    instruments : Instruments
        The venue's table; `instrument` codes of batches index it.
    """

    spec: ClassVar[Spec]
    Params: ClassVar[type[Params]]
    hears: ClassVar[Sequence[str]] = ()
    """Of platform scope: the detectors whose signs it takes, by id."""
    layout: ClassVar[Layout]
    """How each array of `snapshot` is keyed by instrument; parts bring their own layouts."""

    @abstractmethod
    def __init__(self, params: Any, instruments: Instruments) -> None: ...

    @abstractmethod
    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return what became known, in event order.

        Called once a batch, in order; must not write to the batch. However the same events are cut
        into batches, the findings over all calls are the same.
        """

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Return all state as arrays that later steps do not write to, each told of in `layout`."""

    @abstractmethod
    def restore(self, snapshot: Snapshot) -> None:
        """Take over a state that `snapshot` returned; raise SnapshotError when it does not fit."""

    @property
    def reach_ns(self) -> int:
        """How far before the watermark a later finding may cite events, ns; platform scope only.

        By default a week, the longest window in use. Raw records are kept for as long.
        """
        return WEEK_NS

    def signs(self) -> Sequence[Sign]:
        """Return, once, what the steps since the last call measured that platform scope may use."""
        return ()

    @property
    def overflow(self) -> int:
        """Count of facts not kept because a bound was reached; 0 where nothing was lost."""
        return 0


SIGNIFICANT_DIGITS: Final = 9


def rounded(value: float) -> float:
    """Return a float as it is emitted: 9 significant digits, minus zero as zero.

    >>> rounded(0.1 + 0.2), rounded(-0.0)
    (0.3, 0.0)
    """
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0
