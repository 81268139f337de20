"""Two detectors, one fact: one alert, and the stronger one speaks."""

from __future__ import annotations

import msgspec
import pytest

from alerts.compose import MERGED_INTO
from alerts.facets import Merging
from detectors.base import Ref
from tests.support.alerts import SECOND_NS


def apply(book, venue, *findings):
    return book.apply(list(findings), venue.register)


def test_a_weaker_view_of_the_same_trade_is_a_facet(venue):
    book = venue.book()
    breach = venue.finding("breaches", seqs=(2, 3))
    rule = venue.finding("rules", seqs=(1, 3), accounts=("MM1", "C2"), score=0.9)
    (alert,) = apply(book, venue, breach, rule)
    assert (alert.detector, alert.scenario) == ("breaches", "breaches_scenario")
    assert alert.facets == ("rules_scenario",)
    assert alert.revision == 2
    assert alert.order_ids == ("O1", "O2")
    assert alert.accounts == ("C1", "C2", "MM1")
    assert alert.score == 0.9
    assert alert.features["rules_scenario.volume"].value == 0.3
    (again,) = apply(book, venue, venue.finding("rules", revision=2, seqs=(6,)))
    assert again.alert_id == alert.alert_id
    assert (again.revision, again.trade_ids) == (3, ("T3", "T6"))


def test_a_weak_view_of_other_acts_is_a_note_and_claims_nothing(venue):
    breach = venue.finding("breaches", seqs=(2, 3))
    weak = {"evidence": "weak", "accounts": ("MM1", "C2"), "score": 0.9}
    for order in (1, -1):
        views = [breach, venue.finding("rules", seqs=(3, 6, 9), **weak)][::order]
        alert = apply(book := venue.book(), venue, *views)[-1]
        assert alert.facets == ()
        (alone,) = apply(venue.book(), venue, breach)
        assert (alert.order_ids, alert.trade_ids) == (alone.order_ids, alone.trade_ids)
        assert alert.trade_ids == ("T3",)
        assert alert.accounts == alone.accounts
        assert alert.features["rules_scenario.volume"].value == 0.3
        assert alert.revision == 2
    # Once it is more than weak, it claims.
    more = venue.finding(
        "rules", revision=2, seqs=(6,), evidence="supported", accounts=("MM1", "C2")
    )
    (again,) = apply(book, venue, more)
    assert again.facets == ("rules_scenario",)
    assert again.trade_ids == ("T3", "T6", "T9")
    # A weak view of the same acts says of them what it says.
    (alert,) = apply(venue.book(), venue, breach, venue.finding("rules", seqs=(3, 4), **weak))
    assert alert.facets == ("rules_scenario",)
    # Where all are weak, all are read.
    faint = venue.finding("breaches", seqs=(2, 3), evidence="weak")
    (alert,) = apply(venue.book(), venue, faint, venue.finding("rules", seqs=(1, 3), **weak))
    assert alert.facets == ("rules_scenario",)
    assert set(alert.order_ids) == {"O1", "O2"}


def test_a_weak_view_does_not_speak_for_a_supported_one_whatever_its_class(venue):
    faint = venue.finding("breaches", seqs=(2, 3), evidence="weak")
    rule = venue.finding("rules", seqs=(2, 3), evidence="supported")
    for order in (1, -1):
        alert = apply(venue.book(), venue, *[faint, rule][::order])[-1]
        assert (alert.scenario, alert.evidence) == ("rules_scenario", "supported")
        assert alert.facets == ("breaches_scenario",)


def test_what_is_only_kept_is_not_named_and_joins_no_other(venue):
    breach = venue.finding("breaches", seqs=(2, 3), context_refs=(Ref(0, 6),))
    rule = venue.finding("rules", seqs=(5, 6))
    alerts = apply(book := venue.book(), venue, breach, rule)
    assert [alert.trade_ids for alert in alerts] == [("T3",), ("T6",)]
    (alone,) = apply(venue.book(), venue, venue.finding("breaches", seqs=(2, 3)))
    assert alone.source[1].last_offset < alerts[0].source[1].last_offset, "it is kept"
    again = venue.book()
    again.restore(book.snapshot())
    assert again.alerts() == book.alerts()


def test_another_trade_or_no_common_account_makes_two_alerts(venue):
    breach = venue.finding("breaches")
    assert len(apply(venue.book(), venue, breach, venue.finding(first=6))) == 2
    strangers = venue.finding(accounts=("X1", "C2"), first_accounts=("X1", "C2"))
    assert len(apply(venue.book(), venue, breach, strangers)) == 2


def test_a_common_order_alone_is_no_common_fact(venue):
    breach = venue.finding("breaches", seqs=(2, 3))
    rule = venue.finding("rules", first=6, seqs=(2, 6))
    assert len(apply(venue.book(), venue, breach, rule)) == 2


def test_two_detectors_of_one_strength_keep_their_alerts(venue):
    rule = venue.finding("rules", evidence="supported")
    indicator = venue.finding("indicators", evidence="proved")
    (alert,) = apply(venue.book(), venue, rule, indicator)
    assert alert.detector == "rules"  # class goes before evidence
    equal = venue.finding("indicators", evidence="proved", scenario="another")
    other = msgspec.structs.replace(equal, detector="breaches")
    assert len(apply(venue.book(), venue, equal, other)) == 2


def two_rules(venue, *, seqs=(6, 9, 12, 15), accounts=("C1", "MM1"), detected=20, of=(6, 9, 12)):
    """A rule that told trades of a pair early, and another as strong that tells some later."""
    early = venue.finding(
        "rules", first=3, seqs=of, detected=14, accounts=("C1", "MM1"), evidence="supported"
    )
    late = venue.finding(
        "indicators", first=3, seqs=seqs, detected=detected, evidence_class="rule",
        evidence="supported", accounts=accounts,
    )  # fmt: skip
    return early, late


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("accounts", [("C1", "MM1"), ("C1", "C2", "MM1"), ("C1",)])
def test_two_rules_that_tell_the_same_pair_or_circle_make_one_alert(venue, order, apart, accounts):
    book, findings = venue.book(), two_rules(venue, accounts=accounts)[::order]
    for each in findings if apart else ():
        apply(book, venue, each)
    if not apart:
        apply(book, venue, *findings)
    (alert,) = book.alerts()
    assert (alert.detector, alert.scenario) == ("rules", "rules_scenario")
    assert alert.facets == ("indicators_scenario",)
    assert alert.trade_ids == ("T6", "T9", "T12", "T15")


def test_two_rules_that_tell_other_trades_or_other_accounts_keep_their_alerts(venue):
    for options in ({"seqs": (12, 15, 18, 21)}, {"accounts": ("C1", "C2")}):
        assert len(apply(venue.book(), venue, *two_rules(venue, **options))) == 2
    assert len(apply(venue.book(merging=Merging(join_ns=5 * SECOND_NS)), venue,
                     *two_rules(venue))) == 2  # fmt: skip


def test_what_a_rule_cites_after_another_opened_makes_them_no_one_fact(venue):
    early, late = two_rules(venue, of=(3,))
    more = venue.finding("rules", revision=2, first=3, seqs=(6, 9, 12), detected=30)
    for findings in ((early, late, more), (early, more, late)):
        assert len(apply(venue.book(), venue, *findings)) == 2


def test_a_breach_that_comes_clearly_later_is_an_alert_of_its_own(venue):
    book = venue.book()
    rule = venue.finding("rules", detected=3)
    assert len(apply(book, venue, rule)) == 1
    (later,) = apply(book, venue, venue.finding("breaches", detected=5))
    assert later.detector == "breaches"
    assert len(book.alerts()) == 2


def test_a_facet_may_not_join_long_after(venue):
    for detected, detector in ((13, "breaches"), (14, "rules")):
        book = venue.book(merging=Merging(join_ns=10 * SECOND_NS))
        apply(book, venue, venue.finding("breaches", detected=3))
        (alert,) = apply(book, venue, venue.finding("rules", detected=detected))
        assert alert.detector == detector


def test_when_the_weaker_reports_first_its_alert_is_told_as_merged(venue):
    book = venue.book()
    (early,) = apply(book, venue, venue.finding("rules"))
    changed = apply(book, venue, venue.finding("breaches"))
    merged = next(alert for alert in changed if alert.alert_id == early.alert_id)
    kept = next(alert for alert in changed if alert.alert_id != early.alert_id)
    assert (merged.status, merged.revision) == ("retracted", 2)
    assert merged.features[MERGED_INTO].value == kept.alert_id
    assert (kept.detector, kept.facets, kept.revision) == ("breaches", ("rules_scenario",), 2)
    assert [alert.alert_id for alert in book.alerts()] == [kept.alert_id]
    assert book.merged == 1


def test_a_chain_ends_in_the_strongest(venue):
    findings = [venue.finding(name) for name in ("indicators", "rules", "breaches")]
    (alert,) = apply(venue.book(), venue, *findings)
    assert alert.detector == "breaches"
    assert alert.facets == ("indicators_scenario", "rules_scenario")
    assert alert.revision == 3


def test_when_the_breach_is_retracted_the_facet_that_holds_speaks(venue):
    book = venue.book()
    (before,) = apply(book, venue, venue.finding("breaches"), venue.finding("rules"))
    (after,) = apply(
        book, venue, venue.finding("breaches", revision=2, seqs=(9,), status="retracted")
    )
    assert after.alert_id == before.alert_id
    assert (after.scenario, after.status) == ("rules_scenario", "provisional")
    assert (after.evidence_class, after.facets) == ("rule", ())
    assert after.severity == "low"
    (gone,) = apply(book, venue, venue.finding("rules", revision=2, seqs=(), status="retracted"))
    assert gone.status == "retracted"


def test_severity_is_the_highest_of_the_views_and_harm_is_never_added(venue):
    breach = venue.finding("breaches", client_harm=400.0, counterfactual="first in the queue")
    rule = venue.finding("rules", client_harm=700.0, counterfactual="no trade")
    (alert,) = apply(venue.book(), venue, breach, rule)
    assert (alert.client_harm, alert.counterfactual) == (400.0, "first in the queue")
    assert alert.severity == "high"
    unmeasured = venue.finding("breaches")
    (alert,) = apply(venue.book(), venue, unmeasured, rule)
    assert (alert.client_harm, alert.counterfactual) == (700.0, "no trade")
