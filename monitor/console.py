"""What the command line writes on: tables and JSON on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

WIDTH = None if sys.stdout.isatty() else 120
"""Columns of a table where no terminal says how many it has."""
out = Console(highlight=False, width=WIDTH)
err = Console(stderr=True, highlight=False)
ConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", help="configuration file (TOML)", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for a program to read")]


def close_table(title: str) -> Table:
    """Return an empty table whose columns stand close together."""
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def print_json(value: object) -> None:
    """Print a value as one indented JSON document on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
