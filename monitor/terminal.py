"""Progress on a terminal; nothing to call, and nothing to count, where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

ProgressCall = Callable[[int, int | None], None]
"""Called with how much is done and, when it is known, how much there is."""


@contextmanager
def progress_bar(console: Console, verb: str, unit: str) -> Iterator[ProgressCall | None]:
    """Yield a call that moves a bar; None when the console is no terminal."""
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(verb, total=None)

        def move(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield move
