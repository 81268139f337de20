"""What matched_orders looks for, what looks like it, and what to do."""

from __future__ import annotations

from typing import Final

from detectors.base import Spec

SPEC: Final = Spec(
    id="matched_orders",
    version=4,
    title="Matched orders",
    scope="instrument",
    evidence_class="rule",
    scenarios=("matched_orders",),
    looks_for=(
        "A limit order betters its own side's best price (or that side is empty), so that it "
        "stands alone; within within_s an order of another owner takes it, and the sizes of both "
        "as entered differ by no more than alike_ratio. Two parties, or those who met them the "
        "most often alike, up to max_circle of them (more than three only if each met two others "
        "alike, and outsiders as often as members), do so at least least_meetings times (more "
        "than two: joining_meetings each) in a UTC day and instrument, and more often than by "
        "chance: how often their orders would meet at all follows from how often each rested and "
        "took in the same quarters of an hour (margins of one table), and from how often those of "
        "unlike sizes did, if that is more; how often sizes would be alike is the most of: the "
        "share of all other meetings, the share of each party's with others (a taker that always "
        "takes all that is shown is like everyone), and how often each party's other orders have "
        "the sizes at hand (who always enters one size meets it often). How soon the second order "
        "of each comes is ranked among the instrument's latest meetings, and among those of each "
        "of the two with others (who always takes at once is like itself): the larger share "
        "counts. The tail of the number, or number and gaps by Fisher's method, of the day or of "
        "its last two quarters of an hour (times 96), must pass, times four, "
        "over all sets of as many of the parties of the day; so must the binomial tail of sizes "
        "alike among their meetings, and the number's by itself (size_chance). The number's is "
        "binomial, of as many trials as there could be meetings by how often each rested and "
        "took. Whoever then meets one of a circle likewise joins it. One alert a circle and "
        "episode, with the orders and trades of meetings alike; the first of a day cites those "
        "from before it was told, each further one begins with a second meeting within "
        "episode_gap_s; who met one of an episode within joining_gap_s belongs to it. Where a run "
        "of its meetings, or of all told ones of the day, ring_turns a party or more and begun "
        "anywhere, brings the position of all who are linked in it back within balance_ratio of "
        "the mean size, and who of them bought last sells next, or meetings of one size in a row "
        "lead round, more often than chance gives (ring_chance; who only bought or only sold is "
        "left out), it shows wash_ring too (facet of all open alerts of meetings of two of them). "
        "A party is an account, or an originator where the order names one. Accounts of one "
        "owner, or both of the complex, are wash_trading's and do not count here. Only the "
        "continuous phase. A bust takes nothing back: the orders had been entered. Order is that "
        "of seq, gaps are by the engine's clock: no gateway clock decides, so δ does not bear on "
        "it."
    ),
    legal_basis=(
        "AMLO s.53ZRF: fraud or deception in virtual-asset transactions [V]",
        (
            "VATP Guidelines 8.1, 8.2, 14.5: controls against manipulation, notice, guard "
            "against falsification [V]"
        ),
        (
            "SFO s.274(5)/295(5), securities and futures only: matched orders presumed false "
            "trading [S]"
        ),
        (
            "SFC AML Guideline 12.16.4: pre-arranged and matching orders, groups with one "
            "pattern [V]"
        ),
    ),
    look_alikes=(
        "round sizes that everybody enters",
        "maker and taker that both always enter one size",
        "taker that takes exactly what is shown, of everybody",
        "taker that takes all within milliseconds",
        "maker whose offers are all taken at once",
        "minutes in which everybody trades at once",
        "two busy accounts that meet often",
        "two external makers crossing at a tight spread",
        "two accounts active in the same minutes only",
        "accounts of one owner or of the complex",
        "two orders alike, once or twice",
        "order that had long stood there",
        "auction or halt",
    ),
    blind_spots=(
        "an order taken by several that add up to its size",
        "orders that queue behind others at the touch",
        "a pair that meets twice a day",
        "a pair in the first minutes of a feed or day, before others' habits are known",
        "circles of more than eight, or of which no two meet twice (see wash_rings)",
    ),
    runbook=(
        (
            "List order_ids by engine_ns from window_start_ns to window_end_ns, two by two: "
            "who entered first, how long until the other, and is price where nobody stood?"
        ),
        (
            "Read `features.told_on` against its baseline, and `features.alike_share` against "
            "its: meetings alike of the day that chance would give, and sizes alike; "
            "`gap_chance`: of second orders that came so soon."
        ),
        (
            "Compare session, user, algo_id and client_order_id of order_ids over the episode: "
            "one hand behind the accounts?"
        ),
        (
            "Look up owner, legal_entity and linked_to of the accounts in accounts.csv as in "
            "force at window_start_ns; who opened them, on which day, who funds them?"
        ),
        (
            "Read `features.net_ratio` over the episode: near 0 the position came back, near "
            "1 it was moved. Was price away from the mid of the hour before?"
        ),
    ),
    needs=(
        "account", "side", "price", "quantity", "buy_account", "sell_account", "buy_order_id",
        "sell_order_id", "engine_ns",
    ),
    wants=("owner", "originator", "linked_to", "leaves"),
)  # fmt: skip
