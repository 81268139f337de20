"""price_spikes: a price that goes further within a minute than it usually does, and who traded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from detectors.base import Detector, Feature, Finding, Params, Ref, Spec, rounded
from detectors.episodes import Episode, Episodes
from detectors.kept import Kept
from detectors.spike_kernel import (
    COLUMNS,
    FLOAT_FIELDS,
    HORIZONS,
    HOURS,
    KEPT,
    N_TRADES,
    O_CODE,
    O_HORIZON,
    O_RANK,
    O_RANKED,
    O_SECOND,
    O_SIDE,
    OUT_FIELDS,
    OWN_FIELDS,
    T_BEFORE,
    T_CLOCK,
    T_DOUBT,
    T_GROUP,
    T_LOTS,
    T_PRICE,
    T_SEQ,
    T_SIDE,
    T_TAKER,
    TRADE_FIELDS,
    TRADES,
    WINDOWS,
    scan,
)  # fmt: skip
from detectors.spike_params import PriceSpikesParams
from detectors.trades import quantity
from ingest.axes import ByCode
from ingest.events import Array, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import SECOND

MOST_NAMED: Final = 5
"""Accounts named: those that took most the way the price went."""
MOST_CITED: Final = 40


class PriceSpikes(Detector):
    """Returns over 1 to 60 s of many times their usual size.

    State: about 41 kB an instrument, whatever the traffic: the last 512 trades, 64 seconds' prices,
    240 windows' largest returns, and the usual size of returns, now and by hour of the day.

    Examples
    --------
    >>> from detectors.examples import batch_of, example_instruments, trade
    >>> from ingest.events import Phase
    >>> instruments = example_instruments()
    >>> def found(jump):
    ...     ticks = [10_000 + n % 3 + (jump if n > 300 else 0) for n in range(400)]
    ...     rows = [trade(3, 4, price=tick, phase=Phase.CONTINUOUS, engine_ns=(n + 1) * 10**9)
    ...             for n, tick in enumerate(ticks)]
    ...     return PriceSpikes(PriceSpikesParams(), instruments).step(batch_of(rows, instruments))
    >>> hit, *_ = found(40)
    >>> hit.evidence, hit.accounts, hit.features["z"].value > 12
    ('weak', (3,), True)
    >>> found(1)
    []
    """

    spec: ClassVar[Spec] = Spec(
        id="price_spikes",
        version=1,
        title="Price spikes",
        scope="instrument",
        evidence_class="indicator",
        scenarios=("price_spikes",),
        looks_for=(
            "Returns of the last price over 1, 4, 16 and 60 s of at least min_z times their usual "
            "size: the robust scale of that horizon (the size that a tenth of returns exceed, "
            "learned over memory_s of seconds with trades), that of the same hour the day before, "
            "and half a spread, whichever is largest. It opens the review that the Guidelines ask "
            "for, and names the five accounts that took most the way the price went. It is context "
            "(weak, low) unless the group's takers made group_ratio of the move by ticks and of "
            "what was taken its way by lots. Feature p ranks it among the largest of each of the "
            "last 240 minutes."
        ),
        legal_basis=(
            (
                "VATP Guidelines 8.1, 8.2, 14.5: controls against manipulation, notice, review of "
                "unusual prices [V]"
            ),
            "AMLO s.53ZRF: fraud or deception in virtual-asset transactions [V]",
        ),
        look_alikes=(
            "volatility that rises slowly",
            "bid-ask bounce in a quiet market",
            "auction, halt or a long silence between two prices",
            "news, with no complex initiator: context, and no more",
            "a group that trades along",
        ),
        blind_spots=(
            "a move that takes longer than a minute",
            "quotes that jump while nothing trades",
            "the first two minutes of trading",
        ),
        runbook=(
            (
                "Read `features.z`, `features.move` and `features.horizon` from window_start_ns to "
                "window_end_ns: how far, how fast?"
            ),
            (
                "Compare the outside price (reference feed) within 60 s of window_start_ns: did it "
                "move first?"
            ),
            (
                "Read `features.group_ticks` and `features.group_lots` over the episode: who "
                "pushed, and who traded with it (buy_account, sell_account of trade_ids)?"
            ),
            (
                "Look whether the price came back within 300 s of window_end_ns, and who traded "
                "then: the accounts of order_ids?"
            ),
        ),
        needs=("price", "quantity", "aggressor", "engine_ns", "buy_account", "sell_account"),
    )
    Params: ClassVar[type[Params]] = PriceSpikesParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        "spikes": ByCode(),
        "spike_scales": ByCode(),
        "spike_prices": ByCode(),
        "spike_hours": ByCode(),
        "spike_maxima": ByCode(),
        "spike_trades": ByCode(),
    }

    def __init__(self, params: PriceSpikesParams, instruments: Instruments) -> None:
        if max(params.horizons_s) >= KEPT:
            raise ValueError(f"horizons_s must be below {KEPT}, were {params.horizons_s}")
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._horizons = np.array(params.horizons_s, np.int64)
        self._numbers = (params.memory_s, params.warm_s, params.window_s)
        count = len(instruments)
        self._kept = Kept(
            self.spec.id,
            {
                "spikes": np.zeros((count, OWN_FIELDS), np.int64),
                "spike_scales": np.zeros((count, FLOAT_FIELDS), np.float64),
                "spike_prices": np.zeros((count, KEPT), np.int64),
                "spike_hours": np.zeros((count, HOURS, HORIZONS), np.float64),
                "spike_maxima": np.zeros((count, WINDOWS), np.float64),
                "spike_trades": np.zeros((count, TRADES, TRADE_FIELDS), np.int64),
            },
        )
        self._out, self._size = np.zeros(OUT_FIELDS, np.int64), np.zeros(1, np.float64)

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return spikes, and reviews that nothing was added to."""
        columns, kept = tuple(batch[name] for name in COLUMNS), self._kept
        findings: list[Finding] = []
        row, found = 0, True
        while found:
            row, found = scan(
                columns, row, self._horizons, self._numbers, self._params.min_z, kept["spikes"],
                kept["spike_scales"], kept["spike_prices"], kept["spike_hours"],
                kept["spike_maxima"], kept["spike_trades"], self._out, self._size,
            )  # fmt: skip
            if found:
                findings.extend(self._spike(self._out.tolist(), float(self._size[0])))
        findings.extend(
            self._finding(episode, self._episodes.deadline_ns(episode), (), closed=True)
            for episode in self._episodes.close_before(batch)
        )
        return findings

    def _spike(self, out: Sequence[int], z: float) -> Iterator[Finding]:
        """Tell of a spike, where it is larger than what its episode has told."""
        code, side = out[O_CODE], out[O_SIDE]
        end_ns = (out[O_SECOND] + 1) * SECOND
        start_ns = end_ns - (self._params.horizons_s[out[O_HORIZON]] + 1) * SECOND
        expired = self._episodes.expire((code,), end_ns)
        if expired is not None:
            yield self._finding(expired, self._episodes.deadline_ns(expired), (), closed=True)
        milli = round(1_000 * z)
        episode = self._episodes.get((code,))
        if episode is not None and episode.sums["milli_z"] >= milli:
            return
        through = self._through(code, side, start_ns, end_ns)
        if not through:
            return
        cited = {t[T_SEQ] for t in sorted(through, key=_by_move)[:MOST_CITED]}
        if episode is not None:
            cited -= set(range(episode.first_seq, episode.sums["last_seq"] + 1))
        takers: dict[int, int] = {}
        for each in through:
            takers[each[T_TAKER]] = takers.get(each[T_TAKER], 0) + each[T_LOTS]
        named = sorted(takers, key=lambda taker: (-takers[taker], _first(through, taker)))
        episode, _ = self._episodes.fact(
            (code,), seq=through[0][T_SEQ], at_ns=end_ns, accounts=tuple(named[:1]),
            incomplete=any(each[T_DOUBT] for each in through),
        )  # fmt: skip
        ours = [each for each in through if each[T_GROUP]]
        episode.sums |= {
            "milli_z": milli, "start_ns": start_ns, "end_ns": end_ns, "side": side,
            "horizon_s": self._params.horizons_s[out[O_HORIZON]],
            "lots": sum(t[T_LOTS] for t in through), "our_lots": sum(t[T_LOTS] for t in ours),
            "ticks": sum(_gained(t) for t in through), "our_ticks": sum(map(_gained, ours)),
            "above": out[O_RANK], "ranked": out[O_RANKED], "last_seq": through[-1][T_SEQ],
            "named": min(len(named), MOST_NAMED),
            **{f"account{n}": taker for n, taker in enumerate(named[:MOST_NAMED])},
        }  # fmt: skip
        yield self._finding(episode, end_ns, tuple(Ref(code, seq) for seq in sorted(cited)))

    def _through(self, code: int, side: int, start_ns: int, end_ns: int) -> list[list[int]]:
        """Return the trades kept within a time whose taker went the way of the price."""
        ring: Array = self._kept["spike_trades"][code]
        made = int(self._kept["spikes"][code, N_TRADES])
        rows = [ring[n % TRADES].tolist() for n in range(max(0, made - TRADES), made)]
        return [r for r in rows if start_ns <= r[T_CLOCK] < end_ns and r[T_SIDE] == side]

    def _finding(
        self, episode: Episode, at_ns: int, refs: tuple[Ref, ...], *, closed: bool = False
    ) -> Finding:
        sums, code, params = episode.sums, episode.key[0], self._params
        row = self._instruments[code]
        lots, ticks = max(sums["lots"], 1), max(sums["ticks"], 1)
        our_lots, our_ticks = sums["our_lots"] / lots, sums["our_ticks"] / ticks
        ours = min(our_lots, our_ticks) >= params.group_ratio
        z = sums["milli_z"] / 1_000
        move = sums["side"] * sums["ticks"] * float(row.tick_size)
        p = rounded((1 + sums["above"]) / (1 + sums["ranked"]))
        ranked = {"p": Feature(p, "probability")} if sums["ranked"] else {}  # else p is 1 of 1
        return Finding(
            detector=self.spec.id,
            detector_version=self.spec.version,
            scenario=self.spec.scenarios[0],
            evidence_class=self.spec.evidence_class,
            evidence="supported" if ours and not episode.incomplete else "weak",
            instrument=code,
            first_seq=episode.first_seq,
            first_accounts=episode.first_accounts,
            revision=episode.facts,
            accounts=tuple(sums[f"account{n}"] for n in range(sums["named"])),
            window_start_ns=sums["start_ns"],
            window_end_ns=sums["end_ns"],
            detected_ns=at_ns,
            evidence_refs=refs,
            features={
                "z": Feature(rounded(z), "ratio", params.min_z),
                **ranked,
                "horizon": Feature(sums["horizon_s"], "s"),
                "move": Feature(rounded(move), row.quote),
                "taken": quantity(self._instruments, code, sums["lots"]),
                "group_ticks": Feature(rounded(our_ticks), "ratio", params.group_ratio),
                "group_lots": Feature(rounded(our_lots), "ratio", params.group_ratio),
            },
            score=rounded(0.2 + 0.3 * min(1.0, z / (4 * params.min_z)) + 0.4 * ours),
            significant=ours,
            coverage="incomplete" if episode.incomplete else "complete",
            status="confirmed" if closed and not episode.incomplete else "provisional",
        )

    def snapshot(self) -> Snapshot:
        """Return what is kept of each instrument, and the open episodes."""
        return {**self._episodes.snapshot(), **self._kept.snapshot()}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
        self._episodes.restore(snapshot)


def _gained(trade: Sequence[int]) -> int:
    """Return the ticks that a trade moved the last price its taker's way."""
    return max(0, trade[T_SIDE] * (trade[T_PRICE] - trade[T_BEFORE]))


def _by_move(trade: Sequence[int]) -> tuple[int, int]:
    return -_gained(trade), trade[T_SEQ]


def _first(trades: Sequence[Sequence[int]], taker: int) -> int:
    return next(trade[T_SEQ] for trade in trades if trade[T_TAKER] == taker)
