"""Composition: the parts of an alert into its record; a function of the parts and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from alerts.parts import Part, Place
from alerts.record import SEVERITIES, Alert, Severity, Source
from alerts.severity import SeverityParams, severity_of
from detectors.base import Feature, NotifyClock, rounded
from ingest.events import Topic
from ingest.instruments import Instruments

MAX_IDS: Final = 10_000
"""Order ids, and trade ids, that a record lists; the first in seq order."""
NOTIFY: Final[Sequence[NotifyClock]] = ("none", "asap", "immediate")
MERGED_INTO: Final = "merged_into"
"""Feature of an alert that was found to be a facet of another, earlier told, and retracted."""


class Composer:
    """Makes records of parts.

    Parameters
    ----------
    instruments : Instruments
        For the quote currency.
    params_hashes : mapping of detector id to hash
    severity : SeverityParams
    topic_names : mapping of Topic to str
        What `source` calls the feeds.
    """

    def __init__(
        self,
        instruments: Instruments,
        params_hashes: Mapping[str, str],
        severity: SeverityParams,
        topic_names: Mapping[Topic, str],
    ) -> None:
        self._instruments = instruments
        self._params_hashes = params_hashes
        self._severity = severity
        self._topic_names = topic_names

    def alert(self, root: Part, facets: Sequence[Part]) -> Alert:
        """Return the alert of a part and of those that were folded into it.

        Those claim something that are not retracted and whose evidence is more than weak, and weak
        ones whose acts are mostly theirs; all, where all are weak. The strongest of them speaks for
        the alert (scenario, class, evidence, harm, coverage, status); facets, accounts and the
        window are of all that claim, ids of retracted ones too; score, severity and notification
        are the highest of any, features and revision of all. So what a weak part says of other
        acts is a note among the features, and makes no alert vague. Harm is never added up: the
        parts see one fact.
        """
        parts = [root, *sorted(facets, key=_order)]
        live = [part for part in parts if part.said.status != "retracted"] or parts
        claims = _claims(live)
        cited = [p for p in parts if p in claims or (p not in live and p.said.evidence != "weak")]
        # Of a class that weighs more, weak evidence does not speak for what is supported or proved.
        # The opening part wins ties: max returns the first of the highest.
        firm = [part for part in claims if part.said.evidence != "weak"] or claims
        head = max(firm, key=lambda part: part.opening.rank)
        harmed = next((p for p in [head, *live] if p.said.client_harm is not None), head)
        currency = self._currency(root.opening.instrument)
        accounts = tuple(sorted({name for part in claims for name in part.said.accounts}))
        people = {name: who for part in reversed(parts) for name, who in part.people.items()}
        harm = harmed.said.client_harm
        return Alert(
            alert_id=root.part_id,
            revision=sum(part.ordinal for part in parts),
            detector=head.opening.detector,
            detector_version=head.opening.detector_version,
            scenario=head.opening.scenario,
            facets=tuple(_facets(head, claims)),
            evidence_class=head.opening.evidence_class,
            evidence=head.said.evidence,
            severity=max((self._severity_of(part) for part in live), key=SEVERITIES.index),
            score=rounded(max(part.said.score for part in live)),
            instrument=root.opening.instrument,
            accounts=accounts,
            owners=tuple(people[name].owner for name in accounts),
            roles=tuple(people[name].role for name in accounts),
            window_start_ns=min(part.said.window_start_ns for part in claims),
            window_end_ns=max(part.said.window_end_ns for part in claims),
            detected_ns=root.opening.detected_ns,
            client_harm=None if harm is None else rounded(harm),
            currency=currency,
            counterfactual=harmed.said.counterfactual,
            notify_clock=max((part.said.notify_clock for part in live), key=NOTIFY.index),
            order_ids=_ids([part.named for part in cited]),
            trade_ids=_ids([part.trades for part in cited]),
            features=_features(head, live, parts, cited),
            params_hash=self._params_hashes[head.opening.detector],
            registry_version=root.opening.registry_version,
            coverage=head.said.coverage,
            status=head.said.status,
            source=tuple(sorted(self._sources(parts))),
        )

    def _severity_of(self, part: Part) -> Severity:
        said = part.said
        return severity_of(
            self._severity,
            evidence_class=part.opening.evidence_class,
            evidence=said.evidence,
            client_harm=said.client_harm,
            currency=self._currency(part.opening.instrument),
            systematic=said.systematic,
            all_legs=said.all_legs,
            significant=said.significant,
        )

    def _currency(self, instrument: str) -> str:
        return self._instruments[self._instruments.codes[instrument]].quote

    def _sources(self, parts: Iterable[Part]) -> Iterable[Source]:
        ranges: dict[tuple[int, int], tuple[int, int]] = {}
        for part in parts:
            for where, (first, last) in part.ranges.items():
                low, high = ranges.get(where, (first, last))
                ranges[where] = (min(low, first), max(high, last))
        for (topic, partition), (first, last) in ranges.items():
            yield Source(self._topic_names[Topic(topic)], partition, first, last)


def _order(part: Part) -> tuple[int, int, int, str]:
    opening = part.opening
    return (-opening.rank[0], -opening.rank[1], opening.detected_ns, part.part_id)


def _claims(live: Sequence[Part]) -> list[Part]:
    """Return the parts that claim something, in the order given."""
    strong = [part for part in live if part.said.evidence != "weak"]
    if len(strong) in (0, len(live)):
        return list(live)
    theirs = {name for part in strong for name in (*part.named, *part.trades)}

    def same(part: Part) -> bool:
        ids = [*part.named, *part.trades]
        return 2 * sum(name in theirs for name in ids) >= len(ids)

    return [part for part in live if part in strong or same(part)]


def _facets(head: Part, live: Iterable[Part]) -> list[str]:
    names = {name for part in live for name in (part.opening.scenario, *part.said.facets)}
    return sorted(names - {head.opening.scenario})


def _ids(tables: Sequence[Mapping[str, Place]]) -> tuple[str, ...]:
    return tuple(name for name, _ in _by_place(tables)[:MAX_IDS])


def _by_place(tables: Sequence[Mapping[str, Place]]) -> list[tuple[str, Place]]:
    if len(tables) == 1:
        joined = tables[0]
    else:
        joined = {}
        for table in tables:
            for name, place in table.items():
                joined[name] = min(place, joined.get(name, place))
    return sorted(joined.items(), key=lambda item: (item[1], item[0]))


def _features(
    head: Part, live: Sequence[Part], parts: Sequence[Part], cited: Sequence[Part]
) -> dict[str, Feature]:
    features = {name: _round(feature) for name, feature in head.said.features.items()}
    for part in live:
        if part is head:
            continue
        scenario = part.opening.scenario
        for name, feature in part.said.features.items():
            features.setdefault(f"{scenario}.{name}", _round(feature))
        if part.said.coverage != head.said.coverage:
            features.setdefault(f"{scenario}.coverage", Feature(part.said.coverage, "word"))
    counts = {
        "order_ids_not_listed": len({n for p in cited for n in p.named}) - MAX_IDS,
        "trade_ids_not_listed": len({n for p in cited for n in p.trades}) - MAX_IDS,
        "evidence_not_kept": sum(part.overflow for part in parts),
        "evidence_not_archived": sum(part.unresolved for part in parts),
    }
    for name, count in counts.items():
        if count > 0:
            features[name] = Feature(count, "count", 0)
    return features


def _round(feature: Feature) -> Feature:
    return Feature(
        _emitted(feature.value),
        feature.unit,
        None if feature.baseline is None else _emitted(feature.baseline),
    )


def _emitted(value: float | int | str) -> float | int | str:
    if not isinstance(value, float):
        return value
    return rounded(value) if math.isfinite(value) else str(value)  # JSON has no infinity
