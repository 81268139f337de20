"""`njit` with a cache that knows when a kernel is out of date.

numba looks at the file of the kernel that is called, and not at the files of the kernels that it
calls: after an update that changes only those, it would run old machine code. So the cache has a
folder for each state of all kernel files together, under `NUMBA_CACHE_DIR` where that is set.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

from numba import config, njit

__all__ = ["njit"]

ROOMS: Final = ("ingest", "detectors")
STALE_S: Final = 86_400.0
"""Age, s, at which a cache of another state of the kernels is removed."""


def fingerprint(root: Path) -> str:
    """Return a hash of every file in the rooms that declares a kernel."""
    digest = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (root / room).glob("*.py")):
        content = path.read_bytes()
        if b"@njit" in content or b"@compiled" in content:
            digest.update(path.name.encode() + b"\0" + content)
    return digest.hexdigest()[:16]


def _use_cache(root: Path) -> None:
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or root / "ingest" / "__pycache__" / "kernels")
    mine = base / fingerprint(root)
    try:
        mine.mkdir(parents=True, exist_ok=True)
        for other in base.iterdir():
            if other.is_dir() and other != mine and time.time() - other.stat().st_mtime > STALE_S:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        return  # not ours to write: numba finds a place of its own, or compiles each time
    config.CACHE_DIR = str(mine)  # type: ignore[attr-defined]


_use_cache(Path(__file__).resolve().parents[1])
