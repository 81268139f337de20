"""unequal_access by rate: the affiliate's instructions against the limit that was disclosed."""

from __future__ import annotations

import random

import msgspec
import pytest

from detectors.access_examples import told, with_terms
from detectors.access_params import UnequalAccessParams
from detectors.access_terms import told as numbers_of
from detectors.access_terms import unread
from detectors.examples import batch_of
from detectors.unequal_access import UnequalAccess
from ingest.events import NULL, Coverage, Kind, Phase, Reason, Role
from ingest.terms import Party, Terms
from tests.support.access_scene import (
    MM,
    MS,
    PARAMS,
    ROLES,
    SECOND,
    START,
    TABLE,
    X1,
    X2,
    Scene,
    way_of,
)
from tests.support.claims import claims

LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()
LIMIT = told("rate_limit", "100", "per_second", "limits of every account")
MM2 = 6


def seconds(*counts, account=MM, scene=None, kinds=(Kind.NEW,), **columns):
    """Have an account give so many instructions in each second, evenly, and one later on."""
    scene = scene or Scene({**ROLES, MM2: Role.AFFILIATED_MM})
    first = -(-scene.now_ns // SECOND) * SECOND
    for second, count in enumerate(counts):
        for number in range(count):
            scene.now_ns = first + second * SECOND + 10 * MS + number * 900 * MS // count
            scene.act(account, kinds[number % len(kinds)], **columns)
    scene.now_ns = first + (len(counts) + 9) * SECOND + 500 * MS
    scene.act(account)
    return scene


def rates(findings):
    return [f for f in findings if way_of(f) == "rate"]


def test_more_in_a_second_than_any_limiter_lets_through_is_a_proved_breach():
    (hit,) = seconds(230).found(LIMIT)
    assert (way_of(hit), hit.evidence_class, hit.evidence) == ("rate", "breach", "proved")
    assert (hit.accounts, hit.significant, hit.notify_clock) == ((MM,), True, "asap")
    assert (hit.window_start_ns, hit.detected_ns) == (START, START + 300 * SECOND)
    said = {name: (feature.value, feature.baseline) for name, feature in hit.features.items()}
    assert said["runs_beyond"] == (1, 0)
    assert said["instructions"] == (230, 200)
    assert said["most_in_a_second"] == (230, 100)
    assert said["disclosed"][0] == "100"
    assert said["document"][0] == "limits of every account"
    assert [ref.seq for ref in hit.evidence_refs] == [1, 201]


def test_a_second_of_twice_the_rate_does_not_fire_and_one_more_does():
    assert seconds(200).found(LIMIT) == []
    assert seconds(201).found(LIMIT)


@pytest.mark.parametrize(
    ("counts", "instructions"),
    [((150, 150, 150), 450), ((130, 130, 130), None), ((130,) * 4, 520), ((10, 10, 250), 250),
     ((150, 0, 150, 0, 150), None), ((200, 0, 200), None), ((200, 80, 150), 430)],
)  # fmt: skip
def test_seconds_in_a_row_are_held_against_one_more_second_than_they_are(counts, instructions):
    found = seconds(*counts).found(LIMIT)
    assert [hit.features["instructions"].value for hit in found] == (
        [] if instructions is None else [instructions]
    )


def test_runs_that_are_told_do_not_overlap():
    (hit,) = seconds(250, 250, 100, 100, 100).found(LIMIT)
    said = hit.features
    assert said["runs_beyond"].value == 2
    assert (said["instructions"].value, said["instructions"].baseline) == (500, 400)


def test_new_orders_amendments_and_cancels_count():
    kinds = (Kind.NEW, Kind.REPLACE, Kind.CANCEL)
    assert seconds(230, kinds=kinds).found(LIMIT)
    assert seconds(230, kinds=kinds, phase=Phase.AUCTION).found(LIMIT)


def test_a_long_burst_at_the_end_of_a_bucket_is_told_once():
    scene = Scene()
    scene.now_ns = START + 299 * SECOND
    found = seconds(250, scene=scene).found(LIMIT, until_s=700)
    assert [hit.features["runs_beyond"].value for hit in rates(found)] == [1]


def test_another_rate_may_come_at_once_where_that_is_configured():
    params = UnequalAccessParams(rate_burst_s=3.0)
    assert seconds(400).found(LIMIT, params=params) == []
    assert seconds(401).found(LIMIT, params=params)


@look_alike("a burst that a limiter lets through after a quiet time")
def test_bursts_of_a_limiter_do_not_fire():
    assert seconds(0, 0, 200, 100, 100, 100, 0, 200, 100).found(LIMIT) == []


@pytest.mark.parametrize("kind", ["tokens", "fixed", "sliding", "holds_back"])
def test_whatever_a_limiter_of_the_rate_lets_through_does_not_fire(kind):
    """The limiter stands somewhere between gateway and engine, and works in one of these ways."""
    rate, rng = 20, random.Random(kind)
    scene, tokens, last, window, passed = Scene(), float(rate), 0.0, -1, []
    for _ in range(4_000):
        eager = rng.random() < 0.7
        last_at, at = last, last + (rng.uniform(0, 0.01) if eager else rng.uniform(0, 0.2))
        last = at
        tokens = min(float(rate), tokens + (at - last_at) * rate)
        passed = [one for one in passed if one > at - 1]
        if kind == "tokens":
            lets, tokens = tokens >= 1, tokens - (tokens >= 1)
        elif kind == "fixed":
            if int(at + 0.37) != window:
                window, used = int(at + 0.37), 0
            used += 1
            lets = used <= rate
        else:
            lets = len(passed) < rate
        if kind != "holds_back" and not lets:
            continue
        passed.append(at)
        before, after = rng.uniform(0, 0.3), rng.uniform(0, 0.001)
        scene.rows.append((at - before, at + after))
    if kind == "holds_back":  # all pass, each when the limiter has room
        pace, done = 0.0, []
        for came, _ in sorted(scene.rows):
            pace = max(came, pace + 1 / rate)
            done.append((came, pace))
        scene.rows = done
    pairs, scene.rows = sorted(scene.rows, key=lambda pair: pair[1]), []
    for came, done in pairs:
        if done < 295:
            scene.act(MM, engine_ns=START + int(done * 1e9), received_ns=START + int(came * 1e9))
    assert len(scene.rows) > 400
    assert rates(scene.found(told("rate_limit", str(rate), "per_second"))) == []
    if kind != "holds_back":  # what waits for seconds may have passed at any time
        assert rates(scene.found(told("rate_limit", str(rate // 3), "per_second")))


@look_alike("one instruction for many orders, as after a reconnect")
def test_many_orders_of_one_instruction_do_not_fire():
    scene = seconds(90)
    for kind in (Kind.CANCEL, Kind.NEW):
        came_ns = scene.now_ns
        for _ in range(300):
            scene.wait(1)
            scene.act(MM, kind, received_ns=came_ns)
        scene.wait(100)
    scene.act(MM)
    assert scene.found(LIMIT) == []


@look_alike("instructions refused for their rate, or held back before the engine")
def test_what_is_refused_or_held_back_does_not_fire():
    refused = Scene()
    for number in range(450):
        refused.wait(2)
        new = refused.act(MM)
        if number % 3:
            refused.act(MM, Kind.REJECT, fresh=False, order_lo=new)
        refused.act(MM, Kind.REJECT)
    assert rates(refused.found(LIMIT)) == []
    # Of two sessions of the account, each waits for its answer: the refusals come two by two.
    by_two = Scene()
    for _ in range(150):
        by_two.wait(1)
        new = [by_two.act(MM), by_two.act(MM, wait_us=11)]
        came = [row["received_ns"] for row in by_two.rows[-2:]]
        for order, received_ns in zip(new, came, strict=True):
            by_two.act(MM, Kind.REJECT, fresh=False, order_lo=order, received_ns=received_ns)
    assert rates(by_two.found(LIMIT)) == []
    held = Scene()
    for number in range(600):
        held.act(
            MM,
            engine_ns=START + SECOND + number * 10 * MS,
            received_ns=START + SECOND + number * MS // 10,
        )
    assert held.found(LIMIT, until_s=600) == []


def test_an_engine_that_stands_still_and_catches_up_does_not_fire():
    scene = seconds(100, 100)
    first = scene.now_ns // SECOND * SECOND + SECOND
    for number in range(500):
        scene.act(
            MM, engine_ns=first + 5 * SECOND + number * MS, received_ns=first + number * 10 * MS
        )
    scene.now_ns = first + 7 * SECOND
    scene.act(MM)
    assert scene.found(LIMIT) == []


@look_alike("amendments and cancels that the venue makes by itself")
def test_what_the_venue_does_does_not_fire():
    taken = (Reason.DISCONNECT, Reason.KILL, Reason.STP, Reason.MMP, Reason.EXPIRY, Reason.OTHER)
    for kind, reasons in (
        (Kind.CANCEL, taken), (Kind.REPLACE, taken), (Kind.EXPIRE, (Reason.NONE,)),
        (Kind.TRIGGER, (Reason.NONE,)),
    ):  # fmt: skip
        for reason in reasons:
            assert seconds(300, kinds=(kind,), reason=reason).found(LIMIT) == []
    assert seconds(300, received_ns=NULL).found(LIMIT) == []


def together(*counts, limits):
    """Have two accounts of the affiliate give so many each; `limits` by their owner or names."""
    scene = seconds(*counts)
    for row in list(scene.rows):
        scene.rows.append({**row, "account": MM2, "order_lo": row["order_lo"] + 10_000})
    scene.rows.sort(key=lambda row: row["engine_ns"])
    rows = [*scene.rows, {"kind": Kind.STATUS, "engine_ns": START + 300 * SECOND}]
    batch = batch_of(rows, TABLE)
    batch.terms = Terms(
        (), tuple(msgspec.structs.replace(LIMIT, subject=s, value=v) for s, v in limits.items())
    )
    batch.parties = {"G": Party(9, (MM, MM2)), "MM": Party(MM, (MM,)), "MM2": Party(MM2, (MM2,))}
    return UnequalAccess(PARAMS, TABLE).step(batch)


@look_alike("several accounts of the affiliate, each within its rate")
def test_several_accounts_each_within_its_rate_do_not_fire():
    assert together(*[100] * 10, limits={"MM": "100", "MM2": "100"}) == []


def test_each_account_is_held_against_its_own_rate():
    (hit,) = together(150, limits={"MM": "100", "MM2": "70"})
    assert hit.accounts == (MM2,)
    (hit,) = together(250, limits={"G": "100"})
    assert hit.accounts == (MM, MM2)


def test_times_that_are_missing_or_contradict_one_another_do_not_count():
    scene = seconds(300)
    for number, row in enumerate(scene.rows):
        if number % 2:
            row["received_ns"] = NULL if number % 4 == 1 else row["engine_ns"] + 2 * SECOND
    assert scene.found(LIMIT) == []
    scene = seconds(300)
    for row in scene.rows[:150]:
        row["clock_fault"] = 1
    assert scene.found(LIMIT) == []


def test_the_order_of_receipts_is_of_no_matter():
    scene = seconds(230)
    times = [row["received_ns"] for row in scene.rows[:230]]
    for row, shuffled in zip(scene.rows, sorted(times, key=lambda ns: ns % 10_007), strict=False):
        row["received_ns"] = shuffled
    (hit,) = scene.found(LIMIT)
    assert hit.features["instructions"].value == 230


def test_rows_without_full_coverage_count_and_are_said():
    scene = seconds(230)
    scene.rows[5]["coverage"] = Coverage.INCOMPLETE
    (hit,) = scene.found(LIMIT)
    assert (hit.evidence, hit.coverage) == ("proved", "incomplete")


def test_the_narrowest_limit_in_force_is_the_one_that_counts():
    name = TABLE.rows[0].instrument
    wide = told("rate_limit", "300", "per_second", instrument=name)
    assert seconds(250).found(LIMIT, wide) == []
    other = msgspec.structs.replace(wide, instrument="ETH-USD")
    assert seconds(250).found(LIMIT, other)
    assert seconds(250).found(told("rate_limit", "100", "per_second", instrument=name))
    ended = msgspec.structs.replace(LIMIT, valid_to_ns=START)
    assert seconds(250).found(ended) == []


def test_a_limit_holds_from_when_it_is_in_force():
    later = msgspec.structs.replace(LIMIT, valid_from_ns=START + SECOND)
    assert seconds(250, 200).found(later) == []
    assert seconds(10, 201).found(later)
    changed = START + SECOND // 2
    wide = told("rate_limit", "900", "per_second")
    wide = msgspec.structs.replace(wide, valid_to_ns=changed)
    narrow = msgspec.structs.replace(LIMIT, valid_from_ns=changed)
    assert seconds(380, 100).found(wide, narrow) == []
    assert seconds(380, 300).found(wide, narrow)


def test_others_are_not_held_to_it_and_nothing_is_said_without_it():
    assert seconds(900, account=X1).found(LIMIT) == []
    assert seconds(900).found() == []
    assert seconds(900).found(told("rate_limit", "100", "per_s")) == []


def test_a_rate_is_read_as_a_whole_number_in_its_unit():
    rows = [("100", "per_second"), ("1e2", "per_second"), ("0", "per_second"),
            ("2.5", "per_second"), ("1e99999", "per_second"), ("many", "per_second"),
            ("100", "per_s")]  # fmt: skip
    batch = with_terms(batch_of([], TABLE), *(told("rate_limit", *row) for row in rows))
    assert len(numbers_of(batch.terms, batch.parties, TABLE)) == 2
    assert len(unread(batch.terms, batch.parties)) == 5


@pytest.mark.parametrize(
    ("count", "limits", "verdict"),
    [(90, (LIMIT,), "compliant"), (230, (LIMIT,), "breach"), (230, (), "not_compared"),
     (0, (LIMIT,), "not_seen")],
)  # fmt: skip
def test_a_rate_within_the_limit_is_measured_as_compliant(count, limits, verdict):
    scene = seconds(40, account=X2)
    scene = seconds(count, scene=scene) if count else scene
    batch = batch_of([*scene.rows, {"kind": Kind.STATUS, "engine_ns": START + 300 * SECOND}], TABLE)
    detector = UnequalAccess(PARAMS, TABLE)
    detector.step(with_terms(batch, *limits))
    (row,) = (row for row in detector.measured() if row.way == "rate")
    assert (row.verdict, row.ours, row.others) == (verdict, count or None, 40)
    assert row.count == count
    assert row.disclosed == ("100" if limits and count else "undisclosed")


def runs(counts, rate, burst):
    """Return the runs that are told, by trying every one: seconds of begin and end."""
    told_of, start = [], 0
    for end in range(1, len(counts) + 1):
        if any(sum(counts[n:end]) > (end - n + burst) * rate for n in range(start, end)):
            told_of.append(end)
            start = end
    return told_of


def test_the_runs_told_are_those_that_trying_every_one_finds():
    rng = random.Random(8)
    for _ in range(12):
        counts = [rng.choice((0, 3, 9, 14, rng.randrange(40))) for _ in range(40)]
        found = seconds(*counts).found(told("rate_limit", "10", "per_second"))
        said = [hit.features["runs_beyond"].value for hit in found]
        assert said == [len(runs(counts, 10, 1))] * bool(runs(counts, 10, 1))


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_cuts_change_nothing(size):
    scene = seconds(150, 150, 150, 230, 90)
    assert scene.found(LIMIT, size=size) == scene.found(LIMIT) != []


# --- blind spots ----------------------------------------------------------------------------------


@blind_spot("a rate limit that was not disclosed, unless new orders of others are refused for it")
@pytest.mark.xfail(strict=True)
def test_blind_undisclosed():
    scene = Scene()
    for _ in range(250):
        for account in (X1, X2):
            scene.act(account)
            scene.act(account, Kind.REJECT, reason=Reason.SPEED_BUMP, fresh=False)
        for _ in range(4):
            scene.act(MM)
        scene.wait(1_000)
    assert scene.found()


@blind_spot("a rate that is passed by less than a limiter may let through at once")
@pytest.mark.xfail(strict=True)
def test_blind_within_a_burst():
    assert seconds(190, 0, 190, 0, 190).found(LIMIT)


@blind_spot("a rate limit over several instruments, or several accounts together")
@pytest.mark.xfail(strict=True)
def test_blind_to_sums():
    assert together(*[100] * 10, limits={"G": "100"})
