"""The recovery report as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pygal
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from pygal.style import Style

from .overview import span
from .report import Report, Run
from .screen import format_bytes

_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    font_family="sans-serif",
    colors=("#1f6feb", "#d29922"),
)
_MOST = 120
"""Bars of a plot; of more Backups the newest are shown."""


def page(reports: Sequence[Report]) -> str:
    """Return the page of some Databases. All text in it is escaped."""
    environment = Environment(
        loader=PackageLoader("kubectl_postgres", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = lambda text: text[:16].replace("T", " ") if text else ""
    environment.filters["span"] = lambda seconds: "" if seconds is None else span(round(seconds))
    return environment.get_template("report.html").render(reports=reports, plots=_plots)


def _plots(report: Report) -> list[Markup]:
    """Return the plots of sizes and durations over time; none without two Backups."""
    runs = [one for one in reversed(report.backups) if one.completed][-_MOST:]
    if len(runs) < 2:
        return []
    sizes = [one.size_bytes or 0 for one in runs]
    durations = [one.duration or 0.0 for one in runs]
    return [
        _plot("Size of each Backup", runs, sizes, lambda size: format_bytes(round(size))),
        _plot("Duration of each Backup", runs, durations, lambda seconds: span(round(seconds))),
    ]


def _plot(
    title: str, runs: Sequence[Run], values: Sequence[float], in_words: Callable[[float], str]
) -> Markup:
    """Return a bar for each Backup, those that are not verified in another color."""
    chart = pygal.StackedBar(
        style=_STYLE,
        title=title,
        height=260,
        width=900,
        js=[],
        disable_xml_declaration=True,
        legend_at_bottom=True,
        x_label_rotation=30,
        show_minor_x_labels=False,
        min_scale=2,
        max_scale=5,
        value_formatter=in_words,
    )
    days = [f"{datetime.fromisoformat(one.ended):%Y-%m-%d}" for one in runs]
    chart.x_labels = days
    step = max(len(days) // 10, 1)
    chart.x_labels_major = days[::step]
    for label, wanted in (("verified", True), ("not verified", False)):
        bars = [
            value if one.verified is wanted else None
            for one, value in zip(runs, values, strict=True)
        ]
        chart.add(label, bars)
    chart.add_xml_filter(_without_scripts)
    return Markup(chart.render(is_unicode=True))  # noqa: S704 (pygal escapes what it is given)


def _without_scripts(root: Any) -> Any:
    """Take out the settings of pygal's script, which the page does not have: it allows none."""
    for parent in list(root.iter()):
        for child in list(parent):
            if str(child.tag).endswith("script"):
                parent.remove(child)
    return root
