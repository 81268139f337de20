"""hidden_affiliates: accounts that trade as if they were the group's, and are not registered so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from detectors.base import Detector, Finding, Params, Spec
from detectors.episodes import Episodes
from detectors.hidden_episode import busiest, finding, first_ref, note, refs_of
from detectors.hidden_intake import pending_of
from detectors.hidden_kernel import scan
from detectors.hidden_logins import Logins, Shared
from detectors.hidden_measure import leaning
from detectors.hidden_model import MICRO, Judged, judged, unjudged
from detectors.hidden_params import HiddenAffiliatesParams
from detectors.hidden_rows import forget, index_of, new_day, rows_of
from detectors.hidden_spec import SPEC
from detectors.hidden_state import (
    ACCOUNT,
    DOUBT,
    EVER,
    FRESH,
    P_CLOCK,
    P_CODE,
    P_SEQ,
    PENDING_FIELDS,
    RESTER,
    SLOTS,
    TAKER,
    TURNS,
    W_ACCOUNT,
    W_GROUP,
    fresh,
    shapes,
)
from detectors.kept import Kept
from ingest.axes import ByCode, Count, Rows
from ingest.events import NULL, Array, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import DAY, SECOND

JOINED: Final = "joined"
"""In an episode's sums: its account has traded as the group's."""


def numbers_of(params: HiddenAffiliatesParams) -> Array:
    """Return what the pass over trades takes of the parameters, ns."""
    return np.array(
        [
            params.run_gap_s * SECOND, params.quick_ms * SECOND // 1_000,
            params.absent_s * SECOND, *(half * SECOND for half in params.half_lives_s),
        ],
        np.int64,
    )  # fmt: skip


class HiddenAffiliates(Detector):
    """Clients' accounts whose trading leans on the group's beyond what clients' does by chance.

    Time is the batch's watermark. State: about 980 kB an instrument, whatever the traffic: sums of
    512 accounts a day and what the group and three external makers did lately; the day's `Logins`;
    one open episode an account told; and the trades that the watermark has not passed. Accounts
    whose place another took, logins without one and late trades are counted as overflow.

    Examples
    --------
    >>> from detectors.examples import example_instruments
    >>> from detectors.hidden_example import relieved
    >>> instruments = example_instruments()
    >>> def found(batch):
    ...     return HiddenAffiliates(HiddenAffiliatesParams(), instruments).step(batch)
    >>> *_, last = found(relieved(instruments, by=7))
    >>> last.scenario, last.accounts, last.evidence
    ('hidden_affiliate', (7,), 'supported')

    The same executions, each by another client:

    >>> found(relieved(instruments))
    []
    """

    spec: ClassVar[Spec] = SPEC
    Params: ClassVar[type[Params]] = HiddenAffiliatesParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        **{name: ByCode() for name in shapes()},
        **Logins.layout,
        "hidden_pending": Rows("hidden_pending", column=P_CODE),
        "hidden_lost": Count(),
    }

    def __init__(self, params: HiddenAffiliatesParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(DAY)
        self._look_ns = params.look_s * SECOND
        if DAY % self._look_ns:
            raise ValueError(f"look_s must divide a day, was {params.look_s}")
        self._numbers = numbers_of(params)
        self._pending: list[Array] = []
        self._kept = Kept(
            self.spec.id, fresh(len(instruments)) | {"hidden_lost": np.zeros(2, np.int64)}
        )
        self._logins = Logins()
        self._index = np.zeros((len(instruments), SLOTS), np.int32)
        self._ours: set[int] = set()  # have no rows, as far as known: found again after a restart

    @property
    def reach_ns(self) -> int:
        """A day: how far back a look may cite."""
        return DAY

    @property
    def overflow(self) -> int:
        """Accounts whose place another took, trades by logins without one, and trades come late."""
        return int(self._kept["hidden_lost"].sum()) + self._logins.lost

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next batch; return what the looks that the watermark has passed show."""
        rows = pending_of(batch)
        late = rows[:, P_CLOCK] < self._until_ns
        if late.any():
            self._kept["hidden_lost"][1] += int(late.sum())
            rows = rows[~late]
        if len(rows):
            self._pending.append(rows)
        if batch.watermark_ns == NULL:
            return []
        return list(self._advance(batch.watermark_ns))

    @property
    def _until_ns(self) -> int:
        """Event time up to which trades were looked at; 0 = none yet."""
        return int(self._kept["hidden_until"].max(initial=0))

    def _advance(self, until_ns: int) -> Iterator[Finding]:
        """Take all trades before an event time, and make the looks that lie up to it."""
        rows = np.concatenate([np.zeros((0, PENDING_FIELDS), np.int64), *self._pending])
        rows = rows[np.lexsort((rows[:, P_SEQ], rows[:, P_CODE], rows[:, P_CLOCK]))]
        look_ns = self._look_ns
        begun_ns = self._until_ns or (int(rows[0, P_CLOCK]) if len(rows) else until_ns)
        start, boundary = 0, begun_ns // look_ns * look_ns + look_ns
        while boundary <= until_ns:
            end = int(np.searchsorted(rows[:, P_CLOCK], boundary))
            self._scan(rows[start:end])
            yield from self._look(boundary)
            if boundary % DAY == 0:
                yield from self._new_day(boundary)
            # Where nothing is traded nothing is new: the next look that could tell, or day's end.
            following = int(rows[end, P_CLOCK]) if end < len(rows) else until_ns
            day_end = boundary // DAY * DAY + DAY
            ahead = following // look_ns * look_ns + (look_ns if end < len(rows) else 0)
            start, boundary = end, max(boundary + look_ns, min(ahead, day_end))
        end = int(np.searchsorted(rows[:, P_CLOCK], until_ns))
        self._scan(rows[start:end])
        self._pending = [rows[end:]] if end < len(rows) else []
        self._kept["hidden_until"][:] = max(until_ns, self._until_ns)

    def _scan(self, rows: Array) -> None:
        """Take trades; an account is forgotten where it trades as the group's."""
        kept, start = self._kept, 0
        for place, account in self._joining(rows):
            self._take(rows[start : place + 1])
            start = place + 1
            self._logins.forget(account)
            for code in range(len(self._instruments)):
                forget(*rows_of(kept, code), self._index[code], account)
            for episode in self._episodes:
                if episode.key[1] == account:
                    episode.sums[JOINED] = 1
        self._take(rows[start:])

    def _joining(self, rows: Array) -> Sequence[tuple[int, int]]:
        """Return where accounts that traded as clients' trade as the group's, and which."""
        who = rows[:, [TAKER + W_ACCOUNT, RESTER + W_ACCOUNT]]
        grouped = rows[:, [TAKER + W_GROUP, RESTER + W_GROUP]] != 0
        ours, clients = set(who[grouped].tolist()), set(who[~grouped].tolist())
        new = ours - self._ours
        if new:
            held = self._kept["hidden_accounts"][..., ACCOUNT]
            told = {episode.key[1] for episode in self._episodes}
            new &= clients | told | set((held[held > 0] - 1).tolist())
        self._ours = (self._ours | ours) - clients
        found = []
        for account in sorted(new):
            as_ours = np.flatnonzero(((who == account) & grouped).any(1))
            as_client = np.flatnonzero(((who == account) & ~grouped).any(1))
            before = np.searchsorted(as_client, as_ours)
            again = np.diff(before, prepend=-1) > 0
            found += [(place, account) for place in as_ours[again].tolist()]
        return sorted(found)

    def _take(self, rows: Array) -> None:
        if len(rows):
            kept = self._kept
            self._logins.take(rows)
            scan(
                rows, self._numbers, kept["hidden"], kept["hidden_flow"], kept["hidden_size"],
                kept["hidden_times"], kept["hidden_now"], kept["hidden_accounts"],
                kept["hidden_given"], kept["hidden_sums"], kept["hidden_counts"], self._index,
                kept["hidden_lost"],
            )  # fmt: skip

    def _new_day(self, at_ns: int) -> Iterator[Finding]:
        """Close the day's episodes and begin a new one."""
        for episode in sorted(
            self._episodes.close_passed(EVER), key=lambda each: (each.key[0], each.first_seq)
        ):
            yield finding(self.spec, self._params, episode, at_ns=at_ns, closed=True)
        kept = self._kept
        self._logins.clear()
        for code in range(len(self._instruments)):
            new_day(*rows_of(kept, code), self._index[code])

    def _look(self, at_ns: int) -> Iterator[Finding]:
        """Close what is told of accounts that joined the group, and judge all others.

        On the day so far; if anybody took since the last look.
        """
        for key in sorted(each.key for each in self._episodes if JOINED in each.sums):
            if episode := self._episodes.expire(key, EVER):
                yield finding(self.spec, self._params, episode, at_ns=at_ns, closed=True)
        own = self._kept["hidden"]
        if not own[:, FRESH].any():
            return
        own[:, FRESH] = 0
        params = self._params
        lean = leaning(
            self._kept, range(len(own)), least_crowd=params.least_crowd,
            usual_runs=params.usual_runs,
        )  # fmt: skip
        told = {episode.key[1] for episode in self._episodes}
        shared = self._logins.shared(params)
        found = judged(lean, params)
        found = [
            *found,
            *unjudged(self._kept["hidden_accounts"], shared.keys() - {e.account for e in found}),
        ]
        for each in found:
            if (
                each.account in told
                or each.account in shared
                or (
                    each.rank <= params.most_told
                    and each.micro_probability >= MICRO * params.told_probability
                    and self._turns(each.account)
                    >= max(params.least_turns, params.turn_ratio * each.fair_turns)
                )
            ):
                yield from self._tell(each, at_ns, shared.get(each.account))

    def _turns(self, account: int) -> int:
        """Return how often an account took on another side than before, that day."""
        about = self._kept["hidden_accounts"]
        return int(about[..., TURNS][about[..., ACCOUNT] == account + 1].sum())

    def _tell(self, each: Judged, at_ns: int, shared: Shared | None) -> Iterator[Finding]:
        about = self._kept["hidden_accounts"]
        found = np.argwhere(about[..., ACCOUNT] == each.account + 1).tolist()
        places = [(code, row) for code, row in found]
        key = next((e.key for e in self._episodes if e.key[1] == each.account), None)
        refs = refs_of(about, places)
        if shared is not None:
            refs = tuple(sorted({*refs, *shared.refs}))
        code = busiest(about, places) if key is None else key[0]
        if key is None and not any(ref.instrument == code for ref in refs):
            refs = (first_ref(about, places, code), *refs)
        episode, _ = self._episodes.fact(
            key or (code, each.account),
            seq=min((ref.seq for ref in refs if ref.instrument == code), default=0),
            at_ns=at_ns,
            accounts=(each.account,),
            incomplete=any(about[place][DOUBT] for place in places),
        )
        note(episode, each, shared)
        yield finding(self.spec, self._params, episode, at_ns=at_ns, refs=refs)

    def snapshot(self) -> Snapshot:
        """Return what is kept of each instrument, the trades that wait, and the open episodes."""
        rows = np.concatenate([np.zeros((0, PENDING_FIELDS), np.int64), *self._pending])
        return {
            **self._episodes.snapshot(),
            **self._kept.snapshot(),
            **self._logins.snapshot(),
            "hidden_pending": rows[np.argsort(rows[:, P_CODE], kind="stable")],
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
        self._logins.restore(snapshot)
        self._episodes.restore(snapshot)
        self._pending = [snapshot["hidden_pending"].copy()]
        self._ours = set()
        for accounts, index in zip(self._kept["hidden_accounts"], self._index, strict=True):
            index_of(accounts, index)
