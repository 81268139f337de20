"""The dashboard: committed as built, readable without help, and honest about what it shows."""

from __future__ import annotations

import json
import re

import promql_parser
import pytest

from dashboards.overview import PATH, build
from dashboards.panels import ROWS
from monitor.metrics import Metrics
from tests.support.dashboard import OVERVIEW, panels, queries

QUERIES = dict(queries())


def series() -> set[str]:
    """Names that a scrape shows: buckets, sums and counts of histograms among them."""
    shown = Metrics(detectors=["a"], instruments=["X"]).registry.collect()
    return {sample.name for family in shown for sample in family.samples}


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\bringfence_\w+", expression))


def test_the_committed_dashboard_is_the_one_that_is_built() -> None:
    assert PATH == OVERVIEW
    assert PATH.read_text(encoding="utf-8") == build(), "run `python -m dashboards.overview`"


@pytest.mark.parametrize("where", QUERIES)
def test_a_query_parses_and_asks_only_for_metrics_that_exist(where: str) -> None:
    promql_parser.parse(QUERIES[where])
    found = names_in(QUERIES[where])
    assert found
    assert found <= series()


def test_a_misspelt_metric_would_be_noticed() -> None:
    assert not names_in("sum(ringfence_event_total)") <= series()


@pytest.mark.parametrize("where", QUERIES)
def test_no_query_bends_its_value_into_a_constant(where: str) -> None:
    for trick in ("clamp", "vector(", "absent", "scalar(", "or on"):
        assert trick not in QUERIES[where]


@pytest.mark.parametrize("panel", list(panels()), ids=lambda panel: panel["title"])
def test_a_panel_has_a_unit_and_tells_the_reader_what_to_do(panel: dict[str, object]) -> None:
    defaults = panel["fieldConfig"]["defaults"]  # type: ignore[index]
    assert defaults["unit"]
    description = str(panel["description"])
    # What it shows, and at least one more sentence: what follows from it.
    assert len(re.findall(r"[.!?](?:\s|$)", description)) >= 2
    assert len(description) > 80
    steps = defaults["thresholds"]["steps"]
    assert steps[0]["value"] is None
    values = [step["value"] for step in steps[1:]]
    assert values == sorted(values)


def test_panels_have_ids_and_places_of_their_own() -> None:
    board = json.loads(OVERVIEW.read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert 0 not in ids
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_rows_fill_the_width() -> None:
    for row in ROWS:
        assert sum(panel.width for panel in row.panels) % 24 == 0, row.title


def test_the_source_is_a_variable_so_that_the_dashboard_works_elsewhere() -> None:
    board = json.loads(OVERVIEW.read_text(encoding="utf-8"))
    assert [v["name"] for v in board["templating"]["list"]] == ["datasource", "instance"]
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(t["datasource"]["uid"] == "${datasource}" for t in panel["targets"])


def test_every_metric_of_ours_is_on_the_dashboard_or_left_out_on_purpose() -> None:
    shown = {name for expression in QUERIES.values() for name in names_in(expression)}
    families = {re.sub(r"_bucket$", "", name) for name in shown}
    left_out = {
        "ringfence_alert_revisions_total",  # findings say the same, and sooner
        "ringfence_assigned_partitions",  # used by the rules
        "ringfence_build_info",  # the variable is made of it
    }
    described = {d.name for d in Metrics().describe() if "_process_" not in d.name}
    assert described - families == left_out
