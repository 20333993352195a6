"""Expansion of a dashboard's queries, as Grafana does it before PostgreSQL receives them.

The browser replaces ``$name`` and ``${name}`` by the variable's value: for variables with several values, or "All", by
a list of quoted literals; else by the value with doubled quotes. The server then replaces the macros. It finds them by
a pattern that does not know nested brackets.

Sources: Grafana's documentation, *PostgreSQL query editor* (macros, time series queries) and *Add variables* (All,
``$__interval``); its macro engine's pattern.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from deploy.dashboard.running import AUDITS, UPTIME, VALIDATION

ROOT = Path(__file__).parents[3]
FILE = ROOT / "deploy" / "grafana" / "dashboards" / "paper-trading.json"
VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
LATER = {VALIDATION: "0008", UPTIME: "0007", AUDITS: "0007"}
"""Tables and views that queries need, with the number of the migration that creates them."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Row = dict[str, Any]


@dataclass(frozen=True)
class Selection:
    """A user's selection of time range and variables.

    Attributes:
        since: beginning of the time range.
        until: its end, included.
        variables: value of each variable; a list for those with several values.
        points: number of points that fit on the screen.
    """

    since: datetime
    until: datetime
    variables: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    points: int = 1000


def board() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


def panels() -> dict[str, dict[str, Any]]:
    """Return the panels with a query, by title."""
    return {panel["title"]: panel for panel in board()["panels"] if panel["type"] != "row"}


def queries() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and definition of each query: of panels, annotations and variables."""
    yield from panels().items()
    for mark in board()["annotations"]["list"]:
        yield mark["name"], mark | {"targets": [mark["target"]]}
    for variable in board()["templating"]["list"]:
        yield f"variable {variable['name']}", {"targets": [{"rawSql": variable["query"], "format": "table"}]}


def expanded(sql: str, selection: Selection, finest: str | None = None) -> str:
    """Return a query as PostgreSQL receives it.

    Args:
        sql: query of the dashboard.
        looking: time range and variables.
        finest: the panel's shortest interval, such as ``1d``.
    """
    step = (selection.until - selection.since) / selection.points
    if finest is not None:
        step = max(step, timedelta(seconds=int(finest[:-1]) * UNITS[finest[-1]]))
    interval = {"__interval_ms": str(max(1, step // timedelta(milliseconds=1)))}

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name == "portfolio_id" and name not in selection.variables:
            name = "portfolio"  # the id of a first life
        if name not in selection.variables:
            return interval.get(name, match[0])
        selected = selection.variables[name]
        if isinstance(selected, str):
            return selected.replace("'", "''")
        return ",".join("'" + item.replace("'", "''") + "'" for item in selected)

    since, until = (f"'{end.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'" for end in (selection.since, selection.until))

    def macro(macro_match: re.Match[str]) -> str:
        match macro_match[1], macro_match[2]:
            case "__timeFilter", column:
                return f"{column} BETWEEN {since} AND {until}"
            case "__timeFrom", "":
                return since
            case "__timeTo", "":
                return until
        raise AssertionError(f"unknown macro {macro_match[0]}")

    return MACRO.sub(macro, VARIABLE.sub(value, sql))


def rows(connection: Connection[Any], panel: Mapping[str, Any], selection: Selection) -> list[Row]:
    """Return the rows of a query, after checking what Grafana requires: column names, and the order of times."""
    target, *_ = panel["targets"]
    sql = expanded(target["rawSql"], selection, panel.get("interval"))
    with connection.cursor(row_factory=dict_row) as cursor:
        answer = cursor.execute(sql).fetchall()
        names = [column.name for column in cursor.description or ()]
    assert len(set(names)) == len(names), "two columns have one name"
    overrides = panel.get("fieldConfig", {"overrides": []})["overrides"]
    named = {override["matcher"]["options"] for override in overrides if override["matcher"]["id"] == "byName"}
    assert named <= set(names), "an override of no column"
    if target["format"] == "time_series":
        times = [row["time"] for row in answer]
        assert sorted(times) == times, "not in the order of time"
        assert all(isinstance(time, datetime) for time in times)
    return answer


def decimals(connection: Connection[Any], panel: Mapping[str, Any], selection: Selection) -> list[Row]:
    """Return the rows with which Grafana sets the decimals of a panel's amounts; none where it has none."""
    return [
        row
        for target in panel["targets"][1:]
        for row in rows(connection, {"targets": [target]}, selection)
        if target["refId"] == panel["transformations"][0]["options"]["configRefId"]
    ]


def fields_with_decimals(panel: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    """Return the fields of a panel that get the `decimals` of its currency, as Grafana's pattern finds them."""
    patterns = [one["options"]["applyTo"]["options"].strip("/") for one in panel.get("transformations", [])]
    return {name for name in names if any(re.search(pattern, name) for pattern in patterns)}


def missing(sql: str) -> str | None:
    """Return why a query cannot run: the migration of its table or view is not in this checkout. Else None."""
    for name, number in LATER.items():
        if re.search(rf"\b{name}\b", sql) and not list((ROOT / "sql").glob(f"{number}_*.sql")):
            return f"{name} comes with migration {number}"
    return None
