"""What hidden_affiliates looks for, what looks like it, and what to do."""

from __future__ import annotations

from typing import Final

from detectors.base import Spec

SPEC: Final = Spec(
    id="hidden_affiliates",
    version=6,
    title="Hidden affiliates",
    scope="platform",
    evidence_class="indicator",
    scenarios=("hidden_affiliate",),
    looks_for=(
        "Accounts registered as clients' that trade as if they were the complex's. Each "
        "instruction of an account that takes is held against what the complex did before "
        "it, remembered over half-lives of 3, 21 and 147 s: whether it takes the side that "
        "relieves the complex of what it got (against), or the complex's own side, as if "
        "one went on where the other stopped (alike), and whether it comes within quick_ms "
        "of a trade of the complex (quick); and fills of its resting orders, whether they "
        "come while the complex's are not filled (absent). Executions weigh as the root of "
        "their quantity; those on one side without a pause are a run, and count as one "
        "decision. Over the UTC day and all instruments, each is told in deviations beyond "
        "the other clients in the same instrument, by the spread from run to run, and "
        "beyond what it shows of external makers in the same way: less the part that clients' "
        "runs have in common, less the whole, and as it is, whichever leaves least. A side "
        "counts less the account's mean side: who mostly sells shows nothing by it. Left out "
        "are the complex's trades with the account itself, and as much of others as it got "
        "from the account the other way (it lays that off); of quick, what the account shows "
        "of being right after others alone. How "
        "surprising each is by chance, in nats (where style_others others show nearly as much, no "
        "more than that so many do: a style), goes into a logistic model with fixed "
        "coefficients, none below 0, that makes a probability of the four; the alert has "
        "the value and the contribution of each. What an account did before it trades as "
        "the complex's is forgotten, and what was told of it is closed. Up to most_told "
        "accounts from told_probability on are leads (low); from sure_probability on an "
        "account is proposed (medium), where any of those judged would show as much by chance "
        "any_chance times at most. Proposed without a model is who trades through a "
        "session or as a user that the complex uses that day, least_shared times or more, "
        "where no more than most_owners others use it and such names are not commonly "
        "shared. One alert an account and day. It proposes and tags "
        "nothing: whether an account belongs to the complex is decided by a person, in the "
        "register."
    ),
    legal_basis=(
        (
            "SFC circular 26EC6 para 7: safeguards bind every account of the affiliated "
            "market maker [S]"
        ),
        "VATP Guidelines 13.1-13.9: trading of the operator and its group [V]",
        "VATP Guidelines 8.1, 8.2: surveillance for manipulation, and notice [V]",
    ),
    look_alikes=(
        "a client who hedges against the trend, beside every maker",
        "a client who follows the trend, as the group's inventory does",
        "a large client order worked in slices after the group was filled",
        "a busy client who trades at random",
        "a client at the group's side by chance, a dozen times",
        "clients who all react to an outside price move",
        "clients of one style, who take the group's side for a signal of their own",
        "a client who always takes one side",
        "a client who leans to one side, beside a group that does",
        "a client whose own trades the group lays off",
        "a client who comes when many come, as on the minute",
        "a client who leans away from the external makers, and not to the group",
        "a session that many clients and the group come through",
        "a platform on which owners commonly share sessions",
        "an order stamped with the group's session once or twice",
        "an account that is registered as the group's",
        "an external maker that hedges its own position",
        "auction or halt",
    ),
    blind_spots=(
        "an external maker that acts for the group",
        "an account that acts for the group in another instrument only",
        "accounts that take turns, each a few times a day",
        "four accounts and more that act for the group alike",
        "an account that acts hours after the group",
        "a login in common with the group by which either has no fills",
    ),
    runbook=(
        (
            "Read `features.probability` and the four contributions over window_start_ns to "
            "window_end_ns: which conduct singles the account out, is it one alone, and how often "
            "would one of so many accounts show as much (`features.by_chance`)?"
        ),
        (
            "Read `features.against` and `features.alike`, each with its half-life: list the "
            "complex's trades up to three half-lives before each of trade_ids, with side and "
            "price: does the position go from one to the other, day by day of the episode?"
        ),
        (
            "Compare session, user and client_order_id of the account's orders with the "
            "complex's over the day, and addresses and devices of logins at the venue."
        ),
        (
            "Read accounts.csv (owner, legal_entity, linked_to) and the onboarding file of "
            "the account's owner as of window_start_ns: directors, funding, fee_tier?"
        ),
        (
            "Look for the account among the alerts of information_leak and wash_trading of "
            "the last 7 days by owner."
        ),
        (
            "Decide: where it is the group's, `ringfence register correct` with linked_to, "
            "from window_start_ns on, else `register decline`, each with reason, document and "
            "alert_id; then `register rerun` tells what history is under the new version."
        ),
    ),
    needs=("buy_account", "sell_account", "aggressor", "quantity", "engine_ns"),
    wants=("owner", "linked_to", "buy_order_id", "sell_order_id", "session", "user"),
)
