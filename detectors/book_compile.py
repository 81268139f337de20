"""How the book's kernels are compiled, and when a compiled one may be used again."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
_APART: Final[Mapping[str, Any]] = {"cache": True, "_nrt": False}
_INLINE: Final[Mapping[str, Any]] = {**_APART, "forceinline": True}
_STAMPS: Final[dict[str, int]] = {}
"""By module and name: checksum of a kernel's code and of all that it uses."""


def compiled(function: F) -> F:
    """Compile a kernel that neither makes nor keeps an array, into each of its callers.

    Without the run-time's reference counts, which would cost two locked additions for each call
    between kernels, an event takes half the time; without the calls, a quarter less again. The
    caller in Python holds the arrays meanwhile.

    The cache of compiled code looks only at the file that a kernel is in, yet the numbers and the
    kernels that it uses come from other files and are built in. So the name under which it is kept
    carries a checksum of them all; a kernel stands below those it calls.
    """
    return _compile(function, _INLINE)


def compiled_apart(function: F) -> F:
    """Compile a kernel that few events reach: likewise, but called; its callers stay small."""
    return _compile(function, _APART)


def _compile(function: F, options: Mapping[str, Any]) -> F:
    stamp = _stamp(function, options)
    _STAMPS[f"{function.__module__}.{function.__name__}"] = stamp
    function.__qualname__ = f"{function.__name__}_{stamp:08x}"
    return cast(F, njit(**options)(function))


def _stamp(function: Callable[..., Any], options: Mapping[str, Any]) -> int:
    code = function.__code__
    parts: list[str] = [repr(options), code.co_code.hex()]
    parts += [repr(constant) for constant in code.co_consts if not hasattr(constant, "co_code")]
    for name in code.co_names:
        value: Any = function.__globals__.get(name)
        if isinstance(value, int):
            parts.append(f"{name}={value}")
        elif hasattr(value, "py_func"):
            used = f"{value.py_func.__module__}.{value.py_func.__name__}"
            parts.append(f"{name}={_STAMPS[used]}")
    return zlib.crc32("\n".join(parts).encode())
