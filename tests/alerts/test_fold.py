"""The alert book: identity, revisions, evidence, and that batches change nothing."""

from __future__ import annotations

import sys

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.commit import Found, Ledger
from alerts.identity import alert_id
from alerts.outbox import Outbox
from alerts.parts import MAX_EVIDENCE
from alerts.record import Source, encode
from alerts.shards import Progress, Shards
from alerts.store import AlertStore
from detectors.base import Feature, Ref
from tests.support.alerts import HASHES, Venue, at


def lines(book):
    return [encode(alert) for alert in book.alerts()]


def test_an_alert_says_who_what_where_and_when(venue):
    (alert,) = venue.book().apply([venue.finding()], venue.register)
    assert alert.alert_id == alert_id(
        "rules",
        1,
        "rules_scenario",
        instrument="BTC-USD",
        first_seq=3,
        first_accounts=["C1", "MM1"],
    )
    assert (alert.revision, alert.status, alert.coverage) == (1, "provisional", "complete")
    assert alert.accounts == ("C1", "MM1")
    assert alert.owners == ("Ann", "Group")
    assert alert.roles == ("client", "affiliated_mm")
    assert alert.order_ids == ("O1", "O2")
    assert alert.trade_ids == ("T3",)
    assert alert.source == (Source("orders.ndjson", 0, 1, 2), Source("trades.ndjson", 0, 1, 1))
    assert (alert.currency, alert.params_hash) == ("USD", HASHES["rules"])
    assert alert.registry_version == venue.register.version
    assert alert.detected_ns == at(3)


def test_features_are_emitted_with_nine_significant_digits_and_no_infinity(venue):
    finding = venue.finding(
        features={
            "sum": Feature(0.1 + 0.2, "BTC", 2 / 3),
            "ratio": Feature(float("inf"), "ratio"),
            "count": Feature(10**12 + 1, "count"),
        }
    )
    (alert,) = venue.book().apply([finding], venue.register)
    assert alert.features["sum"] == Feature(0.3, "BTC", 0.666666667)
    assert alert.features["ratio"].value == "inf"
    assert alert.features["count"].value == 10**12 + 1


def test_a_finding_taken_twice_changes_nothing(venue):
    book = venue.book()
    findings = [venue.finding(revision=n, seqs=(3 * n,), detected=3 * n) for n in (1, 2, 3)]
    (first,) = book.apply(findings, venue.register)
    before = lines(book)
    assert book.apply(findings, venue.register) == []
    assert book.apply(findings[:2], venue.register) == []
    assert lines(book) == before
    assert first.revision == 3
    assert book.replayed == 5


def test_one_call_returns_an_alert_once_with_its_last_revision(venue):
    findings = [venue.finding(revision=n, seqs=(3 * n,), detected=3 * n) for n in (2, 3, 1)]
    (alert,) = venue.book().apply(findings, venue.register)
    assert alert.revision == 3
    assert alert.trade_ids == ("T3", "T6", "T9")
    assert alert.detected_ns == at(3)
    assert alert.window_end_ns == at(9)


def test_ids_come_in_seq_order_whatever_the_order_of_findings(venue):
    findings = [
        venue.finding(revision=1, seqs=(60, 59), detected=60),
        venue.finding(revision=2, seqs=(3, 1), detected=61),
    ]
    (alert,) = venue.book().apply(findings, venue.register)
    assert alert.trade_ids == ("T3", "T60")
    assert alert.order_ids == ("O1", "O2", "O59", "O58")  # O58 and O2 are first named by trades


def test_accounts_that_join_later_change_neither_id_nor_earlier_owners(venue):
    book = venue.book()
    (before,) = book.apply([venue.finding(accounts=("MM1",))], venue.register)
    (after,) = book.apply(
        [venue.finding(revision=2, seqs=(6,), accounts=("MM1", "X1"))], venue.register
    )
    assert after.alert_id == before.alert_id
    assert (after.accounts, after.roles) == (("MM1", "X1"), ("affiliated_mm", "external_mm"))


def test_an_account_without_a_row_is_unknown_and_has_no_owner(venue):
    venue.names.code("GHOST")
    finding = venue.finding(accounts=("GHOST", "C1"), evidence="weak")
    (alert,) = venue.book().apply([finding], venue.register)
    assert (alert.accounts, alert.owners) == (("C1", "GHOST"), ("Ann", ""))
    assert alert.roles == ("client", "unknown")
    assert alert.severity == "low"


def test_a_closing_finding_confirms_and_incomplete_coverage_never_does(venue):
    book = venue.book()
    closing = {"revision": 2, "seqs": (), "detected": 90, "status": "confirmed"}
    (sure,) = book.apply([venue.finding(), venue.finding(**closing)], venue.register)
    assert (sure.status, sure.revision, sure.trade_ids) == ("confirmed", 2, ("T3",))
    (unsure,) = book.apply(
        [
            venue.finding(first=6, coverage="incomplete"),
            venue.finding(first=6, **closing, coverage="incomplete"),
        ],
        venue.register,
    )
    assert (unsure.status, unsure.coverage) == ("provisional", "incomplete")


def test_a_retracted_episode_stays_told_with_its_evidence(venue):
    book = venue.book()
    book.apply([venue.finding()], venue.register)
    (alert,) = book.apply(
        [venue.finding(revision=2, seqs=(9,), status="retracted")], venue.register
    )
    assert (alert.status, alert.trade_ids) == ("retracted", ("T3", "T9"))
    assert len(book.alerts()) == 1


def test_codes_of_names_leave_no_trace(tmp_path):
    one = Venue(tmp_path / "a")
    other = Venue(tmp_path / "b", known=["C2", "junk", "C1", "MM1"])
    assert one.names.find("MM1") != other.names.find("MM1")
    both = []
    for venue in (one, other):
        book = venue.book()
        book.apply([venue.finding(), venue.finding("breaches", first=9)], venue.register)
        both.append(lines(book))
    assert both[0] == both[1]


def test_what_the_archive_no_longer_has_is_counted_in_the_alert(venue):
    finding = venue.finding(evidence_refs=(Ref(0, 3), Ref(0, 999), Ref(1, 1_000)))
    book = venue.book()
    (alert,) = book.apply([finding], venue.register)
    assert alert.features["evidence_not_archived"] == Feature(2, "count", 0)
    assert alert.trade_ids == ("T3",)
    assert book.unresolved == 2


def test_more_ids_than_a_record_lists_are_counted(tmp_path):
    venue = Venue(tmp_path / "archive", events=31_500)
    seqs = tuple(range(3, 31_501, 3))
    (alert,) = venue.book().apply([venue.finding(seqs=seqs)], venue.register)
    assert len(alert.trade_ids) == 10_000
    assert alert.trade_ids[-1] == "T30000"
    assert alert.features["trade_ids_not_listed"] == Feature(500, "count", 0)
    assert alert.features["order_ids_not_listed"] == Feature(11_000, "count", 0)
    assert "evidence_not_kept" not in alert.features
    assert len(seqs) < MAX_EVIDENCE


def test_a_snapshot_carries_on_as_if_nothing_had_happened(tmp_path):
    venue = Venue(tmp_path / "archive")
    findings = [venue.finding(revision=n, seqs=(3 * n,), detected=3 * n) for n in range(1, 9)]
    straight = venue.book()
    straight.apply(findings, venue.register)
    first = venue.book()
    first.apply(findings[:4], venue.register)
    second = venue.book()
    second.restore(first.snapshot())
    (alert,) = second.apply(findings[2:], venue.register)
    assert lines(second) == lines(straight)
    assert alert.revision == 8


DETECTORS = st.sampled_from(["breaches", "rules", "indicators"])


@st.composite
def feeds(draw):
    """Episodes of several detectors as (detector, first, revision, seqs, detected, evidence)."""
    episodes = draw(
        st.lists(
            st.tuples(DETECTORS, st.integers(1, 12), st.sampled_from(["proved", "supported"])),
            min_size=1,
            max_size=6,
            unique_by=lambda episode: episode[:2],
        )
    )
    feed = []
    for detector, trade, evidence in episodes:
        facts = draw(st.lists(st.integers(0, 6), min_size=1, max_size=5))
        wait = draw(st.integers(0, 2))
        for n, fact in enumerate(facts, start=1):
            seqs = (3 * trade + 3 * fact,) if n > 1 else (3 * trade - 2, 3 * trade)
            detected = 3 * trade + wait + 3 * sum(facts[1:n])
            feed.append((detector, 3 * trade, n, seqs, detected, evidence))
    return feed


@settings(max_examples=60, deadline=None)
@given(feed=feeds(), data=st.data())
def test_however_findings_are_cut_and_mixed_the_last_revisions_are_the_same_bytes(
    feed, data, tmp_path_factory
):
    venue = Venue(tmp_path_factory.mktemp("archive"))
    findings = [
        venue.finding(
            detector, first=first, revision=n, seqs=seqs, detected=detected, evidence=evidence
        )
        for detector, first, n, seqs, detected, evidence in feed
    ]
    whole = venue.book()
    whole.apply(findings, venue.register)
    # Any interleaving in which each episode's own findings keep their order.
    order = data.draw(st.permutations(range(len(findings))))
    queues = {}
    for finding in findings:
        queues.setdefault((finding.detector, finding.first_seq), []).append(finding)
    mixed = [queues[(findings[i].detector, findings[i].first_seq)].pop(0) for i in order]
    cut = venue.book()
    while mixed:
        size = data.draw(st.integers(1, len(mixed)))
        cut.apply(mixed[:size], venue.register)
        mixed = mixed[size:]
        if data.draw(st.booleans()):
            restored = venue.book()
            restored.restore(cut.snapshot())
            cut = restored
    assert lines(cut) == lines(whole)
    facts = sum(msgspec.json.decode(line)["revision"] for line in lines(whole))
    assert facts == len(findings)


def test_an_episode_of_many_findings_costs_the_same_for_each(tmp_path):
    """Evidence is added, never copied: ten times the findings run ten times the lines."""
    venue = Venue(tmp_path / "archive", events=15_000)

    def lines_run(count):
        book = venue.book()
        findings = [
            venue.finding(revision=n, seqs=(3 * n, 3 * n - 1), detected=3 * n)
            for n in range(1, count + 1)
        ]
        run, kept = 0, set()

        def line(_frame, event, _arg):
            nonlocal run
            run += event == "line"
            return line

        before = sys.gettrace()
        sys.settrace(lambda *_: line)
        try:
            for start in range(0, count, count // 10):
                book.apply(findings[start : start + count // 10], venue.register)
                (part,) = book._parts.values()
                kept.add(tuple(map(id, (part.orders, part.trades, part.cited))))
        finally:
            sys.settrace(before)
        return run, kept

    (few, _), (many, kept) = lines_run(500), lines_run(5_000)
    assert many < 11 * few  # quadratic would be a hundred times
    assert len(kept) == 1, "what is cited is in the same tables as at first"


def test_an_alert_that_was_merged_before_a_crash_is_merged_after_it_too(venue, tmp_path):
    """The snapshot knows the weak part alone; the store knows the strong one that took it in."""
    store = AlertStore(f"sqlite:///{tmp_path}/store.sqlite")
    store.migrate()
    ledger = Ledger(Shards(store.engine), Outbox(store.engine))
    claim = ledger.shards.claim("p0", "worker")

    def commit(book, *findings):
        alerts = book.apply(findings, venue.register)
        found = Found(alerts=alerts, pins=book.evidence(alerts))
        ledger.commit(claim, 0, Progress(positions={}), found)

    book = venue.book(store=store)
    commit(book, venue.finding("rules"))
    kept = book.snapshot()
    commit(book, venue.finding("breaches"))

    again = venue.book(store=store)
    again.restore(kept)
    again.apply([venue.finding("breaches")], venue.register)
    later = [
        venue.finding("rules", revision=2, seqs=(6,)),
        venue.finding("rules", revision=3, seqs=(9,)),
        venue.finding("breaches", revision=2, seqs=(12,)),
    ]
    for finding in later:
        commit(again, finding)
    (alert,) = store.records()
    assert (alert.detector, alert.revision) == ("breaches", 5)
    assert alert.trade_ids == ("T3", "T6", "T9", "T12")
    store.close()
