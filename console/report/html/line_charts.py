"""Charts of several lines: beside buying and holding, by group, and the bands of resampled days."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from console.display.format import percent
from console.report.html.charts import AT, DRAWN_DIGITS, Chart, Key, Spec, axis_ticks, layout_of, plotly_time
from console.report.html.formatting import Amounts, typeset
from domain.analytics.report import Report
from domain.analytics.report_parts.buy_and_hold import EQUAL_WEIGHTS, BuyAndHold
from domain.analytics.report_parts.group_curves import NetPoint
from domain.analytics.trade_stats import Dimension
from domain.wording import one_line, shortened

LINES = (
    ("c1", "solid", "━"), ("c2", "dash", "╍"), ("c3", "dot", "┈"),
    ("c4", "solid", "━"), ("c5", "dash", "╍"), ("c6", "dot", "┈"),
)  # fmt: skip
"""Colour, dash and sign of each line: lines differ in more than colour, for colour-blind readers and grey paper."""
MAX_OWN_POINTS = 400
MAX_NAME = 40
BANDS = (
    ("high", "c2", "dot", "┈", 1.25), ("upper", "c1", "dash", "╍", 1.25), ("median", "c1", "solid", "━", 2.25),
    ("lower", "c1", "dash", "╍", 1.25), ("low", "c2", "dot", "┈", 1.25),
)  # fmt: skip
"""The values of a band from the top, with colour, dash, sign and width of their lines: one pair a line style."""


def drawn_comparisons(report: Report) -> list[BuyAndHold]:
    """Return the comparisons that have a line: of all that was traded, and of what it is compared with in any case."""
    alone = sum(one.traded and one.name != EQUAL_WEIGHTS for one in report.benchmarks) == 1
    return [
        one
        for one in report.benchmarks
        if one.curve and (one.name == EQUAL_WEIGHTS or one.named or (one.traded and alone))
    ]


def compared(report: Report) -> Chart | None:
    """Return the chart of the change of the value beside those of buying and holding; None without such a line."""
    lines = drawn_comparisons(report)[: len(LINES)]
    if not lines or report.opening <= 0:
        return None
    since = lines[0].since
    points = [point for point in report.curve if point.time >= since]
    step = max(len(points) // MAX_OWN_POINTS, 1)
    kept = [*points[:-1:step], *points[-1:]]
    own = [(since, Decimal(0)), *((point.time, point.value / report.opening - 1) for point in kept)]
    data = [_line("portfolio", own, ("line", "solid"), width=2.25)]
    keys = [Key("line", "━", "the portfolio")]
    for one, (colour, dash, sign) in zip(lines, LINES[1:] + LINES[:1], strict=False):
        name = one_line(one.name)
        data.append(_line(name, [(point.time, point.change) for point in one.curve], (colour, dash)))
        keys.append(Key(colour, sign, f"holding {name}"))
    times = [lines[0].since, lines[0].until]
    x: Spec = {"type": "date", "range": [plotly_time(time) for time in times]}
    layout = layout_of("Change since the first fill", x, {"tickformat": "+.2~%", "zeroline": True})
    changes = "; ".join(f"holding {one.name} {percent(one.change.value)}" for one in lines)
    own_change = f"the portfolio {percent(report.change.value)}"
    text = f"Lines of the change since {since:%Y-%m-%d %H:%M} UTC: {own_change}; {changes}."
    return Chart("compared", text, {"data": data, "layout": layout}, tuple(keys))


def resampled(report: Report) -> Chart | None:
    """Return the chart of the bands of resampled paths with the value as it was; None where there are no bands."""
    simulated = report.monte_carlo
    if simulated is None or not simulated.curve or simulated.end_value is None:
        return None
    write, curve = Amounts.of(report), simulated.curve
    data, values = [], [point.value.high for point in curve] + [point.value.low for point in curve]
    for name, colour, dash, _, width in BANDS:
        points = [(point.time, getattr(point.value, name)) for point in curve]
        line = _line(name, points, (colour, dash), width=width, amounts=write)
        line["line"]["shape"] = "linear"
        data.append(line)
    keys = (
        Key("c1", "━", "median of the paths"), Key("c1", "╍", "half of them lie between these"),
        Key("c2", "┈", "90 % lie between these"),
    )  # fmt: skip
    layout = layout_of(
        f"Value of the paths, {html.escape(write.currency)}", {"type": "date"}, {"tickformat": axis_ticks(values)}
    )
    ends = simulated.end_value
    text = (
        f"Lines of the value of {simulated.paths:,} paths: 90 % of them end between {write.plain(ends.low)} and "
        f"{write.plain(ends.high)}, half of them above {write.plain(ends.median)}."
    )
    return Chart("compared", text, {"data": data, "layout": layout}, keys)


def by_group(report: Report, dimension: Dimension, heading: str) -> Chart | None:
    """Return the chart of the net result so far of each group; None where there are fewer than two.

    Args:
        report: whose groups have curves.
        dimension: of the groups. Of more than six, those with the most round trips are drawn.
        heading: of the chart.
    """
    curves = report.by_curves.get(dimension, {})
    if len(curves) < 2:
        return None
    write, stats = Amounts.of(report), report.by[dimension]
    most = sorted(curves, key=lambda name: (-stats[name].total_trades, name))[: len(LINES)]
    data, keys, values = [], [], [Decimal(0)]
    for name, (colour, dash, sign) in zip(sorted(most), LINES, strict=False):
        points: Sequence[NetPoint] = curves[name]
        shown_name = shortened(one_line(name), MAX_NAME)
        values += [point.net for point in points]
        data.append(_line(shown_name, points, (colour, dash), amounts=write))
        keys.append(Key(colour, sign, shown_name))
    layout = layout_of(
        f"{html.escape(heading)}, {html.escape(write.currency)}", {"type": "date"},
        {"tickformat": axis_ticks(values), "zeroline": True},
    )  # fmt: skip
    ends = ", ".join(f"{one_line(name)} {write.signed(curves[name][-1].net)}" for name in sorted(most))
    left_out = f" {len(curves) - len(most)} with fewer round trips are left out." if len(curves) > len(most) else ""
    return Chart(
        "groups", f"Lines of the net result so far: {ends}.{left_out}", {"data": data, "layout": layout}, tuple(keys)
    )


def _line(
    name: str,
    points: Sequence[tuple[datetime, Decimal | None]] | Sequence[NetPoint],
    style: tuple[str, str],
    *,
    width: float = 1.5,
    amounts: Amounts | None = None,
) -> Spec:
    colour, dash = style
    label = html.escape(name)
    places: list[float | None]
    if amounts is None:
        texts = [typeset(percent(value)) for _, value in points]
        places = [None if value is None else round(float(value), DRAWN_DIGITS) for _, value in points]
    else:
        amounts_so_far = [value for _, value in points if value is not None]
        texts = [f"{amounts.signed(value)} {html.escape(amounts.currency)}" for value in amounts_so_far]
        places = [amounts.place(value) for value in amounts_so_far]
    return {
        "type": "scatter", "mode": "lines", "name": label, "x": [plotly_time(time) for time, _ in points],
        "y": places, "customdata": texts,
        "line": {"color": colour, "width": width, "dash": dash, "shape": "linear" if amounts is None else "hv"},
        "hovertemplate": f"{AT}{label}<br>%{{customdata}}<extra></extra>",
    }  # fmt: skip
