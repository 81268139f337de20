"""Innocent conduct that resembles abuse, counted from a tape's records alone.

A clean tape is only a test of a detector when it holds what the detector must not fire on.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from ingest.times import SECOND
from market.orders import GROUP
from market.reading import Record, table

LEAST: Final = 20
"""How often each comes about on a clean tape of the length at which figures are reported."""
LOOK_ALIKES: Final = {
    "hedges": "the AFMM takes the other side of what it was just filled with",
    "timer_requotes": "the AFMM moves quotes on its timer",
    "outside_reactions": "the AFMM moves quotes within 100 ms of an outside jump",
    "maker_protection": "a maker's orders leave after it was hit hard",
    "disconnects": "a maker's orders leave with its connection, or by a kill switch",
    "both_sides_hit": "the AFMM's quotes are hit on both sides within a second",
    "makers_cross": "two external makers trade with each other",
    "self_trades_prevented": "self-trade prevention takes an order away, or makes it smaller",
    "hidden_passed_over": "the AFMM is filled where a client's hidden quantity is older",
    "amended_after_match": "a client amends or cancels what was filled meanwhile",
    "omnibus_crosses": "two originators of one omnibus account trade with each other",
    "auctions": "an instrument goes into a call",
    "halts": "an instrument is halted",
    "maintenance": "an instrument goes into announced maintenance",
    "traded_beside": "the AFMM is filled on a large client order's side while that is worked",
    "news": "the outside price jumps and nobody of the group had just taken anything",
    "busy_minutes": "clients and makers both send half as much again as usual for a minute",
    "group_trades": "another account of the group trades with a client",
}
"""By name, what is counted."""
JUMP: Final = 5e-4
"""Log return of one print of the outside price that counts as a jump: five calm deviations a
minute, twice a maker's half spread."""
AT_ONCE_NS: Final = 100_000_000
RECENT_NS: Final = 60 * SECOND
PARENT_PAUSE_NS: Final = 20 * SECOND
"""A parent order with no child for so long is over."""
BUSY_RATIO: Final = 1.5


class LookAlikes:
    """Counts innocent look-alikes.

    State: live hidden orders, orders filled in the last minute, parents, a count a minute.

    Parameters
    ----------
    tape : Path
        Its tables and its reference prices are read at once.
    """

    def __init__(self, tape: Path) -> None:
        self._found: Counter[str] = Counter()
        rows = table(tape, "accounts")
        self._role = {row["account"]: row["role"] for row in reversed(rows)}
        self._underlying = {
            row["instrument"]: row.get("underlying") or row["instrument"]
            for row in table(tape, "instruments")
        }
        self._jumps = _jumps(tape)
        self._taken: dict[str, list[int]] = defaultdict(list)
        """By underlying: when the group took something."""
        self._stamped: dict[str, int] = {}
        self._reacted: set[tuple[str, int]] = set()
        self._hits: dict[tuple[str, str], int] = {}
        self._left: dict[tuple[str, str], int] = {}
        self._hidden: dict[str, tuple[str, str, str]] = {}
        self._hidden_at: Counter[tuple[str, str, str]] = Counter()
        self._filled: dict[str, int] = {}
        self._filled_order: deque[tuple[int, str]] = deque()
        self._parents: dict[str, dict[str, tuple[str, int]]] = defaultdict(dict)
        self._beside: set[str] = set()
        self._sent: dict[str, Counter[tuple[str, int]]] = {
            "client": Counter(),
            "maker": Counter(),
        }

    # --- orders -------------------------------------------------------------------------------

    def order(self, record: Record) -> None:
        """Take in an order record."""
        action = record["action"]
        if action == "status":
            name = {"auction": "auctions", "halt": "halts", "maintenance": "maintenance"}
            self._found[name.get(record["phase"], "")] += 1
        elif action not in ("book", "book_end"):
            self._instruction(record, action)

    def _instruction(self, record: Record, action: str) -> None:
        account, id_, now_ns = record["account"], record["order_id"], record["engine_ns"]
        role, reason = self._role.get(account), record.get("reason")
        if reason == "stp":
            self._found["self_trades_prevented"] += 1
        elif reason in ("mmp", "disconnect", "kill"):
            self._withdrawn(account, now_ns, "maker_protection" if reason == "mmp" else "")
        elif action == "reject" and id_ in self._filled:
            self._found["amended_after_match"] += 1
        if record["received_ns"] is not None:
            kind = "client" if role == "client" else "maker" if role != "staff" else ""
            if kind:
                self._sent[kind][record["instrument"], now_ns // RECENT_NS] += 1
            if role == "affiliated_mm":
                self._of_the_afmm(record, action)
        if role == "client":
            self._of_a_client(record, action)

    def _withdrawn(self, account: str, now_ns: int, kind: str) -> None:
        # One event takes many orders away, one after the other.
        kind = kind or "disconnects"
        if now_ns - self._left.get((kind, account), -SECOND) >= SECOND:
            self._found[kind] += 1
        self._left[kind, account] = now_ns

    def _of_the_afmm(self, record: Record, action: str) -> None:
        name, now_ns = record["instrument"], record["received_ns"]
        underlying = self._underlying[name]
        if action == "new" and record["tif"] == "IOC":
            against = "sell" if record["side"] == "buy" else "buy"
            filled_ns = self._hits.get((underlying, against), -SECOND)
            self._found["hedges"] += now_ns - filled_ns <= AT_ONCE_NS
        elif action == "replace" and self._stamped.get(name) != now_ns:
            self._stamped[name] = now_ns
            jumps = self._jumps.get(underlying, [])
            place = bisect(jumps, now_ns)
            if place and now_ns - jumps[place - 1] <= AT_ONCE_NS:
                self._reacted.add((name, jumps[place - 1]))
            else:
                self._found["timer_requotes"] += 1

    def _of_a_client(self, record: Record, action: str) -> None:
        name, id_ = record["instrument"], record["order_id"]
        place = self._hidden.pop(id_, None)
        if place:
            self._hidden_at[place] -= 1
        rests = record["type"] == "limit" and record["tif"] not in ("IOC", "FOK")
        if action in ("new", "replace") and record.get("display") is not None and rests:
            place = self._hidden[id_] = (name, record["side"], record["price"])
            self._hidden_at[place] += 1
        parent = record.get("parent_order_id")
        if parent and action == "new":
            self._parents[name][parent] = (record["side"], record["engine_ns"])

    # --- trades -------------------------------------------------------------------------------

    def trade(self, record: Record) -> None:
        """Take in a trade."""
        accounts = {side: record[f"{side}_account"] for side in ("buy", "sell")}
        roles = {side: self._role.get(account) for side, account in accounts.items()}
        now_ns, aggressor = record["engine_ns"], record["aggressor"]
        for side in accounts:
            self._fill(record[f"{side}_order_id"], now_ns)
        if accounts["buy"] == accounts["sell"]:
            self._found["omnibus_crosses"] += 1
        elif roles["buy"] == roles["sell"] == "external_mm":
            self._found["makers_cross"] += 1
        elif {"client"} < set(roles.values()) and set(roles.values()) & (GROUP - {"affiliated_mm"}):
            self._found["group_trades"] += 1
        if aggressor is None:
            return
        if roles[aggressor] in GROUP:
            self._taken[self._underlying[record["instrument"]]].append(now_ns)
        resting = "sell" if aggressor == "buy" else "buy"
        if roles[resting] == "affiliated_mm":
            self._afmm_hit(record, resting, now_ns)

    def _fill(self, id_: str, now_ns: int) -> None:
        self._filled[id_] = now_ns
        self._filled_order.append((now_ns, id_))
        while self._filled_order[0][0] < now_ns - RECENT_NS:
            old_ns, old = self._filled_order.popleft()
            if self._filled.get(old) == old_ns:
                del self._filled[old]

    def _afmm_hit(self, record: Record, side: str, now_ns: int) -> None:
        name = record["instrument"]
        other = "sell" if side == "buy" else "buy"
        last = self._hits.get((name, other))
        if last is not None and now_ns - last <= SECOND:
            self._found["both_sides_hit"] += 1
            del self._hits[name, other]
        self._hits[name, side] = now_ns
        self._hits[self._underlying[name], side] = now_ns
        self._found["hidden_passed_over"] += self._hidden_at[name, side, record["price"]] > 0
        parents = self._parents[name]
        for parent, (parent_side, child_ns) in list(parents.items()):
            if now_ns - child_ns > PARENT_PAUSE_NS:
                del parents[parent]
            elif parent_side == side:
                self._beside.add(parent)

    # --- what it came to ----------------------------------------------------------------------

    def counts(self) -> Mapping[str, int]:
        """Return how often each look-alike came about, in the order of `LOOK_ALIKES`."""
        self._found["outside_reactions"] = len(self._reacted)
        self._found["traded_beside"] = len(self._beside)
        self._found["news"] = sum(
            not self._took_before(name, jump)
            for name, jumps in self._jumps.items()
            for jump in jumps
        )
        clients, makers = self._sent["client"], self._sent["maker"]
        usual = {
            (kind, name): median(n for (other, _), n in sent.items() if other == name)
            for kind, sent in self._sent.items()
            for name in {name for name, _ in sent}
        }
        self._found["busy_minutes"] = sum(
            n >= BUSY_RATIO * usual["client", name]
            and makers[name, minute] >= BUSY_RATIO * usual["maker", name]
            for (name, minute), n in clients.items()
            if ("maker", name) in usual
        )
        return {name: self._found[name] for name in LOOK_ALIKES}

    def _took_before(self, underlying: str, jump_ns: int) -> bool:
        taken = self._taken[underlying]
        place = bisect(taken, jump_ns)
        return place > 0 and jump_ns - taken[place - 1] <= SECOND


def _jumps(tape: Path) -> dict[str, list[int]]:
    """Return when the outside price of each underlying jumped, ns."""
    jumps: dict[str, list[int]] = defaultdict(list)
    last: dict[str, float] = {}
    decode = msgspec.json.Decoder().decode
    with (tape / "reference.ndjson").open("rb") as file:
        for record in map(decode, file):
            name, price = record["underlying"], float(record["price"])
            if abs(math.log(price / last.get(name, price))) >= JUMP:
                jumps[name].append(record["source_ns"])
            last[name] = price
    return jumps
