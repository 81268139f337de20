"""Detectors at work: stepped, timed, and put out of use when they fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from detectors.base import Detector, Finding, Scope
from ingest.events import Batch
from ingest.state import Sections

_log = structlog.get_logger()


def section_of(detector: Detector) -> str:
    """Return the section of a detector's state in a snapshot."""
    return f"detector/{detector.spec.id}/{detector.spec.version}"


class Detecting:
    """The detectors of one shard.

    Parameters
    ----------
    detectors : sequence of Detector
    tick : callable
        Seconds of a monotonic clock; used for cost figures only.
    """

    def __init__(self, detectors: Sequence[Detector], tick: Callable[[], float]) -> None:
        self.quarantined: dict[str, str] = {}
        """Detectors that failed, with the error. Their state is lost with the event that broke
        them, so they stay out, across restarts, until their version or the checkpoint changes."""
        self.seconds: dict[str, float] = {}
        """Time spent since `spent` was asked, by detector."""
        self._detectors = detectors
        self._tick = tick

    def running(self, scope: Scope | None = None) -> Sequence[Detector]:
        """Return those that are not out of use: all, or of one scope."""
        return [
            d
            for d in self._detectors
            if d.spec.id not in self.quarantined and scope in {None, d.spec.scope}
        ]

    def step(self, detector: Detector, batch: Batch) -> Sequence[Finding]:
        """Step a detector; one that fails is put out of use, so that it does not blind the rest."""
        name = detector.spec.id
        if name in self.quarantined:
            return ()
        begun = self._tick()
        try:
            return detector.step(batch)
        except Exception as error:  # noqa: BLE001 (one fault must not blind the rest)
            self.quarantined[name] = f"{type(error).__name__}: {error}"
            _log.exception("detector quarantined", detector=name)
            return ()
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._tick() - begun

    def spent(self) -> Mapping[str, float]:
        """Return the time spent since the last call, s, by detector."""
        seconds, self.seconds = self.seconds, {}
        return seconds

    def overflow(self, detector: str) -> int:
        """Return how many facts a detector did not keep because a bound was reached."""
        return next((d.overflow for d in self._detectors if d.spec.id == detector), 0)

    def snapshot(self) -> Sections:
        """Return the state of those that run, by section."""
        return {section_of(d): d.snapshot() for d in self.running()}
