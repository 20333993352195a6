"""Layout of the live view: panels stand below each other on a narrow screen, and in two columns on a wide one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.text import Text

from console.display.table import beside, cut
from console.live import header, panels
from console.live.scroll import Scroll
from console.live.state import ViewState

WIDE_LAYOUT_COLUMNS = 140
"""Least width at which panels stand side by side."""
RIGHT_COLUMNS = 58
"""Width of the right side: enough for all columns of the tables of actors and prices."""
TALL_LAYOUT_LINES = 34
"""Least height at which prices and actors get tables in the narrow layout, too."""
GAP_COLUMNS = 2
NUMBER_OF_ACTORS = 7
SCROLLING = {panel.__name__: panel for panel in (panels.portfolios, panels.positions, panels.decisions, panels.prices)}
FIXED = {panel.__name__: panel for panel in (panels.equity, panels.actors)}


def frame(
    state: ViewState,
    width: int,
    height: int,
    foot: Text | Callable[[], Text] | None = None,
    scroll: Scroll | None = None,
) -> list[Text]:
    """Return the lines of a frame, at most ``height`` of them and none wider than ``width``.

    Args:
        state: to be drawn.
        width: of the screen, in characters.
        height: of the screen, in lines.
        foot: the last line, or what returns it when the others have been drawn.
        scroll: the place in each list; None: each begins with its first row.
    """
    scroll = scroll or Scroll()
    scroll.begin_frame()
    lines = [header.title(state, width)]
    tall = height >= 28 or (height >= 24 and header.has_open_run(state))
    lines += header.facts(state, width, 3 if tall else 2 if height >= 16 else 1)
    lines += header.alarms(state, width)[: max(height // 4, 1)]
    free = height - len(lines) - (foot is not None)
    if state.database is None:
        lines += panels.actors(state, width, free)
    elif width >= WIDE_LAYOUT_COLUMNS:
        lines += _wide(state, width, free, scroll)
    else:
        lines += _narrow(state, width, free, height >= TALL_LAYOUT_LINES, scroll)
    lines = lines[: height - (foot is not None)]
    if foot is not None:
        lines += [Text(end="")] * (height - 1 - len(lines))
        lines.append(cut(foot() if callable(foot) else foot, width))
    return lines[: max(height, 0)]


def _narrow(state: ViewState, width: int, rows: int, tall: bool, scroll: Scroll) -> list[Text]:
    useful = _useful_rows(state)
    side_by_side = tall and width >= 80
    parts = [
        ("portfolios", 4 if rows >= 18 else 2, useful["portfolios"]),
        ("decisions", 4, useful["decisions"]),
        ("positions", 3, useful["positions"]),
        ("actors", useful["actors"] if tall else 1, useful["actors"] if tall else 1),
        ("equity", 5 if state.equity_curve else 0, 14),
    ]
    if not side_by_side:
        parts.append(("prices", 1, useful["prices"] if tall else 2))
    sizes = share(rows, parts)
    lines = _stacked(state, width, sizes, scroll, "portfolios", "equity", "positions", "decisions")
    if side_by_side:
        left = (width - GAP_COLUMNS) // 2
        prices = panels.prices(state, left, sizes["actors"], scroll)
        actors = panels.actors(state, width - GAP_COLUMNS - left, sizes["actors"])
        return lines + beside(prices, actors, left, GAP_COLUMNS)
    if tall:
        return lines + _stacked(state, width, sizes, scroll, "prices", "actors")
    prices_line = panels.prices_line(state, width, sizes["prices"])
    return lines + prices_line + panels.actors_line(state, width, sizes["actors"])


def _wide(state: ViewState, width: int, rows: int, scroll: Scroll) -> list[Text]:
    useful = _useful_rows(state)
    left = width - RIGHT_COLUMNS - GAP_COLUMNS
    left_sizes = share(
        rows,
        [
            ("decisions", 6, useful["decisions"]),
            ("positions", 4, useful["positions"]),
            ("equity", 7 if state.equity_curve else 0, 18),
        ],
    )
    right_parts = [(name, least, useful[name]) for name, least in (("portfolios", 4), ("actors", 8), ("prices", 3))]
    return beside(
        _stacked(state, left, left_sizes, scroll, "equity", "positions", "decisions"),
        _stacked(state, RIGHT_COLUMNS, share(rows, right_parts), scroll, "portfolios", "prices", "actors"),
        left,
        GAP_COLUMNS,
    )


def _useful_rows(state: ViewState) -> dict[str, int]:
    """Return the number of lines with which each table shows all its rows."""
    return {
        "portfolios": 1 + len(state.portfolios) + (len(state.together) > 1),
        "decisions": 1 + max(len(state.decisions), 1),
        "positions": 1 + max(len(state.positions), 1),
        "prices": 1 + max(len(panels.recent_prices(state)), 1),
        "actors": 1 + NUMBER_OF_ACTORS,
    }


def _stacked(state: ViewState, width: int, sizes: Mapping[str, int], scroll: Scroll, *names: str) -> list[Text]:
    """Return panels below each other; one of size 0 has no lines."""
    lines = []
    for name in names:
        if name in FIXED:
            lines += FIXED[name](state, width, sizes[name])
        else:
            lines += SCROLLING[name](state, width, sizes[name], scroll)
    return lines


def share(rows: int, parts: Sequence[tuple[str, int, int]]) -> dict[str, int]:
    """Divide the lines of a screen among its parts.

    Args:
        rows: lines of the screen.
        parts: name, least and largest useful number of lines; the most important part first.

    Returns:
        The lines of each part; 0 for a part that has to be left out.
    """
    lines = dict.fromkeys((name for name, _, _ in parts), 0)
    for name, least, most in parts:
        needed = min(least, most)
        if 0 < needed <= rows:
            lines[name], rows = needed, rows - needed
    while rows > 0:
        growing = [name for name, _, most in parts if 0 < lines[name] < most]
        if not growing:
            break
        for name in growing[:rows]:
            lines[name] += 1
        rows -= min(rows, len(growing))
    return lines
