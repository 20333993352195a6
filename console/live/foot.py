"""The last line of the live view: the keys, as far as they do something now, and as far as there is space."""

from __future__ import annotations

from rich.text import Text

from console.live.scroll import Scroll
from console.live.state import ViewState

ENDS = "q ends this view"
MAX_DIGITS = 9
"""Portfolios that a digit chooses."""
BETWEEN = " · "


def foot(state: ViewState, scroll: Scroll, width: int) -> Text:
    """Return the last line, in the longest wording that fits.

    Args:
        state: that is shown.
        scroll: the place in each list, as of the frame above the line.
        width: characters.
    """
    name, others = scroll.active, len(scroll.scrollable) > 1
    portfolios = len(state.database.portfolios) if state.database is not None else 0
    digits = f"1–{min(portfolios, MAX_DIGITS)}"
    everything = state.portfolio is not None
    wordings = [
        (
            f"{ENDS}; trading goes on" if state.running else ENDS,
            f"↑↓ PgUp PgDn scroll {name} {scroll.range}", "←→ other list",
            f"Tab or {digits} one portfolio", "a all portfolios",
        ),
        ("q ends", f"↑↓ PgUp PgDn {name} {scroll.range}", "←→ list", "Tab portfolio", "a all"),
        ("q ends", f"↑↓ {name} {scroll.range}", "←→ list", "Tab portfolio", "a all"),
        ("q ends", f"↑↓ {name}", "←→ list", "Tab", "a all"),
        ("q", "↑↓", "←→", "Tab", "a"),
    ]  # fmt: skip
    present = (True, name is not None, others, portfolios > 1, everything)
    lines = [
        BETWEEN.join(part for part, is_there in zip(parts, present, strict=True) if is_there) for parts in wordings
    ]
    fitting = next((line for line in lines if len(line) <= width), lines[-1])
    return Text(fitting, style="dim", end="")
