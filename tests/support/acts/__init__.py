"""Acts for the conformance tape: each makes one detector fire, on an instrument of its own.

A module here is named as its detector and has one function, `play(stage)`, which sends orders
through `stage.venue` on `stage.name` (tick 0.01, lot 0.001) by the accounts of `stage.roles`, and
moves `stage.venue.now_ns`. With `PERPETUAL = True` there is also `stage.perpetual`. Time begins
with the tape and must stay within its first five minutes, but for single records that let a timer
of the act's own instrument run out: long silences come later.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ingest.registry import ALWAYS, FOREVER
from ingest.terms import Obligation
from tests.support.matching import Venue

SECOND: Final = 10**9
ROLES: Final[Mapping[str, str]] = {
    "MM": "affiliated_mm",
    "AFF": "affiliated",
    "X1": "external_mm",
    "X2": "external_mm",
    **{f"P{n}": "client" for n in range(1, 9)},
}
"""Who there is in every act, each of an owner of its own."""


class Stage:
    """One act's venue: one instrument or two of an underlying, one set of accounts."""

    def __init__(self, detector: str, start_ns: int, *, perpetual: bool = False) -> None:
        mark = detector.upper().replace("_", "")
        self.name, self.perpetual = f"{mark}-USD", f"{mark}-PERP"
        names = {self.name: "spot", **({self.perpetual: "perpetual"} if perpetual else {})}
        self.rows = [
            {"instrument": name, "base": mark, "quote": "USD", "kind": kind}
            | {"tick_size": "0.01", "lot_size": "0.001", "matching": "price_time"}
            for name, kind in names.items()
        ]
        self.roles = {f"{mark}-{name}": role for name, role in ROLES.items()}
        self.obligations: list[Obligation] = []
        self._mark = mark
        self.venue = Venue(
            self.rows, self.roles, {name: f"O-{name}" for name in self.roles}, start_ns=start_ns
        )

    def account(self, name: str) -> str:
        """Return the account of this act that is called so in `ROLES`."""
        return f"{self._mark}-{name}"

    def agree(self, account: str, instrument: str, **terms: Any) -> None:
        """Have an account owe quotes in an instrument, for ever."""
        owed = {
            "account": self.account(account),
            "instrument": instrument,
            "valid_from_ns": ALWAYS,
            "valid_to_ns": FOREVER,
        }
        self.obligations.append(Obligation(**owed, **terms))

    def usual(self, bought: str, *quoted: str) -> None:
        """Quote instruments from 10.00 on, and let clients buy one in orders of the usual size."""
        for name in quoted:
            self.venue.new(name, self.account("X1"), "buy", 5_000, 900)
            for tick in range(1_000, 1_040):
                self.venue.new(name, self.account("X2"), "sell", 60, tick)
        for turn in range(20):
            self.venue.now_ns += SECOND // 2
            buyer = self.account(f"P{1 + turn % 5}")
            received = self.venue.now_ns - 10_000
            self.venue.new(bought, buyer, "buy", 5, 1_000, tif="IOC", received_ns=received)
        self.venue.now_ns += SECOND

    def accounts(self, columns: Iterable[str]) -> list[dict[str, Any]]:
        """Return rows of accounts.csv."""
        names = list(columns)
        return [
            {**dict.fromkeys(names, ""), "account": name, "owner": f"O-{name}"}
            | {"legal_entity": name, "role": role, "valid_from": "2020-01-01T00:00:00Z"}
            for name, role in self.roles.items()
        ]


def stages(start_ns: int) -> list[Stage]:
    """Return every act, played, by the name of its detector."""
    played = []
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name):
        act = importlib.import_module(f"{__name__}.{found.name}")
        stage = Stage(found.name, start_ns, perpetual=getattr(act, "PERPETUAL", False))
        act.play(stage)
        played.append(stage)
    return played
