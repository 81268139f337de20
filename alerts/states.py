"""States: a shard's state from hour to hour, beside the events; a replay can begin there."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
import structlog

from alerts.archive_bounds import no_holds
from alerts.archive_files import Suffixes, make_folder, write_durably
from alerts.archive_holds import Hold
from alerts.archive_names import decode_instrument, encode_instrument
from ingest.errors import SnapshotError
from ingest.events import NULL
from ingest.state import Sections, decode, encode
from ingest.times import SECOND

FOLDER: Final = "_states"
FORMAT: Final = 1
_NAME: Final = re.compile(r"(?P<at>\d{19})_[0-9a-z]+-\d+\.ckpt")

_log = structlog.get_logger()


class ArchivedState(msgspec.Struct, frozen=True, kw_only=True):
    """What the index of a kept state says."""

    format: int
    shard: str
    at_ns: int
    """Highest event clock that the shard had reached, ns: nothing later is in the state."""
    seqs: dict[str, int]
    """Of each instrument: the next seq that the state waits for."""
    path: str
    """Relative to the archive's folder."""
    bytes: int
    sha256: str


class _IndexFile(msgspec.Struct, frozen=True):
    index: ArchivedState
    sha256: str


class States:
    """Kept states of all shards, in a folder of the archive's.

    Disk: `max_bytes`, and nothing older than `max_age_s` of event time behind the newest state
    saved; the oldest go first. Kept regardless: the newest of each shard, and for each hold the
    last state before it begins, since a replay of what is held starts there.

    Parameters
    ----------
    directory : Path
        The archive's folder.
    max_bytes : int
        Size of all states, B.
    max_age_s : float
        Age in event time, s.
    holds : callable
        Gives the holds in force; asked when something would be dropped.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = 10_000_000_000,
        max_age_s: float = 731 * 86_400,
        holds: Callable[[], Collection[Hold]] = no_holds,
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_age_ns = int(max_age_s * SECOND)
        self._holds = holds
        self._suffixes = Suffixes()
        self._newest_ns = NULL
        self.damaged: dict[str, str] = {}
        """States that cannot be used, by path, with the reason."""
        self.dropped = 0
        self.dropped_bytes = 0
        self.held_bytes_over = 0
        """By how much the size is over its bound because holds keep what would go, B."""

    def save(
        self, shard: str, at_ns: int, sections: Sections, seqs: Mapping[str, int]
    ) -> ArchivedState:
        """Keep a shard's state, durable on return; then apply the bounds.

        Parameters
        ----------
        shard : str
        at_ns : int
            Highest event clock that the shard has reached, ns; from 0.
        sections : Sections
        seqs : mapping of instrument to int
            The next seq that the state waits for.
        """
        data = encode(sections)
        top = f"{FOLDER}/{encode_instrument(shard)}"
        path = f"{top}/{at_ns:019d}_{self._suffixes.next()}.ckpt"
        index = ArchivedState(
            format=FORMAT,
            shard=shard,
            at_ns=at_ns,
            seqs=dict(sorted(seqs.items())),
            path=path,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        digest = hashlib.sha256(msgspec.json.encode(index)).hexdigest()
        self._directory.mkdir(parents=True, exist_ok=True)
        make_folder(self._directory, self._directory / top)
        write_durably(self._directory / path, data)
        index_bytes = msgspec.json.encode(_IndexFile(index, digest)) + b"\n"
        write_durably((self._directory / path).with_suffix(".json"), index_bytes)
        self._newest_ns = max(self._newest_ns, at_ns)
        self._prune()
        return index

    def before(self, shard: str | None, instrument: str, at_ns: int) -> ArchivedState | None:
        """Return the last whole state that has nothing of an instrument after a time, or None.

        `shard` None looks in all shards: of an instrument that moved, the later state wins.
        """
        shards = self.shards() if shard is None else [shard]
        found: list[ArchivedState] = []
        for name in shards:
            for path in reversed(self._paths(name)):
                if _at(path) > at_ns:
                    continue
                index = self._index(path)
                if index is not None and instrument in index.seqs and self._read(index):
                    found.append(index)
                    break
        return max(found, key=lambda index: index.at_ns, default=None)

    def load(self, state: ArchivedState) -> Sections:
        """Return the sections of a state.

        Raises
        ------
        SnapshotError
            The file is gone or damaged.
        """
        data = self._read(state)
        if data is None:
            raise SnapshotError(self.damaged.get(state.path, f"state {state.path} is gone"))
        return decode(data, state.path)

    def raw(self, state: ArchivedState) -> bytes:
        """Return a state's bytes as `ingest.state.decode` takes them; SnapshotError as `load`."""
        self.load(state)
        return (self._directory / state.path).read_bytes()

    def shards(self) -> Sequence[str]:
        """Return the shards of which there are states."""
        try:
            tops = sorted(p.name for p in (self._directory / FOLDER).iterdir() if p.is_dir())
        except FileNotFoundError:
            return []
        return [name for top in tops if (name := decode_instrument(top)) is not None]

    def verify(self) -> Mapping[str, str]:
        """Read every state against its index; return what is wrong, by path."""
        for shard in self.shards():
            for path in self._paths(shard):
                index = self._index(path)
                if index is not None:
                    self._read(index)
        return dict(sorted(self.damaged.items()))

    def _paths(self, shard: str) -> list[str]:
        top = f"{FOLDER}/{encode_instrument(shard)}"
        try:
            names = [path.name for path in (self._directory / top).iterdir()]
        except FileNotFoundError:
            return []
        return sorted(f"{top}/{name}" for name in names if _NAME.fullmatch(name))

    def _index(self, path: str) -> ArchivedState | None:
        file = (self._directory / path).with_suffix(".json")
        reason = ""
        try:
            written = msgspec.json.decode(file.read_bytes(), type=_IndexFile)
        except FileNotFoundError:
            reason = "has no index: an unfinished write or deletion"
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            reason = f"has an index that cannot be read: {error}"
        else:
            digest = hashlib.sha256(msgspec.json.encode(written.index)).hexdigest()
            if digest != written.sha256 or written.index.path != path:
                reason = "has an index that does not match its own SHA-256"
            elif written.index.format != FORMAT:
                reason = f"has format {written.index.format}, expected {FORMAT}"
        if reason:
            self._refuse(path, reason)
            return None
        return written.index

    def _read(self, state: ArchivedState) -> bytes | None:
        try:
            data = (self._directory / state.path).read_bytes()
        except OSError as error:
            self._refuse(state.path, f"cannot be read: {error.strerror}")
            return None
        if hashlib.sha256(data).hexdigest() != state.sha256:
            self._refuse(state.path, "does not match the SHA-256 of its index")
            return None
        return data

    def _refuse(self, path: str, reason: str) -> None:
        if (self._directory / path).exists() and path not in self.damaged:
            self.damaged[path] = f"archived state {path} {reason}"
            _log.error("archived state refused", file=path, reason=reason)

    def _prune(self) -> None:
        of = {shard: self._paths(shard) for shard in self.shards()}
        sizes = {path: self._size(path) for paths in of.values() for path in paths}
        size, oldest_ns = sum(sizes.values()), self._newest_ns - self._max_age_ns
        order = sorted((path for paths in of.values() for path in paths[:-1]), key=_at)
        if size <= self._max_bytes and not (order and _at(order[0]) < oldest_ns):
            self._over(0)
            return
        following = {a: b for paths in of.values() for a, b in pairwise(paths)}
        holds = sorted(self._holds(), key=lambda hold: hold.from_ns)
        starts = [hold.from_ns for hold in holds]
        for path in order:
            if _at(path) >= oldest_ns and size <= self._max_bytes:
                break
            begins = slice(
                bisect_left(starts, _at(path)), bisect_left(starts, _at(following[path]))
            )
            if self._needed(path, holds[begins]):
                continue
            # The index goes first: what a crash in between leaves is named, not trusted.
            (self._directory / path).with_suffix(".json").unlink(missing_ok=True)
            (self._directory / path).unlink(missing_ok=True)
            size -= sizes[path]
            self.dropped += 1
            self.dropped_bytes += sizes[path]
        self._over(max(0, size - self._max_bytes))

    def _needed(self, path: str, holds: Collection[Hold]) -> bool:
        """Return whether a hold begins after this state, before the shard's next, on its own."""
        if not holds:
            return False
        index = self._index(path)
        return index is None or any(hold.instrument in index.seqs for hold in holds)

    def _size(self, path: str) -> int:
        try:
            return (self._directory / path).stat().st_size
        except FileNotFoundError:
            return 0

    def _over(self, size: int) -> None:
        if bool(size) != bool(self.held_bytes_over):
            _log.warning("size of archived states against its bound, by holds", over_bytes=size)
        self.held_bytes_over = size


def _at(path: str) -> int:
    return int(path.rpartition("/")[2].partition("_")[0])
