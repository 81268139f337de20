"""FIX 4.4 and 5.0 execution reports (a drop copy) into wire records.

A drop copy tells each account of its own orders: a match comes as two reports, one a side, which
TrdMatchID (880) joins, or, where a venue leaves it out, ExecID without its last character never
does: they stay one-sided, and that is reported, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from monitor.onboard.mapping import FeedMap, Rule, TopicMap
from monitor.onboard.samples import Row

EXECUTION_REPORT: Final = "8"
FILL: Final = "F"
ACTIONS: Final[Mapping[str, str]] = {
    "0": "new",
    "4": "cancel",
    "5": "replace",
    "8": "reject",
    "C": "expire",
    "L": "trigger",
}
"""ExecType (150) to action."""
SIDES: Final = {"1": "buy", "2": "sell", "5": "sell"}
TIMES: Final = Rule(source="60", unit="fix")

FIX_MAP: Final = FeedMap(
    orders=TopicMap(
        when={"35": [EXECUTION_REPORT], "150": list(ACTIONS)},
        fields={
            "instrument": "55",
            "action": Rule(source="150", values=dict(ACTIONS)),
            "order_id": "37",
            "account": "1",
            "side": Rule(source="54", values=SIDES),
            "type": Rule(
                source="40", values={"1": "market", "2": "limit", "3": "stop", "4": "stop_limit"}
            ),
            "tif": Rule(source="59", values={"0": "DAY", "1": "GTC", "3": "IOC", "4": "FOK"}),
            "price": "44",
            "stop_price": "99",
            "quantity": "38",
            "leaves": "151",
            "display": "1138",
            "engine_ns": TIMES,
            "client_order_id": "11",
        },
    ),
    trades=TopicMap(
        when={"35": [EXECUTION_REPORT], "150": [FILL]},
        fields={"instrument": "55", "price": "31", "quantity": "32", "engine_ns": TIMES},
    ),
)
"""How an execution report maps when no mapping file says otherwise; times are TransactTime."""


def joined_trades(rows: Iterable[tuple[Row, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return one trade a match from the fills of its two sides.

    `rows` are fills with the record that their own fields made. AggressorIndicator (1057) gives
    the aggressor where one side carries Y.
    """
    trades: dict[str, dict[str, Any]] = {}
    for row, record in rows:
        match = row.get("880") or row.get("17") or ""
        trade = trades.setdefault(match, {**record, "trade_id": match})
        side = SIDES.get(str(row.get("54")), "")
        if not side:
            continue
        trade[f"{side}_order_id"] = row.get("37")
        if row.get("1"):
            trade[f"{side}_account"] = row["1"]
        if row.get("1057") == "Y":
            trade["aggressor"] = side
        trade["engine_ns"] = min(trade.get("engine_ns", 2**63), record.get("engine_ns", 2**63))
    return list(trades.values())
