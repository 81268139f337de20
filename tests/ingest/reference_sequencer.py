"""The sequencer's rules in plain Python, row by row: the reference of the compiled one."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Row:
    instrument: int
    seq: int
    engine_ns: int
    topic: int
    partition: int = 0
    content: int = 0
    kind: int = 0
    offset: int = 0


@dataclass
class Lane:
    next_seq: int = 1
    partition: int | None = None
    clock: int | None = None
    leap: int | None = None
    pending: dict[int, tuple[Row, int, int]] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)


class ReferenceSequencer:
    def __init__(self, timeout, max_pending, max_jump, unique=()):
        self.timeout, self.max_pending, self.max_jump = timeout, max_pending, max_jump
        self.unique = set(unique)
        self.lanes: dict[int, Lane] = {}
        self.progress: dict[tuple[int, int], int] = {}
        self.leaps: dict[tuple[int, int], int] = {}
        self.leapers: dict[tuple[int, int], tuple[int, int]] = {}
        self.idle: set[tuple[int, int]] = set()
        self.released: dict[int, list[tuple[int, int, int, int]]] = {}
        self.fates: list[str] = []
        self.gaps: list[tuple[int, int, int, str]] = []

    @property
    def pending(self):
        return sum(len(lane.pending) for lane in self.lanes.values())

    def take(self, row: Row, idle_after=()):
        position = (row.topic, row.partition)
        leap = self.leaps.get(position)
        self._move(position, row.engine_ns)
        if leap is not None and self.progress[position] < leap:
            k, seq = self.leapers.pop(position, (0, 0))
            if k in self.lanes and seq in self.lanes[k].pending:
                held, _, order = self.lanes[k].pending[seq]
                self.lanes[k].pending[seq] = (held, self.progress[position], order)
        elif leap is not None:
            self.leapers.pop(position, None)
        lane = self.lanes.setdefault(row.instrument, Lane())
        if lane.partition is None:
            lane.partition = row.partition
            if row.seq > 1 and row.kind in (7, 8):
                self.gaps.append((row.instrument, 1, row.seq - 1, "restated"))
                lane.gaps.append((1, row.seq - 1))
                lane.next_seq = row.seq
        self.fates.append(self._judge(row, lane, position))
        self.idle |= set(idle_after)
        for partition in sorted({p for _, p in self.progress} | {p for _, p in self.idle}):
            self.expire(partition)

    def _judge(self, row, lane, position):
        if lane.partition != row.partition:
            return "wrong_partition"
        while True:
            if row.seq == lane.next_seq:
                self._release(row.instrument, lane, row)
                self._drain(row.instrument, lane)
                return "taken"
            if row.seq < lane.next_seq:
                if any(a <= row.seq <= b for a, b in lane.gaps):
                    return "late"
                return "duplicate" if lane.taken[row.seq] == row.content else "conflict"
            if row.seq in lane.pending:
                same = lane.pending[row.seq][0].content == row.content
                return "duplicate" if same else "conflict"
            if self.pending >= self.max_pending:
                waiting = [
                    (self.lanes[k].pending[min(self.lanes[k].pending)][2], k)
                    for k in self.lanes
                    if self.lanes[k].pending
                ]
                self._declare(min(waiting)[1], "pending_bound")
                continue
            held = self.leaps.get(position, self.progress[position])
            if position in self.leaps:
                self.leapers[position] = (row.instrument, row.seq)
            lane.pending[row.seq] = (row, held, len(self.fates))
            return "taken"

    def _release(self, k, lane, row):
        fault = 0
        if lane.clock is None:
            lane.clock = row.engine_ns
        else:
            leap, lane.leap = lane.leap, None
            if leap is not None and row.engine_ns >= leap - self.max_jump:
                lane.clock = leap
            if row.engine_ns < lane.clock:
                fault = 1
            elif row.engine_ns > lane.clock + self.max_jump and k not in self.unique:
                fault, lane.leap = 2, row.engine_ns
            else:
                lane.clock = row.engine_ns
        lane.taken[row.seq] = row.content
        lane.next_seq = row.seq + 1
        self.released.setdefault(k, []).append((row.seq, row.offset, lane.clock, fault))

    def _drain(self, k, lane):
        while lane.next_seq in lane.pending:
            self._release(k, lane, lane.pending.pop(lane.next_seq)[0])

    def _declare(self, k, why):
        lane = self.lanes[k]
        first = min(lane.pending)
        self.gaps.append((k, lane.next_seq, first - 1, why))
        lane.gaps.append((lane.next_seq, first - 1))
        lane.next_seq = first
        self._drain(k, lane)

    def _move(self, position, engine_ns):
        now = self.progress.get(position)
        if now is None:
            self.progress[position] = engine_ns
            return
        leap = self.leaps.pop(position, None)
        if leap is not None and engine_ns >= leap - self.max_jump:
            now = leap
        if engine_ns > now + self.max_jump:
            self.leaps[position] = engine_ns
        self.progress[position] = now if engine_ns > now + self.max_jump else max(now, engine_ns)

    def reached(self, partition):
        positions = [(0, partition), (1, partition)]
        active = [p for p in positions if p not in self.idle]
        known = [self.progress.get(p) for p in active or positions]
        if active:
            return None if None in known else min(known)
        return max((at for at in known if at is not None), default=None)

    def expire(self, partition):
        now = self.reached(partition)
        if now is None:
            return
        for k in sorted(self.lanes):
            lane = self.lanes[k]
            while lane.partition == partition and lane.pending:
                if now < lane.pending[min(lane.pending)][1] + self.timeout:
                    break
                self._declare(k, "timeout")
