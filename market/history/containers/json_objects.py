"""The tables that are somewhere within a JSON object, as the interfaces of exchanges and vendors answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table in a JSON object.

    Attributes:
        key: where it is, such as ``result.XXBTZUSD``; None for the object itself.
        names: of its columns; None where they have none.
        columns: of one length.
    """

    key: str | None
    names: tuple[str, ...] | None
    columns: Sequence[Sequence[Any]]


def tables_in(value: Any, key: str | None = None, depth: int = 0) -> Iterator[FoundTable]:
    """Yield the tables in parsed JSON.

    These are: a list of lists of equal length; a list of objects; an object of series, lists of ``[time, value]``
    (CoinGecko: one table with the first one's times); an object of columns (lists of equal length); pandas' ``split``;
    and any of them within an object.
    """
    if isinstance(value, list):
        yield from _list_table(value, key)
    elif isinstance(value, dict) and depth <= MAX_DEPTH:
        table = _split(value, key) or _series(value, key) or _column_lists(value, key)
        if table is not None:
            yield table
            return
        for name, inner in value.items():
            yield from tables_in(inner, name if key is None else f"{key}.{name}", depth + 1)


def _list_table(rows: list[Any], key: str | None) -> Iterator[FoundTable]:
    first = rows[0] if rows else None
    if isinstance(first, list) and first and all(isinstance(row, list) and len(row) == len(first) for row in rows):
        yield FoundTable(key, None, list(zip(*rows, strict=True)))
    elif isinstance(first, dict) and first and all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        yield FoundTable(key, tuple(names), [[row.get(name) for row in rows] for name in names])


def _is_series(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, list) and len(row) == 2 and not isinstance(row[0], (list, dict)) for row in value)
    )


def _series(value: Mapping[str, Any], key: str | None) -> FoundTable | None:
    series = {name: rows for name, rows in value.items() if _is_series(rows)}
    others = [rows for name, rows in value.items() if name not in series]
    if not series or any(rows and isinstance(rows, (list, dict)) for rows in others):
        return None
    times = [time for time, _ in next(iter(series.values()))]
    by_time = [dict(rows) for rows in series.values()]
    first, *further = by_time
    if len(first) < len(times):  # a time twice: then the others cannot be matched
        return FoundTable(key, ("time", next(iter(series))), list(zip(*next(iter(series.values())), strict=True)))
    columns = [times, list(first.values()), *([values.get(time) for time in times] for values in further)]
    return FoundTable(key, ("time", *series), columns)


def _column_lists(value: Mapping[str, Any], key: str | None) -> FoundTable | None:
    columns = {
        name: cells
        for name, cells in value.items()
        if isinstance(cells, list) and cells and not any(isinstance(cell, (list, dict)) for cell in cells)
    }
    if len(columns) < 2 or len({len(cells) for cells in columns.values()}) > 1:
        return None
    return FoundTable(key, tuple(columns), list(columns.values()))


def _split(value: Mapping[str, Any], key: str | None) -> FoundTable | None:
    names, rows, index = value.get("columns"), value.get("data"), value.get("index")
    if not (isinstance(names, list) and isinstance(rows, list) and rows):
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    if isinstance(index, list) and len(index) == len(rows):
        return FoundTable(key, ("", *map(str, names)), [index, *columns])
    return FoundTable(key, tuple(map(str, names)), columns)
