"""Cases of abuse as they happen: whose orders and trades they are, and whom they cost what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from market.loop import SECOND, Loop, Port
from market.orders import Order
from market.truth import Truth
from market.twin import AT_ONCE, Ledger, Twin
from market.wire import trade_id

Listing = Literal["all", "crossed", "between", "nothing"]
"""Which ids of what a case did are those of its truth. "all": its orders, and every trade of one.
"crossed": its orders, and the trades between two of them. "between": besides, the trades of one of
them with another order of one of its accounts. "nothing": none, where the case is a rate."""


class Case:
    """One case while it goes on. Made by `Cases.begin`; over once `end` is called."""

    def __init__(
        self, cases: Cases, ports: Sequence[Port], further: Sequence[Port], what: _What
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


class _What(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a case from its begin."""

    scenario: str
    also: tuple[str, ...]
    evasion: str
    listing: Listing = "all"


class Cases:
    """Opens and closes cases, runs their twins, and writes the truth.

    State: open cases, those whose twins still run, and the truth so far.

    Parameters
    ----------
    loop : Loop
    ports : sequence of Port
    severity : float
    end_ns : int
        Of the tape.
    harm : bool
        Whether clients' losses are measured: a paired run for each case that has any.
    mute : function
        Makes a paired run write nothing.
    """

    def __init__(
        self,
        loop: Loop,
        ports: Sequence[Port],
        *,
        severity: float,
        end_ns: int,
        harm: bool,
        mute: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.truths: list[Truth] = []
        self._severity, self._end_ns, self._harm, self._mute = severity, end_ns, harm, mute
        self._open: dict[str, list[Case]] = defaultdict(list)
        """By instrument."""
        self._paired: list[Part] = []
        """Those whose twin has not been looked at."""
        self._ledgers: list[Ledger] = []
        self._is_twin = False
        self._count = 0
        for port in ports:
            port.engine.watch = self

    def begin(
        self,
        scenario: str,
        *ports: Port,
        evasion: str = "none",
        also: tuple[str, ...] = (),
        further: Sequence[Port] = (),
        harm_s: float | None = 0.0,
        listing: Listing = "all",
    ) -> Case | None:
        """Open a case; None in the paired run of this very case: nothing may be done there.

        Call it right before the first act, and draw beforehand all that is to be drawn.

        Parameters
        ----------
        scenario : str
        *ports : Port
            Where clients are wronged; none or several when it is not one instrument's.
        evasion : str
        also : tuple of str
            Other scenarios that the same conduct is.
        further : sequence of Port
            Other instruments that it uses.
        harm_s : float, optional
            How long clients' losses are followed; 0 when nobody is wronged, or by acts that are
            followed each (`part`); None when losses cannot be measured.
        listing : str
            Which ids the truth names.
        """
        what = _What(scenario=scenario, also=also, evasion=evasion, listing=listing)
        case = Case(self, ports, further, what)
        case.is_measured = harm_s is not None
        if harm_s and not self._pair(Part(case, case.wronged), harm_s):
            return None
        for port in case.ports:
            self._open[port.engine.name].append(case)
        return case

    def part(self, case: Case, harm_s: float) -> Part | None:
        """Follow what one act of a case costs; None in the paired run without it: do not act there.

        Call it right before the act, and draw beforehand all that is to be drawn: best by what is
        decided about (`unit`), since paired runs go on to the acts after this one. Only decisions
        that are named with `Part.wrong_tags` count.
        """
        part = Part(case, {})
        return part if self._pair(part, harm_s) else None

    def _pair(self, part: Part, harm_s: float) -> bool:
        """Fork a paired run where harm is measured; return whether this is not the fork."""
        if not self._harm or self._is_twin:
            return True
        running = [p.twin for p in self._paired if p.twin and p.twin.is_running]
        if len(running) >= AT_ONCE:
            running[0].wait()
        until_ns = min(self.loop.now_ns + int(harm_s * SECOND), self._end_ns)
        twin = Twin(self.loop, part.case.ports, until_ns, self._mute)
        if twin.is_here:
            self._alone(twin.ledger)
            return False
        part.twin = twin
        part.case.parts.append(part)
        self._ledgers.append(twin.ledger)
        self._paired.append(part)
        self.loop.at(until_ns, self._look, part)
        return True

    def next_tag(self) -> int:
        """Return the next tag of a case."""
        self._count += 1
        return -self._count

    def _alone(self, ledger: Ledger) -> None:
        """Forget, in a paired run, the other paired runs: they are not its own to wait for."""
        self._is_twin = True
        self._ledgers = [ledger]
        for part in self._paired:
            part.twin = None
        self._paired = []

    def close(self, case: Case) -> None:
        """Take a case out of the open ones (`Case.end`)."""
        for port in case.ports:
            self._open[port.engine.name].remove(case)
        if not case.kept:
            for part in case.parts:
                if part.twin is not None:
                    part.twin.drop()
                    self._unpair(part, part.twin)
        self._write(case)

    def finish(self) -> None:
        """End what is still open at the end of the tape: what has happened has happened."""
        for cases in list(self._open.values()):
            for case in list(cases):
                case.end(keep=case.has_come)
        for part in list(self._paired):
            self._look(self._end_ns, part)

    def _unpair(self, part: Part, twin: Twin) -> None:
        self._paired.remove(part)
        self._ledgers.remove(twin.ledger)
        part.twin = None

    def _look(self, _: int, part: Part) -> None:
        """Look at the losses once both runs have come as far."""
        if part.twin is None:
            return
        part.losses = part.twin.losses()
        self._unpair(part, part.twin)
        self._write(part.case)

    def _write(self, case: Case) -> None:
        """Tell a case once it is over and all that it cost is known."""
        if not (case.is_over and case.kept) or any(part.twin for part in case.parts):
            return
        named = [port.engine.name for port in case.ports[: len(case.ports) - len(case.further)]]
        further = [port.engine.name for port in case.further]
        if len(named) != 1:
            named, further = [""], named + further
        self.truths.append(
            Truth(
                scenario=case.what.scenario,
                also=case.also,
                instrument=named[0],
                accounts=tuple(sorted(case.accounts)),
                start_ns=case.start_ns,
                end_ns=case.end_ns,
                severity=self._severity,
                order_ids=tuple(case.order_ids),
                trade_ids=tuple(case.trade_ids),
                client_harm=self._harmed(case),
                instruments=tuple(further),
                evasion=case.what.evasion,
            )
        )

    def _harmed(self, case: Case) -> float | None:
        """Return the sum of clients' losses: nobody's gain makes up for another's loss."""
        if not self._harm or not case.is_measured:
            return None
        by_client: dict[str, float] = defaultdict(float)
        for part in case.parts:
            for tag in part.wronged:
                account, lost = part.losses.get(tag, ("", 0.0))
                by_client[account] += lost
        losses = by_client.values()
        if case.what.listing == "nothing":
            # Where everybody is dealt with by a rule, each client's loss is mostly luck: its sum
            # over all is what the rule costs, the sum of the losers' would be luck alone.
            return float(f"{max(0.0, sum(losses)):.9g}")
        return float(f"{sum(max(0.0, lost) for lost in losses):.9g}")

    # --- what the engines tell ----------------------------------------------------------------

    def traded(  # noqa: PLR0917 - called for every fill
        self, buy: Order, sell: Order, price: int, lots: int, seq: int, now_ns: int
    ) -> None:
        """Take in a trade."""
        for ledger in self._ledgers:
            ledger.traded(buy, sell, price, lots)
        for case in self._open[buy.instrument]:
            case.traded(buy, sell, lots, seq, now_ns)
            if case.on_trade is not None and case.on_trade(buy, sell, price, lots):
                case.trade(trade_id(buy.instrument, seq), now_ns)

    def gone(self, order: Order) -> None:
        """Take in that an order is gone."""
        for ledger in self._ledgers:
            ledger.gone(order)
        if order.tag > 0:
            for case in self._open[order.instrument]:
                if order.tag in case.wronged and case.what.listing != "nothing":
                    case.order_ids[order.id] = None
