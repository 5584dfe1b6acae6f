"""What the dashboards have in common: variables, queries, panels.

Belongs here: looks and data sources. Does not: queries.

Units are Grafana's own names: https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import common, logs, loki, prometheus, stat, text, timeseries
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models

Query = tuple[str, str]  # expression, legend
Row = tuple[str, Sequence[Any]]  # heading, panels
PROMETHEUS = models.DataSourceRef(type_val="prometheus", uid="${metrics}")
LOKI = models.DataSourceRef(type_val="loki", uid="${logs}")
_REFS = "ABCDEFGH"


def new(uid: str, title: str, description: str, tags: Sequence[str]) -> dashboards.Dashboard:
    """An empty dashboard in UTC, as days are."""
    return (
        dashboards.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["monitoring-lake", *tags])
        .timezone("utc")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .editable()
    )


def source(name: str, label: str, kind: str) -> dashboards.DatasourceVariable:
    """The variable that chooses a data source of that type."""
    return dashboards.DatasourceVariable(name).label(label).type(kind)


def chosen(
    name: str, label: str, query: str, datasource: models.DataSourceRef
) -> dashboards.QueryVariable:
    """Values of a label, all of them at first."""
    return (
        dashboards.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(datasource)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".+")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .current(models.VariableOption(text="All", value="$__all", selected=True))
    )


def metric(query: Query, ref: str, *, instant: bool = False) -> prometheus.Dataquery:
    """A query to Prometheus."""
    expression, legend = query
    built = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref)
    return built.instant() if instant else built.range()


def stat_panel(
    title: str,
    query: Query,
    unit: str,
    *,
    bad_above: float | None = None,
    bad_below: float | None = None,
    description: str = "",
) -> stat.Panel:
    """One number; red above or below a limit."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(PROMETHEUS)
        .unit(unit)
        .span(6)
        .height(4)
        .graph_mode(looks.BigValueGraphMode.NONE)
        .color_mode(looks.BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_limits(bad_above, bad_below))
        .with_target(metric(query, "A", instant=True))
    )


def _limits(bad_above: float | None, bad_below: float | None) -> dashboards.ThresholdsConfig:
    steps = [models.Threshold(color="text")]
    if bad_above is not None:
        steps = [models.Threshold(color="green"), models.Threshold(value=bad_above, color="red")]
    if bad_below is not None:
        steps = [models.Threshold(color="red"), models.Threshold(value=bad_below, color="green")]
    return dashboards.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def lines(
    title: str,
    queries: Sequence[Query],
    unit: str,
    *,
    stacked: bool = False,
    width: int = 12,
    description: str = "",
    datasource: models.DataSourceRef = PROMETHEUS,
) -> timeseries.Panel:
    """Series over time."""
    panel = _plot(title, unit, width, description, datasource)
    if stacked:
        stacking = common.StackingConfig().mode(looks.StackingMode.NORMAL)
        panel = panel.stacking(stacking).fill_opacity(40)
    for ref, query in zip(_REFS, queries, strict=False):
        panel = panel.with_target(_target(query, ref, datasource))
    return panel


def bars(
    title: str,
    queries: Sequence[Query],
    unit: str,
    *,
    interval: str,
    width: int = 12,
    description: str = "",
    datasource: models.DataSourceRef = PROMETHEUS,
) -> timeseries.Panel:
    """Stacked bars, one each `interval`."""
    panel = lines(
        title, queries, unit, stacked=True, width=width, description=description,
        datasource=datasource,
    )  # fmt: skip
    return panel.draw_style(looks.GraphDrawStyle.BARS).fill_opacity(80).interval(interval)


def _plot(
    title: str, unit: str, width: int, description: str, datasource: models.DataSourceRef
) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.LIST)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )
    tooltip = common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI)
    return (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(datasource)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .line_width(2)
        .show_points(looks.VisibilityMode.NEVER)
        .legend(legend)
        .tooltip(tooltip)
    )


def _target(query: Query, ref: str, datasource: models.DataSourceRef) -> Any:
    if datasource is PROMETHEUS:
        return metric(query, ref)
    expression, legend = query
    return loki.Dataquery().expr(expression).legend_format(legend).ref_id(ref).query_type("range")


def log_lines(title: str, expression: str, *, width: int = 24) -> logs.Panel:
    """The lines themselves, the newest first."""
    query = loki.Dataquery().expr(expression).ref_id("A").query_type("range").max_lines(200)
    return (
        logs.Panel()
        .title(title)
        .datasource(LOKI)
        .span(width)
        .height(10)
        .show_time(show_time=True)
        .wrap_log_message(wrap_log_message=True)
        .sort_order(looks.LogsSortOrder.DESCENDING)
        .with_target(query)
    )


def words(content: str, *, height: int = 3) -> text.Panel:
    """Markdown over the whole width."""
    return text.Panel().content(content).mode("markdown").transparent(transparent=True).span(
        24
    ).height(height)  # fmt: skip


def with_rows(board: dashboards.Dashboard, rows: Sequence[Row]) -> dashboards.Dashboard:
    """With the panels below their headings; one without a heading is on top."""
    for heading, panels in rows:
        if heading:
            board = board.with_row(dashboards.Row(heading))
        for panel in panels:
            board = board.with_panel(panel)
    return board
