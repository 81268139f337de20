"""How long those who quote had quotes on a tape: by day, instrument and account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from detectors.agreements import ANY_SPREAD, Agreement, Window, agreements_of
from detectors.base import rounded
from detectors.book import Books
from detectors.presence import Presence
from detectors.quoting_obligations import is_missed
from detectors.quoting_params import QuotingObligationsParams
from ingest.events import Role
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import Register, read_register
from ingest.registry import ALWAYS, FOREVER, format_time
from ingest.sequence import Sequencer
from ingest.tape import Tape, TapeSource
from ingest.times import DAY, HOUR, SECOND
from monitor.tape_pass import polled
from monitor.terminal import ProgressCall

ROWS: Final = 65_536
MAKERS: Final = frozenset({Role.AFFILIATED_MM, Role.EXTERNAL_MM})


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What one account, or owner, showed in one instrument on one UTC day."""

    day: str
    instrument: str
    account: str
    agreed: float | None
    """Least presence that was agreed; None: without an agreement, of which two sides are all that
    is asked, at any price and size."""
    presence: float | None
    """Share of the open and known time; None where there was none."""
    open_s: float
    unknown_s: float
    excused_s: float
    absent_s: float
    one_sided_s: float
    too_small_s: float
    too_wide_s: float
    uneven_s: float
    longest_absence_s: float
    spread_bps: float | None
    """Mean spread of its best quotes while it had both sides."""
    presence_calm: float | None
    presence_stress: float | None
    met: int
    """Windows of the agreement that were met, or of which too little was open to judge them."""
    missed: int
    undecided: int
    """1 on the day, and in the window, that the tape ends in: it counts as far as it goes."""


def presence_by_day(
    tape: Path, params: QuotingObligationsParams, *, progress: ProgressCall | None = None
) -> list[Day]:
    """Return the presence of all who owe quotes on a tape, and of makers that owe none.

    By day, instrument and account. The window in which the tape ends counts as far as it goes. A
    maker is whoever has a registered role of one; its accounts are then looked at each by itself.

    Raises
    ------
    TapeError, RegistryError
        The tape or its tables cannot be read.
    """
    names = Names()
    source = TapeSource(tape, names, batch_rows=ROWS)
    register = read_register(Tape(tape).accounts_path, names)
    instruments = source.instruments
    presence = Presence(
        instruments,
        least_open_ratio=params.least_open_ratio,
        excused_ratio=params.excused_ratio,
        stress_ratio=params.stress_ratio,
    )
    agreed = agreements_of(register.terms, register.parties, instruments)
    asked = (*agreed, *_unasked(register, names, instruments, agreed))
    asked = tuple(sorted(asked, key=lambda row: row.instrument))
    sequencer, books = Sequencer(instruments), Books(instruments)
    windows: list[Window] = []
    for arrivals in polled(source, tape, progress):
        released = sequencer.push(register.tag(arrivals.batch), arrivals.idle)
        batch = books.apply(released.batch)
        windows += [w for w in presence.take(batch, asked) if w.is_over and w.in_force]
    windows += [w for w in presence.finish() if w.in_force]
    owed = {(row.instrument, row.party) for row in agreed}
    keys: dict[tuple[str, str, str], list[Window]] = {}
    for window in windows:
        day = format_time(window.start_ns // DAY * DAY)[:10]
        name = instruments[window.instrument].instrument
        keys.setdefault((day, name, names.name(window.party)), []).append(window)
    return [
        _day(key, rows, params, is_owed=(rows[0].instrument, rows[0].party) in owed)
        for key, rows in sorted(keys.items())
    ]


def _unasked(
    register: Register,
    names: Names,
    instruments: Instruments,
    agreed: tuple[Agreement, ...],
) -> Iterator[Agreement]:
    """Yield what makers without an agreement are measured by: two sides, whatever they are."""
    owed = {(row.instrument, row.party) for row in agreed}
    makers = dict.fromkeys(row.account for row in register.rows if row.role in MAKERS)
    for account in makers:
        party = names.find(account)
        for code in range(len(instruments)):
            if (code, party) not in owed:
                yield Agreement(
                    instrument=code,
                    party=party,
                    min_lots=1,
                    max_spread_bps=ANY_SPREAD,
                    min_ratio=0.0,
                    window_ns=HOUR,
                    from_ns=ALWAYS,
                    to_ns=FOREVER,
                )


def _day(
    key: tuple[str, str, str],
    windows: list[Window],
    params: QuotingObligationsParams,
    *,
    is_owed: bool,
) -> Day:
    def seconds(name: str) -> float:
        return rounded(sum(getattr(w, name) for w in windows) / SECOND)

    def share(part: str, whole: str) -> float | None:
        of = sum(getattr(w, whole) for w in windows)
        return rounded(sum(getattr(w, part) for w in windows) / of) if of else None

    day, instrument, account = key
    over = [w for w in windows if w.is_over] if is_owed else []
    missed = sum(is_missed(w, params.least_open_ratio) for w in over)
    two_sided = sum(w.two_sided_ns for w in windows)
    spread = sum(w.spread_bps * w.two_sided_ns for w in windows)
    return Day(
        day=day,
        instrument=instrument,
        account=account,
        agreed=rounded(windows[-1].min_ratio) if is_owed else None,
        presence=share("present_ns", "open_ns"),
        open_s=seconds("open_ns"),
        unknown_s=seconds("unknown_ns"),
        excused_s=seconds("excused_ns"),
        absent_s=seconds("absent_ns"),
        one_sided_s=seconds("one_sided_ns"),
        too_small_s=seconds("thin_ns"),
        too_wide_s=seconds("wide_ns"),
        uneven_s=seconds("uneven_ns"),
        longest_absence_s=rounded(max(w.longest_ns for w in windows) / SECOND),
        spread_bps=rounded(spread / two_sided) if two_sided else None,
        presence_calm=share("calm_present_ns", "calm_open_ns"),
        presence_stress=share("stress_present_ns", "stress_open_ns"),
        met=len(over) - missed,
        missed=missed,
        undecided=sum(not w.is_over for w in windows) if is_owed else 0,
    )
