"""A clean run that takes over what another decided: its journal, registers, names and bindings.

One pipeline a partition, no crash, no snapshot, no store behind the alert book; records are read
in another interleaving (all trades that an entry of the journal allows, then all orders). What it
leaves is what the disturbed run must have left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from alerts.handoff import source_events
from alerts.journal import Entry, coded, unpacked
from alerts.name_table import StoreNames
from alerts.shards import Shards
from alerts.store import AlertStore
from detectors.platform import PlatformStage
from ingest.decode import Decoder
from ingest.events import Reject, Topic
from ingest.instruments import Instruments, read_instruments
from ingest.names import SharedNames
from ingest.register import Register, RegisterFile
from ingest.register_changes import change_table, changes
from ingest.source import Arrivals, joined
from ingest.summary_wire import Assembler
from monitor.assembly import build_detectors, build_pipeline, build_platform
from monitor.config import Config
from monitor.pipeline import Outcome, Pipeline
from monitor.platform import PLACE, PLATFORM
from monitor.registers import Registers
from tests.support.exact import Site
from tests.support.left import SHARDS, Left, left_in, read_topic
from tests.support.stored import save

Feed = Mapping[tuple[Topic, int], Sequence[bytes]]


def by_journal(site: Site, folder: Path) -> Left:
    """Return what a clean run leaves that decides as the workers of a site did."""
    theirs, mine = site.store(), AlertStore(f"sqlite:///{folder}/clean.sqlite")
    try:
        mine.migrate()
        return _Clean(site, theirs, mine, folder).run()
    finally:
        theirs.close()
        mine.close()


class _Clean:
    def __init__(self, site: Site, theirs: AlertStore, mine: AlertStore, folder: Path) -> None:
        self._config: Config = site.loaded()
        self._settings = site.settings
        self._shards = Shards(theirs.engine)
        self._mine, self._folder = mine, folder
        self._names = SharedNames(StoreNames(self._shards.engine))
        path = self._config.path(self._config.registry.instruments)
        self._instruments: Instruments = read_instruments(path)
        accounts = RegisterFile(self._config.path(self._config.registry.accounts), self._names)
        self._registers = Registers(accounts, self._shards, self._names)
        self._bindings = self._shards.bindings()
        self._decoder = Decoder(self._instruments, self._names)
        self._feed = self._read()
        self._letters: set[tuple[object, ...]] = set()

    def run(self) -> Left:
        pipelines = {shard: self._follow(shard, n) for n, shard in enumerate(SHARDS)}
        self._hand_over(pipelines)
        totals = {shard: pipeline.totals for shard, pipeline in pipelines.items()}
        return left_in(self._mine, frozenset(self._letters), totals)

    def _read(self) -> Feed:
        feed: dict[tuple[Topic, int], list[bytes]] = {}
        for topic in Topic:
            for record in read_topic(self._settings, self._settings.topic(topic)):
                values = feed.setdefault((topic, record.partition), [])
                assert record.offset == len(values), "a feed without transactions has no holes"
                values.append(record.value)
        return feed

    def _follow(self, shard: str, number: int) -> Pipeline:
        pipeline = build_pipeline(
            self._config,
            instruments=self._instruments,
            names=self._names,
            topic_names={topic: self._settings.topic(topic) for topic in Topic},
            archive_dir=self._folder / shard,
            store=None,
            shard=shard,
        )
        entries = self._shards.journal(shard)
        losers = {place for entry in entries for place in entry.decisions.conflicts}
        at = {(topic, number): 0 for topic in Topic}
        register: Register | None = None
        for entry in entries:
            gaps = [coded(gap, self._instruments) for gap in entry.decisions.gaps]
            pipeline.sequencer.follow(gaps)
            arrivals = self._between(at, unpacked(entry.positions), shard, losers)
            if register is not None:
                self._keep(pipeline, pipeline.take(arrivals, register, closes=False))
            else:
                assert not len(arrivals.batch), "a record came before any register"
            at |= unpacked(entry.positions)
            if entry.decisions.registry:
                register = self._switch(pipeline, register, entry)
        assert register is not None
        pipeline.sequencer.follow([])
        ends = {place: len(self._feed.get(place, ())) for place in at}
        arrivals = self._between(at, ends, shard, losers)
        self._keep(pipeline, pipeline.take(arrivals, register, closes=False))
        return pipeline

    def _switch(self, pipeline: Pipeline, old: Register | None, entry: Entry) -> Register:
        new = self._registers.version(entry.decisions.registry)
        table = None if old is None else change_table(changes(old, new), self._names)
        nothing = Arrivals(batch=pipeline.nothing)
        self._keep(pipeline, pipeline.take(nothing, new, changes=table, closes=False))
        return new

    def _between(
        self,
        at: Mapping[tuple[Topic, int], int],
        to: Mapping[tuple[Topic, int], int],
        shard: str,
        losers: set[tuple[int, int, int]],
    ) -> Arrivals:
        parts = []
        for topic, number in sorted(at, reverse=True):
            first, end = at[topic, number], max(to.get((topic, number), 0), at[topic, number])
            values = self._feed.get((topic, number), ())[first:end]
            offsets = np.arange(first, first + len(values))
            parts.append(self._decoder.decode(topic, values, number, offsets))
        arrivals = joined(parts)
        batch = arrivals.batch
        places = zip(*(batch[c].tolist() for c in ("topic", "partition", "offset")), strict=True)
        names = [self._instruments[code].instrument for code in batch["instrument"].tolist()]
        reasons = [
            "wrong_partition"
            if self._bindings[name] != shard
            else "conflict"
            if place in losers
            else ""
            for place, name in zip(places, names, strict=True)
        ]
        kept = np.array([not reason for reason in reasons], np.bool_)
        rejects = tuple(
            Reject(
                topic=Topic(int(batch["topic"][row])),
                partition=int(batch["partition"][row]),
                offset=int(batch["offset"][row]),
                reason=reason,
                detail="",
                raw=b"",
            )
            for row, reason in enumerate(reasons)
            if reason
        )
        return Arrivals(
            batch=batch.take(kept),
            rejects=(*arrivals.rejects, *rejects),
            unknown_fields=arrivals.unknown_fields,
        )

    def _keep(self, pipeline: Pipeline, outcome: Outcome) -> None:
        save(self._mine, outcome.alerts, pipeline.alerts.evidence(outcome.alerts))
        save(self._mine, coverage=outcome.coverage)
        for reject in outcome.rejects:
            topic = self._settings.topic(reject.topic)
            self._letters.add((topic, reject.partition, reject.offset, reject.reason))

    def _hand_over(self, pipelines: Mapping[str, Pipeline]) -> None:
        """Step the detectors of platform scope over the summaries that the workers sent."""
        detectors = build_detectors(self._config, self._instruments)
        stage: PlatformStage = build_platform(detectors, self._instruments, SHARDS, raw=True)
        assembler = Assembler(self._instruments)
        entries = list(self._shards.journal(PLATFORM))
        version = ""
        for record in read_topic(self._settings, self._settings.summaries):
            while entries and unpacked(entries[0].positions).get(PLACE, 0) <= record.offset:
                version = entries.pop(0).decisions.registry or version
            summary = assembler.take(record.value)
            if summary is None:
                continue
            findings, evidence = stage.take(summary)
            events = source_events(evidence)
            for finding in findings:
                owner = self._bindings[self._instruments[finding.instrument].instrument]
                register = self._registers.version(version)
                alerts = pipelines[owner].hand([finding], register, events)
                save(self._mine, alerts, pipelines[owner].alerts.evidence(alerts))
