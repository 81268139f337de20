"""Windows: a stretch of archived events written as a tape, with a manifest of what is missing."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from alerts.archive_bounds import read_dropped
from alerts.archive_names import SHARED, encode_instrument
from alerts.archive_ranges import hours_between
from alerts.archive_reader import ArchiveReader
from alerts.segments import Rows
from alerts.states import ArchivedState, States
from alerts.window_files import TapeWriter, accounts_csv, instruments_csv
from ingest.errors import RingfenceError
from ingest.events import Array, Topic
from ingest.instruments import Instrument, Instruments
from ingest.registry import RegistryRow
from ingest.terms import NO_TERMS, Terms
from ingest.terms_csv import write_terms

FORMAT: Final = 1
MANIFEST: Final = "window.json"
STATE: Final = "state.ckpt"
BEGINNING: Final = 0
"""`from_ns` of a window from the first event on: no record is of before 1970."""


class WindowError(RingfenceError):
    """A window that cannot be written; says why."""


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Seqs that a window should have and the archive does not; both ends count."""

    first_seq: int
    last_seq: int


class WindowInstrument(msgspec.Struct, frozen=True, kw_only=True):
    """What a window has of one instrument."""

    instrument: str
    first_seq: int | None
    last_seq: int | None
    orders: int
    trades: int
    late: int
    """Records that came after their gap was declared: in `late-orders.ndjson` and
    `late-trades.ndjson`, not in the tape, since they were never applied."""
    conflicts: int
    """Records left out because another of the same seq, with other content, was applied."""
    missing: tuple[Missing, ...]
    dropped_before_ns: int | None
    """Bounds have dropped events of before this time, ns; None when they dropped nothing."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest, window.json."""

    format: int
    from_ns: int
    to_ns: int
    """Both ends count, event time, ns."""
    instruments: tuple[WindowInstrument, ...]
    reflowed: int
    """Records whose line breaks became spaces, since a tape has one record a line."""
    damaged: dict[str, str]
    """Parts of the archive that could not be read, with the reason."""
    state: ArchivedState | None
    """The state at the beginning, kept in state.ckpt; None: the window begins from nothing."""
    files: dict[str, str]
    """SHA-256 of every other file."""

    @property
    def complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self.damaged and not any(item.missing for item in self.instruments)


def require_empty(folder: Path) -> None:
    """Raise WindowError unless a folder is new, or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WindowError(f"{folder} must be a new or an empty folder")


def export_window(
    directory: Path,
    out: Path,
    instruments: Collection[Instrument],
    *,
    from_ns: int,
    to_ns: int,
    accounts: Collection[RegistryRow],
    terms: Terms = NO_TERMS,
    state: ArchivedState | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Window:
    """Write archived events as a tape that `ringfence replay` runs, and return its manifest.

    Each file is in matching order: by event clock, then instrument, then seq. Records are the
    bytes that came. Memory: an hour of the instruments' events, and 8 B an event.

    Parameters
    ----------
    directory : Path
        The archive's folder.
    out : Path
        Folder of the tape: new, or empty. It appears whole or not at all.
    instruments : collection of Instrument
        Whose events to write; rows of instruments.csv.
    from_ns, to_ns : int
        Event time, ns; both ends count. `BEGINNING` for all there is.
    accounts : collection of RegistryRow
        A version of the register, whole: the tape's accounts.csv.
    terms : Terms
        Of that version: obligations.csv and disclosures.csv, where they have rows.
    state : ArchivedState, optional
        One from `States.before`. It is written beside the tape, and events begin where it ends,
        whatever `from_ns` says, so that state and tape join without a gap.
    progress : callable, optional
        Told hours done and hours in all.

    Raises
    ------
    WindowError
        Nothing is asked for, the range is empty, or `out` holds something.
    """
    wanted = Instruments(instruments)
    if not len(wanted):
        raise WindowError("a window must have at least one instrument")
    if from_ns > to_ns:
        raise WindowError(f"a window must end at or after its beginning {from_ns}, was {to_ns}")
    require_empty(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.with_name(f".{out.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        window = _write(
            directory,
            building,
            wanted,
            from_ns=from_ns,
            to_ns=to_ns,
            accounts=accounts,
            terms=terms,
            state=state,
            progress=progress,
        )
        building.replace(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return window


def _write(
    directory: Path,
    out: Path,
    instruments: Instruments,
    *,
    from_ns: int,
    to_ns: int,
    accounts: Collection[RegistryRow],
    terms: Terms,
    state: ArchivedState | None,
    progress: Callable[[int, int | None], None] | None,
) -> Window:
    reader = ArchiveReader(directory)
    names = [row.instrument for row in instruments.rows]
    first = {name: state.seqs.get(name, 1) for name in names} if state else {}
    begin_ns = BEGINNING if state else from_ns
    with TapeWriter(out) as tape:
        tallies = {name: _Tally(first.get(name)) for name in names}
        hours = hours_between(reader, names, begin_ns, to_ns, first_seqs=first, progress=progress)
        for rows in hours:
            _write_hour(rows, tape, tallies)
    (out / "accounts.csv").write_bytes(accounts_csv(accounts))
    write_terms(terms, out)
    (out / "instruments.csv").write_bytes(instruments_csv(instruments))
    if state is not None:
        (out / STATE).write_bytes(States(directory).raw(state))
    dropped = read_dropped(directory)
    window = Window(
        format=FORMAT,
        from_ns=from_ns,
        to_ns=to_ns,
        instruments=tuple(
            tallies[name].result(
                name,
                from_beginning=begin_ns == BEGINNING,
                dropped_before_ns=max(
                    (
                        dropped[top].until_ns
                        for top in (encode_instrument(name), SHARED)
                        if top in dropped
                    ),
                    default=None,
                ),
            )
            for name in names
        ),
        reflowed=tape.reflowed,
        damaged=dict(sorted(reader.damaged.items())),
        state=state,
        files={
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.iterdir())
        },
    )
    content = msgspec.json.format(msgspec.json.encode(window), indent=2) + b"\n"
    (out / MANIFEST).write_bytes(content)
    return window


class _Tally:
    """What was written of one instrument."""

    def __init__(self, first_seq: int | None) -> None:
        self._first = first_seq
        self._seqs: list[Array] = []
        self._counts = dict.fromkeys(Topic, 0)
        self.late = 0
        self.conflicts = 0

    def add(self, seqs: Array, topics: Array) -> None:
        """Count applied records."""
        self._seqs.append(seqs)
        for topic in Topic:
            self._counts[topic] += int(np.count_nonzero(topics == topic))

    def result(
        self, name: str, *, from_beginning: bool, dropped_before_ns: int | None
    ) -> WindowInstrument:
        """Return the instrument's entry of the manifest."""
        seqs = np.sort(np.concatenate(self._seqs)) if self._seqs else np.empty(0, np.int64)
        first = self._first if self._first is not None else 1 if from_beginning else None
        before = seqs if first is None else np.concatenate(([first - 1], seqs))
        holes = np.flatnonzero(np.diff(before) > 1)
        return WindowInstrument(
            instrument=name,
            first_seq=int(seqs[0]) if len(seqs) else None,
            last_seq=int(seqs[-1]) if len(seqs) else None,
            orders=self._counts[Topic.ORDERS],
            trades=self._counts[Topic.TRADES],
            late=self.late,
            conflicts=self.conflicts,
            missing=tuple(
                Missing(first_seq=int(before[i]) + 1, last_seq=int(before[i + 1]) - 1)
                for i in holes
            ),
            dropped_before_ns=dropped_before_ns,
        )


def _write_hour(rows: Rows, tape: TapeWriter, tallies: Mapping[str, _Tally]) -> None:
    late, first = rows.late, rows.first_of_seq
    applied = first & ~late
    for span in rows.spans:
        here = slice(span.first_row, span.first_row + span.rows)
        tally, taken = tallies[span.instrument], applied[here]
        tally.add(rows.columns["seq"][here][taken], rows.columns["topic"][here][taken])
        tally.late += int(np.count_nonzero(late[here]))
        tally.conflicts += int(np.count_nonzero(~first[here] & ~late[here]))
    for mask, is_late in ((applied, False), (late, True)):
        where = np.flatnonzero(mask)
        order = np.lexsort((rows.columns["seq"][where], rows.codes[where], rows.times[where]))
        where = where[order]
        topics = rows.columns["topic"][where]
        for topic in Topic:
            tape.write(topic, rows.raw.gather(where[topics == topic]), late=is_late)
