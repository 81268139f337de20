"""The uncross of an auction: one price at which most changes hands."""

from __future__ import annotations

from collections.abc import Sequence

from market.orders import Order


def equilibrium(buys: Sequence[Order], sells: Sequence[Order], near: int | None) -> int | None:
    """Return the price of most volume, then least left over, then nearest to `near`, then lowest.

    Parameters
    ----------
    buys, sells : sequences of Order
        All that takes part; a market order has no price and accepts any.
    near : int, optional
        The last price, ticks; None leaves out that step.

    Returns
    -------
    int or None
        Ticks; None when nothing can trade, or when only market orders meet and no price is known.

    Examples
    --------
    The nearest innocent case: a book that only touches from both sides has no price.

    >>> from market.orders import Account
    >>> me = Account("A", "client", "A")
    >>> def order(side, price, lots):
    ...     return Order("", me, side, "limit", "GTC", price, None, lots, lots, None, "A", "", "X")
    >>> equilibrium([order(1, 101, 5), order(1, 100, 5)], [order(-1, 99, 8)], 100)
    100
    >>> equilibrium([order(1, 98, 5)], [order(-1, 99, 8)], 100) is None
    True
    """
    prices = sorted({o.price for o in (*buys, *sells) if o.price is not None})
    if not prices and near is not None:
        prices = [near]
    best: tuple[int, int, int, int] | None = None
    for price in prices:
        wanted = sum(o.leaves for o in buys if o.price is None or o.price >= price)
        offered = sum(o.leaves for o in sells if o.price is None or o.price <= price)
        volume = min(wanted, offered)
        away = 0 if near is None else abs(price - near)
        rank = (-volume, abs(wanted - offered), away, price)
        if volume and (best is None or rank < best):
            best = rank
    return None if best is None else best[3]


def self_crossing(buys: Sequence[Order], sells: Sequence[Order]) -> list[Order]:
    """Return the younger order of each pair with one stp key that could trade with each other.

    An order that is returned counts for no further pair, so a large ladder on one side loses no
    more than it must.
    """
    by_key: dict[str, list[Order]] = {}
    for order in buys:
        by_key.setdefault(order.stp_key, []).append(order)
    gone: dict[Order, None] = {}
    for sell in sells:
        for buy in by_key.get(sell.stp_key, ()):
            if buy in gone or (
                buy.price is not None and sell.price is not None and buy.price < sell.price
            ):
                continue
            younger = max(buy, sell, key=lambda order: order.priority)
            gone[younger] = None
            if younger is sell:
                break
    return list(gone)
