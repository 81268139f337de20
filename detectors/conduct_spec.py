"""What conduct_across looks for, what looks like it, and what to do."""

from __future__ import annotations

from typing import Final

from detectors.base import Spec

SPEC: Final = Spec(
    id="conduct_across",
    version=2,
    title="Conduct in several instruments",
    scope="platform",
    evidence_class="indicator",
    scenarios=("spoofing", "stop_hunting", "quote_fade"),
    looks_for=(
        "Conduct of the complex that shows in several instruments, in each of them too little to "
        "be told there. Detectors of one instrument hand on what they have seen of late, told or "
        "not (signs): spoofing its large prompt cycles of the day, by size (grade), beside "
        "external makers' as large, and how soon they go after a fill within the time that they "
        "stood; stop_hunting how often orders of the group run stops that day, beside others' that "
        "move the price as far (grade 1), and how strange the group's runs are (grade 2); "
        "quote_fading the client orders of two hours from which the complex withdrew, beside their "
        "placebo windows, each by how rare it is there, and what is more than these give, times "
        "what makes external makers go more often than by theirs, beside external makers' "
        "(beyond_peers: a condition, no part of the chance and with no ratio). These sums add up "
        "over instruments. A desk may do such things usual_ratio times as often as others, and be "
        "usual_surprise as strange: that is a style. A test passes where, beyond that, each of "
        "its parts is beyond chance (leg_chance), all are together (Fisher's method, over the "
        "grades tried) within what a look may spend of the day's level, and also without the "
        "instrument that shows most (rest_chance); the cases must be least_ratio times what "
        "others' rate gives, in least_instruments or more, and as strange on average as "
        "least_surprise says. Then those instruments are told that are strange by themselves "
        "(Benjamini and Hochberg, false_share) and of whose cases no more than that share is "
        "others' rate: one alert an instrument, scenario and day, with the cases that their own "
        "detectors have not told."
    ),
    legal_basis=(
        "VATP Guidelines 8.1, 8.2, 14.5: controls against manipulation, notice [V]",
        "SFC circular 26EC6 para 7: safeguards bind the affiliated market maker's conduct [S]",
        "SFO s.274/295, securities and futures only: artificial price [S]",
    ),
    look_alikes=(
        "conduct that is strange in one instrument alone",
        "a maker that differs from others everywhere, in one part of the tests only",
        "an instrument that is strange by chance, beside others that are not",
    ),
    blind_spots=(
        "conduct in one instrument, or of a different kind in each",
        "conduct that the detectors of one instrument do not see at all",
    ),
    runbook=(
        (
            "Read `features.instruments` and `features.chance`: list the alerts of "
            "conduct_across with the same scenario and overlapping window_start_ns to "
            "window_end_ns: is it one desk, one algo_id, one account?"
        ),
        (
            "Read the alerts of low severity of the scenario's own detector in each of these "
            "instruments over the same day by order_ids: each case has its features there."
        ),
        (
            "For each case list the orders of order_ids by engine_ns: what was entered, what was "
            "filled on the other side, what was withdrawn, within how many ms?"
        ),
        (
            "Read `features.cases` with its baseline (what external makers' rate gives), and the "
            "chance of each part: had any of them as many, as large or as quick in those hours?"
        ),
    ),
    needs=("account", "side", "price", "quantity", "order_id", "engine_ns"),
    wants=("leaves", "stop_price"),
)
