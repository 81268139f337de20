"""Cases of abuse as they happen: whose orders and trades they are, and whom they cost what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from ingest.times import SECOND
from market.case import Case, Listing, Part, What
from market.loop import Loop, Port
from market.orders import Order
from market.truth import Truth
from market.twin import AT_ONCE, Ledger, Twin
from market.wire import trade_id


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
        self.attempts: list[Truth] = []
        """What was begun and came to nothing."""
        self._severity, self._end_ns, self._harm, self._mute = severity, end_ns, harm, mute
        self._open: dict[str, list[Case]] = defaultdict(list)
        """By instrument."""
        self._paired: list[Part] = []
        """Those whose twin has not been looked at."""
        self._ledgers: list[Ledger] = []
        self._is_twin = False
        self._count = 0
        for port in ports:
            port.engine.trading.watch = self

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
        what = What(scenario=scenario, also=also, evasion=evasion, listing=listing)
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
        if not case.is_over or any(part.twin for part in case.parts):
            return
        if not (case.kept or (case.own and case.filled_lots)):
            return  # nothing was done: no attempt either
        named = [port.engine.name for port in case.ports[: len(case.ports) - len(case.further)]]
        further = [port.engine.name for port in case.further]
        if len(named) != 1:
            named, further = [""], named + further
        lost = self._losses(case) if case.kept else None
        (self.truths if case.kept else self.attempts).append(
            Truth(
                scenario=case.what.scenario,
                also=case.also,
                instrument=named[0],
                accounts=tuple(sorted(case.accounts)),
                start_ns=case.start_ns,
                end_ns=case.end_ns,
                severity=self._severity,
                order_ids=tuple(case.order_ids if case.kept else (o.id for o in case.own)),
                trade_ids=tuple(case.trade_ids),
                client_harm=_harm(case, lost),
                instruments=tuple(further),
                evasion=case.what.evasion,
                client_loss=None if lost is None else _money(sum(lost)),
            )
        )

    def _losses(self, case: Case) -> list[float] | None:
        """Return what each client wronged lost, below 0 where it gained; None = not measured."""
        if not self._harm or not case.is_measured:
            return None
        by_client: dict[str, float] = defaultdict(float)
        for part in case.parts:
            for tag in part.wronged:
                account, lost = part.losses.get(tag, ("", 0.0))
                by_client[account] += lost
        return list(by_client.values())

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

    def reduced(self, order: Order, lots: int) -> None:
        """Take in that an order is about to be made smaller by its owner."""
        for ledger in self._ledgers:
            ledger.reduced(order, lots)

    def gone(self, order: Order) -> None:
        """Take in that an order is gone."""
        for ledger in self._ledgers:
            ledger.gone(order)
        if order.tag > 0:
            for case in self._open[order.instrument]:
                if order.tag in case.wronged and case.what.listing != "nothing":
                    case.order_ids[order.id] = None


def _harm(case: Case, losses: Sequence[float] | None) -> float | None:
    """Return the sum of clients' losses: nobody's gain makes up for another's loss."""
    if losses is None:
        return None
    if case.what.listing == "nothing":
        # Where everybody is dealt with by a rule, each client's loss is mostly luck: its sum
        # over all is what the rule costs, the sum of the losers' would be luck alone.
        return _money(max(0.0, sum(losses)))
    return _money(sum(max(0.0, lost) for lost in losses))


def _money(amount: float) -> float:
    return float(f"{amount:.9g}")
