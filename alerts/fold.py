"""The alert book: findings in, alerts out; one alert for one real-world episode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from alerts.archive import Archive
from alerts.compose import MERGED_INTO, Composer
from alerts.facets import Citations, Merging
from alerts.identity import alert_id
from alerts.parts import Opening, Part, Person, rank_of, statement
from alerts.pins import PinnedEvent, PinnedRow, Pins
from alerts.record import Alert
from alerts.segments import SourceEvent
from alerts.severity import SeverityParams
from detectors.base import Feature, Finding, Ref
from ingest.axes import Entries
from ingest.events import Topic
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import Register
from ingest.sections import Layout
from ingest.state import Snapshot, pack, unpack
from ingest.times import HOUR

if TYPE_CHECKING:
    from alerts.store import AlertStore  # imports SQLAlchemy, which a replay does without

FORGET_EVERY: Final = 64
"""Calls between looks at what may leave memory: a look costs as much as there are parts."""


_Family = tuple[str, list[Part]]
"""Instrument of an alert, and its parts, the root first: they stay together."""
_Latest = tuple[str, int]
"""Instrument, and the latest event time of a finding of it, ns."""


class AlertBook:
    """Folds findings into alerts.

    An alert is a function of the findings that belong to it: however they are cut into calls, and
    in whatever order detectors report, the last revisions are the same bytes. Each episode of a
    detector is a *part*; a part that saw a fact which a stronger part saw too is folded into that
    part's alert as a facet (see `alerts.facets`). `revision` is the sum of the parts' ordinals.

    A weaker detector may be the first to report a fact. Its alert is then told, and when the
    stronger one reports, told once more as `retracted` with the feature `merged_into`; such an
    alert is not among `alerts()`.

    State: the parts at work. With a store, an alert leaves memory once nothing has been added for
    `linger_ns` of its instrument's event time, and is read back from the store should more come
    (a facet that would have joined it later than that is an alert of its own). Without a store,
    as in a replay, all are kept.

    Parameters
    ----------
    archive : Archive
        Resolves the references of findings; the records must have been appended before.
    names : Names
        Names of the accounts that findings cite by code.
    instruments : Instruments
    params_hashes : mapping of detector id to hash
    severity : SeverityParams
    topic_names : mapping of Topic to str
        What `source` of a record calls the feeds; on a tape the file names.
    store : AlertStore, optional
        Where alerts that left memory are read back from. Writing is the caller's, together with
        `evidence(alerts)`.
    merging : Merging
        When two detectors have seen one fact.
    linger_ns : int, optional
        Default: the span in which facets may join, and an hour.
    """

    layout: ClassVar[Layout] = {
        "families": Entries(kind=_Family, place=itemgetter(0), exact=False),
        "latest_ns": Entries(kind=_Latest, place=itemgetter(0), exact=False),
    }

    def __init__(
        self,
        archive: Archive,
        names: Names,
        instruments: Instruments,
        *,
        params_hashes: Mapping[str, str],
        severity: SeverityParams,
        topic_names: Mapping[Topic, str],
        store: AlertStore | None = None,
        merging: Merging | None = None,
        linger_ns: int | None = None,
    ) -> None:
        self._archive = archive
        self._names = names
        self._instruments = instruments
        self._composer = Composer(instruments, params_hashes, severity, topic_names)
        self._store = store
        merging = merging or Merging()
        self._linger_ns = merging.join_ns + HOUR if linger_ns is None else linger_ns
        self._citations = Citations(merging)
        self._parts: dict[str, Part] = {}
        self._facets: dict[str, list[str]] = {}
        self._latest_ns: dict[str, int] = {}
        self._pins = Pins()
        self._applied = 0
        self.replayed = 0
        """Findings that changed nothing, because they had been taken before."""
        self.merged = 0
        """Alerts that were told and then found to be a facet of another."""

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def unresolved(self) -> int:
        """Source events that parts at work cite and the archive no longer had."""
        return sum(part.unresolved for part in self._parts.values())

    def apply(
        self,
        findings: Sequence[Finding],
        register: Register,
        evidence: Mapping[Ref, SourceEvent] | None = None,
    ) -> Sequence[Alert]:
        """Fold findings; return the alerts that changed, each once, by (detected_ns, alert_id).

        `evidence` are the source events that came with the findings; all others are looked up in
        the archive.
        """
        self._pins = Pins()
        if not findings:
            return ()
        named = [(self._id_of(finding), finding) for finding in findings]
        named.sort(key=lambda item: (item[0], item[1].revision))
        self._read_back({part_id for part_id, _ in named} - self._parts.keys())
        fresh = self._not_yet_taken(named)
        cited = {ref for _, f in fresh for ref in f.all_refs}
        given = evidence or {}
        evidence = {**self._archive.fetch(cited - given.keys()), **given}
        touched: dict[str, None] = {}
        opened: list[Part] = []
        for part_id, finding in fresh:
            if part_id not in self._parts:
                opened.append(self._open(part_id, finding, evidence, register))
            part = self._parts[part_id]
            self._take(part, finding, evidence, register)
            touched[part_id] = None
        retracted = self._fold(opened, touched)
        roots = sorted({self._root(part_id) for part_id in touched})
        changed = [self._compose(root) for root in roots] + retracted
        for alert in changed:
            self._parts[alert.alert_id].emitted = alert.revision
        self._pin(touched)
        self._forget()
        return sorted(changed, key=lambda alert: (alert.detected_ns, alert.alert_id))

    def alerts(self) -> Sequence[Alert]:
        """Return the last revision of every alert at work, by (detected_ns, alert_id)."""
        roots = [part.part_id for part in self._parts.values() if not part.root]
        alerts = [self._compose(root) for root in roots]
        return sorted(alerts, key=lambda alert: (alert.detected_ns, alert.alert_id))

    def evidence(self, alerts: Sequence[Alert]) -> Pins:  # noqa: ARG002
        """Return what the last `apply` adds to the store beside its alerts."""
        return self._pins

    def snapshot(self) -> Snapshot:
        """Return the parts at work as arrays, by instrument; names only: codes may change."""
        roots = [part for part in self._parts.values() if not part.root]
        roots.sort(key=lambda part: part.opening.instrument)
        return {
            "families": pack([(r.opening.instrument, self._family(r.part_id)) for r in roots]),
            "latest_ns": pack(sorted(self._latest_ns.items())),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over the parts of a snapshot."""
        families = unpack(snapshot["families"], list[_Family])
        self._parts, self._facets, self._pins = {}, {}, Pins()
        self._citations.clear()
        self._latest_ns = dict(unpack(snapshot["latest_ns"], list[_Latest]))
        self._adopt(part for _, family in families for part in family)
        self._citations.take_disturbed()  # they stand where they belong; who comes later may not

    def _id_of(self, finding: Finding) -> str:
        return alert_id(
            finding.detector,
            finding.detector_version,
            finding.scenario,
            instrument=self._instruments[finding.instrument].instrument,
            first_seq=finding.first_seq,
            first_accounts=self._account_names(finding.first_accounts),
        )

    def _account_names(self, codes: Iterable[int]) -> list[str]:
        return sorted({self._names.name(code) for code in codes} - {""})

    def _not_yet_taken(self, named: Iterable[tuple[str, Finding]]) -> list[tuple[str, Finding]]:
        taken: dict[str, int] = {}
        fresh = []
        for part_id, finding in named:
            if part_id not in taken:
                part = self._parts.get(part_id)
                taken[part_id] = part.ordinal if part else 0
            if finding.revision <= taken[part_id]:
                self.replayed += 1
                continue
            taken[part_id] = finding.revision
            fresh.append((part_id, finding))
        return fresh

    def _open(
        self,
        part_id: str,
        finding: Finding,
        evidence: Mapping[Ref, SourceEvent],
        register: Register,
    ) -> Part:
        accounts = tuple(self._account_names(finding.accounts))
        first = evidence.get(Ref(finding.instrument, finding.first_seq))
        cited = (evidence.get(ref) for ref in finding.evidence_refs)
        trades = {(e.instrument, e.seq) for e in cited if e and e.topic is Topic.TRADES}
        part = Part(
            part_id=part_id,
            opening=Opening(
                detector=finding.detector,
                detector_version=finding.detector_version,
                scenario=finding.scenario,
                evidence_class=finding.evidence_class,
                instrument=self._instruments[finding.instrument].instrument,
                first_seq=finding.first_seq,
                first_accounts=tuple(self._account_names(finding.first_accounts)),
                accounts=accounts,
                detected_ns=finding.detected_ns,
                at_ns=first.engine_ns if first else finding.window_start_ns,
                rank=rank_of(finding),
                trades=tuple(sorted(trades)),
                registry_version=register.version,
            ),
            said=statement(finding, accounts),
            last_ns=finding.detected_ns,
        )
        self._parts[part_id] = part
        return part

    def _take(
        self,
        part: Part,
        finding: Finding,
        evidence: Mapping[Ref, SourceEvent],
        register: Register,
    ) -> None:
        said = statement(finding, self._account_names(finding.accounts))
        for event in part.take(finding, said, evidence):
            self._pins.events.append(PinnedEvent(part.part_id, event, finding.detected_ns))
            if (event.instrument, event.seq) in part.cited:
                self._citations.add((event.instrument, event.seq), part)

        def who(account: str, at_ns: int) -> Person | None:
            row = register.row_at(self._names.find(account), at_ns)
            return Person(row.owner, row.role.name.lower()) if row else None

        new = part.meet(said.accounts, who)
        rows = register.rows_of([self._names.find(name) for name in new]) if new else ()
        self._pins.rows.extend(PinnedRow(part.part_id, register.version, row) for row in rows)
        self._reached(part.opening.instrument, finding.detected_ns)

    def _reached(self, instrument: str, at_ns: int) -> None:
        self._latest_ns[instrument] = max(self._latest_ns.get(instrument, at_ns), at_ns)

    def _fold(self, opened: Iterable[Part], touched: dict[str, None]) -> list[Alert]:
        """Put new parts, and parts whose first trades were cited anew, where they belong."""
        doubtful = {part.part_id: part for part in opened}
        doubtful |= {part.part_id: part for part in self._citations.take_disturbed()}
        retracted: list[Alert] = []
        moves = []
        for part in sorted(doubtful.values(), key=lambda part: part.part_id):
            best = self._citations.stronger(part, self._parts)
            if best is not None and best.part_id != part.root:
                moves.append((part, best))
        for part, best in moves:
            if not part.root and part.emitted:
                retracted.append(self._merged(part))
                self.merged += 1
            if part.root:
                touched[part.root] = None
                self._facets[part.root].remove(part.part_id)
            part.root = best.part_id
            self._facets.setdefault(best.part_id, []).append(part.part_id)
            touched[part.part_id] = None
        into = {part.part_id: self._root(part.part_id) for part, _ in moves}
        return [
            msgspec.structs.replace(
                alert,
                features={**alert.features, MERGED_INTO: Feature(into[alert.alert_id], "alert_id")},
            )
            for alert in retracted
        ]

    def _merged(self, part: Part) -> Alert:
        return msgspec.structs.replace(
            self._composer.alert(part, []), status="retracted", revision=part.emitted + 1
        )

    def _root(self, part_id: str) -> str:
        while root := self._parts[part_id].root:
            part_id = root
        return part_id

    def _family(self, root: str) -> list[Part]:
        family = [self._parts[root]]
        for part in family:  # grows while it is walked
            family.extend(self._parts[name] for name in self._facets.get(part.part_id, ()))
        return family

    def _compose(self, root: str) -> Alert:
        family = self._family(root)
        return self._composer.alert(family[0], family[1:])

    def _pin(self, touched: Iterable[str]) -> None:
        for part_id in touched:
            for part in self._family(part_id):
                self._pins.parts[part.part_id] = (self._root(part.part_id), part)

    def _forget(self) -> None:
        """Let go of alerts that nothing was added to for long; the store has them."""
        self._applied += 1
        if self._store is None or self._applied % FORGET_EVERY:
            return

        def over(part: Part) -> bool:
            return self._latest_ns[part.opening.instrument] - part.last_ns > self._linger_ns

        for root in [part.part_id for part in self._parts.values() if not part.root and over(part)]:
            family = self._family(root)
            if all(over(part) for part in family):
                for part in family:
                    self._citations.remove(part)
                    self._facets.pop(part.part_id, None)
                    del self._parts[part.part_id]

    def _read_back(self, unknown: Iterable[str]) -> None:
        """Take alerts back into memory that the store has, so that nothing is begun anew."""
        if self._store is not None and unknown:
            self._adopt(
                part
                for part in self._store.parts_with(sorted(unknown))
                if part.part_id not in self._parts
            )

    def _adopt(self, parts: Iterable[Part]) -> None:
        for part in parts:
            self._parts[part.part_id] = part
            self._reached(part.opening.instrument, part.last_ns)
            if part.root:
                self._facets.setdefault(part.root, []).append(part.part_id)
            for place in part.cited:
                self._citations.add(place, part)
