"""What front_running looks for, what looks like it, and what to do."""

from __future__ import annotations

from typing import Final

from detectors.base import Spec

SPEC: Final = Spec(
    id="front_running",
    version=8,
    title="Front running",
    scope="instrument",
    evidence_class="indicator",
    scenarios=("front_running",),
    looks_for=(
        "A client instruction is in the gateway: the platform knows of it, the market does "
        "not. In that time, more than δ after the gateway had it and before it is matched, "
        "another instruction is received and executed on the client's side, or enters the "
        "book there and is filled then or later: one that is large for what the group enters, or "
        "beside more orders than it usually has, or one of too many. The group's "
        "accounts (affiliated_mm, affiliated, house, staff, and who shares an owner or a link "
        "with them) are taken as one; other owners, and other instruments of the underlying, "
        "are front_running_across's. Up to what the group had traded net on the other side "
        "within `hedge_s` it is a hedge. The client's parent episode is large: one "
        "owner's (behind an omnibus account, one originator's) orders on one side with gaps "
        "below `parent_gap_s` come to `large_ratio` times the median client order; those up to "
        "the one that makes it large are kept as evidence, and named where the group acted ahead "
        "of them. Chance: "
        "the group's instructions come as a Poisson process at its own rate, of the last "
        "`local_s` or of all that is kept, whichever is greater (of those as large, since the "
        "first record), in the time for which instructions of large episodes were in the gateway "
        "that UTC day. Ahead of an order that is large by itself, the day's hits ahead of such "
        "orders and ahead of others of large episodes are weighed by how few there should "
        "be (a likelihood ratio of two Poisson counts, exact): where clients never pause nearly "
        "all that they enter is of a large episode. Windows within which the group entered "
        "orders to rest, and those as large, are counted apart, each order in one, by how often it "
        "does so, where the client's last instruction was `quiet_s` before (a maker answers each "
        "trade), and count once significant. A case stands for "
        "itself when so many hits, or one as large, have a probability of at most `chance`, "
        "when it goes beyond a hedge, and when the price then goes the group's way or it is "
        "unwound at a profit, or the probability is at most `plain_chance`. The rate is "
        "significant from `least_hits` hits on at `rate_chance`; cases of that day that did "
        "not stand for themselves are then told too (of those ahead of orders large by "
        "themselves, where it is these that are hit so often; of those ahead of which it only "
        "entered to rest too, while chance gives at most `rest_share` as many of them). Before "
        "that one which chance "
        "explains is told as weak where it took, within the client's limit, what the client would "
        "have been filled with: where the arrival is proved (client_priority), it is a facet of "
        "that breach."
    ),
    legal_basis=(
        "SFC circular 26EC6 para 7(e): client orders always have priority over AFMM orders [V]",
        "VATP Guidelines 7.18-7.21: orders handled promptly, fairly, in the order received [V]",
        "VATP Guidelines 8.2: surveillance for market manipulation and abusive conduct [V]",
    ),
    look_alikes=(
        "hedging of fills already made",
        "regular re-quoting on a timer",
        "quotes entered anew after each trade of a client's slices",
        "a maker's quotes hit by both sides",
        "reaction to an outside price move",
        "large client orders that the AFMM happens to trade beside at its base rate",
        "an execution that came with the client's, within the clock uncertainty",
        "a slow gateway in which everybody's orders wait",
        "a small client order",
        "auctions, halts, maintenance",
        "volatility that draws clients and makers alike",
    ),
    blind_spots=(
        "passive entry once or twice a day by orders no larger, and no more, than the usual ones",
        "a perpetual, or any other instrument used instead (front_running_across)",
        "an account that is not the group's (front_running_across)",
        "knowledge from before the gateway has the order (information_leak)",
        "an instruction received before and matched only after the client's",
        "an order that rests far away and is moved to where it is filled while the client waits",
        "parts no larger than usual of a large order, where clients trade without a pause",
        (
            "a public move that the group and a client's large order both answer, the group while "
            "the order waits: it is told though it knows no more"
        ),
    ),
    runbook=(
        (
            "Compare received_ns and engine_ns of the orders in order_ids, 1 s on each side of "
            "window_start_ns, with the gateway's own log: why did the client's wait?"
        ),
        (
            "Read `features.p`, `features.hits` (baseline: by chance) and `features.n` of the "
            "UTC day of detected_ns, ahead of what `features.windows_of` says: one decision, or a "
            "habit?"
        ),
        (
            "Read `features.executed`, `features.hedged` and `features.parent` for the "
            "episode; ask for the fills that were hedged in the 3 s before."
        ),
        (
            "Read `features.markout_30s`, `features.unwind_profit` and client_harm up to 300 s "
            "after window_end_ns; list the client's orders for restitution from order_ids."
        ),
    ),
    needs=("account", "side", "quantity", "received_ns", "engine_ns", "order_id"),
    wants=("originator",),
)
