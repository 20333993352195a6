"""The charts of a report's page, as plotly draws them: equity with drawdown and trades, days, distribution.

A chart is what `plotly.graph_objects.Figure` takes, as plain data. Colours are words (``gain``, ``loss``,
``ink``, …) that the page replaces by its own, so that charts follow light, dark and paper. Every text that is not
written here is escaped, since plotly takes ``<b>`` and ``<a>`` in a text for markup.
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

Spec = dict[str, Any]
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
AT = "%{x|%a %d %b %Y, %H:%M} UTC<br>"
FEW_MARKS = 150
BESIDE = Decimal("0.035")
"""How far marks stand from the curve, a fraction of its height: won below it and lost above, each pointing at it."""
SHORTENED = Decimal(10_000_000)
"""From here on numbers at an axis are written as 10M."""
WRITTEN_OUT = Decimal("0.00001")
"""Below it they are written as 1e-6."""
FEW_TRIPS = 6
FEW_DAYS = 10
NOON = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of the page.

    Attributes:
        kind: ``equity``, ``days`` or ``distribution``.
        text: what it shows, for those who do not see it.
        spec: data and layout.
    """

    kind: str
    text: str
    spec: Spec


def equity(report: Report) -> Chart:
    """Return the value over time with closings marked, and below it how far it was below its peak."""
    write = Amounts.of(report)
    currency = html.escape(write.currency)
    alone = report.performance is None
    title = f"Net result so far, {currency}" if alone else f"Value, {currency}"
    times = [_moment(point.time) for point in report.curve]
    line = {"color": "line", "width": 1.75, "shape": "hv" if alone else "linear"}
    value = {
        "type": "scatter", "mode": "lines", "name": "value", "x": times,
        "y": [float(point.value) for point in report.curve], "line": line,
        "customdata": [write.plain(point.value) for point in report.curve],
        "hovertemplate": f"{AT}%{{customdata}} {currency}<extra></extra>",
    }  # fmt: skip
    below = [_below(point, write, alone=alone) for point in report.curve]
    drawdown = {
        "type": "scatter", "mode": "lines", "name": "below its peak", "x": times, "y": [depth for depth, _ in below],
        "yaxis": "y2", "fill": "tozeroy", "fillcolor": "losswash",
        "line": {"color": "loss", "width": 1, "shape": line["shape"]},
        "customdata": [text for _, text in below],
        "hovertemplate": f"{AT}%{{customdata}} below the peak<extra></extra>",
    }  # fmt: skip
    layout = _layout()
    layout["xaxis"] |= {"type": "date", "anchor": "y2", "showgrid": True, "range": [times[0], times[-1]]}
    falls = [point.fall for point in report.curve] if alone else []
    layout["yaxis2"] = layout["yaxis"] | {
        "domain": [0, 0.24], "rangemode": "tozero", "nticks": 4, "tickformat": _ticks(falls) if alone else ".2~%",
    }  # fmt: skip
    layout["yaxis"] |= {"domain": [0.36, 1], "tickformat": _ticks([point.value for point in report.curve])}
    layout["annotations"] = [_heading(title, 1), _heading("Below its peak", 0.24)]
    opening = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "layer": "below",
        "line": {"color": "muted", "width": 1, "dash": "dot"},
    }  # fmt: skip
    first = report.curve[0].value
    layout["shapes"] = [opening | {"y0": float(first), "y1": float(first)}]
    values = [point.value for point in report.curve]
    beside = (max(values) - min(values)) * BESIDE
    marks = [_marks(report, beside, write, won=won) for won in (True, False)]
    return Chart("equity", _told(report, write), {"data": [drawdown, *marks, value], "layout": layout})


def days(report: Report) -> Chart:
    """Return what each day brought, as bars."""
    write = Amounts.of(report)
    results = [gain.result for gain in report.days]
    bars = _bars(
        [_moment(datetime.combine(gain.start, datetime.min.time(), UTC) + NOON) for gain in report.days],
        results,
        [_day(gain, write) for gain in report.days],
    )
    bars["width"] = 0.8 * DAY / timedelta(milliseconds=1)
    layout = _layout()
    layout["xaxis"] |= {"type": "date"}
    if len(report.days) <= FEW_DAYS:
        # Two bars that fill the chart, and hours at its axis, would say nothing more.
        first = datetime.combine(report.days[0].start, datetime.min.time(), UTC)
        last = datetime.combine(report.days[-1].start, datetime.min.time(), UTC) + DAY
        layout["xaxis"] |= {
            "range": [_moment(first), _moment(max(last, first + FEW_DAYS * DAY))], "tickformat": "%b %-d",
            "nticks": 5, "tick0": _moment(first + NOON), "dtick": 2 * DAY / timedelta(milliseconds=1),
        }  # fmt: skip
    layout["yaxis"] |= {"tickformat": _ticks(results)}
    layout["annotations"] = [_heading(f"Result, {html.escape(write.currency)}", 1)]
    best, worst = max(results), min(results)
    text = (
        f"Bars of {len(results)} daily results: the best {_named(best, write)}, the worst {_named(worst, write)}, "
        f"{sum(each > 0 for each in results)} above 0 and {sum(each < 0 for each in results)} below."
    )
    return Chart("days", text, {"data": [bars], "layout": layout})


def distribution(report: Report) -> Chart:
    """Return how often round trips ended with which net result, as bars."""
    write = Amounts.of(report)
    middles = [each.low + (each.high - each.low) / 2 for each in report.distribution]
    bars = _bars(
        [float(middle) for middle in middles],
        [Decimal(each.number) for each in report.distribution],
        [_bin(each, write) for each in report.distribution],
        signs=middles,
    )
    first = report.distribution[0]
    bars["width"] = float(first.high - first.low)
    layout = _layout()
    layout["bargap"] = 0.06
    layout["xaxis"]["title"] |= {"text": f"Net result of a round trip, {html.escape(write.currency)}", "standoff": 12}
    layout["xaxis"] |= {"zeroline": True, "tickformat": _ticks(middles)}
    highest = max(each.number for each in report.distribution)
    layout["yaxis"] |= {"tickformat": ",d", "rangemode": "tozero"} | ({"dtick": 1} if highest <= FEW_TRIPS else {})
    layout["annotations"] = [_heading("Round trips", 1)]
    number = sum(each.number for each in report.distribution)
    text = (
        f"Bars of the net results of {number} round trips, "
        f"from {_named(first.low, write)} to {_named(report.distribution[-1].high, write)}."
    )
    return Chart("distribution", text, {"data": [bars], "layout": layout})


def _bars(x: Sequence[Any], sizes: Sequence[Decimal], texts: Sequence[str], signs: Sequence[Decimal] = ()) -> Spec:
    colours = ["gain" if sign >= 0 else "loss" for sign in signs or sizes]
    return {
        "type": "bar", "x": list(x), "y": [float(size) for size in sizes], "customdata": list(texts),
        "hovertemplate": "%{customdata}<extra></extra>", "marker": {"color": colours, "line": {"width": 0}},
    }  # fmt: skip


def _marks(report: Report, beside: Decimal, write: Amounts, *, won: bool) -> Spec:
    shown = [mark for mark in report.marks if mark.won is won]
    shift = -beside if won else beside
    colour = "gain" if won else "loss"
    # Won and lost differ in shape and in filling, too: on grey paper, and for who cannot tell the colours apart.
    marker = {
        "symbol": "triangle-up" if won else "triangle-down-open",
        "size": 9 if len(report.marks) <= FEW_MARKS else 5,
        "color": colour,
        "line": {"width": 0 if won else 1.25, "color": colour},
    }
    return {
        "type": "scatter", "mode": "markers", "name": "won" if won else "lost or even", "marker": marker,
        "cliponaxis": False,
        "x": [_moment(mark.time) for mark in shown], "y": [float(mark.value + shift) for mark in shown],
        "customdata": [_closings(mark, write) for mark in shown],
        "hovertemplate": f"{AT}%{{customdata}}<extra></extra>",
    }  # fmt: skip


def _closings(mark: TradeMarker, write: Amounts) -> str:
    what = "1 closing" if mark.number == 1 else f"{mark.number} closings"
    return f"{what} {'won' if mark.won else 'lost or even'}<br>{_result(mark.net, write)} net"


def _day(gain: PeriodReturn, write: Amounts) -> str:
    so_far = "" if gain.complete else " (part of the day)"
    change = "" if gain.change is None else f" ({typeset(percent(gain.change))})"
    return f"{gain.start:%a %d %b %Y}{so_far}<br>{_result(gain.result, write)}{change}"


def _bin(each: Bin, write: Amounts) -> str:
    what = "1 round trip" if each.number == 1 else f"{each.number} round trips"
    return f"{what}<br>{write.signed(each.low)} to {_result(each.high, write)}"


def _below(point: CurvePoint, write: Amounts, *, alone: bool) -> tuple[float | None, str]:
    if alone:
        return float(-point.fall), write.plain(point.fall)
    if point.drawdown is None:
        return None, ""
    return float(-point.drawdown), typeset(percent(point.drawdown).removeprefix("+"))


def _told(report: Report, write: Amounts) -> str:
    first, last = report.curve[0], report.curve[-1]
    won = sum(mark.number for mark in report.marks if mark.won)
    lost = sum(mark.number for mark in report.marks if not mark.won)
    what = "Line of the net result so far" if report.performance is None else "Line of the value"
    fall = "" if report.performance is None else (
        f"; below it, how far it was below its peak, "
        f"{percent(report.performance.max_drawdown.fraction).removeprefix('+')} at most"
    )  # fmt: skip
    return (
        f"{what} from {_named(first.value, write)} on {first.time:%Y-%m-%d} to {_named(last.value, write)} "
        f"on {last.time:%Y-%m-%d}, with {won} closings that won and {lost} that did not{fall}."
    )


def _named(value: Decimal, write: Amounts) -> str:
    return f"{write.plain(value)} {write.currency}"


def _result(value: Decimal, write: Amounts) -> str:
    return f"{write.signed(value)} {html.escape(write.currency)}"


def _layout() -> Spec:
    return {
        "autosize": False, "showlegend": False, "hovermode": "closest", "hoverdistance": 30, "uirevision": "kept",
        "separators": ".,", "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "dragmode": "zoom",
        "font": {"family": FONTS, "size": 12, "color": "ink"},
        "hoverlabel": {"bgcolor": "paper", "bordercolor": "axis", "align": "left",
                       "font": {"family": FONTS, "size": 12, "color": "ink"}},
        "margin": {"l": 8, "r": 16, "t": 28, "b": 8, "pad": 4},
        "xaxis": _axis() | {"showgrid": False, "ticks": "outside", "ticklen": 4, "tickcolor": "axis"},
        "yaxis": _axis() | {"fixedrange": True, "nticks": 7},
    }  # fmt: skip


def _axis() -> Spec:
    return {
        "automargin": True, "gridcolor": "grid", "zerolinecolor": "axis", "zerolinewidth": 1, "linecolor": "axis",
        "tickfont": {"size": 12, "color": "muted"}, "exponentformat": "B",
        "title": {"font": {"size": 12, "color": "muted"}},
    }  # fmt: skip


def _heading(text: str, y: float) -> Spec:
    return {
        "text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left",
        "yanchor": "bottom", "yshift": 6, "font": {"size": 12, "color": "muted"},
    }  # fmt: skip


def _ticks(values: Sequence[Decimal]) -> str:
    """Return how numbers at an axis are written: in full, unless that would take too much room."""
    largest = max(map(abs, values), default=Decimal(0))
    if largest >= SHORTENED:
        return ""
    return ",.8~f" if largest >= WRITTEN_OUT else ".3~g"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
