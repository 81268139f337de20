"""How the book's kernels are compiled, and when a compiled one may be used again."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: Final[dict[str, Any]] = {"cache": True, "_nrt": False}
_STAMPS: Final[dict[str, int]] = {}
"""By module and name: checksum of a kernel's code and of all that it uses."""


def compiled(function: F) -> F:
    """Compile a kernel that neither makes nor keeps an array.

    Without the run-time's reference counts, which would cost two locked additions for each call
    between kernels, an event takes half the time. The caller in Python holds the arrays meanwhile.

    The cache of compiled code looks only at the file that a kernel is in, yet the numbers and the
    kernels that it uses come from other files and are built in. So the name under which it is kept
    carries a checksum of them all.
    """
    stamp = _stamp(function)
    _STAMPS[f"{function.__module__}.{function.__name__}"] = stamp
    function.__qualname__ = f"{function.__name__}_{stamp:08x}"
    return cast(F, njit(**_OPTIONS)(function))


def _stamp(function: Callable[..., Any]) -> int:
    code = function.__code__
    parts: list[str] = [
        code.co_code.hex(),
        repr([c for c in code.co_consts if not hasattr(c, "co_code")]),
    ]
    for name in code.co_names:  # callees stand above their callers, so they are known by now
        value: Any = function.__globals__.get(name)
        if isinstance(value, int):
            parts.append(f"{name}={value}")
        elif hasattr(value, "py_func"):
            used = f"{value.py_func.__module__}.{value.py_func.__name__}"
            parts.append(f"{name}={_STAMPS[used]}")
    return zlib.crc32("\n".join(parts).encode())
