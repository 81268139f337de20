"""hidden_affiliates: accounts that trade as if they were the group's, and are not registered so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from detectors.base import Detector, Finding, Params, Spec
from detectors.episodes import Episodes
from detectors.hidden_episode import busiest, finding, first_ref, note, refs_of
from detectors.hidden_kernel import scan
from detectors.hidden_logins import Logins, Shared
from detectors.hidden_measure import leaning
from detectors.hidden_model import MICRO, Judged, judged, unjudged
from detectors.hidden_params import HiddenAffiliatesParams
from detectors.hidden_rows import forget, index_of, new_day, rows_of
from detectors.hidden_state import (
    ACCOUNT,
    DAY_NS,
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
    pending_of,
    shapes,
)
from detectors.kept import Kept
from ingest.axes import ByCode, Count, Rows
from ingest.events import NULL, Array, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot

SECOND: Final = 1_000_000_000
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

    spec: ClassVar[Spec] = Spec(
        id="hidden_affiliates",
        version=4,
        title="Hidden affiliates",
        scope="platform",
        evidence_class="indicator",
        scenarios=("hidden_affiliate",),
        looks_for=(
            "Accounts registered as clients' that trade as if they were the complex's. Each "
            "instruction of an account that takes is held against what the complex did before "
            "it, remembered over half-lives of 3, 21 and 147 s: whether it takes the side that "
            "relieves the complex of what it got (against), or the complex's own side, as if "
            "one went on where the other stopped (alike), and whether it comes within quick_ms "
            "of a trade of the complex (quick); and fills of its resting orders, whether they "
            "come while the complex's are not filled (absent). Executions weigh as the root of "
            "their quantity; those on one side without a pause are a run, and count as one "
            "decision. Over the UTC day and all instruments, each is told in deviations beyond "
            "the other clients in the same instrument, by the spread from run to run, and "
            "beyond what it shows of external makers in the same way: less the part that clients' "
            "runs have in common, less the whole, and as it is, whichever leaves least. A side "
            "counts less the account's mean side: who mostly sells shows nothing by it. Left out "
            "are the complex's trades with the account itself, and as much of others as it got "
            "from the account the other way (it lays that off); of quick, what the account shows "
            "of being right after others alone. How "
            "surprising each is by chance, in nats, goes into a logistic model with fixed "
            "coefficients, none below 0, that makes a probability of the four; the alert has "
            "the value and the contribution of each. What an account did before it trades as "
            "the complex's is forgotten, and what was told of it is closed. Up to most_told "
            "accounts from told_probability on are leads (low); from sure_probability on an "
            "account is proposed (medium). Proposed without a model is who trades through a "
            "session or as a user that the complex uses that day, least_shared times or more, "
            "where no more than most_owners others use it and such names are not commonly "
            "shared. One alert an account and day. It proposes and tags "
            "nothing: whether an account belongs to the complex is decided by a person, in the "
            "register."
        ),
        legal_basis=(
            (
                "SFC circular 26EC6 para 7: safeguards bind every account of the affiliated "
                "market maker [S]"
            ),
            "VATP Guidelines 13.1-13.9: trading of the operator and its group [V]",
            "VATP Guidelines 8.1, 8.2: surveillance for manipulation, and notice [V]",
        ),
        look_alikes=(
            "a client who hedges against the trend, beside every maker",
            "a client who follows the trend, as the group's inventory does",
            "a large client order worked in slices after the group was filled",
            "a busy client who trades at random",
            "a client at the group's side by chance, a dozen times",
            "clients who all react to an outside price move",
            "a client who always takes one side",
            "a client who leans to one side, beside a group that does",
            "a client whose own trades the group lays off",
            "a client who comes when many come, as on the minute",
            "a client who leans away from the external makers, and not to the group",
            "a session that many clients and the group come through",
            "a platform on which owners commonly share sessions",
            "an order stamped with the group's session once or twice",
            "an account that is registered as the group's",
            "an external maker that hedges its own position",
            "auction or halt",
        ),
        blind_spots=(
            "an external maker that acts for the group",
            "an account that acts for the group in another instrument only",
            "accounts that take turns, each a few times a day",
            "an account that acts hours after the group",
            "a login in common with the group by which either has no fills",
        ),
        runbook=(
            (
                "Read `features.probability` and the four contributions over window_start_ns to "
                "window_end_ns: which conduct singles the account out, and is it one alone?"
            ),
            (
                "Read `features.against` and `features.alike`, each with its half-life: list the "
                "complex's trades up to three half-lives before each of trade_ids, with side and "
                "price: does the position go from one to the other, day by day of the episode?"
            ),
            (
                "Compare session, user and client_order_id of the account's orders with the "
                "complex's over the day, and addresses and devices of logins at the venue."
            ),
            (
                "Read accounts.csv (owner, legal_entity, linked_to) and the onboarding file of "
                "the account's owner as of window_start_ns: directors, funding, fee_tier?"
            ),
            (
                "Look for the account among the alerts of information_leak and wash_trading of "
                "the last 7 days by owner."
            ),
            (
                "Decide: where it is the group's, `ringfence register correct` with linked_to, "
                "from window_start_ns on, else `register decline`, each with reason, document and "
                "alert_id; then `register rerun` tells what history is under the new version."
            ),
        ),
        needs=("buy_account", "sell_account", "aggressor", "quantity", "engine_ns"),
        wants=("owner", "linked_to", "buy_order_id", "sell_order_id", "session", "user"),
    )
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
        self._episodes = Episodes(DAY_NS)
        self._look_ns = params.look_s * SECOND
        if DAY_NS % self._look_ns:
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
        return DAY_NS

    @property
    def overflow(self) -> int:
        """Accounts whose place another took, logins without one, and trades that came late."""
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
            if boundary % DAY_NS == 0:
                yield from self._new_day(boundary)
            # Where nothing is traded nothing is new: the next look that could tell, or day's end.
            following = int(rows[end, P_CLOCK]) if end < len(rows) else until_ns
            day_end = boundary // DAY_NS * DAY_NS + DAY_NS
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
