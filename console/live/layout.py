"""How the parts of the live view are arranged: under each other where it is narrow, in two columns where it is wide."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from console.display.table import beside, cut, share
from console.live import header as head
from console.live import panels as parts
from console.live.state import ViewState

WIDE = 136
"""Columns from which on parts stand side by side."""
RIGHT = 54
"""Columns of what then stands at the right: what tables of actors and prices need to show all that they have."""
TALL = 34
"""Lines from which on prices and actors get tables in the narrow view, too."""
GAP = 2

Part = Callable[[ViewState, int, int], list[Text]]


def frame(glimpse: ViewState, width: int, height: int, foot: Text | None = None) -> list[Text]:
    """Return the lines of a frame, at most ``height`` of them and none wider than ``width``.

    Args:
        glimpse: what is known.
        width: characters of the screen.
        height: its lines.
        foot: the last line.
    """
    lines = [head.title(glimpse, width)]
    lines += head.facts(glimpse, width, 3 if height >= 28 else 2 if height >= 16 else 1)
    lines += head.alarms(glimpse, width)[: max(height // 4, 1)]
    room = height - len(lines) - (foot is not None)
    if glimpse.glance is None:
        body = parts.actors(glimpse, width, room)
    else:
        body = _wide(glimpse, width, room) if width >= WIDE else _narrow(glimpse, width, room, height >= TALL)
    lines += body[: max(room, 0)]
    lines = lines[: height - (foot is not None)]
    if foot is not None:
        lines += [Text(end="")] * (height - 1 - len(lines))
        lines.append(cut(foot, width))
    return lines[: max(height, 0)]


def _narrow(glimpse: ViewState, width: int, rows: int, tall: bool) -> list[Text]:
    assert glimpse.glance is not None
    glance = glimpse.glance
    pots = len(glance.portfolios) + (len(glimpse.together) > 1)
    watched = max(len(parts.recent(glimpse)), 1)
    aside = tall and width >= 80
    sizes = share(
        rows,
        [
            ("portfolios", min(1 + pots, 4 if rows >= 18 else 2), 1 + pots),
            ("decisions", 4 if glance.decisions else 2, 1 + max(len(glance.decisions), 1)),
            ("positions", 3 if glance.positions else 2, 1 + max(len(glance.positions), 1)),
            ("actors", 1 + 7 if tall else 1, 1 + 7 if tall else 1),
            ("equity", 5 if glimpse.curve else 0, 14),
            ("prices", 0 if aside else 1, 0 if aside else 1 + watched if tall else 2),
        ],
    )
    lines: list[Text] = []
    shown: list[tuple[str, Part]] = [
        ("portfolios", parts.portfolios),
        ("equity", parts.equity),
        ("positions", parts.positions),
        ("decisions", parts.decisions),
    ]
    for name, part in shown:
        lines += part(glimpse, width, sizes[name]) if sizes[name] else []
    if aside and sizes["actors"]:
        left = (width - GAP) // 2
        return lines + beside(
            parts.prices(glimpse, left, sizes["actors"]),
            parts.actors(glimpse, width - GAP - left, sizes["actors"]),
            left,
            GAP,
        )
    for name, table, line in (
        ("prices", parts.prices, parts.prices_line),
        ("actors", parts.actors, parts.actors_line),
    ):
        if sizes[name]:
            lines += (table if tall else line)(glimpse, width, sizes[name])
    return lines


def _wide(glimpse: ViewState, width: int, rows: int) -> list[Text]:
    assert glimpse.glance is not None
    glance = glimpse.glance
    left = width - RIGHT - GAP
    sizes = share(
        rows,
        [
            ("decisions", 6 if glance.decisions else 2, 1 + max(len(glance.decisions), 1)),
            ("positions", 4 if glance.positions else 2, 1 + max(len(glance.positions), 1)),
            ("equity", 7 if glimpse.curve else 0, 18),
        ],
    )
    columns = parts.equity(glimpse, left, sizes["equity"]) if sizes["equity"] else []
    columns += parts.positions(glimpse, left, sizes["positions"]) if sizes["positions"] else []
    columns += parts.decisions(glimpse, left, sizes["decisions"]) if sizes["decisions"] else []
    pots = len(glance.portfolios) + (len(glimpse.together) > 1)
    watched = max(len(parts.recent(glimpse)), 1)
    beyond = share(
        rows,
        [
            ("portfolios", min(1 + pots, 4), 1 + pots),
            ("actors", 8, 8),
            ("prices", 3, 1 + watched),
        ],
    )
    aside = parts.portfolios(glimpse, RIGHT, beyond["portfolios"]) if beyond["portfolios"] else []
    aside += parts.prices(glimpse, RIGHT, beyond["prices"]) if beyond["prices"] else []
    aside += parts.actors(glimpse, RIGHT, beyond["actors"]) if beyond["actors"] else []
    return beside(columns, aside, left, GAP)
