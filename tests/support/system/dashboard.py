"""Expands a dashboard's query as Grafana does before PostgreSQL sees it.

In the browser ``$name`` and ``${name}`` become the variable's value: where several may be chosen, or "All", a list of
quoted literals; else the value with its quotes doubled. Then the server replaces the macros, which it finds by a
pattern that knows no brackets within brackets.

Sources: Grafana's documentation, *PostgreSQL query editor* (macros, time series queries) and *Add variables* (All,
``$__interval``); its macro engine's pattern.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
"""What queries need that a migration brings which may not be here yet, by its number."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Row = dict[str, Any]


@dataclass(frozen=True)
class ServiceQueries:
    """What somebody has chosen.

    Attributes:
        since: beginning of the time range.
        until: its end, included.
        chosen: value of each variable; a list where several may be chosen.
        points: so many fit on the screen.
    """

    since: datetime
    until: datetime
    chosen: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    points: int = 1000


def board() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


def panels() -> dict[str, dict[str, Any]]:
    """Those with a query, by their titles."""
    return {panel["title"]: panel for panel in board()["panels"] if panel["type"] != "row"}


def queries() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each query of the board under a name, with what it stands in: panels, annotations and variables."""
    yield from panels().items()
    for mark in board()["annotations"]["list"]:
        yield mark["name"], mark | {"targets": [mark["target"]]}
    for variable in board()["templating"]["list"]:
        yield f"variable {variable['name']}", {"targets": [{"rawSql": variable["query"], "format": "table"}]}


def expanded(sql: str, looking: ServiceQueries, finest: str | None = None) -> str:
    """That query as PostgreSQL gets it.

    Args:
        sql: as it stands in the dashboard.
        looking: what is chosen.
        finest: the panel's own least interval, such as ``1d``.
    """
    step = (looking.until - looking.since) / looking.points
    if finest is not None:
        step = max(step, timedelta(seconds=int(finest[:-1]) * UNITS[finest[-1]]))
    interval = {"__interval_ms": str(max(1, step // timedelta(milliseconds=1)))}

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in looking.chosen:
            return interval.get(name, found[0])
        chosen = looking.chosen[name]
        if isinstance(chosen, str):
            return chosen.replace("'", "''")
        return ",".join("'" + each.replace("'", "''") + "'" for each in chosen)

    since, until = (f"'{end.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'" for end in (looking.since, looking.until))

    def macro(found: re.Match[str]) -> str:
        match found[1], found[2]:
            case "__timeFilter", column:
                return f"{column} BETWEEN {since} AND {until}"
            case "__timeFrom", "":
                return since
            case "__timeTo", "":
                return until
        raise AssertionError(f"Grafana has no macro {found[0]}, or this page does not know it")

    return MACRO.sub(macro, VARIABLE.sub(value, sql))


def rows(connection: Connection[Any], panel: Mapping[str, Any], looking: ServiceQueries) -> list[Row]:
    """What PostgreSQL answers, held to what Grafana wants of it: names, and the order of time."""
    (target,) = panel["targets"]
    sql = expanded(target["rawSql"], looking, panel.get("interval"))
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(sql).fetchall()
        names = [column.name for column in cursor.description or ()]
    assert len(set(names)) == len(names), "two columns have one name"
    overrides = panel.get("fieldConfig", {"overrides": []})["overrides"]
    named = {each["matcher"]["options"] for each in overrides if each["matcher"]["id"] == "byName"}
    assert named <= set(names), "an override of no column"
    if target["format"] == "time_series":
        times = [row["time"] for row in found]
        assert sorted(times) == times, "not in the order of time"
        assert all(isinstance(time, datetime) for time in times)
    return found


def missing(sql: str) -> str | None:
    """Why this query cannot run yet: its table or view comes with a migration that is not in this checkout."""
    for name, number in LATER.items():
        if re.search(rf"\b{name}\b", sql) and not list((ROOT / "sql").glob(f"{number}_*.sql")):
            return f"{name} comes with migration {number}"
    return None
