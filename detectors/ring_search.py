"""The rings of one window: candidate sets, the exceptions, and what each set's runs cover."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from detectors.ring_chance import beyond_chance, chance_by_hour
from detectors.ring_circles import Meetings, circles_of
from detectors.ring_graph import Graph, edges_inside, first_prints, graph_of, trades_by_edge
from detectors.ring_lane import Trades
from detectors.ring_layers import layered_sets
from detectors.ring_params import WashRingsParams
from detectors.ring_runs import covered_runs
from detectors.ring_trials import least_meetings
from ingest.events import Array


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a ring.

    `min_turns`, `min_excess_ratio` and `max_probability` hold for fungible instruments only.
    """

    max_members: int
    tolerance_ratio: float
    min_layers: int
    min_turns: int
    min_excess_ratio: float
    max_probability: float
    hour_ns: int
    """Within which activity is taken to be even: the shortest window."""
    max_edges: int
    max_set_trades: int


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """A set of accounts whose trades balance.

    `rows` are positions in the window's trades that its runs cover, in event order; `accounts` are
    in order of appearance there. `by_chance`: meetings among the candidate set that chance would
    give, of `met`; 0 for unique items.
    """

    accounts: tuple[int, ...]
    rows: Array
    again: Array
    """Of each row: whether it is a further print of an instruction against one account."""
    layers: int
    """In which it was a component; 0 = found as a circle in bursts."""
    laps: int
    """After which everyone stood where they stood before; 0 = not counted."""
    met: int
    by_chance: float
    sure: bool
    """Chance is told by enough meetings of others; always of unique items."""
    cut: bool
    """Only a part was looked at: edges, or trades of the set, passed their bound."""


def rings_of(
    trades: Trades,
    *,
    unique: bool,
    limits: Limits,
    params: WashRingsParams,
    rings: Callable[[Array], Array],
    members_of: Callable[[int], tuple[int, ...]],
    peels: bool = True,
    circles: bool = False,
) -> Iterator[Ring]:
    """Yield the rings of one window: sets that stand alone in a layer, then circles in bursts.

    Of the former the smallest come first, then by their first trade: a trade belongs to the
    smallest set that explains it, so that no account is named that a smaller ring can do without.
    A set is judged on trades that no other set has.

    Parameters
    ----------
    trades : structured array
        The window's trades (`TradeStore.trades`), in event order.
    unique : bool
        Trades of the items of one collection: balances are kept for each item, and a ring is
        those members of the set who traded the item. Otherwise all members must take part.
    limits : Limits
    rings : callable
        Returns the number of the ring that has each of some trades, 0 = none, as it stands when
        called: the caller writes it down between two yields.
    members_of : callable
        Returns the sorted accounts of a ring's number.
    peels, circles : bool
        Whether sets are looked for by peeling layers, and as circles in bursts.
    """
    first = first_prints(
        trades["instrument"], trades["incoming_seq"], trades["seller"], trades["buyer"]
    )
    graph = graph_of(trades["seller"], trades["buyer"])
    if peels:
        yield from _peeled(
            trades, graph, first, unique=unique, limits=limits, rings=rings, members_of=members_of
        )
    if circles:
        yield from _circling(trades, graph, first, params, rings, members_of)


def _peeled(
    trades: Trades,
    graph: Graph,
    first: Array,
    *,
    unique: bool,
    limits: Limits,
    rings: Callable[[Array], Array],
    members_of: Callable[[int], tuple[int, ...]],
) -> Iterator[Ring]:
    again = first != np.arange(len(first))
    if again.any():
        graph = msgspec.structs.replace(
            graph, weight=np.bincount(graph.edge_of[~again], minlength=len(graph.src))
        )
    members, offsets, seen, skipped = layered_sets(
        len(graph.codes), graph.src, graph.dst, graph.weight, limits.max_members, limits.max_edges
    )
    kept = seen >= limits.min_layers
    surprise = math.log(limits.max_probability)
    if not unique and kept.any():
        kept &= beyond_chance(
            members, offsets, len(trades) - int(again.sum()), graph.degree(),
            graph.table, graph.src, graph.dst, graph.weight, surprise,
        )[0]  # fmt: skip
    if not kept.any():
        return
    hour = trades["time_ns"] // limits.hour_ns
    hour -= hour[0]
    met_src, met_dst = graph.seller[~again], graph.buyer[~again]
    position, begin = trades_by_edge(graph.edge_of, len(graph.src))
    found = []
    for s in np.flatnonzero(kept).tolist():
        who = members[offsets[s] : offsets[s + 1]]
        edges = edges_inside(who, graph.table, graph.src, graph.dst)
        rows = np.sort(np.concatenate([position[begin[e] : begin[e + 1]] for e in edges]))
        found.append((len(who), int(rows[0]), s, rows))
    # Sets of one size share no member, so no two have the same first trade.
    for size, _, s, rows in sorted(found, key=lambda each: each[:2]):
        who = members[offsets[s] : offsets[s + 1]]
        same = tuple(sorted(graph.codes[who].tolist()))
        taken = rings(rows)
        numbers = [n for n in np.unique(taken).tolist() if n == 0 or members_of(n) == same]
        if 0 not in numbers:
            continue
        free = rows[np.isin(taken, numbers)]
        items = trades["instrument"][free] if unique else np.zeros(len(free), np.int32)
        for leading in np.sort(np.unique(items, return_index=True)[1]).tolist():
            of_item = free[items == items[leading]]
            cut = len(of_item) > limits.max_set_trades
            for accounts, covered in _covered(
                trades, graph, of_item[-limits.max_set_trades :], limits
            ):
                by_chance, sure = 0.0, True
                met = len(rows) - int(again[rows].sum())
                if not unique:
                    meetings = len(covered) - int(again[covered].sum())
                    if len(accounts) < size or meetings < limits.min_turns * size:
                        continue
                    log_p, by_chance, in_doubt = chance_by_hour(who, met_src, met_dst, hour[~again])
                    sure = in_doubt <= surprise
                    little = sure and met < limits.min_excess_ratio * by_chance
                    if log_p > surprise or little:
                        continue
                yield Ring(
                    accounts=accounts,
                    rows=covered,
                    again=again[covered],
                    layers=int(seen[s]),
                    laps=0,
                    met=met,
                    by_chance=by_chance,
                    sure=sure,
                    cut=cut or skipped > 0,
                )


def _circling(  # noqa: PLR0917 - one window
    trades: Trades,
    graph: Graph,
    first: Array,
    params: WashRingsParams,
    rings: Callable[[Array], Array],
    members_of: Callable[[int], tuple[int, ...]],
) -> Iterator[Ring]:
    own = first == np.arange(len(first))
    seller, buyer, edge_of, bought = graph.seller, graph.buyer, graph.edge_of, trades["side"] >= 0
    meeting, lots = first, trades["lots"]
    if not own.all():
        met = np.flatnonzero(own)
        meeting = (np.cumsum(own) - 1)[first]
        seller, buyer, edge_of, bought = seller[met], buyer[met], edge_of[met], bought[met]
        lots = np.bincount(meeting, weights=lots, minlength=len(met)).astype(np.int64)
    meetings = Meetings(
        graph=msgspec.structs.replace(graph, edge_of=edge_of),
        src=seller,
        dst=buyer,
        bought=bought,
        lots=lots,
    )
    circles, left_out = circles_of(meetings, params)
    for circle in circles:
        rows = circle.rows if own.all() else np.flatnonzero(np.isin(meeting, circle.rows))
        same = tuple(sorted(graph.codes[list(circle.who)].tolist()))
        taken = rings(rows)
        numbers = [n for n in np.unique(taken).tolist() if n == 0 or members_of(n) == same]
        rows = rows[np.isin(taken, numbers)]
        ends = np.stack([graph.seller[rows], graph.buyer[rows]], axis=1)
        order = list(dict.fromkeys(ends.ravel().tolist()))
        if len(order) < len(same) or int(own[rows].sum()) < least_meetings(
            len(same), params.min_turns
        ):
            continue
        yield Ring(
            accounts=tuple(graph.codes[order].tolist()),
            rows=rows,
            again=~own[rows],
            layers=0,
            laps=circle.laps,
            met=circle.met,
            by_chance=circle.by_chance,
            sure=True,
            cut=left_out,
        )


def _covered(
    trades: Trades, graph: Graph, rows: Array, limits: Limits
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Yield the accounts and trades of the balanced stretches, those of one set together."""
    if len(rows) < 2:
        return
    ends = np.stack([graph.seller[rows], graph.buyer[rows]], axis=1)
    nodes, local = np.unique(ends, return_inverse=True)
    local = local.reshape(ends.shape)
    stretch = covered_runs(
        local[:, 0].copy(), local[:, 1].copy(), trades["lots"][rows].astype(np.int64),
        len(nodes), limits.tolerance_ratio,
    )  # fmt: skip
    together: dict[frozenset[int], list[int]] = {}
    for number in range(int(stretch.max()) + 1):
        together.setdefault(frozenset(ends[stretch == number].ravel().tolist()), []).append(number)
    for numbers in together.values():
        inside = np.isin(stretch, numbers)
        order = dict.fromkeys(ends[inside].ravel().tolist())
        yield tuple(int(graph.codes[node]) for node in order), rows[inside]
