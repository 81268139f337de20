"""Summaries as messages of the internal topic: cut to size, each message checked by itself."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from ingest.errors import SourceError
from ingest.instruments import Instruments
from ingest.signs import Sign
from ingest.state import Snapshot, pack, unpack
from ingest.summary import Summary, decode_rows, encode_rows

MAX_BYTES: Final = 900_000
"""Of a message: below the 1,000,000 B or so that brokers take by default, with its headers."""
_MAGIC: Final = b"RFS1"
_DIGEST: Final = 16
"""Bytes of BLAKE2b: enough to notice any damage, and to tell two bodies apart."""
_OVERHEAD: Final = 512
"""Room for what a message says beside its piece; a shard's name is the only part that varies."""


class _Chunk(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    shard: str
    from_ns: int
    until_ns: int
    idle: bool
    index: int
    count: int
    body_digest: bytes
    """Of all pieces together."""
    piece: bytes
    row_bytes: int | None = None
    """How much of the body are rows; the rest are signs. Older writers send rows alone."""


class _Partial(msgspec.Struct, frozen=True, kw_only=True):
    shard: str
    until_ns: int
    body_digest: bytes
    pieces: dict[int, bytes]


class _State(msgspec.Struct, frozen=True):
    whole: dict[str, int]
    partial: list[_Partial]
    repeated: int


def encode(summary: Summary, *, max_bytes: int = MAX_BYTES) -> list[bytes]:
    """Return a summary as messages of at most `max_bytes` each; equal summaries, equal bytes.

    A message is 4 bytes that say what it is and its version, a digest of the rest, and the rest.
    """
    rows = encode_rows(summary.rows)
    signs = msgspec.msgpack.encode(summary.signs) if summary.signs else b""
    body = rows + signs
    room = max_bytes - _OVERHEAD - len(summary.shard.encode())
    if room < 1:
        raise ValueError(f"max_bytes must leave room for data, was {max_bytes}")
    digest = _digest(body)
    starts = range(0, len(body), room)
    chunks = (
        _Chunk(
            shard=summary.shard,
            from_ns=summary.from_ns,
            until_ns=summary.until_ns,
            idle=summary.idle,
            index=index,
            count=len(starts),
            body_digest=digest,
            piece=body[start : start + room],
            row_bytes=len(rows) if signs else None,
        )
        for index, start in enumerate(starts)
    )
    messages = []
    for chunk in chunks:
        rest = msgspec.msgpack.encode(chunk)
        messages.append(_MAGIC + _digest(rest) + rest)
    return messages


class Assembler:
    """Puts messages together again; gives each shard's summary once, whole.

    State: the pieces of summaries that are not whole yet, and one boundary a shard. Pieces of a
    summary that was never sent whole go when a later one of its shard is whole.

    Parameters
    ----------
    instruments : Instruments
        The table whose codes the rows get.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._whole: dict[str, int] = {}
        self._partial: dict[tuple[str, int, bytes], dict[int, bytes]] = {}
        self.repeated = 0
        """Messages that had been taken before, or belong to a summary that had."""

    def take(self, message: bytes) -> Summary | None:
        """Take a message; return the summary that it completes, or None.

        Raises
        ------
        SourceError
            The message is damaged, of another version, or names an unlisted instrument.
        """
        chunk = _chunk(message)
        if chunk.until_ns <= self._whole.get(chunk.shard, chunk.until_ns - 1):
            self.repeated += 1
            return None
        key = (chunk.shard, chunk.until_ns, chunk.body_digest)
        pieces = self._partial.setdefault(key, {})
        self.repeated += chunk.index in pieces
        pieces[chunk.index] = chunk.piece
        if len(pieces) < chunk.count:
            return None
        body = b"".join(pieces[index] for index in range(chunk.count))
        if _digest(body) != chunk.body_digest:
            raise SourceError(
                f"a summary of {chunk.shard} up to {chunk.until_ns} does not fit its checksum"
            )
        rows = decode_rows(body[: chunk.row_bytes], self._instruments)
        rows.watermark_ns = chunk.until_ns
        self._whole[chunk.shard] = chunk.until_ns
        self._partial = {
            (shard, until_ns, digest): pieces
            for (shard, until_ns, digest), pieces in self._partial.items()
            if shard != chunk.shard or until_ns > chunk.until_ns
        }
        return Summary(
            shard=chunk.shard,
            from_ns=chunk.from_ns,
            until_ns=chunk.until_ns,
            idle=chunk.idle,
            rows=rows,
            signs=() if chunk.row_bytes is None else _signs(body[chunk.row_bytes :]),
        )

    def forget(self) -> None:
        """Take every shard's summaries as new: the feed was dealt out to other shards."""
        self._whole, self._partial = {}, {}

    def snapshot(self) -> Snapshot:
        """Return the pieces held and what was whole."""
        partial = [
            _Partial(shard=shard, until_ns=until_ns, body_digest=digest, pieces=pieces)
            for (shard, until_ns, digest), pieces in self._partial.items()
        ]
        return {"state": pack(_State(self._whole, partial, self.repeated))}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what `snapshot` returned."""
        state = unpack(snapshot["state"], _State)
        self._whole, self.repeated = dict(state.whole), state.repeated
        self._partial = {
            (part.shard, part.until_ns, part.body_digest): dict(part.pieces)
            for part in state.partial
        }


def _signs(encoded: bytes) -> tuple[Sign, ...]:
    try:
        return msgspec.msgpack.decode(encoded, type=tuple[Sign, ...])
    except msgspec.MsgspecError as error:
        raise SourceError(f"signs of a summary cannot be read: {error}") from error


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _chunk(message: bytes) -> _Chunk:
    if message[:4] != _MAGIC:
        raise SourceError(
            f"a message of the summaries topic must begin with {_MAGIC.decode()}, "
            f"began with {message[:4]!r}"
        )
    rest = message[4 + _DIGEST :]
    if message[4 : 4 + _DIGEST] != _digest(rest):
        raise SourceError("a message of the summaries topic does not fit its checksum")
    try:
        chunk = msgspec.msgpack.decode(rest, type=_Chunk)
    except msgspec.MsgspecError as error:
        raise SourceError(f"a message of the summaries topic cannot be read: {error}") from error
    if not 0 <= chunk.index < chunk.count:
        raise SourceError(
            f"a piece of a summary must be one of {chunk.count}, was number {chunk.index}"
        )
    return chunk
