"""How the book's kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from ingest.compiled import njit

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: Final[dict[str, Any]] = {"cache": True, "_nrt": False}


def compiled(function: F) -> F:
    """Compile a kernel that neither makes nor keeps an array.

    Without the run-time's reference counts, which would cost two locked additions for each call
    between kernels, an event takes half the time. The caller in Python holds the arrays meanwhile.
    """
    return cast(F, njit(**_OPTIONS)(function))
