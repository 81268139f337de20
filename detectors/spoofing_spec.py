"""What spoofing says of itself: what it looks for, where it errs, what to do."""

from __future__ import annotations

from typing import Final

from detectors.base import Spec

SPEC: Final = Spec(
    id="spoofing",
    version=16,
    title="Spoofing and layering",
    scope="instrument",
    evidence_class="indicator",
    scenarios=("spoofing",),
    looks_for=(
        "A cycle: the complex (netted over its accounts), or one of its accounts, shows more "
        "on one side, in lots or in orders, than its habit of the last half hour, as its other "
        "side stretches it, accounts for; is filled on the other side by others while that "
        "stands; then most of the excess goes by choice (cancelled, or made small where it "
        "stood), in orders that had come for it and stood at the fill, and is not back after a "
        "second (settle_ms), nor stands as much as at the fill. What came within `answer_s` after "
        "a fill of its resting orders on the other side, where these are not filled all the time, "
        "answers it (who has just bought asks to sell), and does not count. "
        "What the other side loses by choice in the same time, of what its fills left, is "
        "taken off: a maker that steps back, or whose quotes go on and off, is no cycle. A "
        "maker's sizes come and go and layers may be small beside them, "
        "but they are more orders; those count, where fewer orders are fewer lots too. "
        "Cycles within a few minutes are one episode; two or more prompt ones (soon after the"
        " fill, of size that has not stood long) make a case, unless external makers' own "
        "rate of cycles, or that of the instrument's episodes told as weak, makes that "
        "likely; or the instrument's own rate does not agree (both p by Fisher's method, of "
        "its own size alone where there is enough: at "
        "most `both`, or `chance` while there are fewer filled surges than `least_trials`) or"
        " says that size goes as often without a fill (also the complex's own size by itself, "
        "at `own_p`; where cycles are on average smaller than `plain_size` it must agree, at "
        "`own_level`, or both together at `small_both`). Size without a fill does not count where "
        "the other side showed an order more than its habit as it came and as it went: that was to "
        "lure, in vain. All counts are of the last day "
        "(window_s). That rate: P(net withdrawal "
        "| own fill on the other side) against P(net withdrawal | no fill) of the complex and "
        "against external makers' after a fill, "
        "among what stood about as long (Fisher's exact test in strata, in the clearer "
        "measure of two, at each cycle, a UTC day's level spent as 1/(k(k+1))). External makers "
        "may be of another style: the complex's own size must say so by itself as well (that with "
        "a fill against that without, at `own_level`, `own_ratio` times as likely to go), unless "
        "there is hardly any after `silent_trials` surges with a fill. A cycle "
        "at which it passes is of a pattern: told though it is alone, and with it the lone ones "
        "of the day before, which had been told as weak; episodes that are cases by how close "
        "their cycles came are set aside for that, here and over instruments, for one of them "
        "would make each lone cycle of its day one of a pattern. So are large prompt cycles, of "
        "size as usual again and more (or twice that, or four times): `least_large` of a day, more "
        "than external makers' as large by the time that either was watched, and sooner after "
        "fills than within the time that they stood (each p at most `each_p`, both together "
        "`large_level`), unless as large size of its own goes about as often without a fill "
        "(below `own_ratio`; or all its size does, and of as large too little is known); of them "
        "those that went sooner than not (`sooner_p`). "
        "Size against habit, delay, dwell and distance are features. mmp, disconnect and kill "
        "cancels are no withdrawal. Only the continuous phase. "
        "The order of fill and withdrawal is that of seq: no gateway clock decides, so δ does "
        "not bear on it."
    ),
    legal_basis=(
        "AMLO s.53ZRF: fraud or deception in virtual-asset transactions [V]",
        "VATP Guidelines 8.1-8.2: controls against manipulation; notify potential ones [V]",
        "SFO s.274/295 false trading, for securities and futures only [M]",
        "MAR Annex II (2016/522): orders with no intention of being executed [V]",
    ),
    look_alikes=(
        "regular re-quoting on a timer",
        "a maker's quotes hit on one side and skewed",
        "size that answers a fill, and goes once the position is laid off",
        "a ladder that is entered anew, and smaller, once its other side was filled",
        "maker that steps back on both sides after a fill",
        "quotes that go on and off, of which a fill leaves little on one side",
        "maker protection and disconnects",
        "layers that are filled",
        "size withdrawn with no fill on the other side",
        "size that goes as often without a fill",
        "a desk whose size goes twice as often once it is filled, for its position is laid off",
        "a desk's sizes that come and go beside makers' that stand",
        "blocks that come and go on a timer, filled or not",
        "size that mostly stays when the other side is filled",
        "size that had long stood there",
        "size that goes long after the fill, or that stood for minutes",
        "small cycles of a desk whose lone ones are as frequent",
        "a maker's sizes that come and go",
        "a quote that is split and whole again",
        "a few orders of a desk that does not quote",
        "one withdrawal after a fill",
        "one withdrawal after a fill, hours after a clear case",
        "two trades within the complex",
        "auction or halt",
    ),
    blind_spots=(
        "layers by an account registered as a client's (hidden_affiliates)",
        "layers in another instrument than the fill",
        "a few cycles a day, hours apart: each is told as weak",
        "up to three lone cycles of a day with a clear case: told as weak",
        "a few cycles that stand minutes, or half a minute after the fill: told as weak",
        "small cycles after as many lone ones, which are then the desk's habit",
        "small layers of a desk that withdraws every other size without a fill too",
        "a dozen cycles of small layers by a desk that shows no other size",
        "two cycles among an instrument's first filled surges of a day: mostly told as weak",
        "one order a cycle that is small beside the sizes its maker shows",
        "layers that come within seconds of a fill on the other side",
    ),
    runbook=(
        (
            "Replay the book from window_start_ns to window_end_ns: order_ids on "
            "`features.side` are the layers; what stood on the other side, and who was filled?"
        ),
        (
            "Read `features.size_ratio` and `features.withdrawn_ratio` against the account's "
            "habit of the hour before window_start_ns: does it ever show such size otherwise?"
        ),
        (
            "Compare `features.fill_to_withdrawal` with engine_ns of the fills in trade_ids, "
            "and with the outside price 5 s on each side: did anything else move?"
        ),
        (
            "Read `features.withdrawn_after_fill` against its baseline and "
            "`features.peer_cycles`, the day up to detected_ns: do external makers do so too? And "
            "`features.own_ratio`: how much likelier is it to go than its own size without a fill? "
            "Where `features.set_aside` is told, `features.rate_of_rest` leaves those cases out."
        ),
        (
            "Ask for algo_id, user and session of order_ids over the episode: one strategy on "
            "both sides, or two desks that do not know of each other?"
        ),
    ),
    needs=("account", "side", "price", "quantity", "leaves", "order_id", "engine_ns"),
    wants=("reason", "display", "tif", "replaces"),
)
