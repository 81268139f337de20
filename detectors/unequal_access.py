"""unequal_access: the venue treats the group's maker better than it treats other makers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.access_case import (
    LATENCY,
    LATEST,
    REJECT,
    TOLD_OF,
    WAYS,
    Latest,
    add_facts,
    finding,
    latest_of,
    of_refusals,
    of_times,
    stronger,
)
from detectors.access_chance import Verdict, below, faster, leading, quantiles, spared
from detectors.access_kernel import COLUMNS, scan
from detectors.access_measured import Measured, measured
from detectors.access_params import UnequalAccessParams
from detectors.access_queue import (
    BeforeClients,
    before_clients,
    count_filled,
    filled,
    measure_filled,
    places_of,
)
from detectors.access_spec import SPEC
from detectors.access_state import (
    AFMM,
    AMENDED,
    B_REFUSED_SEQ,
    B_SEQ,
    B_SLOW_SEQ,
    BUCKET,
    D_VALUE,
    DOUBT,
    ENTERED,
    F_ACCOUNTS,
    F_BETTER,
    F_COUNT,
    F_FIRST_NS,
    F_FIRST_SEQ,
    F_REFS,
    FEE,
    FILLED,
    KEPT,
    PREVENTION,
    PROTECTION,
    RATE,
    S_ACCOUNT,
    S_PARTY,
    SHAPES,
    SLOTS,
    TOLD_LATENCY,
)
from detectors.access_terms import Disclosed
from detectors.access_waiting import WAITING, Facts, Waiting, has_rule, keeping
from detectors.base import Detector, Feature, Finding, Params, Ref, Spec, rounded
from detectors.episodes import Episode, Episodes
from detectors.kept import Kept
from ingest.axes import ByCode, Count
from ingest.events import Array, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact
from ingest.terms import NO_TERMS
from ingest.times import MILLI, SECOND

USUAL: Final = 0.25
"""Quantile of others' times, over all that is kept, that stands for what they usually have: a
spell in which they wait must not count as usual."""


class UnequalAccess(Detector):
    """Times, refusals, rates, fees, protection, self-trade prevention: the affiliate's and others'.

    State: about 690 kB an instrument, whatever the traffic: a day of tallies by five minutes, 16
    makers and accounts of the group, 64 fills of each, 8,192 ids touched last, one open episode
    a way. Beside that, of an account of the group, a row a bucket of the last day in which a self-
    trade of its was prevented, until the venue's rule is known (some 120 kB at most). Accounts
    beyond the 16 are counted as overflow.

    Examples
    --------
    >>> from detectors.access_examples import charged
    >>> from detectors.examples import example_instruments
    >>> instruments = example_instruments()
    >>> def found(batch):
    ...     return UnequalAccess(UnequalAccessParams(), instruments).step(batch)
    >>> hit, = found(charged(instruments, bps=0.4))
    >>> hit.scenario, hit.evidence, hit.features["lowest_rate"].value
    ('unequal_access', 'proved', 0.4)

    The same trades, at the rate that clients were told:

    >>> found(charged(instruments, bps=0.5))
    []
    """

    spec: ClassVar[Spec] = SPEC
    Params: ClassVar[type[Params]] = UnequalAccessParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        **{name: ByCode() for name in SHAPES},
        "access_latest": LATEST,
        "access_waiting": WAITING,
        "access_lost": Count(),
    }

    def __init__(self, params: UnequalAccessParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._latest: dict[tuple[int, int], Latest] = {}
        self._waiting = Waiting()
        self._disclosed = Disclosed(NO_TERMS, {}, instruments)
        self._bucket_ns = params.bucket_s * SECOND
        self._numbers = np.array(
            [
                self._bucket_ns, round(params.pair_s * SECOND), round(params.burst_ms * MILLI),
                params.least_difference_ns, params.fee_memory_s * SECOND,
                round(params.protection_s * SECOND), KEPT,
                params.clock_uncertainty_ns,
            ],
            np.int64,
        )  # fmt: skip
        self._shares = np.array(
            [params.least_difference_ratio, params.fee_tolerance_ratio, params.rate_burst_s]
        )
        self._units = np.array(
            [float(row.tick_size * row.lot_size) * 1e9 for row in instruments.rows]
        )
        arrays = {
            name: np.zeros((len(instruments), *shape), dtype)
            for name, (shape, dtype) in SHAPES.items()
        }
        self._kept = Kept(self.spec.id, arrays | {"access_lost": np.zeros(1, np.int64)})

    @property
    def overflow(self) -> int:
        """Records of accounts for which there was no place."""
        return int(self._kept["access_lost"][0])

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return what each bucket that is over says, and closings."""
        if batch.terms is not self._disclosed.terms:
            self._disclosed = Disclosed(batch.terms, batch.parties, self._instruments)
        columns = tuple(batch[name] for name in COLUMNS)
        findings: list[Finding] = []
        kept, told, row = self._kept, self._disclosed.numbers, 0
        of_affiliate = filled(batch)
        measure_filled(kept["access_measured"], of_affiliate)
        ahead = list(before_clients(of_affiliate, told, self._instruments))
        while row < len(batch):
            row = scan(
                columns, row, self._numbers, self._shares, self._units, told, kept["access"],
                kept["access_slots"], kept["access_fills"], kept["access_ids"],
                kept["access_peers"], kept["access_ours"], kept["access_tallies"],
                kept["access_times"], kept["access_facts"], kept["access_prevented"],
                kept["access_measured"], kept["access_lost"],
            )  # fmt: skip
            if row < len(batch):
                code = int(batch["instrument"][row])
                ahead = self._take(ahead, code)
                findings.extend(self._judge(code))
        for code in sorted({one.code for one in ahead}):
            ahead = self._take(ahead, code)
        findings.extend(self._closing(episode) for episode in self._episodes.close_before(batch))
        return findings

    def _take(self, ahead: list[BeforeClients], code: int) -> list[BeforeClients]:
        """Count fills of an instrument's bucket as facts; return those that are left.

        An incoming order is judged by the first record after it, so before its bucket is told.
        """
        left, bucket = [], self._kept["access"][code, BUCKET]
        facts, slots = self._kept["access_facts"][code, FILLED], self._kept["access_slots"][code]
        for one in ahead:
            if one.code != code or one.done_ns // self._bucket_ns != bucket:
                left.append(one)
            elif not count_filled(facts, slots, one):
                self._kept["access_lost"][0] += 1
        return left

    def _judge(self, code: int) -> Iterator[Finding]:
        """Judge an instrument's bucket that is over."""
        bucket = int(self._kept["access"][code, BUCKET])
        for way in (FEE, PROTECTION, RATE, FILLED):
            facts = self._facts(code, self._kept["access_facts"][code, way])
            if facts is not None:
                yield from self._told(way, facts)
        facts = self._ruled(code)
        if facts is not None:
            yield from self._told(PREVENTION, facts)
        peers, tallies = self._kept["access_peers"][code], self._kept["access_tallies"][code]
        for way in (ENTERED, AMENDED):
            yield from self._placed(code, way)
        passed = faster(peers, bucket, self._params)
        if passed is not None:
            yield from self._faster(code, passed)
        passed = spared(peers, tallies, bucket, self._params)
        if passed is not None:
            yield from self._tested(
                code, REJECT, passed, of_refusals(passed, self._params), B_REFUSED_SEQ
            )

    def _facts(self, code: int, row: Array) -> Facts | None:
        """Return the facts that a row holds of the bucket that is over, None when there is none."""
        if not row[F_COUNT]:
            return None
        return Facts(
            code=code,
            bucket=int(self._kept["access"][code, BUCKET]),
            row=tuple(row.tolist()),
            accounts=self._accounts(code, int(row[F_ACCOUNTS])),
            incomplete=self._doubted(code, 1),
        )

    def _placed(self, code: int, way: int) -> Iterator[Finding]:
        """Tell places stated ahead once they are no chance; they wait for that, a day at most."""
        row, kept = self._kept["access_facts"][code, way], self._kept
        facts = self._facts(code, row)
        if facts is None:
            return
        since = int(row[F_FIRST_NS]) // self._bucket_ns
        found = places_of(
            kept["access_peers"][code], kept["access_tallies"][code], way - ENTERED, self._params
        )
        if found.are_ahead(self._params):
            doubted = self._doubted(code, facts.bucket - since + 1)
            yield from self._told(way, msgspec.structs.replace(facts, incomplete=doubted))
            row[:] = 0
        elif facts.bucket - since >= KEPT:
            row[:] = 0

    def _ruled(self, code: int) -> Facts | None:
        """Return prevented self-trades that break the venue's rule; they wait until it is known."""
        for row in self._kept["access_prevented"][code]:
            facts = self._facts(code, row)
            if facts is not None:
                self._waiting.put(facts)
        if not has_rule(self._kept["access_tallies"][code], self._params):
            return None
        bound = keeping(self._kept["access_ours"][code], self._params)
        accounts = self._accounts(code, sum(1 << s for s in bound))
        return self._waiting.take(code, int(self._kept["access"][code, BUCKET]), accounts)

    def _told(self, way: int, facts: Facts) -> Iterator[Finding]:
        """Tell the facts of a way."""
        code, row, accounts = facts.code, facts.row, facts.accounts
        end_ns = self._end_ns(code)
        yield from self._expired(code, way, end_ns)
        episode, _ = self._episodes.fact(
            (code, way), seq=row[F_FIRST_SEQ], at_ns=end_ns, accounts=accounts[:1]
        )
        self._kept["access_told"][code, way] += np.array([row[F_COUNT], row[F_BETTER]])
        add_facts(episode.sums, row)
        self._latest[code, way] = latest_of(
            way,
            facts,
            episode.sums,
            self._latest.get((code, way)),
            quote=self._instruments[code].quote,
            said=self._disclosed.features(code, accounts, TOLD_OF.get(way, ()), end_ns),
        )
        refs = tuple(sorted(Ref(code, seq) for seq in set(row[F_REFS:]) if seq))
        yield self._told_of(episode, end_ns, refs)

    def _faster(self, code: int, passed: Verdict) -> Iterator[Finding]:
        """Tell that the affiliate was faster, unless that is what was disclosed."""
        places = np.arange(passed.last - passed.buckets + 1, passed.last + 1) % KEPT
        times = self._kept["access_times"][code][places].sum(axis=0)
        ours = self._kept["access_ours"][code]
        better = below(ours, passed.last, passed.buckets, self._params)
        leads = [
            s
            for s in leading(ours, passed.last, passed.buckets, self._params)
            if better.get(s, True) or not self._preferred(code, s)
        ]
        if not leads:
            return  # no better than clients were told
        features = of_times(passed, times, self._params)
        bits = sum(1 << s for s in leads)
        breach = any(better.get(s, False) for s in leads)
        yield from self._tested(
            code, LATENCY, passed, features, B_SLOW_SEQ, bits=bits, breach=breach
        )

    def _preferred(self, code: int, slot: int) -> bool:
        """Return whether clients were told of a time shorter than what others usually have.

        Such a lead was disclosed. A value that is no shorter explains none: it says what the
        affiliate gets, not that others get worse.
        """
        accounts = self._accounts(code, 1 << slot)
        rows = self._disclosed.rows(code, accounts, (TOLD_LATENCY,), self._end_ns(code))
        usual = quantiles(self._kept["access_times"][code].sum(axis=0), USUAL)["others"]
        return bool((rows[:, D_VALUE] < usual).any())

    def _tested(
        self,
        code: int,
        way: int,
        passed: Verdict,
        features: dict[str, Feature],
        cited: int,
        *,
        bits: int | None = None,
        breach: bool = False,
    ) -> Iterator[Finding]:
        """Tell a test that passed."""
        end_ns = self._end_ns(code)
        tallies = self._kept["access_tallies"][code]
        places = np.arange(passed.last - passed.buckets + 1, passed.last + 1) % KEPT
        accounts = self._affiliates(code) if bits is None else self._accounts(code, bits)
        sure = passed.controlled and "within_clock_uncertainty" not in features
        # What is cited first is no other way's: it fixes which alert this is.
        column = cited if tallies[places, cited].any() else B_SEQ
        seqs = tallies[places, column]
        if not seqs.any() or not accounts:
            return
        yield from self._expired(code, way, end_ns)
        episode, _ = self._episodes.fact(
            (code, way), seq=int(seqs[seqs > 0][0]), at_ns=end_ns, accounts=accounts[:1]
        )
        said = self._disclosed.features(code, accounts, TOLD_OF.get(way, ()), end_ns)
        before = self._latest.get((code, way))
        buckets = passed.buckets + int(self._kept["access"][code, BUCKET]) - passed.last
        until_ns = (passed.last + 1) * self._bucket_ns
        latest = Latest(
            code=code,
            way=way,
            accounts=accounts,
            start_ns=until_ns - passed.buckets * self._bucket_ns
            if before is None
            else before.start_ns,
            end_ns=until_ns,
            evidence_class="breach" if breach and sure else "indicator",
            evidence="supported" if sure else "weak",
            significant=sure,
            incomplete=self._incomplete(code, buckets, before),
            score=rounded(0.4 + 0.4 * (1 - passed.chance / passed.allowed)),
            features={"way": Feature(WAYS[way], "way"), **features, **said},
        )
        self._latest[code, way] = stronger(latest, before)
        newest = tallies[passed.last % KEPT, [B_SEQ, cited]]
        refs = tuple(sorted({Ref(code, int(seq)) for seq in newest if seq}))
        yield self._told_of(episode, end_ns, refs)

    def _said(self, code: int, kinds: Sequence[int]) -> dict[str, Feature]:
        """Return what clients were told of an instrument's affiliates, as of its last bucket."""
        return self._disclosed.features(code, self._affiliates(code), kinds, self._end_ns(code))

    def _affiliates(self, code: int) -> tuple[int, ...]:
        """Return the affiliated makers of an instrument, in order of appearance."""
        slots = self._kept["access_slots"][code]
        return self._accounts(code, sum(1 << s for s in range(SLOTS) if slots[s, S_PARTY] == AFMM))

    def _accounts(self, code: int, bits: int) -> tuple[int, ...]:
        """Return the accounts of slots, whatever party they are by now."""
        slots = self._kept["access_slots"][code]
        return tuple(int(slots[s, S_ACCOUNT]) - 1 for s in range(SLOTS) if bits >> s & 1)

    def _incomplete(self, code: int, buckets: int, before: Latest | None) -> bool:
        """Return whether records may be missing in the last buckets, or in the episode so far."""
        return self._doubted(code, buckets) or (before is not None and before.incomplete)

    def _doubted(self, code: int, buckets: int) -> bool:
        """Return whether records may be missing in the last buckets."""
        own = self._kept["access"][code]
        return int(own[DOUBT]) > int(own[BUCKET]) - buckets

    def _end_ns(self, code: int) -> int:
        return (int(self._kept["access"][code, BUCKET]) + 1) * self._bucket_ns

    def _expired(self, code: int, way: int, at_ns: int) -> Iterator[Finding]:
        expired = self._episodes.expire((code, way), at_ns)
        if expired is not None:
            yield self._closing(expired)

    def _told_of(self, episode: Episode, at_ns: int, refs: tuple[Ref, ...]) -> Finding:
        code, way = episode.key
        latest = self._latest[code, way]
        return finding(self.spec, self._params, episode, latest, at_ns=at_ns, refs=refs)

    def _closing(self, episode: Episode) -> Finding:
        code, way = episode.key
        latest = self._latest.pop((code, way))
        at_ns = self._episodes.deadline_ns(episode)
        return finding(self.spec, self._params, episode, latest, at_ns=at_ns, closed=True)

    def measured(self) -> Sequence[Measured]:
        """Return what was measured of every instrument: times, refusals of a day, the rest of all.

        Evidence of compliance where access was equal, or as disclosed; no finding.
        """
        return [
            row
            for code in range(len(self._instruments))
            if self._kept["access"][code, BUCKET]
            for row in measured(
                self._instruments[code],
                {name: self._kept[name][code] for name in SHAPES},
                partial(self._said, code),
                self._params,
            )
        ]

    def snapshot(self) -> Snapshot:
        """Return what is kept of each instrument, and the open episodes."""
        return {
            **self._episodes.snapshot(),
            **self._kept.snapshot(),
            "access_latest": pack_exact([latest for _, latest in sorted(self._latest.items())]),
            "access_waiting": self._waiting.packed(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
        self._episodes.restore(snapshot)
        kept = unpack_exact(snapshot["access_latest"], list[Latest])
        self._latest = {(latest.code, latest.way): latest for latest in kept}
        self._waiting.restore(snapshot["access_waiting"])
