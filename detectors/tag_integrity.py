"""tag_integrity: the public tape, the register and the trades say the same of every account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Final

import numpy as np

from detectors.base import (
    Detector,
    Evidence,
    Feature,
    Finding,
    Parameter,
    Params,
    Ref,
    Spec,
    rounded,
)
from detectors.episodes import Episode, Episodes, accounts_in, meet
from detectors.tag_kernel import (
    COLUMNS,
    FALSE,
    FIRST_NS,
    FIRST_SEQ,
    LAPSED,
    LAST_NS,
    LAST_SEQ,
    MISATTRIBUTED,
    OMITTED,
    STATS,
    SWAPPED,
    UNREGISTERED,
    grown,
    scan,
)
from detectors.wash_kernel import FIRST_SLOTS, by_key, filled, room_for
from ingest.axes import ByCode, Rows
from ingest.errors import SnapshotError
from ingest.events import NO_CODE, Batch, ChangeKind, Coverage
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import SECOND

FLAG, REGISTRATION, CHANGE, ENGINE, FALSELY = 0, 1, 2, 3, 4
"""Kinds of episode; each an alert of its own."""
MAX_ACCOUNTS: Final = 16
"""Accounts an alert names, the first; of each a trade is cited."""
FAULT_NAMES: Final = {
    OMITTED: "omitted_flags",
    FALSE: "false_flags",
    UNREGISTERED: "never_registered",
    LAPSED: "registration_lapsed",
    MISATTRIBUTED: "orders_of_another",
    SWAPPED: "flags_of_the_other_side",
}
KINDS: Final = {OMITTED: FLAG, SWAPPED: FLAG, FALSE: FALSELY, MISATTRIBUTED: ENGINE}
"""Kinds of faults; those that are not here are of registration."""
TOLD_EACH: Final = 64
"""Facts of a run told one by one; after that only every power of two of it, and the closing."""
RUN_GAP_NS: Final = 60 * SECOND
"""A fault that comes after a minute without one begins a run anew: it broke again, and where it did
is to be told however much the episode has told before."""
FAULTS: Final = frozenset({*FAULT_NAMES.values(), "registry_changes"})
"""Sums of an episode that count faults."""


class TagIntegrityParams(Params, frozen=True):
    """Thresholds of tag_integrity; tolerance for a wrong tag is 0 and no parameter."""

    episode_gap_s: Annotated[
        int,
        Parameter(
            "silence of an account's faults after which its episode is closed",
            "s",
            "a wrong tag lasts until somebody mends it: an hour keeps a quiet account in one alert",
        ),
    ] = 3600
    systematic_trades: Annotated[
        int,
        Parameter(
            "wrong flags or unregistered trades in an episode that make it systematic",
            "count",
            "a hundred wrong prints are a broken feed or register, not a slip",
        ),
    ] = 100


class TagIntegrity(Detector):
    """Tape flags, register rows and trades that contradict one another.

    State grows by one slot of 48 B for each (instrument, account) that has traded, and one open
    episode an account, instrument and kind of fault.

    Examples
    --------
    >>> from detectors.examples import batch_of, example_instruments, trade
    >>> from ingest.events import AfmmFlag, Role
    >>> instruments = example_instruments()
    >>> rows = [trade(1, 2, buy_role=Role.AFFILIATED_MM, afmm_flag=flag)
    ...         for flag in (AfmmFlag.NONE, AfmmFlag.BUY)]
    >>> wrong, right = rows
    >>> hit, = TagIntegrity(TagIntegrityParams(), instruments).step(batch_of([wrong], instruments))
    >>> hit.scenario, hit.accounts, hit.features["omitted_flags"].value
    ('tag_error', (1,), 1)
    >>> TagIntegrity(TagIntegrityParams(), instruments).step(batch_of([right], instruments))
    []
    """

    spec: ClassVar[Spec] = Spec(
        id="tag_integrity",
        version=2,
        title="Tag integrity",
        scope="instrument",
        evidence_class="breach",
        scenarios=("tag_error",),
        looks_for=(
            "Trades on which the tape's afmm_flag is not the side, or sides, that the register "
            "calls affiliated_mm (once an instrument's tape has carried flags, a trade without "
            "one says none); accounts that trade with no register row in force, never or no "
            "longer registered; trades that name another account than the one that entered the "
            "order (the engine contradicts itself); register rows altered, removed, added or "
            "back-dated over times at which the account had already traded. One alert an account, "
            "instrument and kind of fault, never one a trade: a flag on the counterparty is the "
            "affiliated market maker's, and all flags on accounts that traded without it are one "
            "alert of the instrument's tape, whoever they fell on."
        ),
        legal_basis=(
            "SFC circular 26EC6 para 7(f): identify AFMM trades in post-trade data [V]",
            "VATP Guidelines 14.5: guard against falsification [V]",
            "VATP Guidelines 14.7: evidence of clients and originators kept [V]",
        ),
        look_alikes=(
            "feed without afmm_flag",
            "external maker flagged none",
            "both sides the affiliated market maker, flagged both",
            "register row added for a time to come",
            "unregistered account that never trades",
            "an order whose entry is not known",
        ),
        blind_spots=(
            "an account registered under a wrong role from the start (hidden_affiliates)",
            "the seventeenth account on which a flag fell falsely: its trades count only",
            "a tape that never carries the flag in an instrument",
        ),
        runbook=(
            (
                "Compare afmm_flag of trade_ids in the trades topic, window_start_ns to "
                "window_end_ns, with role of both accounts in accounts.csv at engine_ns."
            ),
            (
                "Read `features.omitted_flags`, `features.flags_of_the_other_side` and "
                "`features.false_flags` over the episode: one trade in some, or many accounts, "
                "point at the tape's writer; every trade of one account at the register."
            ),
            (
                "For `features.never_registered` and `features.registration_lapsed` read "
                "valid_from "
                "and valid_to of the account's rows, a day on each side of window_start_ns."
            ),
            (
                "For `features.orders_of_another` compare account of order_ids' records in the "
                "orders topic with that of trade_ids: who was filled, and who was told so, from "
                "window_start_ns on?"
            ),
            (
                "For `features.registry_changes` read who changed the register between "
                "registry_version before and after detected_ns, and on what approval."
            ),
            (
                "Correct afmm_flag on the public tape from window_start_ns to window_end_ns, and "
                "record when."
            ),
        ),
        needs=("buy_account", "sell_account", "engine_ns"),
        wants=("afmm_flag", "buy_order_id", "sell_order_id"),
    )
    Params: ClassVar[type[Params]] = TagIntegrityParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        "flagged": ByCode(),
        "clock": ByCode(),
        "keys": Rows("keys", high=True),
        "stats": Rows("keys", high=True),
    }

    def __init__(self, params: TagIntegrityParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._flagged = np.zeros(len(instruments), np.int8)
        self._clock = np.zeros(len(instruments), np.int64)
        self._keys = np.zeros(FIRST_SLOTS, np.int64)
        self._stats = np.zeros((FIRST_SLOTS, STATS), np.int64)
        self._used = 0
        self._out = np.zeros((4096, 3), np.int64)  # room only: kept between calls

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return faults, changes over trades, and closings."""
        findings = [*self._changes(batch)]
        for row, side, fault in self._faults(batch):
            findings.extend(self._fault(batch, row, side, fault))
        findings.extend(self._closing(episode) for episode in self._episodes.close_before(batch))
        ends = batch.ends
        self._clock[batch["instrument"][ends]] = batch["clock_ns"][ends]
        return findings

    def _faults(self, batch: Batch) -> Iterator[tuple[int, int, int]]:
        columns = tuple(batch[name] for name in COLUMNS)
        out, row = self._out, 0
        while row < len(batch):
            if 2 * (self._used + 1) >= len(self._keys):
                self._keys, self._stats = grown(self._keys, self._stats)
            row, self._used, faults = scan(
                columns, row, self._flagged, self._keys, self._stats, self._used, out
            )
            yield from out[:faults].tolist()

    def _fault(self, batch: Batch, row: int, side: int, fault: int) -> Iterator[Finding]:
        code, seq = int(batch["instrument"][row]), int(batch["seq"][row])
        at_ns = int(batch["clock_ns"][row])
        account = int(batch["buy_account" if side > 0 else "sell_account"][row])
        kind = KINDS.get(fault, REGISTRATION)
        # Whom the tape flags falsely is by chance: what is wrong is the instrument's tape.
        key = (code, int(NO_CODE) if kind == FALSELY else account, kind)
        before = self._episodes.get(key)
        last_ns = at_ns if before is None else before.last_ns
        episode, expired = self._episodes.fact(
            key,
            seq=seq,
            at_ns=at_ns,
            accounts=(account,),
            incomplete=bool(batch["coverage"][row] == Coverage.INCOMPLETE),
        )
        if expired is not None:
            yield self._closing(expired)
        known = len(accounts_in(episode.sums))
        meet(episode.sums, (account,), MAX_ACCOUNTS)
        is_new = len(accounts_in(episode.sums)) > known
        if key[-1] == ENGINE:
            # A gap may have hidden the order's end and its id's next use: then the doubt is the
            # book's own.
            known = batch["coverage"][row] == Coverage.COMPLETE
            episode.sums["certain"] = episode.sums.get("certain", 0) + int(known)
        name = FAULT_NAMES[fault]
        episode.sums[name] = episode.sums.get(name, 0) + 1
        run = 1 if at_ns - last_ns > RUN_GAP_NS else episode.sums.get("run", 0) + 1
        episode.sums["run"] = run
        if is_new or run <= TOLD_EACH or run & (run - 1) == 0:
            seqs = {seq}
            if key[-1] == ENGINE:  # the records that entered the orders, as far as they are known
                seqs |= {int(batch[name][row]) for name in ("entry_seq", "incoming_seq")} - {0}
            yield self._finding(episode, at_ns, tuple(Ref(code, n) for n in sorted(seqs)))

    def _changes(self, batch: Batch) -> Iterator[Finding]:
        """Yield what a reload of the register changed over trades already made."""
        changes = batch.registry_changes
        for row in range(len(changes["account"])):
            if changes["kind"][row] == ChangeKind.COMPLEX:
                continue  # the row that moved the complex is told under its own account
            account = int(changes["account"][row])
            from_ns, to_ns = int(changes["from_ns"][row]), int(changes["to_ns"][row])
            for key, stats in self._traded(account):
                code = (key >> 32) - 1
                if from_ns > stats[LAST_NS] or to_ns <= stats[FIRST_NS]:
                    continue
                inside = sorted(
                    {
                        stats[seq]
                        for seq, ns in ((FIRST_SEQ, FIRST_NS), (LAST_SEQ, LAST_NS))
                        if from_ns <= stats[ns] < to_ns
                    }
                )
                at_ns = int(self._clock[code])
                episode, expired = self._episodes.fact(
                    (code, account, CHANGE),
                    seq=inside[0] if inside else stats[FIRST_SEQ],
                    at_ns=at_ns,
                    accounts=(account,),
                )
                if expired is not None:
                    yield self._closing(expired)
                sums = episode.sums
                sums["registry_changes"] = sums.get("registry_changes", 0) + 1
                sums["certain"] = sums.get("certain", 0) + bool(inside)
                yield self._finding(episode, at_ns, tuple(Ref(code, seq) for seq in inside))

    def _traded(self, account: int) -> list[tuple[int, list[int]]]:
        """Return (key, stats) of every instrument in which an account has traded."""
        found = np.flatnonzero((self._keys != 0) & ((self._keys & 0xFFFFFFFF) == account))
        return sorted((int(self._keys[at]), self._stats[at].tolist()) for at in found)

    def _closing(self, episode: Episode) -> Finding:
        return self._finding(episode, self._episodes.deadline_ns(episode), (), closed=True)

    def _finding(
        self, episode: Episode, at_ns: int, refs: tuple[Ref, ...], *, closed: bool = False
    ) -> Finding:
        faults = {n: v for n, v in sorted(episode.sums.items()) if n in FAULTS}
        count = sum(faults.values())
        systematic = count >= self._params.systematic_trades
        evidence: Evidence = "proved"
        if episode.key[-1] == CHANGE and not episode.sums["certain"]:
            evidence = "supported"
        if episode.key[-1] == ENGINE:
            # Never proved: a `replace` may have handed the order over, and the book keeps who
            # entered it.
            evidence = "supported" if episode.sums.get("certain") else "weak"
        return Finding(
            detector=self.spec.id,
            detector_version=self.spec.version,
            scenario="tag_error",
            evidence_class="breach",
            evidence=evidence,
            instrument=episode.key[0],
            first_seq=episode.first_seq,
            first_accounts=episode.first_accounts,
            revision=episode.facts,
            accounts=tuple(accounts_in(episode.sums)) or episode.first_accounts,
            window_start_ns=episode.first_ns,
            window_end_ns=episode.last_ns,
            detected_ns=at_ns,
            evidence_refs=refs,
            features={name: Feature(value, "count", 0) for name, value in faults.items()},
            score=rounded((0.6 if evidence == "proved" else 0.3) + 0.4 * count / (count + 20)),
            systematic=systematic,
            all_legs=evidence == "proved",
            notify_clock="immediate" if systematic else "asap",
            coverage="incomplete" if episode.incomplete else "complete",
            status="confirmed" if closed and not episode.incomplete else "provisional",
        )

    def snapshot(self) -> Snapshot:
        """Return the accounts that have traded, the flags seen, and the open episodes."""
        held = by_key(self._keys)
        return {
            **self._episodes.snapshot(),
            "flagged": self._flagged.copy(),
            "clock": self._clock.copy(),
            "keys": self._keys[held],
            "stats": self._stats[held],
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        if snapshot["flagged"].shape != self._flagged.shape:
            raise SnapshotError(
                f"tag_integrity: expected state of {len(self._flagged)} instruments, "
                f"found {len(snapshot['flagged'])}"
            )
        self._episodes.restore(snapshot)
        self._flagged, self._clock = snapshot["flagged"].copy(), snapshot["clock"].copy()
        keys = snapshot["keys"]
        self._used = len(keys)
        self._keys, places = filled(keys, room_for(len(keys)))
        self._stats = np.zeros((len(self._keys), STATS), np.int64)
        self._stats[places] = snapshot["stats"]
