"""hidden_affiliate: a client's account that does the group's bidding, on the raw records."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from decimal import Decimal

import pytest

from market.abuse.base import OPENING_S
from market.abuse.hidden_affiliate import HiddenAffiliate
from market.assembly import START_NS
from tests.support.labelled import AFMM, Labelled, assert_read_without_fault, tapes_of

KIND = HiddenAffiliate.scenario
SHORT = {"seed": 125, "hours": 0.5, "instruments": 1}
END_NS = START_NS + int(SHORT["hours"] * 3600e9)
MEMORY_NS = 60e9


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(tmp_path_factory, HiddenAffiliate, SHORT) as tape:
        yield tape


def test_clients_before_whom_it_trades_lose_by_it_and_harm_changes_nothing_else(tmp_path):
    settings = {"seed": 126, "hours": 0.15, "instruments": 1, "severity": 0.9, "evasion": "none"}
    with_harm, without = (
        Labelled(tmp_path / str(harm), KIND, **settings, harm=harm) for harm in (True, False)
    )
    assert with_harm.truths[0].client_harm > 0
    assert without.truths[0].client_harm is None
    differing = {n for n, d in with_harm.digest().items() if d != without.digest()[n]}
    assert differing <= {"truth.json", "README.md"}


def tape_of(tapes, severity, evasion):
    """Return a tape: of two instruments where the ends of severity are looked at."""
    both = evasion == "none" and severity != 0.5
    return tapes(severity=severity, evasion=evasion, **({"instruments": 2} if both else {}))


def instructions(tape):
    """Return by account how often it took the side that relieved the market maker, and how often.

    Of each instruction that took something: its side against what the market maker had bought less
    sold just before, both instruments together, what is a minute old counting 1/e.
    """
    inventory, at_ns = 0.0, START_NS
    relieved, count, seen = Counter(), Counter(), set()
    for trade in sorted(tape.rows[1].values(), key=lambda t: t["engine_ns"]):
        inventory *= math.exp((at_ns - trade["engine_ns"]) / MEMORY_NS)
        at_ns = trade["engine_ns"]
        side = trade["aggressor"]
        if side is not None:
            where = trade["instrument"], trade[f"{side}_order_id"]
            account = trade[f"{side}_account"]
            if where not in seen:
                seen.add(where)
                count[account] += 1
                relieved[account] += (side == "buy") == (inventory < 0)
        lots = float(trade["quantity"])
        inventory += lots * ((trade["buy_account"] == AFMM) - (trade["sell_account"] == AFMM))
    return relieved, count


def surprise(tape, account):
    """Return by how many standard deviations an account relieved the maker more than by chance."""
    if "relief" not in vars(tape):
        tape.relief = instructions(tape)
    relieved, count = tape.relief
    return (2 * relieved[account] - count[account]) / math.sqrt(max(1, count[account]))


def nominee(tape):
    [truth] = tape.truths
    [account] = truth.accounts
    return account


def entered(tape, account):
    orders = [records[0] for records in tape.rows[0].values()]
    return [record for record in orders if record["account"] == account]


@pytest.mark.parametrize(
    ("severity", "evasion"),
    [(0.1, "none"), (0.5, "none"), (0.9, "none"), *((0.9, e) for e in HiddenAffiliate.evasions)],
)
def test_it_is_one_client_account_for_the_whole_tape(tapes, severity, evasion):
    tape = tape_of(tapes, severity, evasion)
    [truth] = tape.truths
    assert (truth.scenario, truth.severity, truth.evasion) == (KIND, severity, evasion)
    assert truth.instrument == ""
    assert set(truth.instruments) == {instrument for instrument, _ in tape.rows[1]}
    assert not truth.order_ids
    assert not truth.trade_ids
    assert tape.roles[nominee(tape)] == "client"
    assert truth.start_ns == START_NS + int(OPENING_S * 1e9)
    assert END_NS - truth.end_ns < 240e9


def test_it_takes_the_side_that_relieves_the_market_maker_more_so_when_more_severe(tapes):
    faint, blatant = (
        surprise(tape, nominee(tape))
        for tape in (tape_of(tapes, severity, "none") for severity in (0.1, 0.9))
    )
    assert faint < 3
    assert blatant > 6
    tape = tape_of(tapes, 0.9, "none")
    others = {row for row, role in tape.roles.items() if role == "client"} - {nominee(tape)}
    assert max(surprise(tape, other) for other in others) < blatant


@pytest.mark.parametrize("evasion", HiddenAffiliate.evasions)
def test_hidden_it_still_does(tapes, evasion):
    tape = tape_of(tapes, 0.9, evasion)
    assert surprise(tape, nominee(tape)) > 2


def sessions(tape):
    return Counter(record["session"] for record in entered(tape, nominee(tape)))


def test_it_comes_by_the_market_makers_session_only_when_blatant(tapes):
    theirs = f"colo-{AFMM}"
    assert sessions(tape_of(tapes, 0.1, "none"))[theirs] == 0
    assert sessions(tape_of(tapes, 0.5, "none"))[theirs] == 0
    blatant = sessions(tape_of(tapes, 0.9, "none"))
    assert 0.2 < blatant[theirs] / blatant.total() < 0.8
    assert sessions(tape_of(tapes, 0.9, "other_gate"))[theirs] == 0


def test_it_goes_on_to_trade_on_its_own_account_and_more_so_to_hide(tapes):
    plain, noisy = (tape_of(tapes, 0.9, evasion) for evasion in ("other_gate", "own_noise"))
    kinds = {(r["type"], r["tif"]) for r in entered(plain, nominee(plain))}
    assert ("market", "IOC") in kinds
    assert ("limit", "DAY") in kinds
    assert len(entered(noisy, nominee(noisy))) > len(entered(plain, nominee(plain))) + 30


def test_it_quotes_while_the_market_makers_quotes_are_gone(tapes):
    tape = tape_of(tapes, 0.9, "none")
    gone = defaultdict(list)
    for records in tape.rows[0].values():
        for record in records:
            if record["account"] == AFMM and record.get("reason") in ("disconnect", "kill", "mmp"):
                gone[record["instrument"]].append(record["engine_ns"])
    assert gone
    quotes = [r for r in entered(tape, nominee(tape)) if r["tif"] == "POST_ONLY"]
    after = 0
    for record in quotes:
        times = sorted(gone[record["instrument"]])
        place = bisect_left(times, record["engine_ns"])
        after += place > 0 and record["engine_ns"] - times[place - 1] < 25e9
    assert after >= 2


def test_some_large_orders_are_traded_before_when_blatant(tapes):
    def before(tape):
        """Return how many of its instructions were on a parent's side in the 45 s before it."""
        first = {}
        for records in tape.rows[0].values():
            record = records[0]
            if "parent_order_id" in record:
                name = record["instrument"], record["parent_order_id"]
                first.setdefault(name, record)
        own = [r for r in entered(tape, nominee(tape)) if r["tif"] == "IOC"]
        return sum(
            own_order["instrument"] == child["instrument"]
            and own_order["side"] == child["side"]
            and 0 < child["engine_ns"] - own_order["engine_ns"] < 45e9
            and Decimal(own_order["quantity"]) >= Decimal("0.2")
            for own_order in own
            for child in first.values()
        )

    [truth] = tape_of(tapes, 0.9, "none").truths
    assert "information_leak" in truth.also
    assert before(tape_of(tapes, 0.9, "none")) > before(tape_of(tapes, 0.1, "none"))


def test_the_pipeline_reads_it_without_a_fault(tapes, tmp_path):
    assert_read_without_fault(tape_of(tapes, 0.9, "none"), tmp_path)
