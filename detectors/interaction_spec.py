"""What client_interaction looks for, what looks like it, and what to do."""

from __future__ import annotations

from typing import Final

from detectors.base import Spec

SPEC: Final = Spec(
    id="client_interaction",
    version=8,
    title="Client interaction",
    scope="instrument",
    evidence_class="indicator",
    scenarios=("unfair_fills",),
    looks_for=(
        "Whether clients that deal with the group's maker fare worse than with every external "
        "maker of the same time. Three kinds of test, every 150 s over the last 5 to 90 minutes. "
        "Quotes: four times a second mid, bid and ask of the group's own quotes are held "
        "against each peer's; does the difference, less what it was of late, tell where the "
        "other makers' quotes go next (from 0.25 to 0.5 s, 0.5 to 1, 1 to 2, 2 to 4, 4 to 8)? "
        "Of all looks, and again of those alone at which external makers of late move much "
        "more than they usually do. A maker's move counts only where it has acted "
        "since, late enough to have seen what was public, and the same must show of those "
        "whose own mid has changed since: a quicker system, or a slower peer, foresees "
        "nothing. Fills: the mid's move after a client's fill, 1, 5 and 30 s on, against the "
        "group and against each peer, of buying and selling clients apart and together, but "
        "for instructions that took from several makers at once; it must go against its own "
        "clients, not only less for them than for others': a maker that quotes better is hit "
        "less at bad prices. Drift: a cumulative sum (Page "
        "1954) of how much worse, step by step, the moves after fills are than against "
        "the peer nearest to it, likewise. Observations are blocks of two and a half horizons "
        "of quotes, of ten seconds of fills; chances are Student's, and of a comparison the "
        "largest over peers counts: the group must beat every one of them. One alert an "
        "instrument and spell, with effective spread, markouts at 0.1 to 300 s and share of "
        "client volume beside share of the size at the touch."
    ),
    legal_basis=(
        (
            "SFC circular 26EC6 para 7(g): disclose any preferential treatment in order "
            "placing and execution [V]"
        ),
        "SFC circular 26EC6 para 7(d): information barriers against leakage [V]",
        "VATP Guidelines 7.18-7.21: best available terms [V]",
    ),
    look_alikes=(
        "a quicker system than every peer",
        "peers that re-quote slowly",
        "a quicker system than every peer, while prices move much",
        "peers that re-quote slowly, or seldom, while prices move much",
        "a tighter quote",
        "quotes skewed for inventory",
        "volatility that moves all makers alike",
        "markouts worse for clients of every maker alike",
        "peers that move their quotes only when they are far off",
        "a tighter quote that small orders fill alone",
        "a client on the other side of the group by chance",
        "a maker that quotes better, so that clients gain less from it than from others",
    ),
    blind_spots=(
        "foresight of less than a quarter of a second",
        "foresight used in a few per cent of the time alone, which nothing public marks",
        "foresight used for less than a minute of storms in an hour and a half",
        "fewer than two external makers that quote both sides",
        "an external maker that foresees as much",
        "a maker that quotes one side only",
        (
            "peers that act on what is half a second old, always or while prices move much: a "
            "group that is quicker leads them, and is told, though it knows no more"
        ),
        (
            "peers that all quote an average of what the group's maker quotes as it is: it "
            "leads them, and is told, though it knows no more than what is public"
        ),
    ),
    runbook=(
        (
            "Read `features.tested`, `features.looks`, `features.foreseen_share` and "
            "`features.foreseen_to` over window_start_ns to window_end_ns: what share of "
            "others' coming move did the quotes hold, how far ahead, in storms alone?"
        ),
        (
            "Read `features.markout_1s` and `features.markout_5s` with their baselines (the "
            "peers' clients): below it, clients lose more with the group than with others."
        ),
        (
            "Compare received_ns and algo_id of the maker's quote changes in the orders topic "
            "over the window with those of peers: before which event did it move?"
        ),
        (
            "Ask which feed the maker's algo_id prices from in the hours of the window that "
            "others lack: client orders, stops, the matching queue, a copy of market data."
        ),
        (
            "Read `features.share_of_volume` with its baseline (share of the size at the "
            "touch) over the window: is it chosen by clients or for them?"
        ),
    ),
    needs=("account", "side", "price", "quantity", "leaves", "order_id", "engine_ns"),
    wants=("display", "replaces"),
)
