"""Cases of abuse as they happen: whose orders and trades they are, and whom they cost what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from market.loop import SECOND, Loop, Port
from market.orders import Order
from market.truth import Truth
from market.twin import AT_ONCE, Ledger, Twin


class Case:
    """One case while it goes on. Made by `Cases.begin`; over once `end` is called."""

    def __init__(
        self, cases: Cases, ports: Sequence[Port], further: Sequence[Port], what: _What
    ) -> None:
        self.what = what
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
        self.is_over = self.kept = False
        self.twin: Twin | None = None
        self.losses: Mapping[int, tuple[str, float]] = {}
        """What the twin told, by tag: account, and loss in ticks times lots."""
        self.own: list[Order] = []
        """The orders that it consists of, in order of entry."""
        self.tag = cases.next_tag()
        """What the orders that it consists of are tagged with; below 0."""
        self._cases = cases

    def act(self, account: str, order: Order | None = None) -> None:
        """Take in an act of the case by an account, perhaps with an order that it consists of."""
        self.accounts[account] = None
        self.end_ns = max(self.end_ns, self._cases.loop.now_ns)
        if order is not None:
            self.own.append(order)
            self.order_ids[order.id] = None

    def wrong(self, *orders: Order) -> None:
        """Name clients' orders that it was done to."""
        for order in orders:
            self.order_ids[order.id] = None
            if order.tag > 0:
                self.wronged[order.tag] = None

    def wrong_tags(self, *tags: int) -> None:
        """Name clients' decisions that it was done to: their orders are named once they trade."""
        self.wronged.update(dict.fromkeys(tags))

    def trade(self, trade_id: str, now_ns: int) -> None:
        """Name a trade."""
        self.trade_ids[trade_id] = None
        self.end_ns = max(self.end_ns, now_ns)

    def traded(self, buy: Order, sell: Order, lots: int, seq: int, now_ns: int) -> None:
        """Take in a trade of one of its instruments: its own when one of its orders is in it."""
        if self.tag in (buy.tag, sell.tag):
            self.filled_lots += lots
            self.trade(f"T{seq}", now_ns)
        for order in (buy, sell):
            if order.tag in self.wronged:
                self.order_ids[order.id] = None

    def end(self, *, keep: bool = True) -> None:
        """End it: nothing that happens later belongs to it. Without `keep` it came to nothing."""
        if not self.is_over:
            self.is_over, self.kept = True, keep
            self._cases.close(self)


class _What(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a case from its begin."""

    scenario: str
    also: tuple[str, ...]
    evasion: str


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
        self._paired: list[Case] = []
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
        harm_s: float = 0.0,
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
        harm_s : float
            How long clients' losses are followed; 0 when nobody is wronged.
        """
        case = Case(self, ports, further, _What(scenario=scenario, also=also, evasion=evasion))
        if self._harm and harm_s and not self._is_twin:
            running = [c.twin for c in self._paired if c.twin and c.twin.is_running]
            if len(running) >= AT_ONCE:
                running[0].wait()
            until_ns = min(self.loop.now_ns + int(harm_s * SECOND), self._end_ns)
            twin = Twin(self.loop, case.ports, until_ns, self._mute)
            if twin.is_here:
                self._alone(twin.ledger)
                return None
            case.twin = twin
            self._ledgers.append(twin.ledger)
            self._paired.append(case)
            self.loop.at(until_ns, self._look, case)
        for port in case.ports:
            self._open[port.engine.name].append(case)
        return case

    def next_tag(self) -> int:
        """Return the next tag of a case."""
        self._count += 1
        return -self._count

    def _alone(self, ledger: Ledger) -> None:
        """Forget, in a paired run, the other paired runs: they are not its own to wait for."""
        self._is_twin = True
        self._ledgers = [ledger]
        for case in self._paired:
            case.twin = None
        self._paired = []

    def close(self, case: Case) -> None:
        """Take a case out of the open ones (`Case.end`)."""
        for port in case.ports:
            self._open[port.engine.name].remove(case)
        if case.twin is None:
            self._write(case)
        elif not case.kept:
            case.twin.drop()
            self._unpair(case, case.twin)

    def finish(self) -> None:
        """End what is still open at the end of the tape: what has happened has happened."""
        for cases in list(self._open.values()):
            for case in list(cases):
                case.end(keep=bool(case.order_ids or case.trade_ids))
        for case in list(self._paired):
            self._look(self._end_ns, case)

    def _unpair(self, case: Case, twin: Twin) -> None:
        self._paired.remove(case)
        self._ledgers.remove(twin.ledger)
        case.twin = None

    def _look(self, _: int, case: Case) -> None:
        """Look at the losses once both runs have come as far."""
        if case.twin is None:
            return
        case.losses = case.twin.losses()
        self._unpair(case, case.twin)
        if case.is_over:
            self._write(case)

    def _write(self, case: Case) -> None:
        if not case.kept:
            return
        named = [port.engine.name for port in case.ports[: len(case.ports) - len(case.further)]]
        further = [port.engine.name for port in case.further]
        if len(named) != 1:
            named, further = [""], named + further
        self.truths.append(
            Truth(
                scenario=case.what.scenario,
                also=case.what.also,
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
        if not self._harm:
            return None
        by_client: dict[str, float] = defaultdict(float)
        for tag in case.wronged:
            account, lost = case.losses.get(tag, ("", 0.0))
            by_client[account] += lost
        scale = 1.0
        if case.ports:
            row = case.ports[0].engine.instrument
            scale = float(row.tick_size * row.lot_size)
        return float(f"{sum(max(0.0, lost) for lost in by_client.values()) * scale:.9g}")

    # --- what the engines tell ----------------------------------------------------------------

    def traded(  # noqa: PLR0917 - called for every fill
        self, buy: Order, sell: Order, price: int, lots: int, seq: int, now_ns: int
    ) -> None:
        """Take in a trade."""
        for ledger in self._ledgers:
            ledger.traded(buy, sell, price, lots)
        for case in self._open[buy.instrument]:
            case.traded(buy, sell, lots, seq, now_ns)

    def gone(self, order: Order) -> None:
        """Take in that an order is gone."""
        for ledger in self._ledgers:
            ledger.gone(order)
