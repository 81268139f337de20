"""price_spikes: hits, near misses, one innocent case per look-alike, one xfail per blind spot."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.stats import kstest

from detectors.examples import batch_of, example_instruments, trade
from detectors.price_spikes import PriceSpikes, PriceSpikesParams
from detectors.spike_kernel import LARGEST, N_WINDOWS, SCALE, rank
from detectors.statistics import randomised, uniform
from ingest.events import Phase, Role, Side
from tests.support.claims import claims

SECOND = 10**9
START = 1_763_942_400 * SECOND
TABLE = example_instruments()
CLIENT, MM = 3, 1
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


class Scene:
    """A price that walks a few ticks about 10,000, with a trade every second."""

    def __init__(self, seed=1):
        self.rng = random.Random(seed)
        self.rows, self.at, self.tick = [], 0.0, 10_000

    def trade(self, tick, taker=CLIENT, lots=10, **columns):
        side = columns.pop("side", Side.BUY if tick >= self.tick else Side.SELL)
        mine, other = ("buy", "sell") if side > 0 else ("sell", "buy")
        pair = (taker, 9) if side > 0 else (9, taker)
        self.tick = tick
        row = trade(*pair, price=tick, side=side, quantity=lots, phase=Phase.CONTINUOUS)
        row |= {
            "engine_ns": START + int(self.at * SECOND), f"{mine}_complex": int(taker == MM),
            f"{mine}_role": Role.AFFILIATED_MM if taker == MM else Role.CLIENT,
            f"{other}_role": Role.EXTERNAL_MM, "best_bid": tick - 1, "best_ask": tick + 1,
        }  # fmt: skip
        self.rows.append(row | columns)

    def walk(self, seconds=300, *, size=1, **columns):
        for _ in range(seconds):
            self.at += 1
            self.trade(self.tick + self.rng.randint(-size, size), **columns)
        return self

    def sweep(self, ticks=60, *, steps=6, over_s=0.5, takers=(CLIENT,), **columns):
        self.at += 1
        for step in range(steps):
            self.trade(self.tick + ticks // steps, takers[step % len(takers)], **columns)
            self.at += over_s / steps
        self.at = float(int(self.at) + 1)
        return self

    def found(self, size=10**9, **params):
        detector = PriceSpikes(PriceSpikesParams(**params), TABLE)
        rows = [{**row, "seq": n} for n, row in enumerate(self.rows, 1)]
        pieces = [rows[n : n + size] for n in range(0, len(rows), size)]
        return [f for piece in pieces for f in detector.step(batch_of(piece, TABLE))]


# --- hits -----------------------------------------------------------------------------------------


def test_a_sweep_is_one_review_that_names_who_took():
    hit, *later = Scene().walk().sweep().walk(20).found()
    assert not later
    assert (hit.scenario, hit.evidence, hit.significant) == ("price_spikes", "weak", False)
    assert hit.accounts == (CLIENT,)
    assert hit.features["horizon"].value == 1
    assert hit.features["z"].value > 25
    assert hit.features["move"].value == 30.0
    assert hit.features["group_ticks"].value == 0
    assert len(hit.evidence_refs) == 6


@pytest.mark.parametrize("over_s", [0.5, 3, 12, 45])
def test_it_may_take_up_to_a_minute(over_s):
    found = Scene().walk(900).sweep(400, steps=10, over_s=over_s).walk(70).found()
    assert {f.first_accounts for f in found} == {(CLIENT,)}


def test_a_fall_is_one_as_well():
    (hit,) = Scene().walk().sweep(-60).walk(20).found()
    assert hit.features["move"].value == pytest.approx(-30, abs=1)


def test_a_move_that_the_group_made_is_more_than_context():
    (hit,) = Scene().walk().sweep(takers=(MM,)).walk(20).found()
    assert (hit.evidence, hit.significant) == ("supported", True)
    assert hit.features["group_lots"].value == 1


def test_there_and_back_is_one_review_and_silence_closes_it():
    found = Scene().walk().sweep().walk(5).sweep(-60).walk(1_500).found()
    assert len({f.first_seq for f in found}) == 1
    assert [f.revision for f in found] == list(range(1, len(found) + 1))
    assert found[-1].status == "confirmed"


@pytest.mark.parametrize("size", [1, 7, 100])
def test_cuts_change_nothing(size):
    scene = Scene().walk().sweep().walk(20)
    assert scene.found(size) == scene.found()


# --- look-alikes ----------------------------------------------------------------------------------


@look_alike("volatility that rises slowly")
def test_a_market_that_wakes_up_is_not_told():
    scene = Scene()
    for size in range(1, 12):
        scene.walk(300, size=size)
    assert scene.found() == []


@look_alike("bid-ask bounce in a quiet market")
def test_a_bounce_between_two_prices_is_not_told():
    scene = Scene()
    for turn in range(600):
        scene.at += 1
        bounced = turn > 300 and turn % 50 == 0
        scene.trade(10_000 + 8 * bounced, best_bid=10_000, best_ask=10_008)
    assert scene.found() == []


@look_alike("auction, halt or a long silence between two prices")
@pytest.mark.parametrize("phase", [Phase.AUCTION, Phase.CONTINUOUS])
def test_what_lies_between_two_prices_is_not_told(phase):
    scene = Scene().walk()
    if phase == Phase.AUCTION:
        scene.sweep(phase=phase)
    scene.at += 90
    scene.tick += 100
    assert scene.walk(50).found() == []


@look_alike("news, with no complex initiator: context, and no more")
def test_news_is_context():
    found = Scene().walk().sweep(takers=(CLIENT, 4, 5)).walk(20).found()
    assert [f.evidence for f in found] == ["weak"]


@look_alike("a group that trades along")
def test_a_group_with_a_third_of_it_is_not_accused():
    (hit,) = Scene().walk().sweep(takers=(CLIENT, 4, MM)).walk(20).found()
    assert (hit.evidence, hit.significant) == ("weak", False)


# --- blind spots ----------------------------------------------------------------------------------


@blind_spot("a move that takes longer than a minute")
@pytest.mark.xfail(strict=True)
def test_blind_slow_moves():
    scene = Scene().walk(900)
    for _ in range(400):
        scene.at += 1
        scene.trade(scene.tick + (scene.at % 4 == 0))
    assert scene.found()


@blind_spot("quotes that jump while nothing trades")
@pytest.mark.xfail(strict=True)
def test_blind_quotes_alone():
    scene = Scene().walk()
    for row in scene.rows[250:]:
        row |= {"best_bid": 10_200, "best_ask": 10_202}
    assert scene.found()


@blind_spot("the first two minutes of trading")
@pytest.mark.xfail(strict=True)
def test_blind_at_first():
    assert Scene().walk(100).sweep().walk(10).found()


def test_every_look_alike_and_blind_spot_has_its_test():
    assert set(LOOK_ALIKES) == set(PriceSpikes.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(PriceSpikes.spec.blind_spots)


# --- the test itself ------------------------------------------------------------------------------


def test_what_is_learned_is_what_a_tenth_exceeds():
    rng = np.random.default_rng(2)
    scene = Scene()
    for step in rng.normal(0, 30, 6_000):
        scene.at += 1
        scene.trade(100_000 + round(step))  # returns over a second: deviation 30 √2 ticks
    detector = PriceSpikes(PriceSpikesParams(), TABLE)
    detector.step(batch_of(scene.rows, TABLE))
    expected = 1.645 * 30 * 2**0.5 / 100_000
    assert detector.snapshot()["spike_scales"][0, SCALE] == pytest.approx(expected, rel=0.25)


def test_p_values_of_windows_without_spikes_are_uniform():
    """Over 240 minutes of a steady market, each ranked among those before it."""
    scene, found = Scene(), []
    detector = PriceSpikes(PriceSpikesParams(), TABLE)
    for window in range(300):
        before = detector.snapshot()
        scene.rows = []
        while scene.at < 60 * (window + 1) - 1:
            scene.at += 1
            scene.trade(round(scene.tick + scene.rng.gauss(0, 20)))
        detector.step(batch_of(scene.rows, TABLE))
        made = int(before["spikes"][0, N_WINDOWS])
        if window >= 60:
            largest = detector.snapshot()["spike_scales"][0, LARGEST]
            above, held = rank(before["spike_maxima"][0], made, largest)
            tail, beyond = (1 + above) / (1 + held), above / (1 + held)
            found.append(randomised(tail, beyond, uniform(window)))
    assert len(found) == 240
    assert kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) < 0.05) < 0.09
