"""Assembly: a configuration into a pipeline; the one place that knows every room's constructor."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alerts.archive import Archive, Hold
from alerts.archive_bounds import no_holds
from alerts.fold import AlertBook
from alerts.identity import params_hash
from alerts.severity import SeverityParams
from detectors.base import Detector
from detectors.book import Books
from detectors.catalogue import DETECTORS
from detectors.platform import PlatformStage
from detectors.summaries import Summariser
from ingest.events import Topic
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.sequence import Sequencer
from ingest.times import SECOND
from monitor.config import Config
from monitor.pipeline import Pipeline

if TYPE_CHECKING:
    from alerts.store import AlertStore


def build_detectors(config: Config, instruments: Instruments) -> list[Detector]:
    """Return a detector for each that has parameters, in the catalogue's order."""
    params = config.detectors
    return [kind(params[name], instruments) for name, kind in DETECTORS.items() if name in params]


def build_platform(
    detectors: Sequence[Detector],
    instruments: Instruments,
    shards: Collection[str],
    *,
    raw: bool,
) -> PlatformStage:
    """Return a stage with those detectors that are of platform scope.

    `raw`: whether evidence travels with the summaries, because no archive is at hand.
    """
    kept = {} if raw else {"raw_bytes": 0}
    of_platform = [detector for detector in detectors if detector.spec.scope == "platform"]
    return PlatformStage(of_platform, instruments, shards, **kept)


def build_sequencer(config: Config, instruments: Instruments) -> Sequencer:
    """Return a sequencer with the bounds that are configured."""
    return Sequencer(
        instruments,
        gap_timeout_ns=int(config.sequence.gap_timeout_s * SECOND),
        max_pending=config.sequence.max_pending_events,
        max_clock_jump_ns=int(config.sequence.max_clock_jump_s * SECOND),
        lateness_ns=int(config.sequence.lateness_s * SECOND),
    )


def build_pipeline(
    config: Config,
    *,
    instruments: Instruments,
    names: Names,
    topic_names: Mapping[Topic, str],
    archive_dir: Path,
    store: AlertStore | None,
    shard: str = "tape",
    holds: Callable[[], Collection[Hold]] = no_holds,
) -> Pipeline:
    """Return a pipeline without state, its archive in a folder and its store, if any, attached.

    For a tape the stage of platform scope is part of it; other shards sum up for a stage elsewhere.
    `holds` gives the archived events that may not be dropped.
    """
    detectors = build_detectors(config, instruments)
    here = shard == "tape"
    archive = Archive(
        archive_dir,
        instruments=instruments,
        max_bytes=config.alerts.archive_max_bytes,
        max_age_s=config.alerts.archive_max_age_days * 86_400,
        holds=holds,
    )
    return Pipeline(
        names=names,
        sequencer=build_sequencer(config, instruments),
        books=Books(instruments),
        detectors=[d for d in detectors if here or d.spec.scope == "instrument"],
        summariser=Summariser(instruments, shard, raw=not here),
        platform=build_platform(detectors, instruments, [shard], raw=False) if here else None,
        archive=archive,
        alerts=AlertBook(
            archive,
            names,
            instruments,
            params_hashes={name: params_hash(params) for name, params in config.detectors.items()},
            severity=SeverityParams(harm_limits=config.alerts.harm_limits),
            topic_names=topic_names,
            store=store,
        ),
        tick=time.perf_counter,
        instruments=instruments,
    )
