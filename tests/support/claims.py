"""Which test stands for which sentence of a detector's spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Test = Callable[..., Any]


def claims() -> tuple[dict[str, Test], Callable[[str], Callable[[Test], Test]]]:
    """Return an empty table of tests by sentence, and a decorator that enters a test in it."""
    told: dict[str, Test] = {}

    def tell(text: str) -> Callable[[Test], Test]:
        def enter(test: Test) -> Test:
            assert text not in told, f"two tests stand for: {text}"
            told[text] = test
            return test

        return enter

    return told, tell
