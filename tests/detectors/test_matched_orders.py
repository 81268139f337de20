"""matched_orders: hits, near misses, one innocent case per look-alike, one xfail per blind spot."""

from __future__ import annotations

import math
import random
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detectors import matched_kernel as k
from detectors.examples import COLUMNS, batch_of, example_instruments
from detectors.matched_example import PAUSE_NS, crowd, meeting, played
from detectors.matched_orders import MatchedOrders, MatchedOrdersParams
from detectors.matched_parties import Parties
from detectors.matched_runs import (
    MAX_TURNS,
    comes_back,
    odds_of_rounds,
    passed_on,
    ring_of,
    rounds,
)
from detectors.statistics import log_odds_uneven, randomised, uniform
from ingest.events import Batch, Coverage, Kind, Phase, Side, TimeInForce, empty
from tests.support.claims import claims

SECOND = 10**9
DAY = 86_400 * SECOND
TABLE = example_instruments()
ROUND = (100, 200, 500, 1_000, 2_000)
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


def mixed(*turns, others=40):
    """Return meetings, each after as many of a crowd."""
    told = []
    for place, turn in enumerate(turns):
        told += [crowd(other) for other in range(others * place, others * (place + 1))]
        told.append(turn)
    return told


def pairs(count=8, one=1, other=2, off=3):
    """Return meetings of two, whose sizes change and are `off` apart."""
    return [(one, other, 700 + 137 * n, 700 + 137 * n + off) for n in range(count)]


def find(rows, table=TABLE, **params):
    return MatchedOrders(MatchedOrdersParams(**params), table).step(batch_of(rows, table))


def timed(turns):
    """Return the rows of meetings that name the gap between their orders, in ms, last."""
    rows = []
    for place, (*turn, gap_ms) in enumerate(turns):
        gap_ns = int(gap_ms * 10**6)
        rows += meeting(*turn, seq=1 + 3 * place, at_ns=place * PAUSE_NS, gap_ns=gap_ns)
    return rows


def last(found):
    """Return the last finding of each alert."""
    return list({(f.instrument, f.first_seq): f for f in found}.values())


# --- hits -----------------------------------------------------------------------------------------


def test_two_strangers_whose_orders_meet_alike_again_and_again_are_told():
    (hit,) = last(find(played(mixed(*pairs()))))
    assert (hit.scenario, hit.evidence, hit.evidence_class) == (
        "matched_orders",
        "supported",
        "rule",
    )
    assert hit.accounts == hit.first_accounts == (1, 2)
    assert hit.significant
    assert hit.features["meetings"].value == 8
    assert hit.features["gap"].value == 0.05
    assert hit.features["net_ratio"].value == 1.0
    assert hit.features["chance"].value < 1e-6


def test_all_orders_and_trades_of_their_meetings_are_cited_once_and_no_others():
    turns = mixed(*pairs())
    found = find(played(turns))
    cited = [ref.seq for f in found for ref in f.evidence_refs]
    theirs = [3 * n + leg for n, turn in enumerate(turns) if turn[0] == 1 for leg in (1, 2, 3)]
    assert sorted(cited) == theirs
    assert len(found[0].evidence_refs) > 6, "the meetings before it was told are cited too"
    assert [f.revision for f in found] == list(range(1, len(found) + 1))
    assert len({(f.first_seq, f.first_accounts) for f in found}) == 1


@pytest.mark.parametrize("gap_ms", [0.1, 5, 900, 9_000])
def test_how_long_the_second_order_waits_does_not_matter_within_seconds(gap_ms):
    rows = []
    for place, turn in enumerate(mixed(*pairs())):
        gap = int(gap_ms * 10**6) if turn[0] == 1 else SECOND
        rows += meeting(*turn, seq=1 + 3 * place, at_ns=place * PAUSE_NS, gap_ns=gap)
    (hit,) = last(find(rows))
    assert hit.accounts == (1, 2)


def test_sides_and_roles_that_change_are_the_same_pair():
    turns = [turn if n % 2 else (turn[1], turn[0], *turn[2:]) for n, turn in enumerate(pairs())]
    (hit,) = last(find(played(mixed(*turns))))
    assert hit.features["meetings"].value == 8
    assert hit.features["net_ratio"].value < 0.3


def test_one_percent_of_the_larger_is_alike_and_more_is_not():
    just = [(1, 2, 1_000 * n, 990 * n) for n in range(1, 9)]
    (hit,) = last(find(played(mixed(*just))))
    assert hit.features["meetings"].value == 8
    more = [(1, 2, 1_000 * n, 989 * n) for n in range(1, 9)]
    assert find(played(mixed(*more))) == []


def test_what_others_took_of_the_first_order_before_does_not_hide_it():
    rows = []
    for place, turn in enumerate(mixed(*pairs())):
        left = turn[2] // 2 if turn[0] == 1 else turn[2]
        rows += meeting(*turn, seq=1 + 3 * place, at_ns=place * PAUSE_NS)
        rows[-1] |= {"quantity": min(left, turn[3]), "leaves_before": left, "bid_lots": left}
    assert last(find(rows))[0].features["meetings"].value == 8


def test_a_pair_that_also_trades_with_everybody_ten_times_as_often_is_told():
    turns = []
    for place, pair in enumerate(pairs()):
        turns += [crowd(other) for other in range(60 * place, 60 * place + 60)]
        for n in range(10):
            rested, took, lots, taken = crowd(7 * (10 * place + n))
            turns.append(
                (1 + n % 2, took, lots, taken) if n < 5 else (rested, 1 + n % 2, lots, taken)
            )
        turns.append(pair)
    (hit,) = last(find(played(turns)))
    assert hit.accounts == (1, 2)
    assert hit.features["meetings"].value == 8


def busy(arranged, gaps, draw):
    """Return meetings of a crowd, and as many arranged by two of it in sizes that many enter."""
    turns = cross(draw, 600, lambda _: draw.choice((*ROUND, *range(110, 1_900, 130))), first=1)
    turns = [(*turn, draw.uniform(50, 4_000)) for turn in turns if set(turn[:2]) != {1, 2}]
    for place in range(arranged):
        lots = draw.choice(ROUND)
        turns.insert(420 + 6 * place, (*draw.sample((1, 2), 2), lots, lots, draw.uniform(*gaps)))
    return timed(turns)


def test_four_meetings_of_busy_accounts_are_told_by_how_soon_the_second_order_came():
    told = Counter()
    for gaps in ((1, 40), (50, 4_000)):
        for seed in range(8):
            for hit in last(find(busy(4, gaps, random.Random(seed)))):
                assert set(hit.accounts) == {1, 2}
                told[gaps] += 1
                assert gaps != (1, 40) or hit.features["gap_chance"].value < 0.001
    assert told[1, 40] == 8
    assert told[50, 4_000] < 8


def test_a_burst_of_busy_accounts_is_told_though_they_meet_all_day():
    draw, sizes = random.Random(5), range(200, 2_600, 200)
    day = cross(draw, 2_400, lambda _: draw.choice(sizes), first=1, people=6)
    ends, rows = len(day) * PAUSE_NS, played(day)
    for place in range(24):
        one, other = (1, 2) if place % 2 else (2, 1)
        at = {"seq": 10_001 + 3 * place, "at_ns": ends + 4 * place * SECOND, "gap_ns": SECOND}
        rows += meeting(one, other, draw.choice(sizes), **at)
    assert find(played(day)) == []
    (hit,) = last(find(rows))
    assert set(hit.accounts) == {1, 2}
    late, told = hit.features["told_late"], hit.features["told_on"]
    assert late.value > 4 * late.baseline
    assert told.value < 4 * told.baseline


def test_who_takes_time_is_told_by_number_alone():
    (hit,) = last(find(timed((*turn, 9_000 if turn[0] == 1 else 90) for turn in mixed(*pairs()))))
    assert hit.features["gap_chance"].value > 0.5
    assert hit.features["meetings"].value == 8


def test_three_accounts_that_take_turns_are_one_alert():
    turns = [turn for each in zip(pairs(6), pairs(6, 1, 3), strict=True) for turn in each]
    (hit,) = last(find(played(mixed(*turns))))
    assert set(hit.accounts) == {1, 2, 3}
    assert hit.features["meetings"].value == 12


def test_three_are_told_together_though_each_two_met_no_more_than_twice():
    turns = [*pairs(2), *pairs(2, 1, 3), *pairs(2, 2, 3)]
    (hit,) = last(find(played(mixed(*turns, others=15))))
    assert set(hit.accounts) == {1, 2, 3}
    assert hit.features["meetings"].value == 6


def among_others(laps, each=4, others=20):
    """Return meetings, each after some of a crowd and after some of its two with the crowd."""
    turns = []
    for place, (one, other, lots) in enumerate(laps):
        turns += [crowd(turn) for turn in range(others * place, others * (place + 1))]
        for n in range(each):
            rested, took, of_rested, of_took = crowd(7 * (each * place + n))
            turns.append((one, took, of_rested, of_took) if n % 2 else (rested, other, 90, of_took))
        turns.append((one, other, lots, lots))
    return turns


def test_five_are_told_together_before_any_two_or_three_of_them():
    laps = [(1 + n % 5, 1 + (n + 1) % 5, 700 + 137 * (n // 5)) for n in range(15)]
    (hit,) = last(find(played(among_others(laps))))
    assert (set(hit.accounts), hit.features["meetings"].value) == ({1, 2, 3, 4, 5}, 15)
    assert hit.facets == ("wash_ring",)
    assert not find(played(among_others(laps)), max_circle=4)
    assert not find(played(among_others(laps, each=0)), max_circle=5), "no habits are known"


def test_a_third_joins_who_meets_one_of_them_twice():
    turns = [*pairs(5), *pairs(2, 1, 3)]
    *_, hit = last(find(played(mixed(*turns, others=120))))
    assert set(hit.accounts) == {1, 3}
    assert hit.features["told_on"].value == 2


def test_who_meets_one_of_them_once_does_not_join():
    (hit,) = last(find(played(mixed(*pairs(6), (1, 3, 911, 911)))))
    assert hit.accounts == (1, 2)


def test_two_originators_of_one_omnibus_account_are_two_parties():
    rows = []
    for place, turn in enumerate(mixed(*pairs())):
        behind = {"buy_account": 9, "sell_account": 9, "buy_originator": 5, "sell_originator": 6}
        of = {**behind, "buy_owner": -1, "sell_owner": -1} if turn[0] == 1 else {}
        rows += meeting(*turn, seq=1 + 3 * place, at_ns=place * PAUSE_NS, **of)
    (hit,) = last(find(rows))
    assert hit.accounts == hit.first_accounts == (9,)


def test_a_circle_whose_positions_came_back_is_a_ring_too():
    laps = [(1 + n % 3, 1 + (n + 1) % 3, 700 + 137 * (n // 3)) for n in range(21)]
    turns = [(*turn, turn[-1]) for turn in laps]
    (hit,) = last(find(played(mixed(*turns, others=20))))
    assert (set(hit.accounts), hit.facets) == ({1, 2, 3}, ("wash_ring",))
    (hit,) = last(find(played(mixed(*turns[:-1], turns[0], others=20))))
    assert hit.facets == ("wash_ring",), "it came back before"
    (hit,) = last(find(played(mixed(*pairs()))))
    assert hit.facets == ()


def test_a_ring_is_seen_beside_a_chance_meeting_and_beside_other_circles():
    laps = [(1 + n % 3, 1 + (n + 1) % 3, 700 + 137 * (n // 3)) for n in range(24)]
    turns = [(*turn, turn[-1]) for turn in laps]
    (hit,) = last(find(played(mixed((2, 1, 91, 91), *turns, others=20))))
    assert hit.facets == ("wash_ring",), "they met once before"
    beside = [
        turn for pair in zip(turns, pairs(24, one=8, other=9, off=0), strict=True) for turn in pair
    ]
    ring, two = sorted(last(find(played(mixed(*beside, others=20)))), key=lambda f: f.accounts)
    assert (set(ring.accounts), ring.facets) == ({1, 2, 3}, ("wash_ring",))
    assert (set(two.accounts), two.facets) == ({8, 9}, ())


def test_a_ring_is_seen_though_one_of_it_sells_to_a_stranger_meanwhile():
    laps = [(1 + n % 3, 1 + (n + 1) % 3, 700 + 137 * (n // 3)) for n in range(18)]
    turns = [(*turn, turn[-1]) for turn in laps]
    sales = [(1, 9, 333 + 50 * n, 333 + 50 * n) for n in range(4)]
    hits = last(find(played(mixed(*turns[:13], *sales, *turns[13:], others=20))))
    assert any({1, 2, 3} <= set(hit.accounts) and hit.facets == ("wash_ring",) for hit in hits)


def test_a_ring_that_changes_its_direction_lap_by_lap_is_seen():
    around, back = [(1, 2), (2, 3), (3, 1)], [(2, 1), (1, 3), (3, 2)]
    laps = [turn for lap in range(7) for turn in (back if lap % 2 else around)]
    turns = [(*two, 700 + 137 * (n // 3), 700 + 137 * (n // 3)) for n, two in enumerate(laps)]
    theirs, sold = passed_on([(n, *two, 1) for n, two in enumerate(laps)])
    assert log_odds_uneven(sold, theirs) < math.log(20), "who bought last buys at each change"
    (hit,) = last(find(played(mixed(*turns, others=20))))
    assert (set(hit.accounts), hit.facets) == ({1, 2, 3}, ("wash_ring",))


def test_a_ring_is_seen_whose_hand_offs_are_a_quarter_of_an_hour_apart():
    laps = [(1 + n % 3, 1 + (n + 1) % 3, 700 + 137 * (n // 3)) for n in range(45)]
    turns = [(*turn, turn[-1]) for turn in laps]
    apart = {"episode_gap_s": 200, "joining_gap_s": 200}
    first, *later = last(find(played(mixed(*turns, others=60)), **apart))
    assert first.facets == (), "told by how often they met, before they surely went round"
    assert later
    assert all(hit.facets == ("wash_ring",) for hit in later)


def test_a_strangers_episode_is_no_ring_by_another_pair_s():
    around = [(n, 1 + n % 2, 2 - n % 2, 700 + n // 2) for n in range(24)]
    draw = random.Random(4)
    beside = [(100 + n, *draw.sample((8, 9), 2), 700) for n in range(24)]
    both, odds = ring_of(sorted([*around, *beside]), around[-1:], 2, 0.01)
    assert both == {1, 2}
    assert odds > 100
    assert ring_of(sorted([*around, *beside]), beside[-1:], 2, 0.01)[1] < 100


def test_two_loops_at_once_are_no_round():
    loops = [(1, 1, 2, 5), (2, 3, 4, 5), (3, 2, 1, 5), (4, 4, 3, 5)]
    assert rounds(loops, 0.01) == []
    draw, odds = random.Random(3), []
    for _ in range(400):
        pairs_ = [(1, 2), (3, 4), (1, 2), (3, 4), (2, 3)] * 6
        turns = [(n, *draw.sample(two, 2), 700) for n, two in enumerate(pairs_)]
        odds.append(odds_of_rounds(rounds(turns, 0.01)))
    assert sum(odds) / len(odds) < 1.5


def test_a_slow_ring_is_seen_over_the_day_though_its_pairs_are_told_apart():
    laps = [(1 + n % 4, 1 + (n + 1) % 4, 700 + 137 * (n // 4)) for n in range(48)]
    apart = {"joining_gap_s": 1, "max_circle": 2}
    hits = last(find(played(among_others(laps)), **apart))
    assert len(hits) > 1, "pair by pair"
    assert all(hit.facets == ("wash_ring",) for hit in hits)


def test_parcels_that_are_handed_on_in_two_pieces_are_a_ring_too():
    laps = [(1 + n % 3, 1 + (n + 1) % 3, 700 + 137 * (n // 3)) for n in range(18)]
    pieces = [(one, by, part) for one, by, lots in laps for part in (lots // 2, lots - lots // 2)]
    (hit,) = last(find(played(mixed(*((*turn, turn[-1]) for turn in pieces), others=15))))
    assert (set(hit.accounts), hit.facets) == ({1, 2, 3}, ("wash_ring",))


def test_positions_that_do_not_come_back_are_no_ring():
    laps = [(1 + n % 3, 1 + (n + 1) % 3, 700 + 137 * n) for n in range(21)]
    (hit,) = last(find(played(mixed(*((*turn, turn[-1]) for turn in laps), others=20))))
    assert (set(hit.accounts), hit.facets) == ({1, 2, 3}, ()), "each hand another size"


def shuffled(count, draw):
    """Return meetings of two in one size, the seller drawn anew each time."""
    return [(*draw.sample((1, 2), 2), 900, 900) for _ in range(count)]


def test_two_whose_positions_come_back_by_chance_are_no_ring():
    turns = shuffled(24, random.Random(4))
    (hit,) = last(find(played(mixed(*turns, others=20))))
    assert hit.features["net_ratio"].value < 0.1, "they came back"
    assert (set(hit.accounts), hit.facets) == ({1, 2}, ())
    turns = [(1 + n % 2, 2 - n % 2, 900, 900) for n in range(24)]
    (hit,) = last(find(played(mixed(*turns, others=20))))
    assert hit.facets == ("wash_ring",), "turn and turn about"


def test_random_directions_look_passed_on_no_more_often_than_said():
    draw, level = random.Random(1), MatchedOrdersParams().ring_chance
    called = 0
    for run in range(2_000):
        parties = range(2 + run % 4)
        turns = [(n, *draw.sample(parties, 2), 700) for n in range(100)]
        odds = [
            log_odds_uneven(*passed_on(turns[max(0, end - MAX_TURNS) : end])[::-1])
            for end in range(2, len(turns))
        ]
        called += max(odds) >= -math.log(level)
    assert called <= 2_000 * level


def test_random_directions_of_one_size_look_like_a_ring_no_more_often_than_said():
    draw, params = random.Random(2), MatchedOrdersParams()
    called = 0
    for run in range(200):
        parties = range(2 + run % 5)
        turns = [(n, *draw.sample(parties, 2), 700) for n in range(60)]
        odds = [
            ring_of(turns[:end], turns[end - 1 : end], params.ring_turns, params.balance_ratio)[1]
            for end in range(4, len(turns))
        ]
        called += max(odds) >= 1 / params.ring_chance
    assert called <= 200 * params.ring_chance


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(99, 101)),
        min_size=1,
        max_size=14,
    )
)
def test_runs_that_come_back_are_those_that_the_definition_names(drawn):
    turns = [(n, one, (one + by - 1) % 5 + 1, lots) for n, (one, by, lots) in enumerate(drawn)]
    assert bool(comes_back(turns, 2, 0.01)) == any(
        _is_balanced(turns[start:]) for start in range(len(turns))
    )


def _is_balanced(run):
    members = set(run[-1][1:3])
    for _ in run:
        members |= {party for turn in run if members & set(turn[1:3]) for party in turn[1:3]}
    inside = [turn for turn in run if turn[1] in members]
    net = [sum(t[3] * ((t[2] == p) - (t[1] == p)) for t in inside) for p in members]
    mean = sum(turn[3] for turn in inside) / len(inside)
    return len(inside) >= 2 * len(members) and max(map(abs, net)) <= 0.01 * mean


def test_silence_closes_the_alert_and_two_more_meetings_open_another():
    rows = played(mixed(*pairs()))
    ends = rows[-1]["engine_ns"]
    once = [
        *meeting(7, 8, 800, 900, seq=9_001, at_ns=ends + 901 * SECOND),
        *meeting(1, 2, 2_000, 2_000, seq=9_004, at_ns=ends + 1_000 * SECOND),
    ]
    *_, closing = find([*rows, *once])
    assert (closing.status, closing.detected_ns) == ("confirmed", ends + 900 * SECOND)
    twice = meeting(2, 1, 1_900, 1_900, seq=9_007, at_ns=ends + 1_100 * SECOND)
    *_, again, closed = find([*rows, *once, *twice])
    assert closed == closing
    assert (again.first_seq, again.revision, again.features["meetings"].value) == (9_004, 1, 2)
    late = meeting(2, 1, 1_900, 1_900, seq=9_007, at_ns=ends + 1_901 * SECOND)
    assert find([*rows, *once, *late])[-1] == closing


def test_who_is_in_two_circles_at_different_times_does_not_make_them_one():
    turns = [*pairs(6), (7, 8, 900, 300), *pairs(6, 1, 3)]
    one, other = last(find(played(mixed(*turns, others=25))))
    assert (set(one.accounts), set(other.accounts)) == ({1, 2}, {1, 3})


def test_the_next_day_begins_anew():
    rows = played(mixed(*pairs()))
    later = meeting(1, 2, 800, 800, seq=9_001, at_ns=DAY + SECOND)
    *_, closing = find([*rows, *later])
    assert closing.status == "confirmed"


def test_a_gap_marks_the_alert_incomplete():
    (hit,) = last(find(played(mixed(*pairs()), coverage=Coverage.INCOMPLETE)))
    assert hit.coverage == "incomplete"


# --- innocent look-alikes -------------------------------------------------------------------------


def habitual(draw, first, second):
    """Return meetings of 1, fast, with 2 and others, at its own hand or theirs, among a crowd."""
    turns = cross(draw, 600, lambda _: draw.choice(ROUND), people=12)
    turns = [(*turn, draw.uniform(50, 4_000)) for turn in turns]
    for n in range(0, 700, 4):
        lots, gap = draw.choices(ROUND, k=2), draw.uniform(1, 5)
        turns.insert(n, (first(draw), second(draw), *lots, gap))
    return timed(turns)


def somebody(draw):
    """Return 2, or one of those whom 1 meets as well."""
    return draw.choice((2, 2, *range(100, 108)))


@look_alike("taker that takes all within milliseconds")
def test_a_taker_that_takes_all_within_milliseconds_is_nothing():
    for seed in range(6):
        assert find(habitual(random.Random(seed), somebody, lambda _: 1)) == []


@look_alike("maker whose offers are all taken at once")
def test_a_maker_whose_offers_all_are_taken_at_once_is_nothing():
    for seed in range(6):
        assert find(habitual(random.Random(seed), lambda _: 1, somebody)) == []


@look_alike("minutes in which everybody trades at once")
def test_a_rush_in_which_everything_is_taken_at_once_is_nothing():
    draw = random.Random(9)
    calm = cross(draw, 600, lambda _: draw.choice(ROUND), first=1)
    rush = cross(draw, 60, lambda _: draw.choice(ROUND), first=1, people=6)
    turns = [(*turn, draw.uniform(50, 4_000)) for turn in calm]
    turns[400:400] = [(*turn, draw.uniform(1, 5)) for turn in rush]
    assert find(timed(turns)) == []


def cross(draw, count, size, *, first=100, people=30):
    """Return meetings of people drawn at random, each order of a size drawn by its account."""
    turns = []
    for _ in range(count):
        rested, took = draw.sample(range(first, first + people), 2)
        turns.append((rested, took, size(rested), size(took)))
    return turns


@look_alike("round sizes that everybody enters")
def test_round_sizes_of_everybody_are_nothing():
    for seed in range(6):
        draw = random.Random(seed)
        assert find(played(cross(draw, 900, lambda _, d=draw: d.choice((100, 500, 1_000))))) == []


@look_alike("maker and taker that both always enter one size")
def test_a_maker_and_a_taker_of_one_size_each_are_nothing():
    draw = random.Random(5)
    sizes = {1: 250, 2: 250}
    turns = cross(draw, 600, lambda who: sizes.get(who, draw.randrange(100, 9_000)))
    for n in range(0, 600, 15):
        turns.insert(n, (1, 100 + n % 30, 250, draw.randrange(100, 9_000)))
    for n in range(9, 650, 65):
        turns.insert(n, (1, 2, 250, 250))
    assert find(played(turns)) == []


@look_alike("taker that takes exactly what is shown, of everybody")
def test_a_taker_of_all_that_is_shown_is_nothing():
    draw = random.Random(6)
    turns = cross(draw, 600, lambda _: draw.randrange(100, 9_000))
    for n in range(0, 900, 6):
        lots = draw.randrange(100, 9_000)
        turns.insert(n, (draw.choice((1, 1, *range(100, 108))), 2, lots, lots))
    assert find(played(turns)) == []


@look_alike("two busy accounts that meet often")
def test_busy_accounts_that_meet_often_in_sizes_of_their_own_are_nothing():
    draw = random.Random(7)
    turns = cross(draw, 600, lambda _: draw.randrange(100, 9_000))
    for n in range(0, 800, 4):
        turns.insert(n, (1, 2, draw.randrange(100, 2_000), draw.randrange(100, 2_000)))
    assert find(played(turns)) == []


@look_alike("two external makers crossing at a tight spread")
def test_makers_that_cross_each_other_in_standing_sizes_are_nothing():
    draw = random.Random(8)
    standing = {1: (500, 1_000), 2: (500, 1_000), 3: (500, 1_000), 4: (250, 500)}

    def size(who):
        return draw.choice(standing[who]) if who in standing else draw.randrange(100, 9_000)

    turns = cross(draw, 500, size)
    for n in range(0, 1_000, 2):
        rested, took = draw.sample((1, 2, 3, 4, 100 + n % 30), 2)
        turns.insert(n, (rested, took, size(rested), size(took)))
    assert find(played(turns)) == []


@look_alike("two accounts active in the same minutes only")
def test_accounts_of_the_same_minutes_are_nothing():
    draw = random.Random(9)
    calm = cross(draw, 600, lambda _: draw.choice((100, 200, 300, 450, 700)))
    rush = cross(draw, 40, lambda _: draw.choice((100, 200, 300, 450, 700)), first=1, people=4)
    assert find(played([*calm[:300], *rush, *calm[300:]])) == []


@look_alike("accounts of one owner or of the complex")
@pytest.mark.parametrize(
    "tags",
    [
        {"buy_owner": 7, "sell_owner": 7},
        {"buy_complex": 1, "sell_complex": 1},
        {"buy_account": 1, "sell_account": 1},
    ],
)
def test_accounts_that_belong_together_are_wash_trading_s(tags):
    rows = []
    for place, turn in enumerate(mixed(*pairs())):
        of = tags if turn[0] == 1 else {}
        rows += meeting(*turn, seq=1 + 3 * place, at_ns=place * PAUSE_NS, **of)
    assert find(rows) == []


@look_alike("two orders alike, once or twice")
def test_twice_is_no_pattern():
    assert find(played(mixed(*pairs(2), others=200))) == []


@look_alike("order that had long stood there")
def test_an_order_that_stood_longer_was_offered_to_everybody():
    rows = []
    for place, turn in enumerate(mixed(*pairs())):
        gap = 10 * SECOND + 1 if turn[0] == 1 else SECOND
        rows += meeting(*turn, seq=1 + 3 * place, at_ns=place * PAUSE_NS, gap_ns=gap)
    assert find(rows) == []


@look_alike("auction or halt")
def test_matches_outside_continuous_trading_are_the_venue_s():
    rows = played(mixed(*pairs()), phase=Phase.AUCTION)
    assert find(rows) == []


# --- chance ---------------------------------------------------------------------------------------


def null_day(draw, *, sizes, people=30, meetings=1_500):
    """Return a day's batch in which who rests, who takes and both sizes are independent."""
    weights = 1 / (9 + np.arange(people))
    weights /= weights.sum()
    rested, took = draw.choice(people, (2, 2 * meetings), p=weights)
    apart = np.flatnonzero(rested != took)[:meetings]
    rested, took = rested[apart], took[apart]
    lots, taken = draw.choice(sizes, (2, meetings))
    columns = empty(COLUMNS, 3 * meetings)
    at = np.sort(draw.integers(0, 7_200 * SECOND, meetings))
    first, second, trade = (np.arange(leg, 3 * meetings, 3) for leg in range(3))
    columns["instrument"][:] = 0
    columns["seq"][:] = np.arange(1, 3 * meetings + 1)
    columns["kind"][trade] = Kind.TRADE
    columns["side"][:] = Side.SELL
    columns["side"][first] = Side.BUY
    columns["price"][:] = 102
    columns["best_bid"][:], columns["best_ask"][:] = 102, 105
    columns["best_bid"][first] = 100
    columns["tif"][second] = TimeInForce.IOC
    columns["leaves"][first], columns["leaves"][second] = lots, taken
    columns["quantity"][trade] = np.minimum(lots, taken)
    columns["leaves_before"][trade], columns["bid_lots"][trade] = lots, lots
    columns["entry_seq"][trade], columns["incoming_seq"][trade] = first + 1, second + 1
    columns["lifetime_ns"][trade] = SECOND
    columns["buy_account"][trade], columns["sell_account"][trade] = rested, took
    for leg in (first, second, trade):
        columns["clock_ns"][leg] = at
    return Batch(columns, TABLE)


def p_values(days, sizes):
    found = []
    for day in range(days):
        parties = Parties(1, MatchedOrdersParams(joining_meetings=10**9))
        list(parties.scan(null_day(np.random.default_rng(day), sizes=sizes)))
        chance = parties.chance(0, [k.party_key(0, -1), k.party_key(1 + day % 3, -1)])
        more = msgspec.structs.replace(chance, alike=chance.alike + 1).by_number
        found.append(randomised(chance.by_number, more, uniform(day)))
    return found


def test_p_values_of_meetings_are_uniform_where_nobody_arranges_any():
    """All orders are of one size: what is left of the test is how often two meet."""
    assert stats.kstest(p_values(240, [100]), "uniform").pvalue > 0.01


def test_no_p_value_is_smaller_than_a_uniform_one_where_sizes_are_alike_by_chance():
    """The chance of a size is the most of several estimates: it errs on the side of innocence."""
    found = p_values(240, [100, 130, 170, 220, 300, 400, 520])
    assert stats.kstest(found, "uniform", alternative="greater").pvalue > 0.01


def test_no_p_value_of_gaps_is_smaller_than_a_uniform_one_where_nobody_hurries():
    found = []
    for day in range(120):
        draw = np.random.default_rng(day)
        batch = null_day(draw, sizes=[100, 130])
        trade = np.flatnonzero(batch["kind"] == Kind.TRADE)
        batch["lifetime_ns"][trade] = 10 ** draw.uniform(6, 9.9, len(trade))
        parties, soon = Parties(1, MatchedOrdersParams(joining_meetings=10**9)), Counter()
        for met in parties.scan(batch):
            soon[frozenset((met.rested, met.took))] += met.soon
        two = [k.party_key(0, -1), k.party_key(1 + day % 3, -1)]
        found.append(parties.chance(0, two, soon=soon[frozenset(two)]))
    gaps = [chance.by_gaps for chance in found]
    assert stats.kstest(gaps, "uniform", alternative="greater").pvalue > 0.01
    both = [chance.p for chance in found]
    assert stats.kstest(both, "uniform", alternative="greater").pvalue > 0.01


def test_clean_days_are_quiet():
    """200 days of 30 busy accounts and seven sizes, at ten times the level."""
    told = 0
    for day in range(200):
        batch = null_day(np.random.default_rng(day), sizes=[100, 130, 170, 220, 300, 400, 520])
        told += bool(MatchedOrders(MatchedOrdersParams(alpha=0.02), TABLE).step(batch))
    assert told <= stats.binom.ppf(0.99, 200, 0.02)


def test_what_is_expected_is_what_the_definition_says():
    """The kernel's margins, against sums over the meetings themselves."""
    turns = [crowd(n) for n in range(400)]
    parties = Parties(1, MatchedOrdersParams(joining_meetings=10**9))
    list(parties.scan(batch_of(played(turns), TABLE)))
    one, other = 100, 108
    mean, quarter = 0.0, k.BIN_NS // PAUSE_NS
    for start in range(0, len(turns), quarter):
        part = turns[start : start + quarter]
        rests, takes = Counter(t[0] for t in part), Counter(t[1] for t in part)
        for a, b in ((one, other), (other, one)):
            left = (len(part) - takes[a]) * (len(part) - rests[b])
            mean += rests[a] * takes[b] * len(part) / left
    chance = parties.chance(0, [k.party_key(one, -1), k.party_key(other, -1)])
    assert chance.meetings == sum({one, other} == set(turn[:2]) for turn in turns)
    assert chance.alike <= chance.meetings
    assert 0 < chance.share < 0.2
    rests, takes = Counter(t[0] for t in turns), Counter(t[1] for t in turns)
    itself = sum(rests[who] * takes[who] for who in rests) / len(turns) ** 2
    mean *= 1 - itself
    more = max(1, (chance.meetings - chance.alike) / (mean * (1 - chance.share)))
    assert chance.expected == pytest.approx(mean * chance.share * more)


# --- bounds, batches ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 500])
def test_batches_and_restarts_change_nothing(size):
    whole = batch_of(played(mixed(*pairs(), (1, 3, 911, 911), *pairs(3, 1, 3))), TABLE)
    expected = find(played(mixed(*pairs(), (1, 3, 911, 911), *pairs(3, 1, 3))))
    detector, found = MatchedOrders(MatchedOrdersParams(), TABLE), []
    for start in range(0, len(whole), size):
        found += detector.step(whole.take(np.arange(start, min(start + size, len(whole)))))
        if start % (5 * size) == 0:
            kept = detector.snapshot()
            detector = MatchedOrders(MatchedOrdersParams(), TABLE)
            detector.restore(kept)
    assert found == expected


def test_tables_grow_and_nothing_is_forgotten():
    """More parties and pairs than there is room for at first, then the two."""
    turns = [(1_000 + n, 3_000 + 7 * n % 1_500, 100 + n, 5_000 + 3 * n) for n in range(1_500)]
    (hit,) = last(find(played([*turns, *mixed(*pairs())])))
    assert hit.accounts == (1, 2)


def test_parties_and_pairs_beyond_the_bounds_are_counted():
    for bound, table, most in (("max_parties", "parties", 4), ("max_pairs", "pairs", 3)):
        detector = MatchedOrders(MatchedOrdersParams(**{bound: most}), TABLE)
        assert detector.step(batch_of(played(mixed(*pairs())), TABLE)) == []
        assert detector.overflow > 0
        assert len(detector.snapshot()[table]) == most
    assert MatchedOrders(MatchedOrdersParams(), TABLE).overflow == 0


TWO = example_instruments(("BTC-USD", "ETH-USD"))


def within(rows, code):
    return [{**row, "instrument": code} for row in rows]


@pytest.mark.parametrize("bound", [{"max_parties": 30}, {"max_pairs": 300}])
@pytest.mark.parametrize("busy_first", [True, False])
def test_a_full_instrument_takes_nothing_of_another_s_room(bound, busy_first):
    """The one has more parties, or pairs, than may be; the other's are near the bound."""
    many = [(100 + n, 1_000 + n, 900 + n, 5_000 + 3 * n) for n in range(400)]
    busy, quiet = within(played(many), 0), within(played(mixed(*pairs())), 1)
    detector = MatchedOrders(MatchedOrdersParams(**bound), TWO)
    found = detector.step(batch_of([*busy, *quiet] if busy_first else [*quiet, *busy], TWO))
    assert detector.overflow > 0
    assert found == find(quiet, TWO)
    parties, held = detector.snapshot()["parties"], detector.snapshot()["pairs"]
    assert np.bincount(parties[:, k.P_CODE]).max() <= bound.get("max_parties", 10**9)
    assert np.bincount(held[:, 0]).max() <= bound.get("max_pairs", 10**9)


def test_instruments_that_fell_silent_days_ago_leave_room_for_others():
    """With their bounds together as large as what traded once on past days."""
    names = tuple(f"N{n:03d}" for n in range(60))
    table = example_instruments(names)
    detector = MatchedOrders(MatchedOrdersParams(max_parties=30, max_pairs=300), table)
    for code in range(59):
        detector.step(batch_of(within(played([(1, 60, 1, 1)]), code), table))
    later = [{**row, "engine_ns": row["engine_ns"] + 9 * DAY} for row in played(mixed(*pairs()))]
    (hit,) = last(detector.step(batch_of(within(later, 59), table)))
    assert (hit.accounts, detector.overflow) == ((1, 2), 0)


def test_a_new_day_of_an_instrument_leaves_the_others_alone_and_gives_its_room_back():
    turns = [(1_000 + n, 3_000 + 7 * n % 150, 100 + n, 5_000 + 3 * n) for n in range(150)]
    parties = Parties(2, MatchedOrdersParams(joining_meetings=10**9))
    list(parties.scan(batch_of([*within(played(turns), 0), *within(played(turns), 1)], TWO)))
    before = parties.snapshot()
    room = len(parties._parties.arrays[0]), len(parties._pairs.arrays[0])
    for day in range(1, 4):
        off = 1_000 * day
        rows = [
            row
            | {
                name: row[name] + off
                for name in ("seq", "entry_seq", "incoming_seq")
                if name in row
            }
            | {"engine_ns": row["engine_ns"] + day * DAY}
            for row in within(played(turns), 0)
        ]
        list(parties.scan(batch_of(rows, TWO)))
        after = parties.snapshot()
        for name, column in (("parties", k.P_CODE), ("pairs", 0)):
            assert np.array_equal(after[name], before[name]), "the same again, of both"
            assert set(after[name][:, column]) == {0, 1}
    assert room == (len(parties._parties.arrays[0]), len(parties._pairs.arrays[0]))
    again = Parties(2, MatchedOrdersParams())
    again.restore(after)
    assert all(np.array_equal(again.snapshot()[name], after[name]) for name in after)


# --- what it cannot see ---------------------------------------------------------------------------


@blind_spot("an order taken by several that add up to its size")
def _in_pieces():
    turns = [turn for n in range(8) for turn in ((1, 2, 600 + 90 * n, 200 + 30 * n),) * 3]
    assert find(played(mixed(*turns, others=20)))


@blind_spot("orders that queue behind others at the touch")
def _behind_others():
    rows = []
    for place, turn in enumerate(mixed(*pairs())):
        rows += meeting(*turn, seq=1 + 3 * place, at_ns=place * PAUSE_NS)
        if turn[0] == 1:
            rows[-3] |= {"best_bid": 102}
    assert find(rows)


@blind_spot("a pair that meets twice a day")
def _twice_a_day():
    rows = []
    for day in range(4):
        rows += [
            {**row, "seq": row["seq"] + 10_000 * day, "engine_ns": row["engine_ns"] + day * DAY}
            for row in played(mixed(*pairs(2)))
        ]
        for row in rows[-246:]:
            for field in ("incoming_seq", "entry_seq"):
                if field in row:
                    row[field] += 10_000 * day
    assert find(rows)


@blind_spot("a pair in the first minutes of a feed or day, before others' habits are known")
def _first_minutes():
    assert find(played(pairs(8)))


@blind_spot("circles of more than eight, or of which no two meet twice (see wash_rings)")
def _wide_circle():
    ring = [(1 + n % 8, 1 + (n + 1) % 8, 700 + 137 * n, 703 + 137 * n) for n in range(8)]
    assert find(played(mixed(*ring)))


def test_every_look_alike_and_blind_spot_of_the_spec_is_here():
    assert set(LOOK_ALIKES) == set(MatchedOrders.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(MatchedOrders.spec.blind_spots)


@pytest.mark.xfail(strict=True, raises=AssertionError)
@pytest.mark.parametrize("text", MatchedOrders.spec.blind_spots)
def test_blind_spot(text):
    BLIND_SPOTS[text]()
