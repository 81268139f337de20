"""Logins in common with the group: who is proposed for them, and what is no reason to."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.hidden_affiliates import HiddenAffiliates
from detectors.hidden_intake import pending_of
from detectors.hidden_logins import (
    L_ACCOUNT,
    L_CODE,
    L_FIRST_NS,
    L_FIRST_SEQ,
    L_GROUP,
    L_KIND,
    L_NAME,
    L_OWNER,
    L_TRADES,
    LOGINS,
    MOST,
    USE_FIELDS,
    Logins,
)
from detectors.hidden_params import HiddenAffiliatesParams
from detectors.hidden_state import (
    P_CLOCK,
    P_CODE,
    P_SEQ,
    PENDING_FIELDS,
    RESTER,
    TAKER,
    W_ACCOUNT,
    W_GROUP,
    W_OWNER,
    W_SESSION,
)
from tests.detectors.hidden_scenes import (
    EVERY_S,
    MM,
    SECOND,
    START,
    SUSPECT,
    TABLE,
    Scene,
    by_group,
    logged_in,
    proposed,
    told_of,
    with_suspect,
)


@pytest.mark.parametrize("kind", ["session", "user"])
def test_an_account_that_comes_by_the_groups_login_is_proposed_however_it_trades(kind):
    found = logged_in(with_suspect(), of=by_group, kinds=(kind,)).found()
    hit = told_of(found)
    assert hit.evidence == "supported"
    assert hit.features[f"shared_{kind}"].value == 60
    assert {f.accounts for f in proposed(found)} == {(SUSPECT,)}


def test_too_few_runs_for_the_model_are_enough():
    hit = told_of(logged_in(with_suspect(turns=4), of=by_group).found())
    assert hit.evidence == "supported"
    assert hit.features["probability"].value == "not judged: too few runs or accounts"
    assert (hit.features["shared_session"].value, hit.features["shared_user"].value) == (4, 4)
    assert hit.evidence_refs


def test_it_is_said_beside_what_the_model_says_and_stays_said():
    scene = Scene(turns=200)
    scene.follow(SUSPECT)
    hit = told_of(logged_in(scene, of=by_group).found())
    assert hit.features["probability"].value > 0.8
    assert hit.features["shared_user"].value > 30


def test_each_by_a_login_of_its_own_is_nothing():
    assert proposed(logged_in(with_suspect()).found()) == []


def test_no_logins_are_nothing():
    assert proposed(with_suspect().found()) == []


def test_two_accounts_of_one_owner_are_one():
    scene = with_suspect()
    other = SUSPECT + 1
    for n in range(20):
        scene.take(START + (EVERY_S * n + 6) * SECOND, other, scene.side())
    logged_in(scene, of=lambda account: MM if account in {SUSPECT, other} else account)
    for row in scene.rows:
        for side in ("buy", "sell"):
            if row[f"{side}_account"] in {SUSPECT, other}:
                row[f"{side}_owner"] = 7_777
    found = proposed(scene.found())
    assert {f.accounts for f in found} == {(SUSPECT,), (other,)}


def test_cut_in_batches_and_restored_it_says_the_same():
    batch = logged_in(with_suspect(), of=by_group).batch()
    whole = HiddenAffiliates(HiddenAffiliatesParams(), TABLE).step(batch)
    times = np.sort(batch["clock_ns"])
    cuts = [int(times[n]) for n in range(97, len(batch), 97)] + [batch.watermark_ns]
    found, snapshot, start = [], None, 0
    for until_ns in cuts:
        detector = HiddenAffiliates(HiddenAffiliatesParams(), TABLE)
        if snapshot is not None:
            detector.restore(snapshot)
        part = batch.take((batch["clock_ns"] >= start) & (batch["clock_ns"] < until_ns))
        part.watermark_ns = until_ns
        found += detector.step(part)
        snapshot, start = detector.snapshot(), until_ns
    assert found == whole


def test_what_an_account_did_before_it_joined_the_group_is_forgotten():
    logins = Logins()
    logins.take(pending_of(logged_in(with_suspect(), of=by_group).batch()))
    params = HiddenAffiliatesParams()
    assert set(logins.shared(params)) == {SUSPECT}
    logins.forget(SUSPECT)
    assert logins.shared(params) == {}


def test_uses_beyond_the_bound_are_counted_and_the_first_are_kept():
    rows = pending_of(logged_in(with_suspect(), of=by_group).batch())
    many = np.repeat(rows[:1], MOST + 10, axis=0)
    many[:, TAKER + W_SESSION] = np.arange(len(many)) + 5_000  # the taker's session
    logins = Logins()
    logins.take(many)
    assert logins.lost == 10 + 3  # one use of three other names each
    logins.clear()
    logins.take(rows)
    assert set(logins.shared(HiddenAffiliatesParams())) == {SUSPECT}


def used(rows):
    """Return how many trades each login was used for, and the first, counted one by one."""
    found = {}
    for row in rows.tolist():
        for kind, place in enumerate(LOGINS.values()):
            for who in (TAKER, RESTER):
                if row[who + place] < 0:
                    continue
                account, owner = row[who + W_ACCOUNT], row[who + W_OWNER]
                key = (row[P_CODE], kind, row[who + place], account, int(row[who + W_GROUP] != 0))
                first = (row[P_CLOCK], row[P_SEQ], owner if owner >= 0 else -1 - account)
                trades, begun = found.get(key, (0, first))
                found[key] = trades + 1, begun
    return found


@pytest.mark.parametrize("seed", range(4))
def test_uses_are_counted_as_one_by_one_however_the_day_is_cut_and_restored(seed):
    rng = np.random.default_rng(seed)
    rows = np.zeros((6_000, PENDING_FIELDS), np.int64)
    rows[:, P_CLOCK] = np.sort(rng.integers(1, 3_000, len(rows)))
    rows[:, P_CODE], rows[:, P_SEQ] = rng.integers(0, 3, len(rows)), np.arange(len(rows))
    for who in (TAKER, RESTER):
        rows[:, who + W_ACCOUNT] = rng.integers(0, 40, len(rows))
        rows[:, who + W_GROUP] = rng.integers(0, 2, len(rows))
        rows[:, who + W_OWNER] = rows[:, who + W_ACCOUNT] // 2 - 1
        for place in LOGINS.values():
            rows[:, who + place] = rng.integers(-1, 200, len(rows))
    logins, start = Logins(), 0
    for end in (*sorted(rng.integers(0, len(rows), 9).tolist()), len(rows)):
        logins.take(rows[start:end])
        kept, start = logins.snapshot(), end
        logins = Logins()
        logins.restore(kept)
        assert all((logins.snapshot()[name] == kept[name]).all() for name in kept)
    told = {
        tuple(use[[L_CODE, L_KIND, L_NAME, L_ACCOUNT, L_GROUP]].tolist()): (
            use[L_TRADES], (use[L_FIRST_NS], use[L_FIRST_SEQ], use[L_OWNER]),
        )
        for use in logins.snapshot()["hidden_logins"]
    }  # fmt: skip
    assert told == used(rows)
    logins.forget(7)
    left = logins.snapshot()["hidden_logins"]
    assert not ((left[:, L_ACCOUNT] == 7) & (left[:, L_GROUP] == 0)).any()
    assert len(left) == sum(1 for key in told if key[3:] != (7, 0))


def test_more_uses_than_one_worker_keeps_can_be_taken_over():
    uses = np.zeros((MOST + 5, USE_FIELDS), np.int64)
    uses[:, L_NAME], uses[:, L_TRADES] = np.arange(len(uses)), 2
    uses[:, L_FIRST_NS] = np.arange(len(uses))[::-1]
    logins = Logins()
    logins.restore({"hidden_logins": uses, "hidden_logins_lost": np.array([3, 4])})
    assert logins.lost == 7 + 2 * 5
    kept = logins.snapshot()["hidden_logins"]
    assert len(kept) == MOST
    assert kept[:, L_FIRST_NS].max() == MOST - 1  # the first are kept
