"""The audit log's chain: what an entry's hash covers, and what is wrong with a row of entries.

Pure: no database, so anybody who has the entries can check them with this file or a like one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

import msgspec

from ingest.errors import UsageError

GENESIS: Final = "0" * 64
"""Stands for the hash of an entry before the first."""
FORMAT: Final = "ringfence audit 1"
"""First in what is hashed, so that no other hash of ours is one of an entry."""
MAX_PROBLEMS: Final = 1_000
"""Kept of a log that is broken throughout; the others are counted."""
HEAD: Final = re.compile(r"(0|[1-9][0-9]{0,18}):([0-9a-f]{64})")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry of the audit log, as it is stored.

    Attributes
    ----------
    sequence : int
        From 1, without holes.
    at_ns : int
        When it was written, by the writer's clock; UTC nanoseconds.
    actor, action, subject : str
        Who did what to what.
    detail : str
        A JSON object, as text: sorted keys, no spaces. The hash covers this text.
    previous, hash : str
        SHA-256 of the entry before and of this one, 64 hex digits.
    """

    sequence: int
    at_ns: int
    actor: str
    action: str
    subject: str
    detail: str
    previous: str
    hash: str


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """Number and hash of an entry: whoever keeps it elsewhere can tell a log that was rewritten.

    Examples
    --------
    >>> str(AuditHead(sequence=0, hash=GENESIS))[:12]
    '0:0000000000'
    >>> AuditHead.parse("12:" + "ab" * 32).sequence
    12
    """

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the head that a text SEQ:HASH names; raises UsageError when it names none."""
        found = HEAD.fullmatch(text)
        if found is None:
            raise UsageError(f"a head must be SEQ:HASH with 64 hex digits, was {text!r}")
        return cls(sequence=int(found[1]), hash=found[2])


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of the whole log found.

    Attributes
    ----------
    entries : int
        Rows that were read.
    head : AuditHead
        The last of them; of an empty log 0 and `GENESIS`.
    problems : tuple of str
        One line each, in the order of the log; empty when it is intact.
    """

    entries: int
    head: AuditHead
    problems: tuple[str, ...]


def canonical(detail: object) -> str:
    """Return a detail as the text that is stored and hashed.

    Raises
    ------
    TypeError, ValueError
        It is no JSON object, or has a number that JSON does not know.

    Examples
    --------
    >>> canonical({"reason": "näher", "alerts": ["a1"]})
    '{"alerts":["a1"],"reason":"näher"}'
    """
    if not isinstance(detail, Mapping) or not all(isinstance(key, str) for key in detail):
        raise TypeError(f"detail must be a mapping with names as keys, was {detail!r}")
    return json.dumps(
        dict(detail), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )


def digest(
    sequence: int, at_ns: int, actor: str, action: str, subject: str, *, detail: str, previous: str
) -> str:
    """Return an entry's hash: SHA-256 over a JSON array in UTF-8 without spaces.

    The detail is in it as a string, so that not even a space in it can change unseen.

    Examples
    --------
    >>> digest(1, 5, "ann", "case.close", "c1", detail="{}", previous=GENESIS)[:16]
    'cad21d42f87a84df'
    """
    entry = [FORMAT, sequence, at_ns, actor, action, subject, detail, previous]
    return hashlib.sha256(msgspec.json.encode(entry)).hexdigest()


def verify_chain(
    rows: Iterable[tuple[Any, ...]], expected_head: AuditHead | None = None
) -> Verification:
    """Check rows of (sequence, at_ns, actor, action, subject, detail, previous, hash).

    Parameters
    ----------
    rows : iterable of tuple
        In rising sequence; a text may be given as its bytes. Consumed once; memory does not grow
        with it.
    expected_head : AuditHead, optional
        The head at some earlier time. Without it a log that was cut off at its end, or written
        anew from some entry on with all its hashes, looks like any other.
    """
    checker = _Checker(expected_head)
    for row in rows:
        checker.take(row)
    return checker.result()


class _Checker:
    """State: the last entry, and up to `MAX_PROBLEMS` lines."""

    def __init__(self, expected_head: AuditHead | None) -> None:
        self._expected = expected_head
        self._met = expected_head is None or expected_head.sequence == 0
        self._entries = 0
        self._last = 0
        self._hash = GENESIS
        self._problems: list[str] = []
        self._more = 0
        if expected_head is not None and self._met and expected_head.hash != GENESIS:
            self._say("the kept head 0 is of no log: before the first entry stand 64 zeros")

    def take(self, row: tuple[Any, ...]) -> None:
        self._entries += 1
        try:
            sequence, at_ns = map(_whole, row[:2])
            actor, action, subject, detail, previous, stored = map(_text, row[2:])
            own = digest(sequence, at_ns, actor, action, subject, detail=detail, previous=previous)
        except (TypeError, ValueError) as error:
            self._say(f"entry {row[0]!r} cannot be read: {error}")
            return
        if sequence <= self._last:
            self._say(f"entry {sequence} stands after entry {self._last}")
        elif sequence > self._last + 1:
            self._say(f"{_named(self._last + 1, sequence - 1)} missing")
        if own != stored:
            self._say(f"entry {sequence} was changed: its hash is not that of its content")
        if previous != self._hash:
            self._say(f"entry {sequence} does not follow the entry that stands before it")
        if self._expected is not None and sequence == self._expected.sequence:
            self._met = True
            if stored != self._expected.hash:
                self._say(
                    f"entry {sequence} is not the one of the kept head: it, or one before it, "
                    "was written anew"
                )
        self._last, self._hash = sequence, stored

    def result(self) -> Verification:
        if not self._met and self._expected is not None:
            self._say(
                f"the log ends at entry {self._last} and the kept head is entry "
                f"{self._expected.sequence}: the end was cut off"
                if self._last < self._expected.sequence
                else f"entry {self._expected.sequence} of the kept head is not there"
            )
        if self._more:
            self._problems.append(f"and {self._more} more")
        return Verification(
            entries=self._entries,
            head=AuditHead(sequence=self._last, hash=self._hash),
            problems=tuple(self._problems),
        )

    def _say(self, problem: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(problem)
        else:
            self._more += 1


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"its number or time is of type {type(value).__name__}")
    return value


def _text(value: object) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ValueError("one of its texts is not UTF-8") from error
    if not isinstance(value, str):
        raise TypeError(f"one of its texts is of type {type(value).__name__}")
    return value


def _named(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
