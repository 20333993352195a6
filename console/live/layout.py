"""Layout of the live view: panels stand below each other on a narrow screen, and in two columns on a wide one."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from console.display.table import beside, cut, share
from console.live import header, panels
from console.live.state import ViewState

WIDE_LAYOUT_COLUMNS = 140
"""Least width at which panels stand side by side."""
RIGHT_COLUMNS = 58
"""Width of the right side: enough for all columns of the tables of actors and prices."""
TALL_LAYOUT_LINES = 34
"""Least height at which prices and actors get tables in the narrow layout, too."""
GAP_COLUMNS = 2

Panel = Callable[[ViewState, int, int], list[Text]]


def frame(state: ViewState, width: int, height: int, foot: Text | None = None) -> list[Text]:
    """Return the lines of a frame, at most ``height`` of them and none wider than ``width``.

    Args:
        state: to be drawn.
        width: of the screen, in characters.
        height: of the screen, in lines.
        foot: the last line.
    """
    lines = [header.title(state, width)]
    lines += header.facts(state, width, 3 if height >= 28 else 2 if height >= 16 else 1)
    lines += header.alarms(state, width)[: max(height // 4, 1)]
    free = height - len(lines) - (foot is not None)
    if state.database is None:
        body = panels.actors(state, width, free)
    else:
        body = (
            _wide(state, width, free)
            if width >= WIDE_LAYOUT_COLUMNS
            else _narrow(state, width, free, height >= TALL_LAYOUT_LINES)
        )
    lines += body[: max(free, 0)]
    lines = lines[: height - (foot is not None)]
    if foot is not None:
        lines += [Text(end="")] * (height - 1 - len(lines))
        lines.append(cut(foot, width))
    return lines[: max(height, 0)]


def _narrow(state: ViewState, width: int, rows: int, tall: bool) -> list[Text]:
    assert state.database is not None
    database = state.database
    portfolio_rows = len(database.portfolios) + (len(state.together) > 1)
    price_rows = max(len(panels.recent_prices(state)), 1)
    side_by_side = tall and width >= 80
    sizes = share(
        rows,
        [
            ("portfolios", min(1 + portfolio_rows, 4 if rows >= 18 else 2), 1 + portfolio_rows),
            ("decisions", 4 if database.decisions else 2, 1 + max(len(database.decisions), 1)),
            ("positions", 3 if database.positions else 2, 1 + max(len(database.positions), 1)),
            ("actors", 1 + 7 if tall else 1, 1 + 7 if tall else 1),
            ("equity", 5 if state.equity_curve else 0, 14),
            ("prices", 0 if side_by_side else 1, 0 if side_by_side else 1 + price_rows if tall else 2),
        ],
    )
    lines: list[Text] = []
    stacked: list[tuple[str, Panel]] = [
        ("portfolios", panels.portfolios),
        ("equity", panels.equity),
        ("positions", panels.positions),
        ("decisions", panels.decisions),
    ]
    for name, panel in stacked:
        lines += panel(state, width, sizes[name]) if sizes[name] else []
    if side_by_side and sizes["actors"]:
        left = (width - GAP_COLUMNS) // 2
        return lines + beside(
            panels.prices(state, left, sizes["actors"]),
            panels.actors(state, width - GAP_COLUMNS - left, sizes["actors"]),
            left,
            GAP_COLUMNS,
        )
    for name, table, line in (
        ("prices", panels.prices, panels.prices_line),
        ("actors", panels.actors, panels.actors_line),
    ):
        if sizes[name]:
            lines += (table if tall else line)(state, width, sizes[name])
    return lines


def _wide(state: ViewState, width: int, rows: int) -> list[Text]:
    assert state.database is not None
    database = state.database
    left = width - RIGHT_COLUMNS - GAP_COLUMNS
    sizes = share(
        rows,
        [
            ("decisions", 6 if database.decisions else 2, 1 + max(len(database.decisions), 1)),
            ("positions", 4 if database.positions else 2, 1 + max(len(database.positions), 1)),
            ("equity", 7 if state.equity_curve else 0, 18),
        ],
    )
    left_column = panels.equity(state, left, sizes["equity"]) if sizes["equity"] else []
    left_column += panels.positions(state, left, sizes["positions"]) if sizes["positions"] else []
    left_column += panels.decisions(state, left, sizes["decisions"]) if sizes["decisions"] else []
    portfolio_rows = len(database.portfolios) + (len(state.together) > 1)
    price_rows = max(len(panels.recent_prices(state)), 1)
    right_sizes = share(
        rows,
        [
            ("portfolios", min(1 + portfolio_rows, 4), 1 + portfolio_rows),
            ("actors", 8, 8),
            ("prices", 3, 1 + price_rows),
        ],
    )
    right_column = (
        panels.portfolios(state, RIGHT_COLUMNS, right_sizes["portfolios"]) if right_sizes["portfolios"] else []
    )
    right_column += panels.prices(state, RIGHT_COLUMNS, right_sizes["prices"]) if right_sizes["prices"] else []
    right_column += panels.actors(state, RIGHT_COLUMNS, right_sizes["actors"]) if right_sizes["actors"] else []
    return beside(left_column, right_column, left, GAP_COLUMNS)
