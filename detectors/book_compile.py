"""How the book's kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from ingest.compiled import njit

F = TypeVar("F", bound=Callable[..., Any])
_APART: Final[Mapping[str, Any]] = {"cache": True, "_nrt": False}
_INLINE: Final[Mapping[str, Any]] = {**_APART, "forceinline": True}


def compiled(function: F) -> F:
    """Compile a kernel that neither makes nor keeps an array, into each of its callers.

    Without the run-time's reference counts, which would cost two locked additions for each call
    between kernels, an event takes half the time; without the calls, a quarter less again. The
    caller in Python holds the arrays meanwhile.
    """
    return cast(F, njit(**_INLINE)(function))


def compiled_apart(function: F) -> F:
    """Compile a kernel that few events reach: likewise, but called; its callers stay small."""
    return cast(F, njit(**_APART)(function))
