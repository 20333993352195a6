"""The size of the database, and snapshots that a wrong clock has dated, for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from console.display.format import size
from console.display.times import moment
from domain.wording import counted

MAX_TABLES = 3
"""Tables that are named: those that grow most."""


def size_line(storage: Mapping[str, Any]) -> str:
    """Return the size of the database and its growth a day.

    Args:
        storage: `persistence.storage.growth.Storage` as a dictionary.
    """
    total = f"{size(storage['bytes'])} of tables"
    if storage["bytes_per_day"] is None:
        return f"{total}; their growth is known after an hour"
    tables = sorted(storage["tables_per_day"].items(), key=lambda item: -item[1])
    most = [f"{name} {growth_text(grown)}" for name, grown in tables[:MAX_TABLES] if grown > 0]
    return f"{total}, {growth_text(storage['bytes_per_day'])} a day" + (f" ({', '.join(most)})" if most else "")


def growth_text(change: int) -> str:
    """Format a change of size: ``+1.2 MB``, ``-512 bytes``."""
    return f"{'-' if change < 0 else '+'}{size(abs(change))}"


def future_snapshots_line(number: int, last: datetime) -> str:
    """Return the sentence on snapshots that are dated in the future."""
    are, is_ = ("is", "it is") if number == 1 else ("are", "they are")
    text = f"{counted(number, 'snapshot')} {are} dated in the future, up to {moment(last)}"
    return f"{text}; {is_} left out: a clock was wrong"
