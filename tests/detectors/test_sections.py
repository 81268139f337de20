"""State is split and joined by instrument, and goes on as if it had never been."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.book import Books
from detectors.book_layout import F_FILLS
from detectors.book_state import FILL_INSTRUMENT
from detectors.catalogue import DETECTORS
from detectors.wash_rings import WashRings, WashRingsParams
from ingest.axes import ByCode, Entries, Rows
from ingest.errors import SnapshotError
from ingest.sections import Onto, Slice, join, merge, recoded, select, undeclared
from tests.support.conformance import Heard, canonical, conformance_tape, cut, run, tape_batch
from tests.support.ring_tapes import BORDER, DAY, HOUR, WEEK, batch, market, sales_of
from tests.support.vectors import instruments_of

PROPERTY = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
SIZE = 160
TOGETHER = {"conduct_across", "hidden_affiliates", "information_leak"}
"""Detectors that judge accounts, or the complex, over all instruments: their state moves whole, to
other codes."""
FORGOTTEN_LATE = {"bust_trades", "bust_closed"}
"""Looked through every so many batches of a life: when it lets go of what is too old varies."""
PARTS = {"book": Books, **DETECTORS}
every_part = pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
every_detector = pytest.mark.parametrize("kind", DETECTORS.values(), ids=DETECTORS)


@pytest.fixture(scope="module")
def tape():
    return conformance_tape(acts=True)


class Story:
    """The tape in batches, and what each detector says of it in one life."""

    def __init__(self, tape):
        whole, self.names = tape_batch(tape)
        self.table, self.batches = tape.table, list(cut(whole, [SIZE]))
        heard = Heard({name for kind in DETECTORS.values() for name in kind.hears}, tape.table)
        books = Books(tape.table)
        for piece in self.batches:
            piece.signs = heard.step(books.apply(piece))
        self.found = {
            name: self.told(run(kind, self.batches, tape.table), tape.table)
            for name, kind in DETECTORS.items()
        }

    def told(self, findings, table):
        return canonical(findings, table, self.names)

    def in_order(self, said):
        """Return findings of several lives in the order of `told`."""
        key = ("detected_ns", "instrument", "first_seq", "scenario", "first_accounts", "revision")
        return sorted(said, key=lambda finding: [finding[name] for name in key])


@pytest.fixture(scope="module")
def story(tape):
    return Story(tape)


def new(part, table):
    return Books(table) if part is Books else part(part.Params(), table)


class Pair:
    """A book and a detector over a table of some instruments of the tape."""

    def __init__(self, kind, table, state=None):
        self.kind, self.table = kind, table
        self.books, self.detector = Books(table), kind(kind.Params(), table)
        if state is not None:
            self.books.restore(state[0])
            self.detector.restore(state[1])

    def step(self, piece):
        """Take those rows of a piece that are of this table, under its codes."""
        codes = recoded([row.instrument for row in piece.instruments.rows], self.table)
        mine = piece.take(codes[piece["instrument"]] >= 0)
        here = mine.with_columns({"instrument": codes[mine["instrument"]].astype(np.int32)})
        here.instruments = self.table
        enriched = self.books.apply(here)
        enriched.signs = [sign for sign in piece.signs if sign.instrument in self.table.codes]
        return self.detector.step(enriched)

    def state(self):
        return self.books.snapshot(), self.detector.snapshot()

    def moved(self, table, *, counts=True):
        """Return the state over another table."""
        then = [row.instrument for row in self.table.rows]
        return tuple(
            select(state, part.layout, recoded(then, table), Onto(instruments=table), counts=counts)
            for state, part in zip(self.state(), (Books, self.kind), strict=True)
        )


def units_of(tape, kind):
    """Return the tape's instruments, those together that a detector of platform scope takes so."""
    if kind is not Books and kind.spec.id in TOGETHER:
        return [tape.instruments]
    units = {}
    for row in tape.instruments:
        platform = kind is not Books and kind.spec.scope == "platform"
        units.setdefault(row["base"] if platform else row["instrument"], []).append(row)
    return list(units.values())


def groups_of(tape, kind, rng):
    """Deal the tape's instruments out; each group's table has others too, so that codes differ."""
    units = units_of(tape, kind)
    rng.shuffle(units)
    most = len(units) - 1
    at = sorted(rng.sample(range(1, len(units)), rng.randint(min(1, most), most)))
    dealt = [units[a:b] for a, b in zip([0, *at], [*at, len(units)], strict=True)]
    strangers = [
        {**tape.instruments[0], "instrument": name} for name in ("0-NEW", "ETH-NEW", "ZZZ-NEW")
    ]
    return [
        instruments_of([*(row for unit in g for row in unit),
                        *rng.sample(strangers, rng.randint(0, 3))])
        for g in dealt
    ]  # fmt: skip


def split(pair, tables):
    return [
        Pair(pair.kind, table, pair.moved(table, counts=place == 0))
        for place, table in enumerate(tables)
    ]


def joined(pairs, table):
    """Return the state of all pairs over one table."""
    owner = np.full(len(table), -1)
    for place, pair in enumerate(pairs):
        codes = recoded([row.instrument for row in pair.table.rows], table)
        owner[codes[codes >= 0]] = place
    moved = [pair.moved(table) for pair in pairs]
    return tuple(
        merge([each[at] for each in moved], part.layout, owner, Onto(instruments=table))
        for at, part in enumerate((Books, pairs[0].kind))
    )


def equal(one, other):
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name])
        for name in one
    )


# --- what a layout promises -----------------------------------------------------------------------


def state_of(part, tape, story, upto=None):
    books, kept = Books(tape.table), None if part is Books else new(part, tape.table)
    for piece in story.batches[:upto]:
        enriched = books.apply(piece)
        enriched.signs = piece.signs
        if kept is not None:
            kept.step(enriched)
    return (kept or books).snapshot()


@every_part
def test_a_layout_tells_of_every_array_and_of_no_other(part, tape, story):
    state = state_of(part, tape, story, 20)
    assert undeclared(state, part.layout) == []
    assert part.layout.keys() == state.keys()


@every_part
def test_an_array_that_no_layout_tells_of_is_refused(part, tape):
    state = {**new(part, tape.table).snapshot(), "surprise": np.zeros(1)}
    codes = np.arange(len(tape.table))
    with pytest.raises(SnapshotError, match="surprise"):
        select(state, part.layout, codes, Onto(instruments=tape.table))


@every_part
def test_rows_of_one_instrument_stand_together(part, tape, story):
    for upto in (5, 12, 20):
        state = state_of(part, tape, story, upto)
        for name, axis in part.layout.items():
            if isinstance(axis, Rows) and axis.codes == name:
                held = state[name] if axis.column is None else state[name][:, axis.column]
                codes = (held >> 32) - 1 if axis.high else held
                assert (np.diff(codes.astype(np.int64)) >= 0).all(), name
            if isinstance(axis, ByCode):
                assert len(state[name]) == len(tape.table), name


@every_part
def test_an_instrument_that_nobody_has_is_as_if_nothing_had_been_seen_of_it(part, tape, story):
    nobody = np.full(len(tape.table), -1)
    for table in (tape.table, instruments_of(tape.instruments[:1])):
        state = state_of(part, tape, story)
        none = select(state, part.layout, nobody, Onto(instruments=table), counts=False)
        assert equal(none, new(part, table).snapshot())


@every_part
def test_what_was_split_and_joined_is_the_same_to_the_byte(part, tape, story):
    state = state_of(part, tape, story, 24)
    codes = np.arange(len(tape.table))
    parts = [
        select(
            state, part.layout, np.where(codes == code, codes, -1), Onto(instruments=tape.table),
            counts=code == 1,
        )
        for code in codes
    ]  # fmt: skip
    assert not any(equal(each, state) for each in parts)
    assert equal(merge(parts, part.layout, codes, Onto(instruments=tape.table)), state)


@every_part
def test_an_instrument_in_two_snapshots_is_refused(part, tape):
    state, codes = new(part, tape.table).snapshot(), np.arange(len(tape.table))
    one = select(state, part.layout, codes, Onto(instruments=tape.table))
    with pytest.raises(SnapshotError, match="in two snapshots"):
        join([_slice(one, codes), _slice(one, codes)], part.layout, Onto(instruments=tape.table))


def _slice(snapshot, codes):
    return Slice(snapshot=snapshot, codes=codes)


def test_fills_that_wait_for_judgement_go_with_their_instrument(tape):
    """Those of an order in flight: there are some behind few rows only, so each row is a cut."""
    whole, _ = tape_batch(tape)
    books, seen = Books(tape.table), set()
    stranger = {**tape.instruments[0], "instrument": "0-NEW"}
    for piece in cut(whole, [1]):
        books.apply(piece)
        state = books.snapshot()
        if not len(state["fills"]):
            continue
        codes = set(np.flatnonzero(state["books"][:, F_FILLS]).tolist())
        assert set(state["fills"][:, FILL_INSTRUMENT].tolist()) == codes
        for code in codes - seen:
            name = tape.table[code].instrument
            row = next(row for row in tape.instruments if row["instrument"] == name)
            table = instruments_of([stranger, row])
            onto = Onto(instruments=table)
            moved = select(state, Books.layout, recoded(list(tape.table.codes), table), onto)
            assert moved["fills"][:, FILL_INSTRUMENT].tolist() == [1] * len(state["fills"])
            again = Books(table)
            again.restore(moved)
            assert equal(again.snapshot(), moved)
        seen |= codes
    assert len(seen) > 1


# --- going on -------------------------------------------------------------------------------------


@every_detector
@PROPERTY
@given(at=st.integers(0, 30), seed=st.integers(0, 10**6))
def test_groups_of_instruments_go_on_apart_as_the_whole_would(kind, tape, story, at, seed):
    whole = Pair(kind, tape.table)
    early = [f for piece in story.batches[:at] for f in whole.step(piece)]
    goes_on_apart(story, whole, early, at, groups_of(tape, kind, random.Random(seed)))


def goes_on_apart(story, whole, early, at, tables):
    said = story.told(early, whole.table)
    for pair in split(whole, tables):
        later = [f for piece in story.batches[at:] for f in pair.step(piece)]
        said += story.told(later, pair.table)
    assert story.in_order(said) == story.found[whole.kind.spec.id]


PACKED = [
    (kind, name)
    for kind in DETECTORS.values()
    for name, axis in kind.layout.items()
    if isinstance(axis, Entries)
]


@pytest.mark.parametrize(("kind", "name"), PACKED, ids=[f"{k.spec.id} {n}" for k, n in PACKED])
def test_it_goes_on_where_a_packed_value_is_open_at_the_split(kind, name, tape, story):
    """In the middle of the cuts at which there is one, in groups whose codes are all others."""
    whole, early, cuts = Pair(kind, tape.table), [], []
    for at, piece in enumerate(story.batches, start=1):
        early += whole.step(piece)
        if whole.detector.snapshot()[name].tobytes() != b"[]":
            cuts.append((at, list(early), whole.state()))
    at, early, state = cuts[len(cuts) // 2]
    before = {**tape.instruments[0], "instrument": "0-NEW"}
    groups = [instruments_of([before, *unit]) for unit in reversed(units_of(tape, kind))]
    goes_on_apart(story, Pair(kind, tape.table, state), early, at, groups)


@every_detector
@PROPERTY
@given(cuts=st.tuples(st.integers(0, 30), st.integers(0, 30)), seed=st.integers(0, 10**6))
def test_groups_that_went_on_apart_are_joined_and_go_on_as_the_whole_would(
    kind, tape, story, cuts, seed
):
    at, until = sorted(cuts)
    whole = Pair(kind, tape.table)
    said = story.told([f for piece in story.batches[:at] for f in whole.step(piece)], tape.table)
    pairs = split(whole, groups_of(tape, kind, random.Random(seed)))
    for pair in pairs:
        apart = [f for piece in story.batches[at:until] for f in pair.step(piece)]
        said += story.told(apart, pair.table)
    again = Pair(kind, tape.table, joined(pairs, tape.table))
    for piece in story.batches[at:until]:
        whole.step(piece)
    assert equal(again.books.snapshot(), whole.books.snapshot())
    states = again.detector.snapshot(), whole.detector.snapshot()
    assert equal(*({n: a for n, a in s.items() if n not in FORGOTTEN_LATE} for s in states))
    said += story.told(
        [f for piece in story.batches[until:] for f in again.step(piece)], tape.table
    )
    assert story.in_order(said) == story.found[kind.spec.id]


def test_the_cuts_fall_all_over_the_tape(story):
    assert 25 < len(story.batches) <= 40


@every_detector
def test_counters_go_with_one_part_and_add_up(kind, tape, story):
    pair = Pair(kind, tape.table)
    for piece in story.batches[:10]:
        pair.step(piece)
    books, state = pair.state()
    counters = [name for name, axis in kind.layout.items() if type(axis).__name__ == "Count"]
    state = {**state, **{name: np.array([7]) for name in counters}}
    whole = Pair(kind, tape.table, (books, state))
    pairs = split(whole, groups_of(tape, kind, random.Random(1)))
    expected = 7 * len(counters)
    assert [pair.detector.overflow for pair in pairs] == [expected] + [0] * (len(pairs) - 1)
    _, merged = joined(pairs, tape.table)
    assert all(merged[name].tolist() == [7] for name in counters)


# --- platform scope -------------------------------------------------------------------------------

NAMES = ("BTC-USD", "ETH-USD", "ITEM-1", "ITEM-2", "ITEM-3", "SOL-USD")
TABLE = market(*NAMES)


def sales(seed):
    """Rings in fungible instruments and in a collection of unique items, over ten weeks."""
    rng = random.Random(seed)
    trades, at = [], BORDER
    while at < BORDER + 10 * WEEK:
        at += rng.randrange(HOUR // 4, 8 * HOUR)
        name = rng.choice(NAMES)
        if rng.random() < 0.25:
            ring = rng.sample(range(1, 7), 3)
            for _ in range(rng.choice((2, 9))):
                for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
                    trades.append((at, name, a, b, 5))
                    at += rng.randrange(1, 60) * 10**9
        else:
            trades.append((at, name, *rng.sample(range(1, 60), 2), rng.randrange(1, 9)))
    return sales_of(trades)


def of(findings, table):
    """Return findings with the instrument's name, in an order that owes nothing to codes."""
    told = [
        (f.detected_ns, table[f.instrument].instrument, f.first_seq, f.first_accounts, f.revision,
         dict(f.features), f.status,
         [(table[r.instrument].instrument, r.seq) for r in f.evidence_refs])
        for f in findings
    ]  # fmt: skip
    return in_order(told)


def in_order(told):
    return sorted(told, key=lambda each: each[:5])


def feed(detector, rows, since, until):
    """Step day by day, up to a watermark."""
    table, found = detector._instruments, []
    for start in range(since, until, DAY):
        upto = min(start + DAY, until)
        part = [s for s in rows if start <= s.time_ns < upto and s.instrument in table.codes]
        found += detector.step(batch(part, table, upto))
    return of(found, table)


def rings_over(table, state=None):
    detector = WashRings(WashRingsParams(), table)
    if state is not None:
        detector.restore(state)
    return detector


@PROPERTY
@given(seed=st.integers(0, 4), hours=st.integers(0, 10 * 7 * 24), ahead=st.integers(0, 21 * 24))
def test_rings_are_joined_from_groups_that_have_come_to_different_times(seed, hours, ahead):
    """A collection stays together; of the group that is ahead no window is judged twice."""
    rows, end = sales(seed), BORDER + 14 * WEEK
    expected = feed(rings_over(TABLE), rows, BORDER, end)
    assert len(expected) > 20
    times = {}
    states, said = [], []
    for names, until in (
        (("BTC-USD", "SOL-USD"), BORDER + hours * HOUR),
        (("AAA-USD", "ETH-USD", "ITEM-1", "ITEM-2", "ITEM-3"), BORDER + (hours + ahead) * HOUR),
    ):
        detector = rings_over(market(*names))
        said += feed(detector, rows, BORDER, until)
        codes = recoded(names, TABLE)
        onto = Onto(instruments=TABLE)
        states.append(select(detector.snapshot(), WashRings.layout, codes, onto))
        times |= dict.fromkeys(names, until)
    owner = np.array([name not in {"BTC-USD", "SOL-USD"} for name in NAMES], np.int64)
    state = merge(states, WashRings.layout, owner, Onto(instruments=TABLE))
    again = rings_over(TABLE, state)
    left = [sale for sale in rows if sale.time_ns >= times[sale.instrument]]
    said += feed(again, left, times["BTC-USD"], end)
    assert in_order(said) == expected
    assert again.overflow == 0
