"""What unequal_access says of itself: what it looks for, where it errs, what to do."""

from __future__ import annotations

from typing import Final

from detectors.base import Spec

SPEC: Final = Spec(
    id="unequal_access",
    version=6,
    title="Unequal access",
    scope="instrument",
    evidence_class="indicator",
    scenarios=("unequal_access",),
    looks_for=(
        "One rule of access that is kept for others and bent for the affiliated market maker, "
        "way by way, every 5 minutes. latency: of two instructions of one action, the "
        "affiliate's and an external maker's, that came within 1.5 s of one another (orders "
        "that cannot rest with their like; each the first done of those that came at once, about "
        "as many, for where gateways keep no order the first of many is done sooner), which took "
        "longer from gateway to engine; sign "
        "tests over the last 5 minutes to a day, each "
        "within an equal part of what an instrument's day may spend, against two external "
        "makers at least, as long as it is so in the last quarter of that time. reject: new limit "
        "orders refused in continuous trading though no rule that the feed shows may refuse them "
        "(a post-only order inside the spread or through it, an amendment of an order that is "
        "gone), external makers' against the affiliate's. fee: every fee of the affiliate "
        "against the rate disclosed, and what external makers of its tier pay (where the feed "
        "tells no tier, what all pay: weak, unless its own has fallen since it paid no less "
        "than they that UTC day). "
        "protection: lots filled before maker protection takes its quotes away, against the "
        "lots disclosed. rate: instructions accepted of an account of the affiliate that came and "
        "were done within seconds in a row, against the most that any limiter of the rate "
        "disclosed lets through in them. stp: the group's incoming order is taken away and its "
        "quote stands, where the venue takes the resting order of everybody else, and that of "
        "this account at other times; either may show later that day, and what waited is told. "
        "queue, entered and queue, amended: orders of the affiliate that by the contract join the "
        "back of a queue (new ones; amendments of price or to more), at a place that the venue "
        "states (priority_ns) to be older than the instruction, where external makers' of the "
        "same action are not, over the day; what came before that shows is told then. queue, "
        "filled: where clients were told that the affiliate stands behind them, fills of its "
        "orders while younger orders of clients stood at the price (before older ones, or "
        "where the engine is said to match clients first, that is client_priority). "
        "Better than disclosed is a breach (proved for a fee, a rate, a fill, and for protection "
        "disclosed of the instrument by name), each account by its own disclosure; different from "
        "others and undisclosed is an alert, weak where clocks or an unknown fee tier may be "
        "the cause; with fewer than two external makers to compare "
        "with there is no control, and the alert is weak and says no_peer_control."
    ),
    legal_basis=(
        (
            "SFC circular 26EC6 para 7(g): disclose any preferential treatment in pre-trade "
            "transparency, order placing and execution [V]"
        ),
        (
            "SFC circular 26EC6 para 7(e): client orders always have priority over AFMM orders "
            "at the same price level [V]"
        ),
        "VATP Guidelines 7.18-7.21: orders handled promptly, fairly, in the order received [V]",
    ),
    look_alikes=(
        "clients that come by slower gates than makers",
        "an engine under load, slow for all",
        "a maker that sends many quotes at once, through gateways that keep no order",
        "one external maker with a slow gate, while others are as fast as the affiliate",
        "external makers that come second in a race and wait for the affiliate to be done",
        "takers that a speed bump holds, all alike",
        "orders that leave on a disconnect, by a kill switch or at expiry",
        "post-only orders that would trade, also with a hidden order",
        "amendments of orders that are gone",
        "refusals that hit all alike",
        "a fee tier with lower fees, disclosed or paid by others of it too",
        "a lower fee from the day's beginning, where the feed tells no tier",
        "fees rounded to the cent",
        "maker protection that each maker sets for itself, undisclosed",
        "maker protection after several fills in short order",
        "an account of the group that always gives up its incoming order",
        "an account of the group that gives up its incoming order until it chooses otherwise",
        "a maker that gives up its incoming order, but for one that was still in flight",
        "self-trade prevention that takes both orders",
        "self-trade prevention in auctions",
        "a burst that a limiter lets through after a quiet time",
        "one instruction for many orders, as after a reconnect",
        "instructions refused for their rate, or held back before the engine",
        "amendments and cancels that the venue makes by itself",
        "several accounts of the affiliate, each within its rate",
        "a venue whose stated places are older than instructions for all alike",
        "amendments that only make an order smaller and keep its place",
        "fills before younger clients, where the affiliate was said to queue by time",
    ),
    blind_spots=(
        "a difference of time below least_difference_ns",
        "times that differ by clock_uncertainty_ns at most, which leaves alerts weak",
        "an advantage before the gateway stamps, or in the stamps themselves",
        "a rate limit that was not disclosed, unless new orders of others are refused for it",
        "a rate that is passed by less than a limiter may let through at once",
        "a rate limit over several instruments, or several accounts together",
        "maker protection counted over several instruments",
        "a fee tier of the affiliate's own that was not disclosed",
        "a fee that others do not pay, from the day's beginning, where the feed tells no tier",
        "fewer than two external makers, which leaves alerts weak",
        "a place that the venue does not state, until an order is filled there",
        "a time of an affiliate that always sends many more, or fewer, at once than others",
    ),
    runbook=(
        (
            "Read `features.way`, then `features.disclosed` and `features.document` against "
            "the disclosure in force at window_start_ns (disclosures.csv): is it what clients "
            "were told?"
        ),
        (
            "latency: compare engine_ns less received_ns of order_ids with those of external "
            "makers, 1500 ms on each side, by session: which gateway, which queue, since when?"
        ),
        (
            "reject: list reject records of external makers, window_start_ns to "
            "window_end_ns, by reason, session and type: which check refused them, and why "
            "not the affiliate?"
        ),
        (
            "fee: recompute buy_fee or sell_fee of trade_ids by fee_tier over the episode; "
            "`features.short` is what the affiliate did not pay."
        ),
        (
            "rate: count new, replace and cancel records of the account by second of "
            "received_ns from window_start_ns to window_end_ns, records of one received_ns once, "
            "against `features.disclosed`: which limiter did its sessions pass, with what burst, "
            "and who set it?"
        ),
        (
            "queue: list priority_ns beside received_ns of new and replace records of the account "
            "from window_start_ns to window_end_ns, and those of external makers: which rule put "
            "them there? For fills, read the book at trade_ids and the document in "
            "`features.document`."
        ),
        (
            "protection, stp: ask for the change log of risk and matching parameters from a "
            "day before window_start_ns; reason is mmp or stp in the orders topic."
        ),
    ),
    needs=("account", "received_ns", "engine_ns", "order_id"),
    wants=("buy_fee", "sell_fee", "fee_tier", "priority_ns", "reason", "replaces"),
)  # fmt: skip
