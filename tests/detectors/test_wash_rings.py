"""wash_rings: what it finds, what it must not, and that only events decide."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from detectors.examples import batch_of, trade
from detectors.wash_rings import WashRings, WashRingsParams
from ingest.errors import SnapshotError
from ingest.events import NULL, Coverage, Role, Side
from tests.support.ring_reference import Reference, Rules
from tests.support.ring_tapes import (
    BORDER,
    DAY,
    HOUR,
    MINUTE,
    WEEK,
    batch,
    last_of_each,
    market,
    run,
    sales_of,
)

COIN = market("BTC-USD")
ITEMS = market("ITEM-1", "ITEM-2", "ITEM-3")
SIZES = (HOUR, DAY, WEEK)


def crowd(seed=0, *, accounts=40, trades=600, name="BTC-USD", span=HOUR, start=BORDER):
    """Ordinary accounts that trade with anyone, both ways."""
    draw = random.Random(seed)
    made = []
    for _ in range(trades):
        seller, buyer = draw.sample(range(100, 100 + accounts), 2)
        made.append((start + draw.randrange(span), name, seller, buyer, draw.randint(1, 500)))
    return made


def circle(members, turns, *, name="BTC-USD", start=BORDER, step=MINUTE, lots=100):
    """A ring that passes one parcel around."""
    k = len(members)
    return [
        (start + i * step, name, members[i % k], members[(i + 1) % k], lots)
        for i in range(turns * k)
    ]


def alerts(trades, instruments=COIN, *, until_ns=BORDER + 2 * WEEK, params=None):
    return last_of_each(run(sales_of(trades), instruments, until_ns=until_ns, params=params))


# Hits


@pytest.mark.parametrize("size", range(2, 9))
def test_a_ring_of_two_to_eight_is_found_though_its_members_trade_normally_too(size):
    members = list(range(1, size + 1))
    draw = random.Random(size)
    normal = [
        (BORDER + draw.randrange(HOUR), "BTC-USD", *pair, draw.randint(1, 500))
        for member in members
        for pair in ([member, draw.randrange(100, 140)], [draw.randrange(100, 140), member])
    ]
    ring = circle(members, 5, step=HOUR // (5 * size + 1))
    found = alerts(crowd(size) + normal + ring)
    (alert,) = [a for a in found if set(a.accounts) == set(members)]
    assert alert.features["trades"].value == 5 * size
    assert (alert.evidence, alert.all_legs) == ("supported", True)
    assert len(found) == 1


def quoted(trades, maker, *, resting=True):
    """Trades of which all of a maker's are of its orders that stood, or that it took."""
    sales = sales_of(trades)
    made = batch(sales, COIN, BORDER + 2 * WEEK)
    for way, other in (("buy", "sell"), ("sell", "buy")):
        mine = made[f"{way}_account"] == maker
        made[f"{way}_role"][mine] = Role.EXTERNAL_MM
        took = Side.SELL if (other == "sell") == resting else Side.BUY
        made["side"][mine] = took
    return last_of_each(WashRings(WashRingsParams(), COIN).step(made))


def picked(seed=3):
    """An arbitrageur, 2, who takes from a slow maker, 1, both ways, amid a crowd."""
    draw = random.Random(seed)
    pairs = [(1, 2) if n % 2 else (2, 1) for n in range(40)]
    return (
        crowd(seed)
        + [(BORDER + (n + 1) * HOUR // 42, "BTC-USD", *pair, 100) for n, pair in enumerate(pairs)]
        + [
            (BORDER + draw.randrange(HOUR), "BTC-USD", *pair, draw.randint(1, 500))
            for who in (1, 2)
            for pair in ([who, draw.randrange(100, 140)], [draw.randrange(100, 140), who])
        ]
    )


@pytest.mark.parametrize("kind", ["the group's maker", "a company of the complex", "an item"])
def test_a_maker_is_not_excused_where_the_venue_did_not_choose(kind):
    table, name = (ITEMS, "ITEM-1") if kind == "an item" else (COIN, "BTC-USD")
    pairs = [(1, 2) if n % 2 else (2, 1) for n in range(40)]
    ring = [(BORDER + (n + 1) * HOUR // 42, name, *pair, 1) for n, pair in enumerate(pairs)]
    made = batch(sales_of(ring if kind == "an item" else picked()), table, BORDER + 2 * WEEK)
    for way in ("buy", "sell"):
        mine = made[f"{way}_account"] == 1
        role = Role.AFFILIATED_MM if kind == "the group's maker" else Role.EXTERNAL_MM
        made[f"{way}_role"][mine] = role
        made[f"{way}_complex"][mine] = int(kind == "a company of the complex")
        made["side"][mine] = Side.SELL if way == "buy" else Side.BUY
    alert, *_ = last_of_each(WashRings(WashRingsParams(), table).step(made))
    assert (alert.evidence, alert.features["quoted"].value) == ("supported", 0.0)


def test_an_arbitrageur_who_takes_from_the_slowest_maker_is_weak():
    (alert,) = quoted(picked(), 1)
    assert set(alert.accounts) == {1, 2}
    assert (alert.evidence, alert.all_legs, alert.significant) == ("weak", False, False)
    assert alert.features["quoted"].value == 1.0


def of_makers():
    """What `picked` are, both makers: each takes what stands too long of the other."""
    made = batch(sales_of(picked()), COIN, BORDER + 2 * WEEK)
    for way in ("buy", "sell"):
        made[f"{way}_role"][np.isin(made[f"{way}_account"], (1, 2))] = Role.EXTERNAL_MM
    made["side"][:] = np.where(np.arange(len(made)) % 3, Side.BUY, Side.SELL)
    (alert,) = last_of_each(WashRings(WashRingsParams(), COIN).step(made))
    assert set(alert.accounts) == {1, 2}
    return alert


def test_two_makers_who_take_each_other_s_stale_quotes_are_weak():
    alert = of_makers()
    assert (alert.evidence, alert.all_legs, alert.significant) == ("weak", False, False)
    assert alert.features["quoted"].value == 1.0


@pytest.mark.xfail(strict=True, reason="two makers meet by the venue's choice, arranged or not")
def test_blind_spot_makers_who_wash_by_each_other_s_standing_quotes():
    assert of_makers().evidence == "supported"


@pytest.mark.parametrize(("maker", "resting"), [(99, True), (1, False)])
def test_two_who_meet_as_often_and_are_no_maker_and_taker_are_told(maker, resting):
    (alert,) = quoted(picked(), maker, resting=resting)
    assert set(alert.accounts) == {1, 2}
    assert (alert.evidence, alert.features["quoted"].value) == ("supported", 0.0)


def test_a_near_miss_keeps_two_percent_of_the_size_each_turn():
    members = [1, 2, 3]
    kept = [(t, name, s, b, 100 if b != 1 else 98) for t, name, s, b, _ in circle(members, 6)]
    within = [(t, name, s, b, 1000 if b != 1 else 999) for t, name, s, b, _ in circle(members, 6)]
    assert alerts(crowd() + kept) == []
    assert len(alerts(crowd() + within)) == 1


def test_an_item_that_comes_back_once_is_weak_and_twice_is_supported():
    (once,) = alerts(circle([1, 2], 1, name="ITEM-1"), ITEMS)
    (twice,) = alerts(circle([1, 2], 2, name="ITEM-1"), ITEMS)
    assert (once.evidence, once.all_legs, once.significant) == ("weak", False, False)
    assert (twice.evidence, twice.all_legs, twice.significant) == ("supported", True, False)


def test_a_ring_over_two_items_of_a_collection_is_one_alert_an_item():
    both = circle([1, 2], 4, name="ITEM-1") + circle([2, 1], 4, name="ITEM-2", step=2 * MINUTE)
    found = alerts(both, ITEMS)
    assert sorted(ITEMS[a.instrument].instrument for a in found) == ["ITEM-1", "ITEM-2"]
    assert [a.features["trades"].value for a in found] == [8, 8]


def test_hours_days_and_weeks_of_one_ring_are_one_alert_and_cite_each_trade_once():
    trades = [t for day in range(3) for t in circle([1, 2], 4, name="ITEM-1",
              start=BORDER + day * DAY)]  # fmt: skip
    findings = run(sales_of(trades), ITEMS, until_ns=BORDER + 3 * WEEK)
    cited = [ref for f in findings for ref in f.evidence_refs]
    assert len(cited) == len(set(cited)) == 24
    assert len(last_of_each(findings)) == 1
    assert [f.revision for f in findings] == list(range(1, len(findings) + 1))


def test_a_trade_counts_for_the_smallest_set_that_explains_it():
    pair = circle([1, 2], 5, name="ITEM-1")
    three = circle([1, 2, 3], 3, name="ITEM-1", start=BORDER + 20 * MINUTE)
    found = alerts(pair + three, ITEMS)
    # The three's first step, 1 to 2, also balances the pair's last, 2 to 1: it is the pair's.
    assert {frozenset(a.accounts): a.features["trades"].value for a in found} == {
        frozenset({1, 2}): 11,
        frozenset({1, 2, 3}): 8,
    }


def test_a_turn_across_the_border_of_a_window_lies_in_the_shifted_one():
    trades = circle([1, 2], 1, name="ITEM-1", start=BORDER - MINUTE, step=2 * MINUTE)
    first, *_ = run(sales_of(trades), ITEMS, until_ns=BORDER + DAY)
    assert first.detected_ns == BORDER + 30 * MINUTE


def test_money_past_64_bits_is_exact():
    findings = run(sales_of(circle([1, 2], 50, lots=2**50) + crowd()), COIN, until_ns=BORDER + DAY)
    ticks_lots = 100 * 100 * 2**50  # of a tick of 0.01
    assert ticks_lots > 2**63
    notional = last_of_each(findings)[0].features["notional"].value
    assert notional == float(f"{ticks_lots / 100:.9g}")


# Look-alikes


def test_a_makers_quotes_hit_by_both_sides_are_no_ring():
    draw = random.Random(3)
    trades = []
    for client in range(100, 130):
        for _ in range(20):
            pair = draw.choice([(1, client), (client, 1)])
            trades.append((BORDER + draw.randrange(HOUR), "BTC-USD", *pair, 100))
    assert alerts(trades) == []


def test_two_external_makers_crossing_at_a_tight_spread_are_no_ring():
    draw = random.Random(4)
    trades = []
    for _ in range(1500):
        maker, other = draw.choice([(1, 2), (2, 1)])
        taker = other if draw.random() < 0.2 else draw.randrange(100, 160)
        pair = draw.choice([(maker, taker), (taker, maker)])
        trades.append((BORDER + draw.randrange(DAY), "BTC-USD", *pair, 100))
    met = sum({a, b} == {1, 2} for _, _, a, b, _ in trades)
    assert met > 200
    assert alerts(trades) == []


@pytest.mark.parametrize(("ratio", "found"), [(2.0, 0), (1.01, 1)])
def test_makers_who_cross_somewhat_more_often_than_they_meet_others_are_no_ring(ratio, found):
    """Surely more than activity gives, but two in five more: one is slower to move its quotes."""
    draw = random.Random(5)
    trades = []
    for _ in range(4000):
        kind = draw.random()
        clients = draw.sample(range(100, 160), 2)
        met = clients if kind > 0.55 else [draw.choice((1, 2)), clients[0]]
        pair = [1, 2] if kind < 0.15 else met
        draw.shuffle(pair)
        trades.append((BORDER + draw.randrange(HOUR), "BTC-USD", *pair, 100))
    told = alerts(trades, params=WashRingsParams(min_excess_ratio=ratio))
    alone = [f for f in told if f.features["layers"].value and set(f.accounts) == {1, 2}]
    assert len(alone) == found


def test_busy_accounts_that_trade_both_ways_with_everyone_are_no_ring():
    for seed in range(3):
        assert alerts(crowd(seed, accounts=6, trades=1500, span=DAY)) == []


def test_a_day_trader_in_the_hours_of_one_maker_is_no_ring():
    """Over the day maker 1 has a third of the market; in the trader's hour it is the market."""
    draw = random.Random(8)
    trades = circle([1, 50], 20, step=80 * 10**9)
    for hour in range(6):
        maker = 1 if hour in (0, 1) else 2
        for _ in range(300):
            pair = draw.choice([(maker, c := draw.randrange(100, 160)), (c, maker)])
            trades.append((BORDER + hour * HOUR + draw.randrange(HOUR), "BTC-USD", *pair, 100))
    assert alerts(trades) == []


@pytest.mark.parametrize(("one_instruction", "found"), [(True, 0), (False, 1)])
def test_an_iceberg_whose_tranches_one_instruction_takes_is_one_meeting(one_instruction, found):
    tranches = [
        (BORDER + side * HOUR // 2 + i, "BTC-USD", 1 + side, 2 - side, 10)
        for side in (0, 1)
        for i in range(6)
    ]
    made = batch(sales_of(crowd() + tranches), COIN, BORDER + DAY)
    seller = made["sell_account"]
    pair = np.isin(seller, (1, 2)) & np.isin(made["buy_account"], (1, 2))
    made["incoming_seq"][:] = made["seq"]
    if one_instruction:
        made["incoming_seq"][pair] = seller[pair]
    findings = WashRings(WashRingsParams(), COIN).step(made)
    assert len(last_of_each(findings)) == found


def test_an_item_sold_on_and_never_returned_is_no_ring():
    chain = [(BORDER + i * MINUTE, "ITEM-1", i, i + 1, 1) for i in range(30)]
    other = [(BORDER + i * MINUTE, "ITEM-2", i + 1, i, 1) for i in range(0, 30, 2)]
    assert alerts(chain + other, ITEMS) == []


def test_a_self_trade_is_dropped():
    trades = [(BORDER + i * MINUTE, "ITEM-1", 1, 1, 1) for i in range(10)]
    assert alerts(trades, ITEMS) == []


def busted(count):
    """A there-and-back on an item, then busts of the first trades a day later."""
    rows = [
        trade(buyer, seller, engine_ns=BORDER + i * MINUTE, quantity=1, trade_lo=i + 1)
        for i, (seller, buyer) in enumerate([(1, 2), (2, 1), (1, 2), (2, 1)])
    ]
    rows += [
        trade(2, 1, engine_ns=BORDER + DAY + i * HOUR, quantity=1, trade_lo=90 + i, busts_lo=i + 1)
        for i in range(count)
    ]
    return rows


def test_a_bust_takes_its_trade_back_and_four_retract_the_alert():
    made = batch_of(busted(4), ITEMS)
    made.watermark_ns = BORDER + 2 * DAY
    findings = WashRings(WashRingsParams(), ITEMS).step(made)
    assert [f.features["trades"].value for f in findings] == [4, 3, 2, 1, 0]
    assert [f.status for f in findings] == ["provisional"] * 4 + ["retracted"]
    assert findings[-1].score == 0.0
    assert findings[1].detected_ns == BORDER + DAY


def test_a_trade_busted_before_its_window_ends_is_never_counted():
    rows = busted(0)
    rows += [
        trade(2, 1, engine_ns=BORDER + 9 * MINUTE, quantity=1, trade_lo=10 + i, busts_lo=i)
        for i in (1, 4)
    ]
    made = batch_of(rows, ITEMS)
    made.watermark_ns = BORDER + 2 * DAY
    (finding,) = WashRings(WashRingsParams(), ITEMS).step(made)
    assert [ref.seq for ref in finding.evidence_refs] == [2, 3]


def test_busts_come_in_event_order_however_the_tape_is_cut():
    rows = busted(3)
    whole = batch_of(rows, ITEMS)
    whole.watermark_ns = BORDER + 3 * WEEK
    expected = WashRings(WashRingsParams(), ITEMS).step(whole)
    detector, found = WashRings(WashRingsParams(), ITEMS), []
    for seq, row in enumerate(rows, 1):
        one = batch_of([dict(row, seq=seq)], ITEMS)
        one.watermark_ns = row["engine_ns"]
        found += detector.step(one)
        state = detector.snapshot()
        detector = WashRings(WashRingsParams(), ITEMS)
        detector.restore(state)
    nothing = batch_of([], ITEMS)
    nothing.watermark_ns = BORDER + 3 * WEEK
    found += detector.step(nothing)
    assert written(found) == written(expected)
    assert [f.status for f in expected] == ["provisional"] * 4 + ["confirmed"]
    assert expected[-1].features["busted_trades"].value == 3


# Time


def test_nothing_is_said_before_the_watermark_and_the_end_of_a_tape_closes_nothing():
    sales = sales_of(circle([1, 2], 5, name="ITEM-1"))
    detector = WashRings(WashRingsParams(), ITEMS)
    assert detector.step(batch(sales, ITEMS, NULL)) == []
    assert detector.step(batch([], ITEMS, BORDER + 30 * MINUTE - 1)) == []
    (finding,) = detector.step(batch([], ITEMS, BORDER + 30 * MINUTE))
    assert (finding.status, finding.detected_ns) == ("provisional", BORDER + 30 * MINUTE)


def test_an_episode_closes_a_week_after_its_last_window_and_the_next_ring_is_another_alert():
    early = circle([1, 2], 3, name="ITEM-1")
    late = circle([1, 2], 3, name="ITEM-1", start=BORDER + 2 * WEEK)
    findings = run(sales_of(early + late), ITEMS, until_ns=BORDER + 4 * WEEK)
    assert len(last_of_each(findings)) == 2
    closed = [f for f in findings if f.status == "confirmed"]
    assert [f.detected_ns for f in closed] == [
        BORDER + 30 * MINUTE + WEEK,
        BORDER + 2 * WEEK + 30 * MINUTE + WEEK,
    ]
    assert [f.evidence_refs for f in closed] == [(), ()]


def test_a_late_trade_is_counted_and_marks_coverage():
    detector = WashRings(WashRingsParams(), ITEMS)
    sales = sales_of(circle([1, 2], 2, name="ITEM-1"))
    detector.step(batch([], ITEMS, BORDER + HOUR))
    findings = detector.step(batch(sales, ITEMS, BORDER + WEEK))
    assert detector.overflow == 4
    assert {f.coverage for f in findings} == {"incomplete"}


def test_a_gap_in_the_feed_leaves_the_alert_provisional():
    rows = [dict(row, coverage=Coverage.INCOMPLETE) for row in busted(0)]
    made = batch_of(rows, ITEMS)
    made.watermark_ns = BORDER + 3 * WEEK
    findings = WashRings(WashRingsParams(), ITEMS).step(made)
    assert [f.status for f in findings] == ["provisional", "provisional"]
    assert {f.coverage for f in findings} == {"incomplete"}


# Only events decide


def mixed_tape(seed=11):
    """Rings, a crowd and items over three weeks, in six instruments."""
    draw = random.Random(seed)
    trades = crowd(seed, trades=400, span=DAY)
    trades += circle([1, 2, 3], 6, start=BORDER + 3 * HOUR)
    trades += crowd(seed + 1, name="ETH-USD", trades=300, span=2 * DAY)
    trades += circle([4, 5], 9, name="ETH-USD", start=BORDER + DAY, step=40 * MINUTE)
    for item in ("ITEM-1", "ITEM-2", "ITEM-3"):
        holder = 200
        for _ in range(60):
            buyer = draw.randrange(200, 205)
            trades.append((BORDER + draw.randrange(3 * WEEK), item, holder, buyer, 1))
            holder = buyer
    return sales_of(trades), market("BTC-USD", "ETH-USD", "ITEM-1", "ITEM-2", "ITEM-3")


def written(findings):
    return [msgspec.json.encode(f) for f in findings]


@pytest.mark.parametrize("cut", [1, 7, 150])
@pytest.mark.parametrize("restart", [False, True])
def test_no_cut_and_no_restart_changes_a_byte(cut, restart):
    sales, instruments = mixed_tape()
    whole = run(sales, instruments, until_ns=BORDER + 5 * WEEK)
    detector, findings = WashRings(WashRingsParams(), instruments), []
    for start in range(0, len(sales), cut):
        part = sales[start : start + cut]
        findings += detector.step(batch(part, instruments, part[-1].time_ns))
        if restart:
            state = {name: array.copy() for name, array in detector.snapshot().items()}
            detector = WashRings(WashRingsParams(), instruments)
            detector.restore(state)
    findings += detector.step(batch([], instruments, BORDER + 5 * WEEK))
    assert len(whole) > 20
    assert written(findings) == written(whole)


def test_names_of_accounts_and_the_order_of_codes_do_not_matter():
    sales, instruments = mixed_tape()
    swap = list(range(300))
    random.Random(1).shuffle(swap)
    renamed = [
        type(s)(s.time_ns, s.instrument, s.seq, swap[s.seller], swap[s.buyer], s.lots)
        for s in sales
    ]
    one = run(sales, instruments, until_ns=BORDER + 5 * WEEK)
    two = run(renamed, instruments, until_ns=BORDER + 5 * WEEK)
    back = [
        msgspec.structs.replace(
            f,
            accounts=tuple(swap.index(a) for a in f.accounts),
            first_accounts=tuple(swap.index(a) for a in f.first_accounts),
        )
        for f in two
    ]
    assert written(back) == written(one)


def test_scaled_lots_and_shifted_fortnights_give_the_same_findings():
    sales, instruments = mixed_tape()
    fungible = [s for s in sales if not s.instrument.startswith("ITEM")]
    one = run(fungible, instruments, until_ns=BORDER + 5 * WEEK)
    moved = [
        type(s)(s.time_ns + 2 * WEEK, s.instrument, s.seq, s.seller, s.buyer, 40 * s.lots)
        for s in fungible
    ]
    two = run(moved, instruments, until_ns=BORDER + 7 * WEEK)
    assert [(f.accounts, f.evidence_refs, f.score, f.detected_ns) for f in one] == [
        (f.accounts, f.evidence_refs, f.score, f.detected_ns - 2 * WEEK) for f in two
    ]
    assert one


@pytest.mark.parametrize("seed", range(12))
def test_facts_are_those_of_the_plain_reference(seed):
    draw = random.Random(seed)
    trades = []
    for item in ("ITEM-1", "ITEM-2", "ITEM-3"):
        holder = draw.randrange(6)
        for _ in range(25):
            buyer = draw.randrange(6)
            trades.append((BORDER + draw.randrange(2 * DAY), item, holder, buyer, 1))
            holder = buyer if draw.random() < 0.9 else draw.randrange(6)
    for _ in range(60):
        seller, buyer = draw.sample(range(10, 16), 2)
        trades.append((BORDER + draw.randrange(2 * DAY), "BTC-USD", seller, buyer,
                       draw.choice([100, 200, 299])))  # fmt: skip
    sales = sales_of(trades)
    instruments = market("BTC-USD", "ITEM-1", "ITEM-2", "ITEM-3")
    params = WashRingsParams(
        min_layers=1, min_turns=1, max_probability=0.9, min_excess_ratio=1.0001
    )
    rules = Rules(SIZES, layers=1, turns=1, probability=0.9)
    collections = dict.fromkeys(("ITEM-1", "ITEM-2", "ITEM-3"), "ITEM")
    expected = Reference(rules, collections).run(sales, BORDER + 3 * WEEK)
    found = [
        (
            f.detected_ns,
            instruments[f.instrument].instrument,
            frozenset(f.accounts),
            tuple(ref.seq for ref in f.evidence_refs),
        )
        for f in run(sales, instruments, until_ns=BORDER + 3 * WEEK, params=params)
        if f.evidence_refs
    ]
    assert found == expected
    assert len(expected) > 3


# Bounds


def test_a_window_cut_short_is_counted_and_marks_coverage_however_it_is_batched():
    trades = crowd(trades=2000, span=DAY) + circle([1, 2, 3], 12, start=BORDER + 20 * HOUR)
    sales, params = sales_of(trades), WashRingsParams(max_trades=300)
    whole = run(sales, COIN, until_ns=BORDER + 3 * WEEK, params=params)
    detector, findings = WashRings(params, COIN), []
    for start in range(0, len(sales), 50):
        part = sales[start : start + 50]
        findings += detector.step(batch(part, COIN, part[-1].time_ns))
    findings += detector.step(batch([], COIN, BORDER + 3 * WEEK))
    assert written(findings) == written(whole)
    assert detector.overflow > 0
    assert whole


def test_skipped_layers_mark_coverage():
    trades = crowd() + circle([1, 2, 3], 9, step=HOUR // 30)
    findings = run(sales_of(trades), COIN, until_ns=BORDER + DAY,
                   params=WashRingsParams(max_edges=30))  # fmt: skip
    assert findings
    assert {f.coverage for f in findings} == {"incomplete"}


def test_a_long_quiet_tape_leaves_no_state():
    detector = WashRings(WashRingsParams(), COIN)
    detector.step(batch(sales_of(crowd(trades=3000)), COIN, BORDER + HOUR))
    detector.step(batch([], COIN, BORDER + 3 * WEEK))
    state = detector.snapshot()
    assert sum(array.nbytes for array in state.values()) < 200


def test_a_parameter_out_of_range_is_refused():
    for wrong in ({"windows_s": []}, {"max_members": 1}, {"max_probability": 0.0}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, WashRingsParams)


def test_a_snapshot_of_another_table_is_refused():
    state = WashRings(WashRingsParams(), ITEMS).snapshot()
    with pytest.raises(SnapshotError, match="1 instruments, found 3"):
        WashRings(WashRingsParams(), COIN).restore(state)


def test_the_batch_is_not_written_to():
    sales, instruments = mixed_tape()
    made = batch(sales, instruments, BORDER + 5 * WEEK)
    before = {name: made[name].copy() for name in made.names}
    for name in made.names:
        made[name].setflags(write=False)
    WashRings(WashRingsParams(), instruments).step(made)
    assert all(np.array_equal(made[name], before[name]) for name in made.names)


# Blind spots


@pytest.mark.xfail(reason="a common maker outweighs the ring in every window")
def test_blind_spot_members_who_trade_more_with_a_common_maker():
    ring = circle([1, 2, 3], 4, step=4 * MINUTE)
    maker = [
        (BORDER + i * MINUTE, "BTC-USD", *pair, 70)
        for i in range(48)
        for member in (1, 2, 3)
        for pair in ((member, 9), (9, member))
    ]
    assert any(set(a.accounts) == {1, 2, 3} for a in alerts(crowd() + ring + maker))


@pytest.mark.xfail(reason="outsiders take more than 1 % of the mean size on every turn")
def test_blind_spot_a_ring_that_leaks():
    leaking = [
        (t, name, s, b, lots - 2 * i) for i, (t, name, s, b, lots) in
        enumerate(circle([1, 2, 3], 8, lots=100))
    ]  # fmt: skip
    assert alerts(crowd() + leaking)


@pytest.mark.xfail(reason="no window is longer than a week")
def test_blind_spot_a_turn_of_eight_days():
    assert alerts(circle([1, 2], 3, name="ITEM-1", step=8 * DAY), ITEMS,
                  until_ns=BORDER + 20 * WEEK)  # fmt: skip


@pytest.mark.xfail(strict=True, reason="nobody is left to tell chance by")
def test_blind_spot_a_ring_that_is_its_whole_market():
    assert alerts(circle([1, 2, 3], 40))[0].evidence == "supported"


@pytest.mark.xfail(reason="rings have at most 8 members")
def test_blind_spot_a_ring_of_nine():
    assert alerts(crowd() + circle(list(range(1, 10)), 6, step=HOUR // 60))
