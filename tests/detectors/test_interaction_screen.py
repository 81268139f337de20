"""The screen before the tests of client_interaction: what it lets by not is no verdict."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.interaction_chance import verdicts
from detectors.interaction_params import ClientInteractionParams
from detectors.interaction_screen import Screen
from detectors.interaction_state import (
    KEPT_BUCKETS,
    KINDS,
    N_DUE,
    SIDES,
    SLOTS,
    TALLY_FIELDS,
)

PARAMS = ClientInteractionParams()


def tallies(rng, shape, *, shift, blocks, groups=slice(None)):
    """Return sums over blocks whose means are normal; of some slots they are shifted."""
    counts = rng.integers(0, blocks, (KEPT_BUCKETS, SLOTS, *shape))
    made = np.zeros((KEPT_BUCKETS, SLOTS, *shape, TALLY_FIELDS))
    for place in np.ndindex(counts.shape):
        drawn = rng.normal(0.0, 1.0, counts[place])
        drawn += shift if place[1] in range(SLOTS)[groups] else 0.0
        made[place] = (len(drawn), drawn.sum(), (drawn * drawn).sum(), len(drawn))
    return made


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5, 1.0, 2.0])
def test_what_the_screen_holds_back_would_not_have_passed(shift):
    screen, rng = Screen(PARAMS), np.random.default_rng(7)
    seen = {True: 0, False: 0}
    for _ in range(3):
        quotes = tallies(rng, (KINDS,), shift=shift, blocks=20)
        fills = tallies(rng, (SIDES, N_DUE), shift=-shift, blocks=12, groups=slice(0, 1))
        for bucket in range(60, 60 + KEPT_BUCKETS, 5):
            for alone in ((quotes, 0 * fills), (0 * quotes, fills)):
                passed = verdicts(*alone, bucket, PARAMS)
                may = screen.may_pass(*alone, bucket)
                assert may or not passed
                seen[may] += 1
    assert seen[True] if shift >= 0.5 else seen[False]
    assert seen[True] == 0 or shift > 0


@pytest.mark.parametrize("least", [1, 2])
def test_a_mean_of_one_block_tells_nothing(least):
    params = ClientInteractionParams(min_quote_blocks=least, min_fill_blocks=least)
    quotes = np.zeros((KEPT_BUCKETS, SLOTS, KINDS, TALLY_FIELDS))
    fills = np.zeros((KEPT_BUCKETS, SLOTS, SIDES, N_DUE, TALLY_FIELDS))
    quotes[9] = fills[9] = (1, 5, 25, 1)
    assert not Screen(params).may_pass(quotes, fills, 9)
    assert verdicts(quotes, fills, 9, params) == []


def test_moves_that_are_all_but_one_number_are_not_held_back():
    screen, rng, passed = Screen(PARAMS), np.random.default_rng(1), 0
    for _ in range(40):
        quotes = np.zeros((KEPT_BUCKETS, SLOTS, KINDS, TALLY_FIELDS))
        fills = np.zeros((KEPT_BUCKETS, SLOTS, SIDES, N_DUE, TALLY_FIELDS))
        for slot, base in enumerate((-0.7, 0.4, 0.5)):
            for bucket, side in np.ndindex(2, SIDES):
                # The variance of their mean is about 1e-12 of its square: the bound of rounding.
                moves = base * (1 + 1e-6 * np.sqrt(55) * rng.normal(size=14))
                fills[8 + bucket, slot, side, 1] = (14, moves.sum(), (moves * moves).sum(), 14)
        found = verdicts(quotes, fills, 9, PARAMS)
        assert screen.may_pass(quotes, fills, 9) or not found
        passed += bool(found)
    assert passed
