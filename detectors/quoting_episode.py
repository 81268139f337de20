"""A run of missed windows of one agreement, and the finding that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from detectors.agreements import ANY_SPREAD, Stretch, Window
from detectors.base import Feature, Finding, Ref, Spec, Status, rounded
from detectors.presence_state import ABSENT, ONE_SIDED, THIN, WIDE
from detectors.quoting_params import QuotingObligationsParams
from detectors.trades import quantity
from ingest.axes import Entries
from ingest.instruments import Instruments
from ingest.times import SECOND

LISTED: Final = 24
"""Intervals, and windows, that a finding lists: a day of hours; of more, the longest."""
WORDS: Final = {ABSENT: "absent", ONE_SIDED: "one-sided", THIN: "too small", WIDE: "too wide"}


class Missed(msgspec.Struct, frozen=True):
    """One window of a run: how much of it was there, of how much, ns."""

    from_ns: int
    end_ns: int
    present_ns: int
    open_ns: int


class Run(msgspec.Struct, kw_only=True):
    """Missed windows of one agreement, close to each other; bounded: sums and the worst of each."""

    code: int
    party: int
    first_seq: int
    start_ns: int
    end_ns: int
    gap_ns: int
    told: int = 0
    windows: int = 0
    accounts: tuple[int, ...] = ()
    last: Window
    pending: Window | None = None
    """The window that was told before its end, until it is over."""
    worst: list[Missed] = []
    stretches: list[Stretch] = []
    sums: dict[str, int] = {}
    incomplete: bool = False


def under(run: Run, code: int) -> Run:
    """Return a run under another instrument code."""

    def moved(window: Window) -> Window:
        return msgspec.structs.replace(window, instrument=code)

    pending = run.pending and moved(run.pending)
    return msgspec.structs.replace(run, code=code, last=moved(run.last), pending=pending)


RUNS: Final = Entries(kind=Run, place=lambda run: run.code, moved=under)
"""Axis of a packed list of runs."""
SUMMED: Final = (
    "open_ns", "present_ns", "absent_ns", "one_sided_ns", "thin_ns", "wide_ns", "uneven_ns",
    "unknown_ns", "excused_ns", "calm_open_ns", "calm_present_ns", "stress_open_ns",
    "stress_present_ns", "misses",
)  # fmt: skip


def opened(window: Window, gap_ns: int) -> Run:
    """Return the run that a missed window begins."""
    first = window.stretches[0].first_seq if window.stretches else window.at_seq
    return Run(
        code=window.instrument,
        party=window.party,
        first_seq=first,
        start_ns=window.from_ns,
        end_ns=window.end_ns,
        gap_ns=gap_ns,
        last=window,
    )


def add(run: Run, window: Window) -> None:
    """Take a missed window into a run."""
    run.end_ns, run.last = window.end_ns, msgspec.structs.replace(window, stretches=())
    run.windows += 1
    run.told += 1
    run.pending = None
    run.accounts = tuple(dict.fromkeys((*run.accounts, *window.accounts)))
    run.incomplete |= window.gap
    for name in SUMMED:
        run.sums[name] = run.sums.get(name, 0) + getattr(window, name)
    run.sums["longest_ns"] = max(run.sums.get("longest_ns", 0), window.longest_ns)
    one = Missed(window.from_ns, window.end_ns, window.present_ns, window.open_ns)
    worst = sorted([*run.worst, one], key=lambda m: (m.present_ns / m.open_ns, m.from_ns))
    run.worst = sorted(worst[:LISTED], key=lambda m: m.from_ns)
    longest = sorted(
        [*run.stretches, *window.stretches], key=lambda s: (s.from_ns - s.to_ns, s.from_ns)
    )
    run.stretches = sorted(longest[:LISTED], key=lambda s: s.from_ns)


def taken_back(run: Run) -> Run:
    """Return a run whose only window was told and then met after all: the terms have changed."""
    assert run.pending is not None  # noqa: S101 - else it has a window that was missed
    return so_far(run, run.pending)


def so_far(run: Run, window: Window) -> Run:
    """Return a run with a window that is not over, for now; the run counts that it was told."""
    run.told += 1
    run.pending = window
    run.accounts = tuple(dict.fromkeys((*run.accounts, *window.accounts)))
    now = msgspec.structs.replace(run, sums=dict(run.sums), told=run.told - 1)
    add(now, window)
    return now


def refs_of(window: Window) -> tuple[Ref, ...]:
    """Return the events at the ends of a window's intervals, in order of seq."""
    seqs = {seq for s in window.stretches for seq in (s.first_seq, s.last_seq)}
    return tuple(Ref(window.instrument, seq) for seq in sorted(seqs or {window.at_seq}))


def exact(ns: int) -> str:
    """Return ns as seconds, to the last digit.

    >>> exact(1_500_000_000), exact(3_600_000_000_000), exact(-1)
    ('1.5', '3600', '-0.000000001')
    """
    text = f"{abs(ns) // SECOND}.{abs(ns) % SECOND:09d}".rstrip("0").rstrip(".")
    return f"-{text}" if ns < 0 else text


def kinds(bits: int) -> str:
    """Return the words for the ways in which quotes were not there.

    >>> kinds(1 << ABSENT | 1 << WIDE)
    'absent and too wide'
    """
    return " and ".join(word for kind, word in WORDS.items() if bits >> kind & 1)


def intervals(stretches: Sequence[Stretch], start_ns: int) -> str:
    """Return intervals as seconds from a start, each with its ways.

    >>> intervals([Stretch(5 * SECOND, 7_500_000_000, 1 << ONE_SIDED, 1, 2)], SECOND)
    '4 to 6.5 one-sided'
    """
    return "; ".join(
        f"{exact(s.from_ns - start_ns)} to {exact(s.to_ns - start_ns)} {kinds(s.kinds)}"
        for s in stretches
    )


def _share(part_ns: int, whole_ns: int) -> float:
    return rounded(part_ns / whole_ns)


def finding(
    spec: Spec,
    params: QuotingObligationsParams,
    instruments: Instruments,
    run: Run,
    *,
    at_ns: int,
    refs: tuple[Ref, ...] = (),
    closed: bool = False,
    retracted: bool = False,
) -> Finding:
    """Return a run as it stands at an event time, with what it newly rests on."""
    sums, last = run.sums, run.last
    present = sums["present_ns"] / sums["open_ns"]
    status: Status = "confirmed" if closed and not run.incomplete else "provisional"
    shortfall = 1 - min(1.0, present / last.min_ratio)
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario=spec.scenarios[0],
        evidence_class="rule",
        evidence="proved" if last.has_reasons else "supported",
        instrument=run.code,
        first_seq=run.first_seq,
        first_accounts=(run.party,),
        revision=run.told,
        accounts=run.accounts or (run.party,),
        window_start_ns=run.start_ns,
        window_end_ns=run.end_ns,
        detected_ns=at_ns,
        evidence_refs=refs,
        features=_features(instruments, run),
        score=rounded(0.3 + 0.7 * shortfall),
        all_legs=True,
        significant=present < params.serious_ratio * last.min_ratio,
        coverage="incomplete" if run.incomplete else "complete",
        status="retracted" if retracted else status,
    )


def _features(instruments: Instruments, run: Run) -> dict[str, Feature]:
    sums, last = run.sums, run.last
    missed = sums["open_ns"] - sums["present_ns"]
    allowed = rounded((1 - last.min_ratio) * sums["open_ns"] / SECOND)
    seconds = {
        "absent": sums["absent_ns"],
        "one_sided": sums["one_sided_ns"],
        "too_small": sums["thin_ns"],
        "too_wide": sums["wide_ns"],
        "uneven": sums["uneven_ns"],
        "excused": sums["excused_ns"],
        "unknown": sums["unknown_ns"],
        "longest_absence": sums["longest_ns"],
    }
    features = {
        "presence": Feature(
            _share(sums["present_ns"], sums["open_ns"]), "ratio", rounded(last.min_ratio)
        ),
        "windows_missed": Feature(run.windows, "count"),
        "missed": Feature(rounded(missed / SECOND), "s", allowed),
        **{name: Feature(rounded(ns / SECOND), "s") for name, ns in seconds.items()},
        "open": Feature(rounded(sums["open_ns"] / SECOND), "s"),
        "interval_count": Feature(sums["misses"], "count"),
        "intervals": Feature(intervals(run.stretches, run.start_ns), "s after window_start_ns"),
        "windows": Feature(
            "; ".join(
                f"{exact(m.from_ns - run.start_ns)} to {exact(m.end_ns - run.start_ns)}: "
                f"{m.present_ns / m.open_ns:.4f}"
                for m in run.worst
            ),
            "s after window_start_ns: presence",
        ),
        "agreed_quantity": quantity(instruments, run.code, last.min_lots),
        "agreed_window": Feature(rounded(last.window_ns / SECOND), "s"),
    }
    if not last.has_reasons:
        features["reasons"] = Feature("none on the feed: forced absences not excused", "text")
    if last.max_spread_bps < ANY_SPREAD:
        features["agreed_spread"] = Feature(float(f"{last.max_spread_bps:.6g}"), "bps")
    for name in ("calm", "stress"):
        if sums[f"{name}_open_ns"]:
            share = _share(sums[f"{name}_present_ns"], sums[f"{name}_open_ns"])
            features[f"presence_{name}"] = Feature(share, "ratio", rounded(last.min_ratio))
    return features
