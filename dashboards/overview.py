"""Build the Grafana dashboard *Surveillance and operations*.

`python -m dashboards.overview` writes `dashboards/grafana/overview.json`, which is committed: a
test asserts that it is what this file builds.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.builders import bargauge, common, dashboard, stat, timeseries
from grafana_foundation_sdk.builders import prometheus as prometheus_query
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model

from dashboards.panel import Panel, Query
from dashboards.panels import ROWS

PATH: Final = Path(__file__).parent / "grafana" / "overview.json"
UID: Final = "ringfence-overview"
SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
FILL_PERCENT: Final = 12
NAME_PX: Final = 14
VALUE_PX: Final = 18


def build() -> str:
    """Return the dashboard as JSON, as it is committed."""
    board = (
        dashboard.Dashboard("Surveillance and operations")
        .uid(UID)
        .description(
            "Did clients come first, and is anybody watching? Alerts, the affiliated market "
            "maker's share, and the health of the feed and of the workers. Carries no account, "
            "client or case."
        )
        .tags(["ringfence"])
        .timezone("utc")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
        )
        .with_variable(
            dashboard.QueryVariable("instance")
            .label("Worker")
            .datasource(SOURCE)
            .query("label_values(ringfence_build_info, instance)")
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(model.VariableOption(selected=True, text="All", value="$__all"))
        )
    )
    ids = itertools.count(1)
    for row in ROWS:
        board.with_row(dashboard.Row(row.title).id(next(ids)))
        for panel in row.panels:
            board.with_panel(_panel(panel, row.height).id(next(ids)))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _panel(panel: Panel, height: int) -> Any:
    built = _shaped(panel)
    if panel.when_empty:
        built.no_value(panel.when_empty)
    built.title(panel.title).description(panel.todo).unit(panel.unit).datasource(SOURCE)
    built.span(panel.width).height(height)
    if panel.decimals is not None:
        built.decimals(panel.decimals)
    steps = [model.Threshold(value=None, color=panel.base)]
    steps += [model.Threshold(value=value, color=colour) for colour, value in panel.steps]
    built.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    if panel.words:
        options = {
            value: model.ValueMappingResult(text=word, color=colour, index=index)
            for index, (value, word, colour) in enumerate(panel.words)
        }
        built.mappings([model.ValueMap(options=options)])
    for index, query in enumerate(panel.queries):
        built.with_target(
            _target(query, chr(ord("A") + index), instant=panel.shape != "timeseries")
        )
    for name, colour in panel.series_colours:
        built.override_by_name(
            name,
            [model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})],
        )
    return built


def _target(query: Query, ref: str, *, instant: bool) -> Any:
    target = prometheus_query.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref)
    target.datasource(SOURCE)
    return target.instant() if instant else target.range()


def _shaped(panel: Panel) -> Any:
    last = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")
    if panel.shape == "stat":
        return (
            stat.Panel()
            .reduce_options(last)
            .color_mode(common_model.BigValueColorMode.VALUE)
            .graph_mode(common_model.BigValueGraphMode.NONE)
            .color_scheme(_colour(model.FieldColorModeId.THRESHOLDS))
        )
    if panel.shape == "bargauge":
        return (
            bargauge.Panel()
            .reduce_options(last)
            .orientation(common_model.VizOrientation.HORIZONTAL)
            .display_mode(common_model.BarGaugeDisplayMode.BASIC)
            # Left to itself Grafana makes the names so large that their ends are cut off.
            .text(common.VizTextDisplayOptions().title_size(NAME_PX).value_size(VALUE_PX))
            .min(0)
            .color_scheme(_colour(model.FieldColorModeId.THRESHOLDS))
        )
    built = (
        timeseries.Panel()
        .color_scheme(_colour(model.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(1)
        .fill_opacity(FILL_PERCENT)
        .show_points(common_model.VisibilityMode.NEVER)
        .axis_soft_min(0)
        .tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.LIST)
            .placement(common_model.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if panel.stacked:
        built.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL))
    if panel.steps:
        style = common.GraphThresholdsStyleConfig()
        built.thresholds_style(style.mode(common_model.GraphTresholdsStyleMode.DASHED))
    return built


def _colour(mode: model.FieldColorModeId) -> Any:
    return dashboard.FieldColor().mode(mode)


def main() -> None:
    """Write the committed file."""
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(build(), encoding="utf-8")


if __name__ == "__main__":
    main()
