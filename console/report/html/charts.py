"""Charts of a report's page as plotly specifications: equity with drawdown and closings, days, distribution.

A specification is the plain data that `plotly.graph_objects.Figure` accepts. Colours are names (``gain``, ``loss``,
``ink``, …) that the page replaces by its own, so that charts follow light and dark mode and paper. Texts from outside
are escaped, because plotly treats ``<b>`` and ``<a>`` in a text as markup.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from console.display.format import percent
from console.report.html.formatting import Amounts, typeset
from domain.analytics.equity_curve import CurvePoint, TradeMarker
from domain.analytics.histogram import Bin
from domain.analytics.period_returns import PeriodReturn
from domain.analytics.report import Report
from domain.analytics.returns import DAY
from domain.wording import counted

Spec = dict[str, Any]
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
AT = "%{x|%a %d %b %Y, %H:%M} UTC<br>"
MAX_LARGE_MARKS = 150
MARK_DISTANCE = Decimal("0.035")
"""Distance of marks from the curve, a fraction of its height: won below it, lost above it."""
MIN_SHORTENED_TICK = Decimal(10_000_000)
"""From here on, numbers at an axis are written as 10M."""
MIN_PLAIN_TICK = Decimal("0.00001")
"""Smaller numbers at an axis are written as 1e-6."""
DRAWN_DIGITS = 6
"""Decimal places of fractions in a chart: 0.0001 % is less than a pixel."""
MAX_TRIPS_WITH_UNIT_TICKS = 6
MIN_DAYS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a chart's legend: the sign of a line in its colour, and the line's name."""

    colour: str
    sign: str
    name: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of the page.

    Attributes:
        kind: ``equity``, ``compared``, ``groups``, ``days`` or ``distribution``.
        text: description for screen readers.
        spec: data and layout.
        keys: its legend, where it has several lines.
    """

    kind: str
    text: str
    spec: Spec
    keys: tuple[Key, ...] = ()


def equity(report: Report) -> Chart:
    """Return the chart of the value over time with marked closings, and of the drawdown below it."""
    write = Amounts.of(report)
    currency = html.escape(write.currency)
    is_strategy = report.performance is None
    title = f"Net result so far, {currency}" if is_strategy else f"Value, {currency}"
    times, values = [plotly_time(point.time) for point in report.curve], [point.value for point in report.curve]
    shape = "hv" if is_strategy else "linear"
    value = {
        "type": "scatter", "mode": "lines", "name": "value", "x": times, "y": list(map(write.place, values)),
        "line": {"color": "line", "width": 1.75, "shape": shape}, "customdata": list(map(write.plain, values)),
        "hovertemplate": f"{AT}%{{customdata}} {currency}<extra></extra>",
    }  # fmt: skip
    below = [_below(point, write, is_strategy=is_strategy) for point in report.curve]
    drawdown = {
        "type": "scatter", "mode": "lines", "name": "drawdown", "x": times, "y": [depth for depth, _ in below],
        "yaxis": "y2", "fill": "tozeroy", "fillcolor": "losswash",
        "line": {"color": "loss", "width": 1, "shape": shape}, "customdata": [text for _, text in below],
        "hovertemplate": f"{AT}%{{customdata}} below the peak<extra></extra>",
    }  # fmt: skip
    x = {"type": "date", "anchor": "y2", "showgrid": True, "range": [times[0], times[-1]]}
    layout = layout_of(title, x, {"domain": [0.36, 1], "tickformat": axis_ticks(values)})
    fall_ticks = axis_ticks([point.fall for point in report.curve]) if is_strategy else ".2~%"
    layout["yaxis2"] = layout["yaxis"] | {
        "domain": [0, 0.24], "rangemode": "tozero", "nticks": 4, "tickformat": fall_ticks,
    }  # fmt: skip
    layout["annotations"].append(_heading("Drawdown", 0.24))
    first = float(values[0])
    opening = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": first, "y1": first, "layer": "below",
        "line": {"color": "muted", "width": 1, "dash": "dot"},
    }  # fmt: skip
    layout["shapes"] = [opening]
    beside = (max(values) - min(values)) * MARK_DISTANCE
    marks = [_marks(report, beside, write, won=won) for won in (True, False)]
    return Chart("equity", _description(report, write), {"data": [drawdown, *marks, value], "layout": layout})


def days(report: Report) -> Chart:
    """Return the chart of daily results, as bars."""
    write = Amounts.of(report)
    results = [gain.result for gain in report.days]
    bars = _bars(
        [f"{gain.start} 12:00:00" for gain in report.days],
        results,
        [_day(gain, write) for gain in report.days],
    )
    bars["width"] = 0.8 * DAY / timedelta(milliseconds=1)
    x: Spec = {"type": "date"}
    if len(report.days) <= MIN_DAYS_SHOWN:
        # Two bars that fill the chart, and hours at its axis, would not help.
        first = report.days[0].start
        end = max(report.days[-1].start + DAY, first + MIN_DAYS_SHOWN * DAY)
        x |= {
            "range": [f"{first} 00:00:00", f"{end} 00:00:00"], "tickformat": "%b %-d", "nticks": 5,
            "tick0": f"{first} 12:00:00", "dtick": 2 * DAY / timedelta(milliseconds=1),
        }  # fmt: skip
    layout = layout_of(f"Result, {html.escape(write.currency)}", x, {"tickformat": axis_ticks(results)})
    best, worst = max(results), min(results)
    extremes = f"the best {_with_currency(best, write)}, the worst {_with_currency(worst, write)}"
    signs = f"{sum(result > 0 for result in results)} above 0 and {sum(result < 0 for result in results)} below"
    text = f"Bars of {len(results)} daily results: {extremes}, {signs}."
    return Chart("days", text, {"data": [bars], "layout": layout})


def distribution(report: Report) -> Chart:
    """Return the histogram of the net results of round trips."""
    write = Amounts.of(report)
    middles = [interval.low + (interval.high - interval.low) / 2 for interval in report.distribution]
    bars = _bars(
        [float(middle) for middle in middles],
        [Decimal(interval.number) for interval in report.distribution],
        [_bin(interval, write) for interval in report.distribution],
        signs=middles,
    )
    first = report.distribution[0]
    bars["width"] = float(first.high - first.low)
    y: Spec = {"tickformat": ",d", "rangemode": "tozero"}
    if max(interval.number for interval in report.distribution) <= MAX_TRIPS_WITH_UNIT_TICKS:
        y["dtick"] = 1
    layout = layout_of("Round trips", {"zeroline": True, "tickformat": axis_ticks(middles)}, y)
    layout["xaxis"]["title"] |= {"text": f"Net result of a round trip, {html.escape(write.currency)}", "standoff": 12}
    layout["bargap"] = 0.06
    number = sum(interval.number for interval in report.distribution)
    text = (
        f"Bars of the net results of {number} round trips, "
        f"from {_with_currency(first.low, write)} to {_with_currency(report.distribution[-1].high, write)}."
    )
    return Chart("distribution", text, {"data": [bars], "layout": layout})


def _bars(x: Sequence[Any], sizes: Sequence[Decimal], texts: Sequence[str], signs: Sequence[Decimal] = ()) -> Spec:
    colours = ["gain" if sign >= 0 else "loss" for sign in signs or sizes]
    return {
        "type": "bar", "x": list(x), "y": [float(size) for size in sizes], "customdata": list(texts),
        "hovertemplate": "%{customdata}<extra></extra>", "marker": {"color": colours, "line": {"width": 0}},
    }  # fmt: skip


def _marks(report: Report, beside: Decimal, write: Amounts, *, won: bool) -> Spec:
    marks = [mark for mark in report.marks if mark.won is won]
    shift = -beside if won else beside
    colour, width = ("gain", 0) if won else ("loss", 1.25)
    # Won and lost differ in shape and filling, too: for grey paper and for colour-blind readers.
    marker = {
        "symbol": "triangle-up" if won else "triangle-down-open", "color": colour,
        "size": 9 if len(report.marks) <= MAX_LARGE_MARKS else 5, "line": {"width": width, "color": colour},
    }  # fmt: skip
    return {
        "type": "scatter", "mode": "markers", "name": "won" if won else "lost or even", "marker": marker,
        "cliponaxis": False,
        "x": [plotly_time(mark.time) for mark in marks], "y": [write.place(mark.value + shift) for mark in marks],
        "customdata": [_closings(mark, write) for mark in marks],
        "hovertemplate": f"{AT}%{{customdata}}<extra></extra>",
    }  # fmt: skip


def _closings(mark: TradeMarker, write: Amounts) -> str:
    ended = "won" if mark.won else "lost or even"
    return f"{counted(mark.number, 'closing')} {ended}<br>{_result(mark.net, write)} net"


def _day(gain: PeriodReturn, write: Amounts) -> str:
    so_far = "" if gain.complete else " (part of the day)"
    change = "" if gain.change is None else f" ({typeset(percent(gain.change))})"
    return f"{gain.start:%a %d %b %Y}{so_far}<br>{_result(gain.result, write)}{change}"


def _bin(interval: Bin, write: Amounts) -> str:
    bounds = f"{write.signed(interval.low)} to {_result(interval.high, write)}"
    return f"{counted(interval.number, 'round trip')}<br>{bounds}"


def _below(point: CurvePoint, write: Amounts, *, is_strategy: bool) -> tuple[float | None, str]:
    if is_strategy:
        return write.place(-point.fall), write.plain(point.fall)
    if point.drawdown is None:
        return None, ""
    return round(float(-point.drawdown), DRAWN_DIGITS), typeset(percent(point.drawdown, sign=False))


def _description(report: Report, write: Amounts) -> str:
    first, last = report.curve[0], report.curve[-1]
    won = sum(mark.number for mark in report.marks if mark.won)
    lost = sum(mark.number for mark in report.marks if not mark.won)
    kind = "Line of the net result so far" if report.performance is None else "Line of the value"
    fall = ""
    if report.performance is not None:
        fall = f"; below it, the drawdown, at most {percent(report.performance.max_drawdown.fraction, sign=False)}"
    begin = f"{_with_currency(first.value, write)} on {first.time:%Y-%m-%d}"
    end = f"{_with_currency(last.value, write)} on {last.time:%Y-%m-%d}"
    return f"{kind} from {begin} to {end}, with {won} closings that won and {lost} that did not{fall}."


def _with_currency(value: Decimal, write: Amounts) -> str:
    return f"{write.plain(value)} {write.currency}"


def _result(value: Decimal, write: Amounts) -> str:
    return f"{write.signed(value)} {html.escape(write.currency)}"


def layout_of(heading: str, x: Spec, y: Spec) -> Spec:
    """Return the layout of a chart with this heading, and with what its axes have of their own."""
    font = {"family": FONTS, "size": 12, "color": "ink"}
    return {
        "autosize": False, "showlegend": False, "hovermode": "closest", "hoverdistance": 30, "uirevision": "kept",
        "separators": ".,", "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "dragmode": "zoom",
        "font": font, "hoverlabel": {"bgcolor": "paper", "bordercolor": "axis", "align": "left", "font": font},
        "margin": {"l": 8, "r": 16, "t": 28, "b": 8, "pad": 4},
        "xaxis": _axis() | {"showgrid": False, "ticks": "outside", "ticklen": 4, "tickcolor": "axis"} | x,
        "yaxis": _axis() | {"fixedrange": True, "nticks": 7} | y, "annotations": [_heading(heading, 1)],
    }  # fmt: skip


def _axis() -> Spec:
    return {
        "automargin": True, "gridcolor": "grid", "zerolinecolor": "axis", "zerolinewidth": 1, "linecolor": "axis",
        "tickfont": {"size": 12, "color": "muted"},
        "title": {"font": {"size": 12, "color": "muted"}},
    }  # fmt: skip


def _heading(text: str, y: float) -> Spec:
    return {
        "text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left",
        "yanchor": "bottom", "yshift": 6, "font": {"size": 12, "color": "muted"},
    }  # fmt: skip


def axis_ticks(values: Sequence[Decimal]) -> str:
    """Return the format of numbers at an axis: in full, unless they would be too long."""
    largest = max(map(abs, values), default=Decimal(0))
    if largest >= MIN_SHORTENED_TICK:
        return ""
    return ",.8~f" if largest >= MIN_PLAIN_TICK else ".3~g"


def plotly_time(at: datetime) -> str:
    """Return a time as plotly takes it, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
