"""client_interaction: hits, near misses, look-alikes, blind spots, chances under the null."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, ttest_1samp, ttest_ind

from detectors.client_interaction import ClientInteraction, ClientInteractionParams
from detectors.examples import example_instruments
from detectors.interaction_chance import (
    FILLS,
    QUOTES,
    ahead,
    allowed,
    begun,
    daily_tests,
    drift_of,
    latest,
    verdicts,
    worse,
)
from detectors.interaction_example import MAKERS, START_NS, STEP_MS, quoted, walk
from detectors.interaction_state import (
    KEPT_BUCKETS,
    KINDS,
    N_DUE,
    SEEN,
    SLOTS,
    T_BLOCKS,
    T_MOVES,
    T_SQUARES,
    T_SUM,
    TALLY_FIELDS,
    TESTS,
)
from ingest.times import MILLI
from tests.support.claims import claims

SECOND = 10**9
DEALT = tuple((20_000 * n, 0, 1) for n in range(1, 12))
"""A client buys from the group every twenty seconds."""
SEES = (1_000, 0, 0, 0)
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()
INSTRUMENTS = example_instruments()


def found(params=None, **plan):
    """Return findings over a market."""
    detector = ClientInteraction(params or ClientInteractionParams(), INSTRUMENTS)
    return list(detector.step(quoted(INSTRUMENTS, **{"fills": DEALT, **plan})))


def last(**plan):
    """Return the one alert that a market makes, as its last revision tells it."""
    hits = found(**plan)
    assert len({hit.first_seq for hit in hits}) == 1
    return hits[-1]


def observed(*columns):
    """Return the tally of blocks whose means are given."""
    values = np.asarray(columns, float)
    tally = np.zeros((*values.shape[:-1], TALLY_FIELDS))
    tally[..., T_BLOCKS] = values.shape[-1]
    tally[..., T_SUM] = values.sum(axis=-1)
    tally[..., T_SQUARES] = (values**2).sum(axis=-1)
    tally[..., T_MOVES] = 1.0
    return tally


# --- hits -----------------------------------------------------------------------------------------


def test_a_maker_that_sees_a_second_ahead_is_one_alert_with_its_clients_fills():
    hits = found(ahead_ms=SEES)
    hit = hits[-1]
    assert {(hit.first_seq, hit.accounts[:1]) for hit in hits} == {(hit.first_seq, (MAKERS[0],))}
    assert (hit.scenario, hit.evidence, hit.significant) == ("unfair_fills", "supported", True)
    assert hit.accounts == (MAKERS[0],)
    cited = [ref for hit in hits for ref in hit.evidence_refs]
    assert len(set(cited)) == len(cited) == hit.features["client_fills"].value == 11
    assert hit.features["tested"].value == "quotes"
    assert (hit.features["foreseen_from"].value, hit.features["foreseen_to"].value) == (0.5, 1.0)
    assert hit.features["external_makers"].value == 3
    assert hit.features["chance"].value <= hit.features["chance"].baseline
    assert (hit.window_start_ns, hit.window_end_ns) == (START_NS, START_NS + 300 * SECOND)
    assert hit.detected_ns == hit.window_end_ns


@pytest.mark.parametrize(("ahead_ms", "to_s"), [(500, 0.5), (2_000, 2.0), (4_000, 4.0)])
def test_how_far_it_sees_is_told(ahead_ms, to_s):
    hit = last(ahead_ms=(ahead_ms, 0, 0, 0))
    assert hit.features["foreseen_to"].value == to_s


def test_what_is_foreseen_in_part_is_told_all_the_same():
    # Its view of the next second is a fourth of what moves its quotes.
    hit = last(ahead_ms=SEES, skew=(6, 0, 0, 0))
    assert hit.features["foreseen_share"].value > 0.2


@pytest.mark.parametrize(("side", "clients"), [(1, "sell"), (-1, "buy")])
def test_foresight_on_one_side_is_told_of_that_side(side, clients):
    # Half of what the mid holds, beside four ticks by which the quotes are off in turn.
    hit = last(ahead_ms=SEES, ahead_sides=(side,), skew=(4, 0, 0, 0))
    assert hit.features["clients"].value == clients


def test_a_minute_and_a_half_of_foresight_is_enough():
    assert len(found(ahead_ms=SEES, spells_ms=((100_000, 190_000),), skew=(4, 0, 0, 0))) == 1


STORMS = tuple((at, at + 60_000) for at in (420_000, 750_000, 1_080_000))
"""A minute in some five, after six of calm: less than a tenth of an hour's looks."""
STORMY = {
    "storms_ms": STORMS,
    "lasts_ms": 1_502_000,
    "fills": tuple((at, 0, 1) for at in range(20_000, 1_500_000, 20_000)),
}


def test_foresight_used_in_storms_alone_is_told_of_their_looks():
    plan = {**STORMY, "ahead_ms": SEES, "jitter": 30, "half": (3,) * 4, "spells_ms": STORMS}
    told = found(**plan)
    assert told
    assert {hit.features["tested"].value for hit in told} == {"quotes"}
    assert {hit.features["looks"].value for hit in told} == {"volatile"}
    assert max(hit.features["foreseen_share"].value for hit in told) > 0.1
    # Of all looks, so little of it is lost.
    assert found(ClientInteractionParams(volatile_percent=100_000), **plan) == []


def test_what_is_usual_is_known_before_anything_is_wild():
    """A tape that begins in a storm is as it always was, for all that is known."""
    early = ((0, 180_000),)
    plan = {"ahead_ms": SEES, "skew": (9, 0, 0, 0), "spells_ms": early, "storms_ms": early}
    assert all(hit.features["looks"].value == "all" for hit in found(**plan))


def test_quotes_far_off_for_long_hide_no_foresight():
    """What they have been off by of late is habit, and taken off."""
    hit = last(ahead_ms=SEES, skew=(11, 0, 0, 0))
    assert hit.features["foreseen_share"].value > 0.2


def test_quotes_that_nobody_was_filled_at_are_not_told():
    assert found(ahead_ms=SEES, fills=DEALT[:3]) == []
    assert last(ahead_ms=SEES, fills=DEALT[:4])


def test_a_spell_that_is_over_is_told_no_further_and_the_next_is_another():
    """Chance alone lets one bucket in five pass for a sign that it goes on."""
    spells = ((600_000, 2_400_000), (4_800_000, 6_300_000))
    fills = [(at, 0, 1) for at in range(20_000, 7_200_000, 20_000)]
    told = found(ahead_ms=(1_000, 0, 0, 0), spells_ms=spells, fills=fills, lasts_ms=7_800_000)
    ends = {f.first_seq: f for f in told}.values()
    windows = [
        ((f.window_start_ns - START_NS) // MILLI, (f.window_end_ns - START_NS) // MILLI)
        for f in ends
    ]
    assert len(windows) == len(spells)
    for (start, end), (first, last) in zip(windows, spells, strict=True):
        assert abs(start - first) <= 300_000
        assert abs(end - last) <= 300_000


def chosen(maker, *, worst, every_ms=20_000, lasts_ms=4_500_000):
    """Return clients' fills with a maker on the side against which the price goes next, or not."""
    path = walk(lasts_ms // STEP_MS + 40)
    fills = []
    for number, ms in enumerate(range(6_000 + 1_000 * maker, lasts_ms - 30_000, every_ms)):
        comes = int(path[(ms + 5_000) // STEP_MS] - path[ms // STEP_MS])
        against = -1 if comes > 0 else 1
        fills.append((ms, maker, against if worst else (1 if number % 2 else -1)))
    return fills


SLOW = {"every_ms": (5_000,) * 4, "lasts_ms": 4_500_000}
"""Quotes that move too seldom to be compared: fills alone can tell."""


def test_clients_who_lose_more_with_the_group_than_with_any_other_are_told_by_their_fills():
    fills = [*chosen(0, worst=True), *chosen(1, worst=False), *chosen(2, worst=False)]
    hits = found(fills=sorted(fills), **SLOW)
    assert len({hit.first_seq for hit in hits}) == 1
    told = hits[-1].features
    assert told["tested"].value == "fills"
    assert told["markout_5s"].value < told["markout_5s"].baseline - 0.2
    assert told["worse_by"].value > 0
    assert hits[-1].client_harm > 0
    assert "external makers" in hits[-1].counterfactual


def test_a_markout_is_the_move_of_the_mid_after_the_fill():
    # A step of three ticks in 100,000 or none, one look a step: known to the tick.
    hit = last(ahead_ms=SEES, fills=DEALT)
    path = walk(1_300)
    moves = [path[(ms + 1_000) // STEP_MS] - path[ms // STEP_MS] for ms, _, _ in DEALT]
    expected = np.mean(
        [1e4 * move / path[ms // STEP_MS] for move, (ms, *_) in zip(moves, DEALT, strict=True)]
    )
    assert hit.features["markout_1s"].value == pytest.approx(expected, abs=0.3)


def test_a_peer_that_has_left_is_no_peer():
    hit = last(ahead_ms=SEES, every_ms=(250, 250, 250, 10**7))
    assert hit.features["tested"].value == "quotes"


def lazy(band):
    """Return what a maker quotes that moves only when it is off by more than a band."""

    def sees(mids):
        out, held = np.empty_like(mids), int(mids[0])
        for place, mid in enumerate(mids.tolist()):
            held = mid if abs(mid - held) > band else held
            out[place] = held
        return out

    return sees


def average(mids):
    """Return what a maker quotes that follows a price by a fourth of the way at each look."""
    out, held = np.empty(len(mids)), float(mids[0])
    for place, mid in enumerate(mids.tolist()):
        held += (mid - held) / 4
        out[place] = held
    return np.rint(out).astype(np.int64)


# --- innocent look-alikes -------------------------------------------------------------------------


@look_alike("a quicker system than every peer")
def test_a_quicker_system_foresees_nothing():
    assert found(late_ms=(1, 180, 200, 240)) == []


@look_alike("peers that re-quote slowly")
@pytest.mark.parametrize("every", [(250, 500, 750, 1_000), (250, 1_000, 1_500, 2_000)])
def test_slow_peers_make_no_prophet(every):
    assert found(every_ms=every, lasts_ms=1_202_000) == []


@look_alike("a quicker system than every peer, while prices move much")
def test_a_quicker_system_foresees_no_storm():
    assert found(**STORMY, late_ms=(1, 180, 200, 240)) == []


@look_alike("peers that re-quote slowly, or seldom, while prices move much")
@pytest.mark.parametrize(
    "peers",
    [
        {"every_ms": (250, 500, 750, 1_000)},
        {"every_ms": (250, 1_000, 1_500, 2_000)},
        {"sees": "lazy"},
        {"skew": (9, 5, 0, 7)},
        {"half": (6, 12, 12, 12)},
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_peers_that_are_slow_in_a_storm_make_no_prophet(peers, seed):
    plan = {key: lazy(12) if value == "lazy" else value for key, value in peers.items()}
    assert found(**STORMY, **plan, seed=seed) == []


@look_alike("a tighter quote")
def test_a_tighter_quote_is_no_foresight():
    assert found(half=(6, 12, 12, 12), lasts_ms=902_000) == []


@look_alike("quotes skewed for inventory")
def test_quotes_off_for_inventory_are_no_foresight():
    assert found(skew=(9, 5, 0, 7), lasts_ms=902_000) == []


@look_alike("volatility that moves all makers alike")
def test_a_wild_market_is_no_foresight():
    assert found(reach=30, lasts_ms=902_000) == []


@look_alike("markouts worse for clients of every maker alike")
def test_clients_who_lose_with_every_maker_say_nothing_of_the_group():
    fills = [fill for maker in range(3) for fill in chosen(maker, worst=True)]
    assert found(fills=sorted(fills), **SLOW) == []


@look_alike("peers that move their quotes only when they are far off")
@pytest.mark.parametrize("band", [3, 6])
def test_peers_that_move_seldom_make_no_prophet(band):
    assert found(sees=lazy(band), lasts_ms=902_000) == []


@look_alike("a tighter quote that small orders fill alone")
def test_who_is_filled_by_sweeps_alone_is_no_measure():
    # Small orders go to the group, at random; those that know the next move take from all.
    small = chosen(0, worst=False)
    sweeps = [(ms, maker, -side) for ms, _, side in chosen(3, worst=True) for maker in range(3)]
    assert found(fills=sorted([*small, *sweeps]), **SLOW) == []


@look_alike("a client on the other side of the group by chance")
@look_alike("a maker that quotes better, so that clients gain less from it than from others")
def test_gaining_less_is_no_loss():
    """All of the peers' clients deal on the right side, two in three of the group's, or none."""
    peers = [(ms, at, -side) for at in (1, 2) for ms, at, side in chosen(at, worst=True)]
    lose = chosen(0, worst=True)
    gain = [(ms, at, side if n % 3 == 0 else -side) for n, (ms, at, side) in enumerate(lose)]
    assert found(fills=sorted([*lose, *peers]), **SLOW)
    assert found(fills=sorted([*gain, *peers]), **SLOW) == []


def test_fills_at_random_are_no_treatment():
    fills = [fill for maker in range(3) for fill in chosen(maker, worst=False)]
    assert found(fills=sorted(fills), **SLOW) == []


# --- blind spots ----------------------------------------------------------------------------------


@blind_spot("foresight of less than a quarter of a second")
@pytest.mark.xfail(strict=True)
def test_a_glimpse_is_not_seen():
    assert found(ahead_ms=(200, 0, 0, 0))


@blind_spot("foresight used in a few per cent of the time alone, which nothing public marks")
@pytest.mark.xfail(strict=True)
def test_foresight_now_and_then_is_lost_in_the_rest():
    assert found(ahead_ms=SEES, spells_ms=[(at, at + 1_000) for at in range(0, 300_000, 25_000)])


@blind_spot("foresight used for less than a minute of storms in an hour and a half")
@pytest.mark.xfail(strict=True)
def test_half_a_minute_of_a_storm_is_too_short():
    short = ((750_000, 780_000),)
    plan = {**STORMY, "storms_ms": short}
    assert found(**plan, ahead_ms=SEES, skew=(9, 0, 0, 0), spells_ms=short)


@blind_spot(
    "peers that act on what is half a second old, always or while prices move much: a group that "
    "is quicker leads them, and is told, though it knows no more"
)
@pytest.mark.xfail(strict=True)
def test_peers_half_a_second_behind_are_led():
    """`reaction_ms` is a tenth of a second: what a maker does later is taken to know what came."""
    assert found(late_ms=(10, 600, 620, 640), lasts_ms=902_000) == []


@blind_spot("fewer than two external makers that quote both sides")
@pytest.mark.xfail(strict=True)
def test_a_lone_peer_is_no_control():
    assert found(ahead_ms=SEES, every_ms=(250, 250, 10**7, 10**7))


@blind_spot("an external maker that foresees as much")
@pytest.mark.xfail(strict=True)
def test_two_who_see_ahead_are_not_told():
    assert found(ahead_ms=(1_000, 1_000, 0, 0))


@blind_spot("a maker that quotes one side only")
@pytest.mark.xfail(strict=True)
def test_a_one_sided_quote_has_no_mid():
    assert found(ahead_ms=SEES, sides=(1,))


@blind_spot(
    "peers that all quote an average of what the group's maker quotes as it is: it leads them, and "
    "is told, though it knows no more than what is public"
)
@pytest.mark.xfail(strict=True)
def test_peers_who_average_are_led():
    assert found(sees=average) == []


def test_every_claim_has_a_test():
    spec = ClientInteraction.spec
    assert set(LOOK_ALIKES) == set(spec.look_alikes)
    assert set(BLIND_SPOTS) == set(spec.blind_spots)


# --- chances --------------------------------------------------------------------------------------


def test_the_chance_of_quotes_is_students():
    values = np.random.default_rng(5).normal(0.3, 1, 25)
    expected = ttest_1samp(values, 0, alternative="greater").pvalue
    assert float(ahead(observed(values)[0])) == pytest.approx(expected, rel=1e-9)


def test_the_chance_of_fills_is_welchs():
    rng = np.random.default_rng(6)
    ours, theirs = rng.normal(-0.4, 1, 31), rng.normal(0.1, 2, 47)
    expected = ttest_ind(ours, theirs, equal_var=False, alternative="less").pvalue
    told = float(worse(observed(ours)[0], observed(theirs)[0]))
    assert told == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("values", [(), (0.4,), (0.4,) * 9])
def test_too_few_or_all_alike_tell_nothing(values):
    tally = observed(values)[0] if values else np.zeros(TALLY_FIELDS)
    assert float(ahead(tally)) >= 0.5
    assert float(worse(tally, tally)) >= 0.5


def test_the_level_is_spent_once_over_a_day():
    params = ClientInteractionParams()
    spent = sum(allowed(params, by) * daily_tests(params, by) for by in (QUOTES, FILLS))
    assert spent == pytest.approx(params.daily_false_alarms)


def test_the_group_must_lead_every_peer():
    rng = np.random.default_rng(7)
    tallies = np.zeros((KEPT_BUCKETS, SLOTS, KINDS, TALLY_FIELDS))
    fills = np.zeros((KEPT_BUCKETS, SLOTS, 2, N_DUE, TALLY_FIELDS))
    for slot in (1, 2):
        tallies[3, slot] = observed(*rng.normal(0.5, 0.1, (KINDS, 30)))
    params = ClientInteractionParams()
    passed = verdicts(tallies, fills, 3, params)
    assert {one.by for one in passed} == {QUOTES}
    assert begun(tallies, fills, 3, passed[-1]) == 1
    tallies[3, 3] = observed(*rng.normal(0.0, 0.1, (KINDS, 30)))
    assert verdicts(tallies, fills, 3, params) == []


def drift(shift, buckets, seed=1, gain=0.0):
    """Return the cumulative sum over buckets in which the group's fills are worse by a shift."""
    rng, params, sums = np.random.default_rng(seed), ClientInteractionParams(), [0.0]
    for _ in range(buckets):
        tally = np.zeros((SLOTS, 2, N_DUE, TALLY_FIELDS))
        for slot in range(4):
            worse_by = shift if slot == 0 else 0.0
            tally[slot, 0, 2] = observed(rng.normal(gain - worse_by, 1, 8))[0]
        sums.append(drift_of(sums[-1], tally, params)[0])
    return sums


def test_a_drift_too_slow_for_any_test_adds_up():
    params = ClientInteractionParams()
    sums = drift(0.9, 120)
    assert max(sums[:12]) < params.drift_bound < sums[-1]


def test_a_side_that_gains_less_does_not_hide_one_that_loses():
    rng = np.random.default_rng(5)
    fills = np.zeros((KEPT_BUCKETS, SLOTS, 2, N_DUE, TALLY_FIELDS))
    for slot, means in enumerate(((0.4, -0.3), (1.0, 0.05), (1.0, 0.05))):
        for side, mean in enumerate(means):
            fills[3, slot, side] = observed(*rng.normal(mean, 0.2, (N_DUE, 60)))
    quotes = np.zeros((KEPT_BUCKETS, SLOTS, KINDS, TALLY_FIELDS))
    (passed,) = {
        (one.by, one.side) for one in verdicts(quotes, fills, 3, ClientInteractionParams())
    }
    assert passed == (FILLS, 2)


def test_no_drift_comes_of_clients_who_gain():
    assert max(drift(0.9, 120, gain=2.5)) < ClientInteractionParams().drift_bound / 2


def test_no_drift_comes_of_chance():
    params = ClientInteractionParams()
    assert max(max(drift(0.0, 2_000, seed=seed)) for seed in range(3)) < params.drift_bound / 2
    assert drift_of(3.0, np.zeros((SLOTS, 2, N_DUE, TALLY_FIELDS)), params) == (3.0, 0)


def test_a_drift_is_told_with_what_it_comes_to():
    fills = [*chosen(0, worst=True), *chosen(1, worst=False), *chosen(2, worst=False)]
    off = ClientInteractionParams(min_fill_blocks=10**6, drift_bound=6.0)
    hits = found(off, fills=sorted(fills), **SLOW)
    assert {hit.features["tested"].value for hit in hits} == {"drift"}
    told = hits[0].features["drift"]
    assert told.value >= told.baseline == 6.0


@pytest.mark.parametrize(
    ("storms", "first", "seen", "markets"),
    [
        ((), 0, 9, 10),
        # Two minutes in five: the longest horizon has fewer than twenty blocks.
        (
            tuple((at, at + 120_000) for at in range(60_000, 6_300_000, 300_000)),
            SEEN * TESTS,
            6,
            20,
        ),
    ],
    ids=["all looks", "volatile looks"],
)
def test_chances_are_uniform_under_the_null(storms, first, seen, markets):
    """Of 200 windows of honest markets and more, of quotes beside one peer's, by part and horizon.

    The group is a step quicker than its peers whenever it is looked at, and no wiser.
    """
    chances = [[] for _ in range(TESTS)]
    for seed in range(markets):
        detector = ClientInteraction(ClientInteractionParams(), INSTRUMENTS)
        batch = quoted(
            INSTRUMENTS, late_ms=(200, 330, 280, 310), lasts_ms=21 * 300_000 + 2_000, seed=seed,
            storms_ms=storms,
        )  # fmt: skip
        assert list(detector.step(batch)) == []
        kept = detector.snapshot()
        # The shortest test is of two buckets; one is numbered by its end.
        tallies, begun_at = kept["interaction_tallies"][0], START_NS // (150 * SECOND)
        rows = np.concatenate([latest(tallies, begun_at + 2 * n, (2,)) for n in range(1, 22)])
        for kind, told in enumerate(chances, first):
            told.extend(ahead(rows[:, 1, kind])[rows[:, 1, kind, T_BLOCKS] >= 20].tolist())
    known = [told for told in chances if told]  # nobody moves again within the first half second
    assert len(known) == seen
    for told in known:
        assert len(told) >= 200
        assert kstest(told, "uniform").pvalue > 0.001


def test_a_spell_little_longer_than_the_shortest_test_is_told_wherever_it_begins():
    """Six faint minutes; with tests every five, of as long, what is told hangs on the clock."""
    fills = tuple((at, 0, 1) for at in range(20_000, 1_500_000, 20_000))

    def told(begins_ms, params=None):
        return bool(
            found(
                params, ahead_ms=SEES, skew=(17, 0, 0, 0), lasts_ms=1_802_000, fills=fills,
                spells_ms=((begins_ms, begins_ms + 360_000),),
            )
        )  # fmt: skip

    begun_at = range(675_000, 900_000, 60_000)
    assert all(told(at) for at in begun_at)
    coarse = ClientInteractionParams(bucket_s=300, scales=(1, 2, 5, 18))
    assert not all(told(at, coarse) for at in begun_at)


def test_scales_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="scales must rise"):
        ClientInteractionParams(scales=(4, 2, 10))
