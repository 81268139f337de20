"""Files of the archive: a part and its index, each whole and durable before anything trusts it."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

from alerts.archive_names import Part, parse_part
from alerts.segments import COLUMNS, Rows, SegmentError, Span

FORMAT: Final = 2
ROW_GROUP: Final = 32_768
LOCK: Final = "_lock"
PARTIAL: Final = ".partial"
"""Suffix of a file that is being written."""


class PartGoneError(SegmentError):
    """A part that another worker replaced or dropped since its folder was listed: look again."""


class UnindexedError(SegmentError):
    """A part without its index: a write or a deletion that goes on, or never ended."""


class PartIndex(msgspec.Struct, frozen=True, kw_only=True):
    """What the index file says of a part."""

    format: int
    file: str
    sha256: str
    bytes: int
    rows: int
    late: int
    """Rows that came after their gap was declared; they have no clock."""
    first_ns: int
    """Lowest time of its rows, ns: event clock, and of late rows engine_ns."""
    end_ns: int
    """Highest such time, ns."""
    last_ns: int
    """Highest event clock of its rows, ns; NULL when all are late."""
    spans: tuple[Span, ...]


class _IndexFile(msgspec.Struct, frozen=True):
    index: msgspec.Raw
    """A PartIndex."""
    sha256: str
    """Of the index as it stands here, so that a changed digit is noticed."""


def write_part(directory: Path, stem: str, rows: Rows) -> Part:
    """Write rows as a part, with its index; return it once both are durable.

    The Parquet file and its folder are synchronised before the index appears, so an index always
    has its part. `stem` is the path without suffix and must be new.
    """
    path, index_path = directory / f"{stem}.parquet", directory / f"{stem}.json"
    make_folder(directory, path.parent)
    names = pl.Series([span.instrument for span in rows.spans], dtype=pl.String)
    frame = pl.DataFrame({"instrument": names.gather(rows.codes), **rows.columns, "raw": rows.raw})
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)
    content = buffer.getbuffer()
    write_durably(path, content)
    times = rows.times
    index = PartIndex(
        format=FORMAT,
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        rows=len(rows),
        late=int(np.count_nonzero(rows.late)),
        first_ns=int(times.min()),
        end_ns=int(times.max()),
        last_ns=rows.last_ns,
        spans=rows.spans,
    )
    body = msgspec.json.encode(index)
    digest = hashlib.sha256(body).hexdigest()
    write_durably(index_path, msgspec.json.encode(_IndexFile(msgspec.Raw(body), digest)) + b"\n")
    folder, _, name = f"{stem}.parquet".rpartition("/")
    part = parse_part(folder, name)
    if part is None:
        raise ValueError(f"{stem} is no name of an archived part")
    return part


def read_index(directory: Path, part: Part) -> PartIndex:
    """Return a part's index.

    Raises
    ------
    PartGoneError
        Neither the index nor the part is there.
    UnindexedError
        The index is missing.
    SegmentError
        The index is damaged, or not of this part.
    """
    path = directory / part.index_path
    try:
        written = msgspec.json.decode(path.read_bytes(), type=_IndexFile)
        if hashlib.sha256(written.index).hexdigest() != written.sha256:
            raise SegmentError(f"archive index {part.index_path} does not match its own SHA-256")
        index = msgspec.json.decode(written.index, type=PartIndex)
    except FileNotFoundError as error:
        if not (directory / part.path).exists():
            raise PartGoneError(f"archive part {part.path} is gone") from error
        raise UnindexedError(
            f"archive part {part.path} has no index: an unfinished write or deletion"
        ) from error
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SegmentError(f"archive index {part.index_path} cannot be read: {error}") from error
    if index.format != FORMAT:
        raise SegmentError(
            f"archive index {part.index_path} has format {index.format}, expected {FORMAT}"
        )
    if index.file != Path(part.path).name or index.rows != part.rows:
        raise SegmentError(
            f"archive index {part.index_path} is of {index.file} with {index.rows} rows"
        )
    return index


def read_part(directory: Path, part: Part) -> Rows:
    """Return the rows of a part after checking its SHA-256; errors as `read_index` raises them."""
    index = read_index(directory, part)
    try:
        content = (directory / part.path).read_bytes()
    except FileNotFoundError as error:
        if not (directory / part.index_path).exists():
            raise PartGoneError(f"archive part {part.path} is gone") from error
        raise SegmentError(f"archive part {part.path} is missing, its index is there") from error
    except OSError as error:
        raise SegmentError(f"archive part {part.path} cannot be read: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != index.sha256:
        raise SegmentError(
            f"archive part {part.path} has SHA-256 {found[:16]}…, "
            f"expected {index.sha256[:16]}… (its index)"
        )
    frame = pl.read_parquet(content, columns=[*COLUMNS, "raw"])
    columns = {name: frame[name].to_numpy() for name in COLUMNS}
    return Rows(index.spans, columns, frame["raw"].rechunk())


def remove_part(directory: Path, part: Part) -> bool:
    """Delete a part; return whether it was this call that did.

    The index goes first: what a crash in between leaves is a part that is then named, not trusted.
    """
    (directory / part.index_path).unlink(missing_ok=True)
    try:
        (directory / part.path).unlink()
    except FileNotFoundError:
        return False
    return True


def write_durably(path: Path, content: bytes | memoryview) -> None:
    """Write a file that appears whole or not at all, and is on disk with its name on return."""
    partial = path.with_name(f"{path.name}{PARTIAL}")
    try:
        file = partial.open("wb")
    except FileNotFoundError:  # a folder that another worker found empty, and removed
        path.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("wb")
    with file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def size_of(directory: Path, part: Part) -> int:
    """Return the size of a part's file, B; 0 when it is gone."""
    try:
        return (directory / part.path).stat().st_size
    except FileNotFoundError:
        return 0


class Suffixes:
    """Ends of file names that no other writer uses, in this process or any other."""

    def __init__(self) -> None:
        self._writer = secrets.token_hex(6)
        self._numbers = count(1)

    def next(self) -> str:
        """Return the next one: the writer's mark and a number; any thread may ask."""
        return f"{self._writer}-{next(self._numbers):06d}"


@contextmanager
def locked(directory: Path) -> Iterator[bool]:
    """Hold the archive's lock if it is free; yields whether it is held.

    It spares workers from doing the same tidying at once. Nothing is lost where a file system
    has no locks: then every worker holds it.
    """
    with (directory / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            yield True
            return
        yield True


def make_folder(directory: Path, folder: Path) -> None:
    """Make a folder inside the archive's, its name durable."""
    missing = []
    while folder != directory and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(exist_ok=True)
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
