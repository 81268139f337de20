"""`njit` with a cache that knows when a kernel is out of date.

numba looks at the file of the kernel that is called, and not at the files of the kernels that it
calls: after an update that changes only those, it would run old machine code. So the cache has a
folder for each state of a kernel's file together with all that it imports, under `NUMBA_CACHE_DIR`
where that is set. An update compiles anew what it touches, and no more.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numba
import numpy as np
from numba import config

from ingest.events import Array

__all__ = ["fingerprint", "kernel", "njit", "plain"]

ROOT: Final = Path(__file__).resolve().parents[1]
_IMPORTS: Final = re.compile(rb"^from (ingest|detectors)\.(\w+) import", re.MULTILINE)
STALE_S: Final = 86_400.0
"""Age, s, at which a cache of another state of the kernels is removed."""


def plain(column: Array) -> Array:
    """Return a column as kernels take it, contiguous and writable: each is then compiled once."""
    return column if column.flags.carray else np.require(column, None, ("C", "W"))


if TYPE_CHECKING:
    from numba import njit

    kernel = njit
else:

    def njit(**options):
        """Return numba's `njit` with these options, its cache in the folder of the file's state."""
        # Said, since numba would take it from whoever calls the function first.
        options.setdefault("_nrt", True)

        def wrap(function):
            folder = _folder(Path(function.__code__.co_filename).resolve())
            if folder is not None:
                config.CACHE_DIR = folder  # read by numba as it wraps the function
            return numba.njit(**options)(function)

        return wrap

    def kernel(**options):
        """Return `njit`, cached, for what only reads and writes the arrays that it is given.

        numba counts each array that a function takes, hands on or cuts a row of, up and down,
        with atomic operations: for what is called for every record they cost more than its work.
        Here they are left out, as numba's own kernels do (`_nrt=False`): whoever calls from Python
        holds the arrays meanwhile. What makes arrays, returns one, or calls what returns one, is
        `njit`'s: the first is an error of compilation, of the others a test is sure.
        """
        return njit(cache=True, _nrt=False, **options)


def fingerprint(file: Path) -> str:
    """Return a hash of a file and of all files of our own that it imports, and those in turn.

    The numbers that a kernel takes from another file are built into its machine code too.
    """
    root, found, due = file.parents[1], {file: file.read_bytes()}, [file]
    while due:
        for room, module in _IMPORTS.findall(found[due.pop()]):
            path = root / room.decode() / f"{module.decode()}.py"
            if path not in found:
                found[path] = path.read_bytes()
                due.append(path)
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(f"{path.parent.name}/{path.name}".encode() + b"\0" + found[path])
    return digest.hexdigest()[:16]


@cache
def _base() -> Path | None:
    """Return the folder of all caches: the first that can be written to; None = numba's choice."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    beside = Path(given) if given else ROOT / "ingest" / "__pycache__" / "kernels"
    own = Path(tempfile.gettempdir()) / f"ringfence-kernels-{os.getuid()}"
    for base in (beside, own):
        try:
            base.mkdir(parents=True, exist_ok=True, mode=0o700 if base == own else 0o777)
        except OSError:
            continue
        if os.access(base, os.W_OK) and base.stat().st_uid in (os.getuid(), 0):
            return base
    return None


@cache
def _folder(file: Path) -> str | None:
    """Return the cache folder for the state of a kernel's file; those of old states go."""
    base = _base()
    if base is None:
        return None
    of_file = base / f"{file.parent.name}.{file.stem}"
    mine = of_file / fingerprint(file)
    try:
        mine.mkdir(parents=True, exist_ok=True)
        for other in of_file.iterdir():
            if other != mine and time.time() - other.stat().st_mtime > STALE_S:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        return None
    return str(mine)
