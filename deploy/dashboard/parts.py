"""What a dashboard is made of: panels with their queries, and the grid that they stand on.

Source: Grafana's dashboard JSON, schema version 41 (Grafana 12); newer ones take it, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

UID = "paper-trading"
"""Of the data source that is provisioned, and of the dashboard."""
SOURCE = {"type": "grafana-postgresql-datasource", "uid": UID}
GRAFANA = "12.4.2"
"""The version that is started; it need not bring panels of older ones up to date."""
WIDTH = 24
NOTHING = "–"
"""What stands where a query answers NULL."""

MONEY = {"unit": "locale", "decimals": 2}
RATIO = {"unit": "percentunit", "decimals": 2}
COUNT = {"unit": "locale", "decimals": 0}
NUMBER = {"unit": "none", "decimals": 2}
PRICE = {"unit": "none"}
SECONDS = {"unit": "s", "decimals": 0}

GREEN, RED, BLUE, ORANGE, GREY = "green", "red", "blue", "orange", "#808080"

Override = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        kind: of Grafana's panels.
        title: may name variables.
        description: shown at the title's (i).
        sql: its query, with Grafana's macros and variables.
        width: of the 24 columns.
        height: in the grid's rows.
        series: whether the query is one over time; else it is a table.
        defaults: of each field: unit, decimals, ….
        fields: the same for fields by their name.
        options: of that kind of panel.
        finest: the shortest ``$__interval``; none: the data source's.
    """

    kind: str
    title: str
    description: str
    sql: str
    width: int
    height: int = 8
    series: bool = False
    defaults: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    finest: str | None = None

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return it as Grafana stores it.

        Args:
            number: its id in the dashboard.
            x: column of its left side.
            y: row of its top.
        """
        # What a panel says where there is no row, it would say of each NULL in a row, too.
        rest = [{"matcher": {"id": "byRegexp", "options": "/.*/"}, "properties": [{"id": "noValue", "value": NOTHING}]}]
        overrides = [
            *(rest if self.kind in {"table", "stat"} else []),
            *(_override(*each) for each in self.fields.items()),
        ]
        made: dict[str, Any] = {
            "id": number,
            "type": self.kind,
            "pluginVersion": GRAFANA,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [target(self.sql, "time_series" if self.series else "table")],
            "fieldConfig": {"defaults": self.defaults, "overrides": overrides},
            "options": self.options,
        }
        return made | ({} if self.finest is None else {"interval": self.finest})


@dataclass(frozen=True)
class Row:
    """Panels under one heading; those that do not fit beside each other go below."""

    title: str
    panels: tuple[Panel, ...]


def laid_out(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """Return headings and panels with their ids and places, from top to bottom."""
    made: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        made.append({"id": len(made) + 1, "type": "row", "title": row.title, "collapsed": False, "gridPos": place})
        y += 1
        x = tallest = 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            made.append(panel.json(len(made) + 1, x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return made


def target(sql: str, shape: str) -> dict[str, Any]:
    """Return a query as panels and annotations hold it; ``shape`` is ``time_series`` or ``table``."""
    return {
        "refId": "A",
        "datasource": SOURCE,
        "editorMode": "code",
        "format": shape,
        "rawQuery": True,
        "rawSql": tidy(sql),
    }


def tidy(sql: str) -> str:
    """Return a query without the margin that it has in Python."""
    return dedent(sql).strip()


def _override(name: str, properties: dict[str, Any]) -> Override:
    listed = [{"id": key, "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": listed}


def stat(title: str, description: str, sql: str, width: int, **more: Any) -> Panel:
    """Return a panel that shows each column of its one row as a figure."""
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": "/.*/"},
        "textMode": "value_and_name",
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "vertical",
    }
    return Panel("stat", title, description, sql, width, options=options, **({"height": 4} | more))


def table(title: str, description: str, sql: str, width: int, *, empty: str, **more: Any) -> Panel:
    """Return a table; ``empty`` is said where there is no row."""
    more["defaults"] = {"noValue": empty} | more.get("defaults", {})
    return Panel("table", title, description, sql, width, options={"showHeader": True, "cellHeight": "sm"}, **more)


def lines(title: str, description: str, sql: str, width: int, **more: Any) -> Panel:
    """Return lines over time."""
    look = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": True}
    return _over_time(title, description, sql, width, look, **more)


def bars(title: str, description: str, sql: str, width: int, *, stacked: bool = False, **more: Any) -> Panel:
    """Return bars over time."""
    stacking = {"mode": "normal" if stacked else "none", "group": "A"}
    look = {"drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80, "stacking": stacking}
    return _over_time(title, description, sql, width, look, **more)


def _over_time(title: str, description: str, sql: str, width: int, look: dict[str, Any], **more: Any) -> Panel:
    more["defaults"] = {"custom": look} | more.get("defaults", {})
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    return Panel("timeseries", title, description, sql, width, series=True, options=options, **more)


def coloured(colour: str) -> dict[str, Any]:
    """Return the property that gives a field one colour."""
    return {"color": {"mode": "fixed", "fixedColor": colour}}


def by_sign() -> dict[str, Any]:
    """Return the properties that colour what is below 0 red, the rest green."""
    steps = [{"color": RED, "value": None}, {"color": GREEN, "value": 0}]
    return {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}


def bad_from(value: float) -> dict[str, Any]:
    """Return the properties that colour what is at ``value`` or above red, the rest green."""
    steps = [{"color": GREEN, "value": None}, {"color": RED, "value": value}]
    return {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}


def words(**meant: str) -> dict[str, Any]:
    """Return the property that colours words, such as ``passed=GREEN``."""
    options = {word: {"color": colour, "index": number} for number, (word, colour) in enumerate(meant.items())}
    mapping = {"mappings": [{"type": "value", "options": options}]}
    return mapping | {"custom.cellOptions": {"type": "color-text"}}
