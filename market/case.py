"""One case of abuse as it happens: whose acts it is, on whom, and what its paired runs are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from market.loop import Port
from market.orders import Order
from market.twin import Twin
from market.wire import trade_id

if TYPE_CHECKING:
    from market.cases import Cases

Listing = Literal["all", "crossed", "between", "nothing"]
"""Which ids of what a case did are those of its truth. "all": its orders, and every trade of one.
"crossed": its orders, and the trades between two of them. "between": besides, the trades of one of
them with another order of one of its accounts. "nothing": none, where the case is a rate."""


class Case:
    """One case while it goes on. Made by `Cases.begin`; over once `end` is called."""

    def __init__(
        self, cases: Cases, ports: Sequence[Port], further: Sequence[Port], what: What
    ) -> None:
        self.what = what
        self.also = what.also
        """Other scenarios that the same conduct is; what only its course shows may be added."""
        self.ports = (*ports, *further)
        self.further = further
        self.start_ns = self.end_ns = cases.loop.now_ns
        self.accounts: dict[str, None] = {}
        self.order_ids: dict[str, None] = {}
        self.trade_ids: dict[str, None] = {}
        self.wronged: dict[int, None] = {}
        """Tags of the clients' decisions that it was done to."""
        self.filled_lots = 0
        """Of its own orders, a fill between two of them once."""
        self.crossed_lots = 0
        """Of those, what two of its own orders traded with each other."""
        self.is_over = self.kept = False
        self.parts: list[Part] = []
        """What each paired run was made for: the case, or single acts of a long one."""
        self.is_measured = True
        """Whether what it cost clients is known, be it nothing."""
        self.own: list[Order] = []
        """The orders that it consists of, in order of entry."""
        self.on_trade: Callable[[Order, Order, int, int], bool] | None = None
        """Called at each trade in its instruments: buy, sell, price in ticks, lots; returns whether
        the trade is part of it though none of its orders is in it."""
        self.tag = cases.next_tag()
        """What the orders that it consists of are tagged with; below 0."""
        self._cases = cases

    def act(self, account: str, order: Order | None = None) -> None:
        """Take in an act of the case by an account, perhaps with an order that it consists of.

        What is done once it is over, such as a cancel of what is left, is not part of it.
        """
        if self.is_over:
            return
        self.accounts[account] = None
        # What an engine does now is stamped by its own clock, some µs on.
        self.end_ns = max(
            self.end_ns, self._cases.loop.now_ns, *(port.busy_ns for port in self.ports)
        )
        if order is not None:
            self.own.append(order)
            if self.what.listing != "nothing":
                self.order_ids[order.id] = None

    def wrong(self, *orders: Order) -> None:
        """Name clients' orders that it was done to."""
        for order in orders:
            self.order_ids[order.id] = None
            if order.tag > 0:
                self.wronged[order.tag] = None

    def wrong_tags(self, *tags: int) -> None:
        """Name clients' decisions that it was done to: an order is named when it trades or ends."""
        self.wronged.update(dict.fromkeys(tags))

    def trade(self, trade_id: str, now_ns: int) -> None:
        """Name a trade."""
        self.trade_ids[trade_id] = None
        self.end_ns = max(self.end_ns, now_ns)

    def traded(self, buy: Order, sell: Order, lots: int, seq: int, now_ns: int) -> None:
        """Take in a trade of one of its instruments: its own when one of its orders is in it."""
        if self.tag in (buy.tag, sell.tag):
            self.filled_lots += lots
            self.crossed_lots += lots if buy.tag == sell.tag else 0
            if self._lists(buy, sell):
                self.trade(trade_id(buy.instrument, seq), now_ns)
        for order in (buy, sell):
            if order.tag in self.wronged and self.what.listing != "nothing":
                self.order_ids[order.id] = None

    def _lists(self, buy: Order, sell: Order) -> bool:
        """Return whether the truth names a trade of one of its orders."""
        listing = self.what.listing
        if listing == "between" and {buy.account.name, sell.account.name} <= self.accounts.keys():
            self.order_ids |= {buy.id: None, sell.id: None}
            return True
        return listing == "all" or (listing == "crossed" and buy.tag == sell.tag)

    @property
    def has_come(self) -> bool:
        """Whether it has come to anything that the truth can tell."""
        listed = self.trade_ids or (self.what.listing == "all" and self.order_ids)
        return bool(listed or (self.what.listing == "nothing" and self.own))

    def end(self, *, keep: bool = True) -> None:
        """End it: nothing that happens later belongs to it. Without `keep` it came to nothing."""
        if not self.is_over:
            self.is_over, self.kept = True, keep
            self._cases.close(self)


class Part:
    """What one paired run leaves out, and what that cost: a case, or one act of a long one.

    A market that has run on for an hour without the case has little left to be compared; where a
    case is many acts, each has a paired run of its own, without that act alone.
    """

    def __init__(self, case: Case, wronged: dict[int, None]) -> None:
        self.case = case
        self.wronged = wronged
        """Tags of the clients' decisions whose losses count."""
        self.twin: Twin | None = None
        self.losses: Mapping[int, tuple[str, float]] = {}
        """What the twin told, by tag: account, and loss in quote currency."""

    def wrong_tags(self, *tags: int) -> None:
        """Name clients' decisions that this act was done to."""
        self.wronged.update(dict.fromkeys(tags))
        self.case.wrong_tags(*tags)


class What(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a case from its begin."""

    scenario: str
    also: tuple[str, ...]
    evasion: str
    listing: Listing = "all"
