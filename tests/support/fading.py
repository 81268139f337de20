"""A market in which makers quote on a timer, and may fade before clients: for quote_fading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.support.matching import Venue

MS = 10**6
TOUCH = {"sell": 10_000, "buy": 9_990}
SIZES = {"MM": 20, "AFF": 20, "N": 20, "X1": 2, "X2": 2}


class Spell:
    """Rounds of quoting by makers, one client order a round.

    `names` maps the parts MM, AFF, N (group or nominee), X1, X2 (external makers), P1 and P2
    (clients; P1 rests far behind, P2 takes) to accounts; those that are there play.
    """

    def __init__(self, venue: Venue, name: str, names: Mapping[str, str]) -> None:
        self.venue, self.name, self.names = venue, name, names
        self.behind = dict.fromkeys(names, 0)
        """Ticks behind the touch at which each quotes."""
        self.quotes: dict[tuple[str, str], str] = {}
        for side, price in (("buy", 9_900), ("sell", 10_100)):
            self.enter("P1", side, 5_000, price)
        self.quote()

    @property
    def makers(self) -> list[str]:
        return [part for part in self.names if part not in ("P1", "P2")]

    def wait(self, ms: float) -> None:
        self.venue.now_ns += int(ms * MS)

    def enter(self, part: str, side: str, lots: int, price: int | None, **options) -> str:
        options.setdefault("received_ns", self.venue.now_ns - MS // 100)
        return self.venue.new(self.name, self.names[part], side, lots, price, **options)

    def price(self, part: str, side: str) -> int:
        return TOUCH[side] + self.behind[part] * (1 if side == "sell" else -1)

    def live(self, part: str, side: str) -> bool:
        return self.quotes.get((part, side)) in self.venue.books[self.name].orders

    def quote(self, parts: Sequence[str] | None = None) -> None:
        """Have makers quote where they do not, at their prices and sizes."""
        for part in self.makers if parts is None else parts:
            for side in TOUCH:
                self.gone(part, side, "cancel")
                self.quotes[part, side] = self.enter(
                    part, side, SIZES[part], self.price(part, side)
                )

    def gone(self, part: str, side: str, how: str, *, late_ms: float = 0.01) -> None:
        """Withdraw a quote in one of the ways there are."""
        if not self.live(part, side):
            return
        came = {"received_ns": self.venue.now_ns - int(late_ms * MS)}
        order, away = self.quotes[part, side], 5 if side == "sell" else -5
        price = self.price(part, side)
        if how == "partial":
            self.venue.replace(self.name, order, quantity=SIZES[part] // 10, **came)
        elif how == "move":
            self.venue.replace(self.name, order, price=price + away, **came)
        elif how == "replaces":
            self.quotes[part, side] = self.enter(
                part, side, SIZES[part], price + away, replaces=order, **came
            )
        elif how == "again":
            self.venue.cancel(self.name, order, **came)
            self.quotes[part, side] = self.enter(part, side, SIZES[part], price, **came)
        elif how == "sister":
            self.venue.cancel(self.name, order, **came)
            self.quotes["AFF", side] = self.enter("AFF", side, SIZES[part], price, **came)
        else:
            reason = "user" if how == "cancel" else how
            self.venue.cancel(self.name, order, reason=reason, **came)

    def take(self, came_ns: int, side: str = "buy", lots: int = 15) -> None:
        """Have the client's order matched now, that came to the gateway at a time."""
        self.enter("P2", side, lots, None, kind="market", tif="IOC", received_ns=came_ns)

    def round(
        self,
        *,
        every_ms: int = 6_500,
        phase_ms: float = 0,
        hold_ms: float = 8,
        after_ms: float = 2,
        fade: Sequence[str] = (),
        how: str = "cancel",
        side: str = "buy",
        away_ms: float = 40,
        lots: int = 15,
        late_ms: float = 0.01,
        clients: int = 1,
    ) -> None:
        """Quote, and send a client's order before which some may fade.

        Parameters
        ----------
        phase_ms : float
            From the beginning of the round, after its first 3.5 s, to the client's order.
        hold_ms, after_ms : float
            From the client's arrival to its match, and to the withdrawal.
        away_ms : float
            From the match to the next quotes.
        late_ms : float
            From the withdrawal's arrival to its match.
        clients : int
            Orders that come and are matched together.
        """
        begin_ns = self.venue.now_ns
        for part in self.makers:  # each looks at its quotes, all by turns: a move and one back
            self.wait(300)
            self.gone(part, "sell", "move")
            self.gone(part, "buy", "move")
            self.wait(200)
            self.quote([part])
        came_ns = begin_ns + int((3_500 + phase_ms) * MS)
        at_ns = came_ns + int(after_ms * MS)
        self.venue.now_ns = min(at_ns, came_ns + int(hold_ms * MS))
        for part in fade:
            self.gone(part, "sell" if side == "buy" else "buy", how, late_ms=late_ms)
        self.venue.now_ns = came_ns + int(hold_ms * MS)
        for _ in range(clients):
            self.take(came_ns, side, lots)
        self.wait(away_ms)
        self.quote()
        self.venue.now_ns = max(self.venue.now_ns, begin_ns + every_ms * MS)
