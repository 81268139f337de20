"""What tests of abuse compute from raw records: what was open, filled and passed at a moment."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal


def price(record, name="price"):
    return None if record[name] is None else Decimal(record[name])


def sign(record):
    return 1 if record["side"] == "buy" else -1


def fills(tape, record):
    """Return all trades of an order, in seq order."""
    if "by_order" not in vars(tape):
        tape.by_order = defaultdict(list)
        for trade in tape.rows[1].values():
            for side in ("buy", "sell"):
                tape.by_order[trade["instrument"], trade[f"{side}_order_id"]].append(trade)
    return tape.by_order[record["instrument"], record["order_id"]]


def filled(trades):
    return sum((Decimal(trade["quantity"]) for trade in trades), Decimal(0))


def open_at(tape, records, seq):
    """Return what is open of an order right after a seq, from its records and its trades."""
    told = [record for record in records if record["seq"] <= seq]
    if not told or told[-1]["action"] in ("cancel", "expire", "reject"):
        return Decimal(0)
    done = filled(trade for trade in fills(tape, told[0]) if trade["seq"] <= seq)
    return Decimal(told[-1]["quantity"]) - done


def resting_id(trade):
    side = "sell" if trade["aggressor"] == "buy" else "buy"
    return trade[f"{side}_order_id"]


def incoming_id(trade):
    return trade[f"{trade['aggressor']}_order_id"]


def within(limit, side, at):
    """Return whether a price would have satisfied a limit; no limit takes any."""
    return limit is None or at * side <= limit * side
