"""Dead letters: the records that were rejected, each with where it stood and why."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from ingest.events import Reject, Topic

TOPIC_NAMES: Mapping[Topic, str] = {topic: topic.name.lower() for topic in Topic}


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One rejected record as it is written: the dead-letter topic's and file's JSON."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    raw: str
    """The record's bytes, base64."""


def encode(reject: Reject, topic_names: Mapping[Topic, str] = TOPIC_NAMES) -> bytes:
    r"""Return a dead letter as one line of JSON, without the line's end.

    Examples
    --------
    >>> encode(Reject(topic=Topic.TRADES, partition=2, offset=7, reason="not_json",
    ...     detail="record must be JSON (trades/2@7)", raw=b"\xff{"))
    b'{"topic":"trades","partition":2,"offset":7,"reason":"not_json","detail":"record must be JSON (trades/2@7)","raw":"/3s="}'
    """  # noqa: E501
    return msgspec.json.encode(
        DeadLetter(
            topic=topic_names[reject.topic],
            partition=reject.partition,
            offset=reject.offset,
            reason=reject.reason,
            detail=reject.detail,
            raw=base64.b64encode(reject.raw).decode("ascii"),
        )
    )


def decode(line: bytes | str) -> DeadLetter:
    """Return the dead letter of one line; raises msgspec.ValidationError when it is not one."""
    return msgspec.json.decode(line, type=DeadLetter)


def raw_of(letter: DeadLetter) -> bytes:
    """Return the record as it had arrived."""
    return base64.b64decode(letter.raw)


class DeadLetterFile:
    """Dead letters of a tape: one JSON object a line.

    Parameters
    ----------
    path : Path
        Written anew, unless `append`.
    topic_names : mapping of Topic to str
        What `topic` says; on a tape the files' names.
    append : bool
        Go on behind what the file holds: for a service that restarts.
    """

    def __init__(
        self,
        path: Path,
        topic_names: Mapping[Topic, str] = TOPIC_NAMES,
        *,
        append: bool = False,
    ) -> None:
        self._names = topic_names
        self._file = path.open("ab" if append else "wb")

    def write(self, rejects: Sequence[Reject]) -> None:
        """Write rejects and hand them to the operating system."""
        if rejects:
            self._file.write(b"".join(encode(each, self._names) + b"\n" for each in rejects))
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
