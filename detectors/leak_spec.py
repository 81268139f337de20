"""What information_leak looks for, what looks like it, and what to do."""

from __future__ import annotations

from typing import Final

from detectors.base import Spec

SPEC: Final = Spec(
    id="information_leak",
    version=5,
    title="Information leak",
    scope="platform",
    evidence_class="indicator",
    scenarios=("information_leak",),
    looks_for=(
        "Accounts of the complex that take a client's side before the platform has the "
        "client's large order: executions by instructions received in [t0 - L, t0 - δ), t0 "
        "the received_ns of the first child that takes, L of 1, 7 and 50 s, in that "
        "instrument and in others on its underlying. A parent episode is one owner's taking "
        "orders on one side with gaps below parent_gap_s, large from each of large_ratios "
        "times the median on. No single case is told. Of all episodes of clients in the same "
        "eleven minutes, on the same side and with the market taking the same way over L, the "
        "large ones are taken as drawn blindly: how many of them the complex as one, and each "
        "of its accounts, was ahead of is then hypergeometric, and a bet on higher odds pays "
        "one on average. A day's stake is spread over units, instruments, L and sizes, and "
        "what is won is bet again at each look (`look_s`): that it ever comes to n times the "
        "stake has a chance of 1/n at most, however often one looks (Ville 1939). It passes "
        "only where external makers did not do the same (one who only rests could have). A "
        "part of the stake is on the complex in all instruments together: a look pays the "
        "mean of what it pays in each, which is one on average however their orders hang "
        "together (one client's may be split over a perpetual and its spot market, and a "
        "product would count it twice); each whose own bet won 1 / `part_chance` is told. One "
        "alert an instrument and day: accounts that act, their leading executions and the "
        "orders that followed, of the test of which most is beyond chance. Accounts of "
        "clients are looked at as well, unlabelled: one that is ahead of other owners' and "
        "originators' large orders more often, for its runs of executions, than other clients "
        "are (`suspect_chance`, from `least_suspected` runs on) is suspected, at most four at "
        "once an instrument, and from then on bet on in the same way, in each instrument and "
        "over all on the underlying (what was won in each is multiplied: orders there are "
        "taken as independent), on episodes that begin later only: so choosing it costs "
        "nothing; those of whom nothing is seen make room for others at the looks. It passes "
        "only where other clients, as one or suspected, did not do the same (`alike_ratio`) "
        "and orders of no one client are more than `one_client_ratio` of what is beyond "
        "chance; it is an alert of its own."
    ),
    legal_basis=(
        "VATP Guidelines 13.1-13.9: no use of client order information by the group [V]",
        (
            "SFC circular 26EC6 para 7: the affiliated market maker has no advantage over "
            "clients [S]"
        ),
        "IOSCO pre-hedging report, November 2025: use of information on client orders [S]",
    ),
    look_alikes=(
        "large client orders that the group trades beside at its base rate",
        "news that makes the group and clients buy at once",
        "hedging bursts larger than a client's order",
        "a maker that takes all day, before every order",
        "external makers that are ahead as often",
        "executions after the client's order came, or within the clock uncertainty",
        "executions on the other side",
        "a client who takes all day, before every order",
        "news that makes clients buy at once, the large ones after the others",
        "two clients who follow the same signal, one quicker",
        "clients whose large orders are worked in slices beside each other",
        "a few executions by chance",
        "auction or halt",
    ),
    blind_spots=(
        "a client's account that is ahead of one client's orders only",
        "accounts of clients that take turns, each ahead of a few orders",
        "three or more accounts of clients that are ahead as much as each other",
        "an external maker that is ahead",
        "orders of the group that rest, and are hit",
        "a client whose large order rests before it takes",
        "a large order in the midst of a busy client's others on its side",
        "knowledge from more than 50 s before",
        "leads of more than most_ratio usual orders",
    ),
    runbook=(
        (
            "Read `features.rate` with its baseline and `features.effect` over window_start_ns "
            "to window_end_ns: how much more often before large orders than before others?"
        ),
        (
            "Read `features.peer_hits` with its baseline over the same hours: did external "
            "makers know as well?"
        ),
        (
            "Where `features.unit` is `client`, the account is not the group's: read "
            "`features.clients` and `features.crowd_p` over the same hours, and look at its "
            "owner, session and user of the last day for links with the group "
            "(hidden_affiliates)."
        ),
        (
            "For each execution of order_ids list received_ns and the client's t0 up to 50 s "
            "after: always the same clients, sales people, sessions or originator?"
        ),
        (
            "Ask who could know of those orders before they were sent: RFQ and chat logs, "
            "sales notes, access to client portals, in the hour before window_start_ns and "
            "through window_end_ns."
        ),
        (
            "Follow the position of `accounts` for 300 s after each client episode by "
            "buy_account and sell_account: was it sold to the client, or after the client?"
        ),
    ),
    needs=("account", "side", "price", "quantity", "order_id", "received_ns", "engine_ns"),
    wants=("owner", "linked_to", "underlying", "originator"),
)
