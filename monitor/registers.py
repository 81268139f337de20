"""Versions of the register: the one in the file now, and those that a journal speaks of."""

from __future__ import annotations

from alerts.shards import Shards
from ingest.errors import SnapshotError
from ingest.names import Names
from ingest.register import Register, RegisterFile


class Registers:
    """The register by version.

    State: every version that a shard of this process has used.

    Parameters
    ----------
    file : RegisterFile
    shards : Shards, optional
        Where earlier versions are kept; None for a tape, which knows one.
    names : Names
    """

    def __init__(self, file: RegisterFile, shards: Shards | None, names: Names) -> None:
        self._file = file
        self._shards = shards
        self._names = names
        self._known = {file.current.version: file.current}

    @property
    def current(self) -> Register:
        """The version in the file."""
        return self._file.current

    def reload_if_changed(self) -> Register | None:
        """Return the file's new version, or None when it has none: see `RegisterFile`."""
        new = self._file.reload_if_changed()
        if new is not None:
            self._known[new.version] = new
        return new

    def version(self, version: str) -> Register:
        """Return a version that was in force.

        Raises
        ------
        SnapshotError
            Neither the file nor the store has it.
        """
        if version not in self._known:
            said = None if self._shards is None else self._shards.registry(version)
            if said is None:
                raise SnapshotError(
                    f"version {version} of the register was in force and the store no longer has "
                    "it: put the store back, or move the snapshots away"
                )
            self._known[version] = Register(said.rows, self._names, terms=said.terms)
        return self._known[version]
