"""Checkpoints: all state of a worker in one checksummed file, replaced atomically.

A file is a magic line, the SHA-256 of what follows, and a MessagePack map of sections, each a map
of named arrays. A damaged or foreign file is refused, counted, and the one before it is used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from ingest.errors import SnapshotError
from ingest.state import MAGIC, Sections, decode, encode

SUFFIX: Final = ".ckpt"

__all__ = ["MAGIC", "Checkpoints", "Sections", "decode", "encode"]

_log = structlog.get_logger()


class Checkpoints:
    """The checkpoints in one folder, numbered upwards.

    Parameters
    ----------
    directory : Path
        Created when it is absent.
    keep : int
        How many of the newest are kept, at least 2.
    """

    def __init__(self, directory: Path, *, keep: int = 3) -> None:
        self._directory = directory
        self._keep = keep
        self.refused = 0
        """Files that `latest` found damaged."""
        directory.mkdir(parents=True, exist_ok=True)

    def save(self, sections: Sections) -> Path:
        """Write a checkpoint, durable before it is visible; drop those beyond `keep`."""
        files = self._files()
        number = int(files[-1].stem) + 1 if files else 1
        path = self._directory / f"{number:012d}{SUFFIX}"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(encode(sections))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        for old in self._files()[: -self._keep]:
            old.unlink()
        return path

    def latest(self) -> Sections | None:
        """Return the newest checkpoint that is whole, or None when there is none at all.

        Raises
        ------
        SnapshotError
            There are checkpoints and every one is damaged: starting from nothing would hide it.
        """
        files = self._files()
        for path in reversed(files):
            try:
                return decode(path.read_bytes(), path.name)
            except (SnapshotError, msgspec.MsgspecError, ValueError, TypeError) as error:
                self.refused += 1
                _log.error("checkpoint refused", file=path.name, error=str(error))
        if files:
            raise SnapshotError(
                f"all {len(files)} checkpoints in {self._directory.name} are damaged; "
                "move them away to start from the beginning of the feed"
            )
        return None

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob(f"*{SUFFIX}"))
