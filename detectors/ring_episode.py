"""What a ring's episode has counted, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from detectors.base import Feature, rounded
from detectors.episodes import Episode
from detectors.ring_lane import Trades
from detectors.ring_params import WashRingsParams
from detectors.trades import money, quantity
from ingest.instruments import Instruments


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large and how balanced a ring is, over its episode."""

    turns: int
    """Meetings a member: how often everyone sold once."""
    share_ratio: float
    """Its share of the instrument's volume from its first to its last trade."""
    net_ratio: float
    """Largest net position of a member over the volume: 0 all came back, 1 nothing did."""
    quoted_ratio: float
    """Share of the meetings that are of an external maker's standing order and of who took it."""


def count(episode: Episode, trades: Trades, sign: int) -> None:
    """Add trades to an episode's sums (1), or take them back (-1); span and volume around stay.

    At least one, in event order, all between two of the episode's accounts.
    """
    sums, lots, ticks = episode.sums, trades["lots"].tolist(), trades["ticks"].tolist()
    from_ns, to_ns = int(trades["time_ns"][0]), int(trades["time_ns"][-1])
    before, through = int(trades["cum_lots"][0]) - lots[0], int(trades["cum_lots"][-1])
    sums["from_ns"] = min(sums.get("from_ns", from_ns), from_ns)
    sums["to_ns"] = max(sums.get("to_ns", to_ns), to_ns)
    sums["volume_from"] = min(sums.get("volume_from", before), before)
    sums["volume_to"] = max(sums.get("volume_to", through), through)
    for side, direction in (("buyer", sign), ("seller", -sign)):
        for account, amount in zip(trades[side].tolist(), lots, strict=True):
            net = f"net_{episode.first_accounts.index(account)}"
            sums[net] = sums.get(net, 0) + direction * amount
    for name, amount in (
        ("trades", len(lots)),
        ("met", len(lots) - int(np.count_nonzero(trades["again"]))),
        ("quoted", int(np.count_nonzero(trades["quoted"] & (trades["again"] == 0)))),
        ("lots", sum(lots)),
        ("notional", sum(a * b for a, b in zip(lots, ticks, strict=True))),
    ):
        sums[name] = sums.get(name, 0) + sign * amount


def measure(episode: Episode) -> Size:
    """Return the size of an episode that has counted at least one trade."""
    sums, members = episode.sums, len(episode.first_accounts)
    lots = sums["lots"]
    volume = sums["volume_to"] - sums["volume_from"]
    net = max(abs(sums.get(f"net_{member}", 0)) for member in range(members))
    return Size(
        turns=sums["met"] // members,
        share_ratio=min(1.0, lots / volume),
        net_ratio=net / lots if lots else 0.0,
        quoted_ratio=sums["quoted"] / sums["met"] if sums["met"] else 0.0,
    )


def score(turns: int, materiality: float, net_ratio: float) -> float:
    """Return how bad a ring is, 0 to 1: more turns, a more material share, better balance.

    turns / (turns + 10) x (1 + min(1, materiality)) / 2 x (1 - net_ratio): ten turns are worth
    half, and a share counts up to the material mark (materiality 1) only, for in a thin instrument
    any ring is most of the volume.

    >>> score(10, 1.0, 0.0), score(10, 0.0, 0.0), score(0, 1.0, 1.0)
    (0.5, 0.25, 0.0)
    """
    return turns / (turns + 10.0) * (0.5 + 0.5 * min(1.0, materiality)) * (1.0 - net_ratio)


def features(
    episode: Episode, size: Size, params: WashRingsParams, instruments: Instruments
) -> Mapping[str, Feature]:
    """Return an episode's numbers; those of chance are of the latest window, fungible only."""
    sums, code = episode.sums, episode.key[0]
    found = {
        "trades": Feature(sums["trades"], "count"),
        "instructions": Feature(sums["met"], "count"),
        "turns": Feature(size.turns, "count", params.supported_turns),
        "members": Feature(len(episode.first_accounts), "count"),
        "windows": Feature(sums["windows"], "count"),
        "layers": Feature(sums["layers"], "count"),
        "laps": Feature(sums["laps"], "count"),
        "volume": quantity(instruments, code, sums["lots"]),
        "notional": money(instruments, code, sums["notional"]),
        "volume_share": Feature(rounded(size.share_ratio), "ratio", params.material_share_ratio),
        "net_ratio": Feature(rounded(size.net_ratio), "ratio"),
        "quoted": Feature(rounded(size.quoted_ratio), "ratio", params.quoted_ratio),
        "busted_trades": Feature(sums.get("busted", 0), "count"),
    }
    if instruments[code].kind != "unique":
        found["window_trades"] = Feature(
            sums["window_trades"], "count", sums["milli_chance"] / 1000
        )
        if not sums["sure"]:
            found["few_outsiders"] = Feature(1, "others are too few to tell chance by")
    return found
