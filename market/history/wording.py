"""Numbers, rows and times in sentences about market data of the past."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from market.history.containers.refusal import grouped

MAX_NAMED_ROWS = 3
"""A sentence names at most so many rows."""


def counted(count: int, thing: str) -> str:
    """Return a number of things, such as ``1 bar`` or ``8 760 bars``."""
    return f"{grouped(count)} {thing}{'' if count == 1 else 's'}"


def named_rows(rows: Sequence[int], count: int | None = None) -> str:
    """Return rows by their numbers, such as ``row 4 711`` or ``rows 5, 8 and 9``; of many the first ones.

    Args:
        rows: at least one; where they are fewer than ``count``, the first ones.
        count: how many there are; None: as many as are given.
    """
    count = len(rows) if count is None else count
    names = [grouped(row) for row in rows[:MAX_NAMED_ROWS]]
    if count > MAX_NAMED_ROWS:
        return f"rows {', '.join(names)} and {grouped(count - MAX_NAMED_ROWS)} more"
    if count == 1:
        return f"row {names[0]}"
    return f"rows {', '.join(names[:-1])} and {names[-1]}"


def span(first: datetime, last: datetime) -> str:
    """Return two times in UTC, as dates where both are midnight."""
    if all((time.hour, time.minute, time.second, time.microsecond) == (0, 0, 0, 0) for time in (first, last)):
        return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"{first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S}"
