"""What front_running_across looks for, what looks like it, and what to do."""

from __future__ import annotations

from typing import Final

from detectors.base import Spec

SPEC: Final = Spec(
    id="front_running_across",
    version=4,
    title="Front running across instruments and accounts",
    scope="platform",
    evidence_class="indicator",
    scenarios=("front_running",),
    looks_for=(
        "A client instruction is in the gateway: the platform knows of it, the market does "
        "not. In that time, more than δ after the gateway had it and before its first trade (or, "
        "of an IOC, a FOK or a market order of which nothing is filled, its end), "
        "another instruction is received and executed on its side: by the group in another "
        "instrument of the underlying, or by any other owner in any of them. What the group sends "
        "by more than δ before that first trade counts even if it is executed after it. The "
        "client's "
        "parent episode (one owner's, or originator's, on one side, over all instruments of "
        "the underlying, with gaps below `parent_gap_s`) executes `large_ratio` times the "
        "median client instruction. Up to what the actor had traded net on the other side "
        "within `hedge_s`, in any of the instruments, it is a hedge. Chance: executions "
        "come as a Poisson process at the actor's own rate, of the last `local_s` or of all "
        "that is kept, whichever is greater, in the time for which instructions of large "
        "episodes were in the gateway that UTC day. A case is told when so many hits, in the "
        "underlying or in all, or one as large, have a probability of at most `chance`; of an "
        "owner that is not the group only the number counts, from `least_hits` on and "
        "`least_excess` times what chance gives, and p is multiplied by `accounts`. It is complete "
        "with a gain (markout, or unwind), or at `plain_chance`. With it, the day's earlier cases "
        "of the same actor are told. What was executed once is one hit, however many instructions "
        "of the client waited beside it. Only trades, and the ends of clients' instructions that "
        "were not to rest, are looked at: they are what summaries of all instruments have."
    ),
    legal_basis=(
        "SFC circular 26EC6 para 7(e): client orders always have priority over AFMM orders [V]",
        "VATP Guidelines 7.18-7.21: orders handled promptly, fairly, in the order received [V]",
        "VATP Guidelines 8.2: surveillance for market manipulation and abusive conduct [V]",
        "VATP Guidelines 13.1-13.9: dealing by staff and others who know of orders [V]",
    ),
    look_alikes=(
        "hedging in the perpetual of fills made in spot",
        "the group trading the perpetual all the time",
        "a client who trades often, beside another client",
        "a client who executed ahead of another once",
        "clients who answer the same news, each while the one before waits in a slow gateway",
        "a client who executed once while many orders of another waited, and found nothing left",
        "an execution that came with the client's, within the clock uncertainty",
        "an execution that answers the client's own trade",
        "a small client order",
        "auctions, halts, maintenance",
        "instruments of another underlying",
    ),
    blind_spots=(
        "passive entry in another instrument",
        "an owner that is not the group and does it once a day",
        "a client none of whose orders executes",
        "a first order that came to nothing, where the record of its end names no account",
        "another venue",
    ),
    runbook=(
        (
            "Compare received_ns and engine_ns of the trades in trade_ids, 1 s on each side of "
            "window_start_ns, with the gateway's log: who could see the client's order?"
        ),
        (
            "Read `features.traded` (baseline: the client's instrument), `features.hits` "
            "(baseline: by chance) and `features.n` of the UTC day of detected_ns: once, or a "
            "habit?"
        ),
        (
            "Read `features.executed`, `features.hedged` and `features.parent` for the "
            "episode; ask which fills were hedged in the 3 s before."
        ),
        (
            "Where accounts names one that is not the group's, look at owner, session and user "
            "of the last day for links with the group (hidden_affiliates)."
        ),
        (
            "Read `features.markout_30s` and `features.unwind_profit` up to 300 s after "
            "window_end_ns; list the client's orders from order_ids."
        ),
    ),
    needs=("buy_account", "sell_account", "price", "quantity", "received_ns", "engine_ns"),
    wants=("originator", "underlying"),
)
