"""A shard at work: its passes, what they commit, and how a later life comes to the same state."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from alerts.commit import Found, Kept, Ledger
from alerts.handoff import decode as decode_handoff
from alerts.journal import NO_DECISIONS, Decisions, Entry, packed, unpacked
from alerts.record import Alert
from alerts.shards import Claim, FencedError, Progress
from alerts.states import States
from ingest.errors import SourceError
from ingest.events import Array, Reject
from ingest.instruments import Instruments
from ingest.register import Register
from ingest.register_changes import change_table, changes
from ingest.source import Arrivals, Position, cut_at, joined
from ingest.state import Sections, pack
from ingest.times import HOUR
from monitor.boundaries import Reach
from monitor.deal import dropped, retabled
from monitor.pipeline import Outcome, Pipeline, Totals
from monitor.recovery import Recovery, decisions_of, reached
from monitor.registers import Registers
from monitor.snapshots import STATE, ShardState, Snapshots, state_of
from monitor.turned_away import Homes, without_losers

_log = structlog.get_logger()


class RejectSink(Protocol):
    """Where rejected records go."""

    def write(self, rejects: Sequence[Reject]) -> None:
        """Deliver rejects; return once they are durable there."""


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass of a shard brought about."""

    arrivals: Arrivals
    outcome: Outcome
    before: Totals
    """The pipeline's counts before it."""
    kept: Sequence[Kept] = ()
    """Alerts that were new to the store."""
    seconds: float = 0.0
    """Wall time of the pass, until what it found was durable."""
    wrote_s: float | None = None
    """Wall time of its transaction; None when it had nothing to write."""


class Shard:
    """One shard, owned by this process until it is fenced.

    While it recovers, that is up to the frontier of its last owner, it writes nothing and decides
    nothing: records are processed up to each journal entry's positions, those beyond wait, and
    the entry's decisions are taken over.

    State: the pipeline's, and, while it recovers, the records that wait.

    Parameters
    ----------
    claim : Claim
    pipeline : Pipeline
        Without state; what the newest snapshot holds is put into it.
    ledger : Ledger
    snapshots : Snapshots, optional
        None for a tape, which is read from its beginning each time.
    registers : Registers
    instruments : Instruments
    rejects : RejectSink
    states : States, optional
        Where the first snapshot of each hour of event time is kept, for replays to begin from.
    binds : bool
        Whether instruments are bound to the shard that reads them first; not on a tape.
    reach : callable
        Called with the names of `monitor.boundaries.BOUNDARIES`.

    Raises
    ------
    SnapshotError
        The snapshots are damaged, or the journal does not reach back to what there is.
    """

    def __init__(
        self,
        claim: Claim,
        pipeline: Pipeline,
        *,
        ledger: Ledger,
        snapshots: Snapshots | None,
        registers: Registers,
        instruments: Instruments,
        rejects: RejectSink,
        states: States | None,
        binds: bool,
        reach: Reach,
    ) -> None:
        self.claim = claim
        self.pipeline = pipeline
        self._ledger = ledger
        self._snapshots = snapshots
        self._registers = registers
        self._instruments = instruments
        self._rejects = rejects
        self._states = states
        self._hour = -1
        self._reach = reach
        self._polled: dict[Position, int] = {}
        self._homes = Homes(ledger.shards, claim, instruments) if binds else None
        self._waiting: list[Arrivals] = []
        self._entry = 0
        self._register: Register | None = None
        self._handoff_id = 0
        self._early: list[Kept] = []
        self.at: dict[Position, int] = {}
        """Next offset of each position that has been processed."""
        self.idle: frozenset[Position] = frozenset()
        """Positions whose idleness has been processed."""
        reach("claimed")
        self._restore()
        self._recovery = self._recover()
        self.recovering = self._recovery.lasts(self.at)
        """Whether it has yet to come to its last owner's frontier."""
        self._follow()
        reach("restored")

    @property
    def name(self) -> str:
        """The shard's name."""
        return self.claim.shard

    @property
    def register(self) -> Register:
        """The version of the register in force."""
        assert self._register is not None  # noqa: S101 (the first entry of every journal sets it)
        return self._register

    def begin(self) -> Iterator[Pass]:
        """Yield what there is to do before any record comes; to be called once."""
        yield from self._advance()

    def take(self, arrivals: Arrivals, at: Mapping[Position, int]) -> Iterator[Pass]:
        """Take what a poll brought, up to the given positions; yield the passes that it made.

        Raises
        ------
        FencedError
            The shard has another owner; this one must be let go.
        """
        if not self.recovering:
            yield self._pass(arrivals, at)
            return
        self._waiting.append(arrivals)
        self._polled = {**self._polled, **at}
        yield from self._advance()

    def reload(self) -> Iterator[Pass]:
        """Go over to the register's current version, when it is another; yield the pass."""
        new = self._registers.current
        if self.recovering or (self._register and self._register.version == new.version):
            return
        yield self._switch(new, commits=True)

    def take_handoffs(self) -> Sequence[Kept]:
        """Fold findings of platform scope that were handed over; return the alerts that are new."""
        if self.recovering:
            return ()
        kept, self._early = self._early, []
        while records := self._ledger.shards.handoffs(self.name, after=self._handoff_id):
            for number, record in records:
                alerts = self._handed(record)
                done = Progress(positions=self.at, handoff_id=number)
                found = Found(alerts=alerts, pins=self.pipeline.alerts.evidence(alerts))
                self._entry, new = self._ledger.commit(self.claim, self._entry, done, found)
                self._handoff_id = number
                self._reach("committed")
                kept += new
        return kept

    def _handed(self, record: bytes) -> Sequence[Alert]:
        try:
            handed = decode_handoff(record, self._instruments)
        except SourceError as error:
            # Of an instrument that is no longer listed: its alerts cannot be composed any more.
            _log.error("finding of platform scope left out", shard=self.name, error=str(error))
            return ()
        register = self._registers.version(handed.registry_version)
        return self.pipeline.hand([handed.finding], register, handed.evidence)

    def snapshot(self) -> int | None:
        """Keep a snapshot; return its size, B, or None when there is nothing to be kept now."""
        if self._snapshots is None or self.recovering:
            return None
        sections = self.pipeline.snapshot()
        self._reach("archived")
        state = ShardState(
            shard=self.name,
            positions=packed(self.at),
            entry=self._entry,
            registry=self.register.version,
            handoff_id=self._handoff_id,
            partitions=self._snapshots.partitions,
        )
        whole = {**sections, STATE: {"state": pack(state)}}
        size = self._snapshots.save(self.claim, whole)
        self._reach("snapshot kept")
        self._keep_hour(whole)
        oldest = self._snapshots.oldest(self.name)
        if oldest is not None:
            self._ledger.shards.trim(self.claim, entry=oldest.entry, handoff_id=oldest.handoff_id)
            self._reach("trimmed")
        return size

    def _keep_hour(self, sections: Sections) -> None:
        """Keep the state for good once an hour of event time: where a replay can begin."""
        sequencer = self.pipeline.sequencer
        hour = sequencer.clock_ns // HOUR
        if self._states is None or sequencer.clock_ns < 0 or hour == self._hour:
            return
        self._hour = hour
        names = {"known": pack(self.pipeline.names.all)}
        seqs = sequencer.next_seqs
        self._states.save(self.name, sequencer.clock_ns, {**sections, "names": names}, seqs)

    def _restore(self) -> None:
        sections = self._snapshots.latest(self.name) if self._snapshots else None
        if sections is not None:
            state = state_of(sections)
            lost = dropped([sections], self._instruments)
            if lost:
                _log.error("state of instruments that are no longer listed", instruments=len(lost))
            self.pipeline.restore(retabled(sections, self._instruments))
            self._entry = state.entry
            self.at = unpacked(state.positions)
            self._handoff_id = state.handoff_id
            self._register = self._registers.version(state.registry)
        self._polled = dict(self.at)

    def _recover(self) -> Recovery:
        if self._snapshots is None:
            # A tape is read anew from its beginning: the journal goes on, nothing is followed.
            self._entry = self.claim.entry
            self.claim = msgspec.structs.replace(self.claim, frontier={})
            return Recovery(self.claim, (), after=self._entry)
        entries = self._ledger.shards.journal(self.name, after=self._entry)
        return Recovery(self.claim, entries, after=self._entry)

    def _follow(self) -> None:
        """Let the sequencer expect the next entry's gaps, or decide for itself."""
        if self.recovering:
            self.pipeline.sequencer.follow(self._recovery.gaps(self._instruments))
        else:
            self.pipeline.sequencer.decide()

    def _advance(self) -> Iterator[Pass]:
        """Process what waits, entry by entry, as far as the records reach."""
        while self.recovering:
            entry, target = self._recovery.entry, self._recovery.target
            yield from self._process_up_to(target, entry)
            if not reached(target, self._polled):
                return
            if entry is not None:
                yield from self._apply(entry)
                self._entry = self._recovery.take()
            self.recovering = self._recovery.lasts(self.at)
            self._follow()
        # What was handed over before the frontier belongs to what was told before it.
        self._early += self.take_handoffs()
        if self._waiting:
            left, self._waiting = joined(self._waiting), []
            yield self._pass(left, self._polled)
        yield from self.reload()

    def _process_up_to(self, target: Mapping[Position, int], entry: Entry | None) -> Iterator[Pass]:
        if self._waiting:
            here, beyond = cut_at(joined(self._waiting), target)
            # What is idle is said once, by whichever poll: it holds until the next one.
            left = len(beyond.batch) or beyond.rejects or beyond.idle
            self._waiting = [beyond] if left else []
            if len(here.batch) or here.rejects:
                losers = entry.decisions.conflicts if entry is not None else ()
                yield self._repeat(without_losers(here, losers))
        for position, end in target.items():
            self.at[position] = min(end, self._polled.get(position, 0))

    def _apply(self, entry: Entry) -> Iterator[Pass]:
        decisions = entry.decisions
        if decisions.closed_ns is not None:
            yield self._repeat(_nothing(self.pipeline), boundary_ns=decisions.closed_ns)
        if decisions.registry:
            yield self._switch(self._registers.version(decisions.registry), commits=False)

    def _switch(self, new: Register, *, commits: bool) -> Pass:
        """Put a version of the register in force, from the positions on that it has come to."""
        old, self._register = self._register, new
        names = self.pipeline.names
        table = None if old is None else change_table(changes(old, new), names)
        nothing = _nothing(self.pipeline)
        if not commits:
            return self._repeat(nothing, changes=table)
        _log.info("registry version in force", shard=self.name, version=new.version)
        return self._pass(nothing, self.at, changed=(new, table))

    def _repeat(
        self,
        arrivals: Arrivals,
        *,
        boundary_ns: int | None = None,
        changes: Mapping[str, Array] | None = None,
    ) -> Pass:
        """Make a pass over what an earlier life has committed: nothing is written."""
        before = self.pipeline.totals.copied()
        outcome = self.pipeline.take(
            self._at_home(msgspec.structs.replace(arrivals, idle=frozenset())),
            self.register,
            changes=changes,
            closes=False,
            boundary_ns=boundary_ns,
        )
        if outcome.rejects:
            # The earlier life may have ended before it wrote them; the key tells repeats.
            self._rejects.write(outcome.rejects)
        return Pass(arrivals=arrivals, outcome=outcome, before=before)

    def _pass(
        self,
        arrivals: Arrivals,
        at: Mapping[Position, int],
        *,
        changed: tuple[Register, Mapping[str, Array] | None] | None = None,
    ) -> Pass:
        begun = time.monotonic()
        before = self.pipeline.totals.copied()
        arrivals = self._at_home(arrivals)
        outcome = self.pipeline.take(
            arrivals,
            self.register,
            changes=None if changed is None else changed[1],
            closes=changed is None,
        )
        self._reach("decided")
        self.at = {**self.at, **at}
        done = Progress(positions=self.at, decisions=self._decisions(outcome, changed))
        found = Found(
            alerts=outcome.alerts,
            pins=self.pipeline.alerts.evidence(outcome.alerts),
            coverage=outcome.coverage,
            register=None if changed is None else (changed[0].version, changed[0].said),
        )
        kept: Sequence[Kept] = ()
        writes = bool(found or done.decisions)
        decided = time.monotonic()
        if writes:
            self._entry, kept = self._ledger.commit(self.claim, self._entry, done, found)
            self._reach("committed")
        if outcome.rejects:
            # Behind the commit, so that a worker that lost the shard tells of no decision.
            if not writes and not self._ledger.shards.holds(self.claim):
                raise FencedError(f"shard {self.name} has another owner: no letters are written")
            self._rejects.write(outcome.rejects)
            self._reach("rejected")
        self.idle = arrivals.idle
        done_s = time.monotonic()
        return Pass(
            arrivals=arrivals,
            outcome=outcome,
            before=before,
            kept=kept,
            seconds=done_s - begun,
            wrote_s=done_s - decided if writes else None,
        )

    def _decisions(
        self, outcome: Outcome, changed: tuple[Register, Mapping[str, Array] | None] | None
    ) -> Decisions:
        if self._snapshots is None:
            return NO_DECISIONS
        registry = "" if changed is None else changed[0].version
        return decisions_of(outcome, registry, self._instruments)

    def _at_home(self, arrivals: Arrivals) -> Arrivals:
        if self._homes is None:
            return arrivals
        return self._homes.without_foreign(arrivals, self.pipeline.sequencer.unbound)


def _nothing(pipeline: Pipeline) -> Arrivals:
    return Arrivals(batch=pipeline.nothing)
