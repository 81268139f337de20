"""The committed dashboard as tests read it: panels and queries, Grafana's variables filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OVERVIEW = Path(__file__).resolve().parents[2] / "dashboards" / "grafana" / "overview.json"


def panels() -> Iterator[dict[str, Any]]:
    """Yield the panels of the committed dashboard, rows left out."""
    board = json.loads(OVERVIEW.read_text(encoding="utf-8"))
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def queries(*, rate_interval: str = "5s", instance: str = ".*") -> Iterator[tuple[str, str]]:
    """Yield (panel title and query letter, PromQL) with the variables filled as Grafana would."""
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", rate_interval)
            yield f"{panel['title']}/{target['refId']}", expression.replace("$instance", instance)
