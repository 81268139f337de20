"""Names of the archive's files: what one holds can be read off its path, whatever is inside.

    BTC-USD/2026-02/2026-02-11T08Z_1-5210_5210_9f3c0a1b2c3d-000007.parquet
        an instrument's hour: lowest and highest seq, rows, writer and number
    _shared/2026-02/2026-02-11_812_9f3c0a1b2c3d-000008.parquet
        a day of the instruments that had little to say in an hour
    _recent/4711_9f3c0a1b2c3d-000009.parquet
        hours that were still going on when it was written

Beside each stands its index, `.json`, with the SHA-256. A name is never used twice.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from urllib.parse import quote, unquote

import msgspec

from ingest.events import NULL
from ingest.times import DAY, HOUR, SECOND

SHARED: Final = "_shared"
RECENT: Final = "_recent"
LONGEST: Final = 160
"""Characters of an encoded instrument that a folder is named with; file systems take 255 bytes."""
Kind = Literal["hour", "shared", "recent"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WRITTEN: Final = r"(?P<rows>\d+)_[0-9a-z]+-\d+\.parquet"
_HOUR_FILE: Final = re.compile(
    rf"(?P<at>\d{{4}}-\d\d-\d\dT\d\d)Z_(?P<min>-?\d+)-(?P<max>-?\d+)_{_WRITTEN}"
)
_DAY_FILE: Final = re.compile(rf"(?P<at>\d{{4}}-\d\d-\d\d)_{_WRITTEN}")
_RECENT_FILE: Final = re.compile(_WRITTEN)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file of the archive, by its path alone."""

    path: str
    """Relative to the archive's folder."""
    kind: Kind
    first_ns: int
    """Beginning of its hour or day, ns; NULL for a recent part."""
    end_ns: int
    """End of its hour or day, exclusive, ns; NULL for a recent part."""
    min_seq: int
    max_seq: int
    """Range of seqs in an instrument's hour; 0 else."""
    rows: int

    @property
    def folder(self) -> str:
        """The folder that it lies in, relative to the archive's."""
        return self.path.rpartition("/")[0]

    @property
    def index_path(self) -> str:
        """Path of its index."""
        return f"{self.path.removesuffix('.parquet')}.json"


def encode_instrument(name: str) -> str:
    """Return an instrument's folder name: what any file system takes, and no other's.

    A name too long for a folder is cut and ends in `~` and a hash; its indexes hold it whole.

    >>> encode_instrument("BTC-USD"), encode_instrument("_x/東"), encode_instrument("..")
    ('BTC-USD', '%5Fx%2F%E6%9D%B1', '%2E.')
    """
    text = quote(name, safe="").replace("~", "%7E")
    if text.startswith(("_", ".")):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def decode_instrument(folder: str) -> str | None:
    """Return the instrument of a folder name; None where the name was too long to hold it.

    >>> decode_instrument(encode_instrument("_x/東"))
    '_x/東'
    """
    return None if "~" in folder else unquote(folder)


def hour_stem(folder: str, first_ns: int, min_seq: int, max_seq: int, rows: int) -> str:
    """Return the path of an hour in an instrument's month, without writer, number and suffix."""
    return f"{folder}/{_moment(first_ns):%Y-%m-%dT%H}Z_{min_seq}-{max_seq}_{rows}"


def shared_stem(folder: str, first_ns: int, rows: int) -> str:
    """Return the path of a day in a shared month, likewise."""
    return f"{folder}/{_moment(first_ns):%Y-%m-%d}_{rows}"


def month_of(at_ns: int) -> str:
    """Return the folder of a month.

    >>> month_of(1_770_796_800_000_000_000)
    '2026-02'
    """
    return f"{_moment(at_ns):%Y-%m}"


def parse_part(folder: str, name: str) -> Part | None:
    """Return the part of a file name in a folder; None for any other file."""
    kind: Kind
    if folder == RECENT:
        kind, found = "recent", _RECENT_FILE.fullmatch(name)
    elif folder.startswith(f"{SHARED}/"):
        kind, found = "shared", _DAY_FILE.fullmatch(name)
    else:
        kind, found = "hour", _HOUR_FILE.fullmatch(name)
    if found is None:
        return None
    try:
        first_ns = NULL if kind == "recent" else _ns(found["at"])
    except ValueError:  # it looks like a date and is none: not a file of ours
        return None
    long_ns = {"recent": 0, "shared": DAY, "hour": HOUR}[kind]
    return Part(
        path=f"{folder}/{name}",
        kind=kind,
        first_ns=first_ns,
        end_ns=first_ns + long_ns,
        min_seq=int(found["min"]) if kind == "hour" else 0,
        max_seq=int(found["max"]) if kind == "hour" else 0,
        rows=int(found["rows"]),
    )


def _moment(at_ns: int) -> datetime:
    return _EPOCH + timedelta(seconds=at_ns // SECOND)


def _ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int((moment - _EPOCH).total_seconds()) * SECOND
