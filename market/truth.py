"""What a labelled tape holds of abuse: the records of `truth.json`, and their names.

`attempts.json`, beyond the wire contract, has records of the same kind: conduct that was begun and
came to nothing, as a fill ahead of an order held that lost none: the ids are the group's own
alone. It is no case, so nobody has to find it; but an
alert that tells of it is not wrong either.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from ingest.errors import UsageError

FILE: Final = "truth.json"
ATTEMPTS: Final = "attempts.json"
SCENARIOS: Final = (
    "front_running",
    "information_leak",
    "quote_fade",
    "client_priority",
    "trading_ahead",
    "stop_hunting",
    "spoofing",
    "wash_self",
    "wash_affiliate",
    "wash_common_owner",
    "matched_orders",
    "wash_ring",
    "hidden_affiliate",
    "unequal_access",
    "unfair_fills",
    "quoting_obligation",
    "tag_error",
)
"""Every kind of abuse; an alert's `scenario` equals one of these names."""


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """One real case of abuse on a labelled tape. Times are integer UTC nanoseconds since 1970."""

    scenario: str
    """The kind it was made as."""
    also: tuple[str, ...] = ()
    """Kinds that the same conduct is too: an alert of one of them is right."""
    instrument: str
    """Where clients were wronged; empty when it is not one instrument's."""
    accounts: tuple[str, ...]
    """Whose conduct it was; never the wronged."""
    start_ns: int
    end_ns: int
    """From the first to the last act, both within."""
    severity: float
    """0, barely there, to 1, blatant."""
    order_ids: tuple[str, ...] = ()
    trade_ids: tuple[str, ...] = ()
    """Unique within an instrument; both empty where the case is a rate or an absence."""
    client_harm: float | None = None
    """What clients lost by it, quote currency: a paired run without it; None = not measured."""
    instruments: tuple[str, ...] = ()
    """Further instruments that it used, such as a perpetual; beyond the wire contract."""
    evasion: str = "none"
    """How it was hidden; beyond the wire contract."""
    client_loss: float | None = None
    """As `client_harm`, but gains of those wronged count too, so it may be below 0: luck in what
    came after evens out in a sum over many cases; beyond the wire contract."""


def write_truth(folder: Path, truths: Sequence[Truth]) -> None:
    """Write the truth of a tape, one record a line, by start and then by name."""
    _write(folder / FILE, truths)


def write_attempts(folder: Path, attempts: Sequence[Truth]) -> None:
    """Write what came to nothing, likewise; no file where there is none."""
    (folder / ATTEMPTS).unlink(missing_ok=True)
    if attempts:
        _write(folder / ATTEMPTS, attempts)


def _write(path: Path, truths: Sequence[Truth]) -> None:
    ranked = sorted(truths, key=lambda t: (t.start_ns, t.scenario, t.instrument, t.accounts))
    lines = ",\n".join(msgspec.json.encode(truth).decode() for truth in ranked)
    text = f"[\n{lines}\n]\n" if ranked else "[]\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def read_truth(folder: Path) -> list[Truth]:
    """Return the truth of a labelled tape; fields that are not known are left out.

    Raises
    ------
    UsageError
        The tape has none, or it is not valid.
    """
    try:
        return _read(folder / FILE)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise UsageError(f"{folder} has no {FILE}: only a labelled tape can be scored") from None


def read_attempts(folder: Path) -> list[Truth]:
    """Return what came to nothing; nothing where the tape does not tell.

    Raises
    ------
    UsageError
        The file is not valid.
    """
    path = folder / ATTEMPTS
    return _read(path) if path.is_file() else []


def _read(path: Path) -> list[Truth]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Truth])
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from None
