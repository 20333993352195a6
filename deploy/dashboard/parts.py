"""Parts of a dashboard: panels with their queries, and the grid.

Source: Grafana's dashboard JSON, schema version 41 (Grafana 12); newer versions accept it, too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

from domain.currencies import ALIASES, DECIMALS, UNKNOWN_DECIMALS

UID = "paper-trading"
"""Id of the provisioned data source, and of the dashboard."""
SOURCE = {"type": "grafana-postgresql-datasource", "uid": UID}
GRAFANA = "12.4.2"
"""The version of the container, so that it does not have to migrate panels."""
WIDTH = 24
NULL_TEXT = "–"
"""Text for NULL."""

MONEY = {"unit": "locale"}
"""An amount; a panel's `Panel.money` gives it the decimals of the portfolio's currency."""
RATIO = {"unit": "percentunit", "decimals": 2}
COUNT = {"unit": "locale", "decimals": 0}
NUMBER = {"unit": "none", "decimals": 2}
PRICE = {"unit": "none"}
SECONDS = {"unit": "s", "decimals": 0}

GREEN, RED, BLUE, ORANGE, GREY = "green", "red", "blue", "orange", "#808080"

Override = dict[str, Any]


def decimals_of(currency: str) -> str:
    """Return SQL for the decimals of amounts in a currency, as `domain.currencies.decimals` has them."""
    codes: dict[int, list[str]] = defaultdict(list)
    for code, number in sorted((DECIMALS | {alias: DECIMALS[name] for alias, name in ALIASES.items()}).items()):
        codes[number].append(f"'{code}'")
    del codes[UNKNOWN_DECIMALS]
    cases = [f"WHEN {currency} IN ({', '.join(codes[number])}) THEN {number}" for number in sorted(codes)]
    return f"CASE {' '.join(cases)} ELSE {UNKNOWN_DECIMALS} END"


def amount_text(amount: str, decimals: str) -> str:
    """Return SQL for the text of an amount, for a column in which each row has a currency of its own."""
    integer, fraction = "'FM999,999,999,999,999,999,990'", f"rpad('.', {decimals} + 1, '0')"
    return f"to_char(round({amount}, {decimals}), {integer} || CASE {decimals} WHEN 0 THEN '' ELSE {fraction} END)"


CURRENCY_DECIMALS = f"""
SELECT {decimals_of("currency")} AS decimals
FROM paper_trading_config WHERE portfolio = '$portfolio_id'
"""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        kind: Grafana's type of panel.
        title: may contain variables.
        description: text behind the (i) of the title.
        sql: query, with Grafana's macros and variables.
        width: of the 24 columns.
        height: in the grid's rows.
        series: whether the query returns a time series; else a table.
        defaults: properties of all fields: unit, decimals, ….
        fields: properties by name of the field.
        options: of this type of panel.
        finest: shortest ``$__interval``; None: that of the data source.
        money: names of fields with amounts in the portfolio's currency.
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
    money: tuple[str, ...] = ()

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return the panel as Grafana stores it.

        Args:
            number: id in the dashboard.
            x: column of the left side.
            y: row of the top.
        """
        # Without this, Grafana would show the text for "no row" for each NULL in a row, too.
        rest = [
            {"matcher": {"id": "byRegexp", "options": "/.*/"}, "properties": [{"id": "noValue", "value": NULL_TEXT}]}
        ]
        overrides = [
            *(rest if self.kind in {"table", "stat"} else []),
            *(_override(name, properties) for name, properties in self.fields.items()),
        ]
        panel: dict[str, Any] = {
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
        if self.money:
            panel["targets"].append(target(CURRENCY_DECIMALS, "table", "decimals"))
            panel["transformations"] = [_with_decimals(self.money)]
        return panel | ({} if self.finest is None else {"interval": self.finest})


@dataclass(frozen=True)
class Row:
    """Panels under one heading, side by side as far as they fit."""

    title: str
    panels: tuple[Panel, ...]


def grid_layout(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """Return headings and panels with their ids and positions, from top to bottom."""
    items: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        items.append({"id": len(items) + 1, "type": "row", "title": row.title, "collapsed": False, "gridPos": place})
        y += 1
        x = tallest = 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            items.append(panel.json(len(items) + 1, x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return items


def target(sql: str, shape: str, name: str = "A") -> dict[str, Any]:
    """Return a query for a panel or an annotation; ``shape`` is ``time_series`` or ``table``."""
    return {
        "refId": name,
        "datasource": SOURCE,
        "editorMode": "code",
        "format": shape,
        "rawQuery": True,
        "rawSql": tidy(sql),
    }


def tidy(sql: str) -> str:
    """Return a query without its indentation in Python."""
    return dedent(sql).strip()


def _with_decimals(fields: tuple[str, ...]) -> dict[str, Any]:
    """Return Grafana's transformation *config from query results*; what overrides set has precedence over it."""
    options = {
        "configRefId": "decimals",
        "mappings": [{"fieldName": "decimals", "handlerKey": "decimals"}],
        "applyTo": {"id": "byRegexp", "options": f"/(^| )({'|'.join(fields)})$/"},
    }
    return {"id": "configFromData", "options": options}


def _override(name: str, properties: dict[str, Any]) -> Override:
    listed = [{"id": key, "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": listed}


def stat(title: str, description: str, sql: str, width: int, **more: Any) -> Panel:
    """Return a panel that shows each column of one row as a number."""
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
    """Return a table; ``empty`` is the text where it has no row."""
    more["defaults"] = {"noValue": empty} | more.get("defaults", {})
    return Panel("table", title, description, sql, width, options={"showHeader": True, "cellHeight": "sm"}, **more)


def lines(title: str, description: str, sql: str, width: int, **more: Any) -> Panel:
    """Return a line chart over time."""
    style = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": True}
    return _over_time(title, description, sql, width, style, **more)


def bars(title: str, description: str, sql: str, width: int, *, stacked: bool = False, **more: Any) -> Panel:
    """Return a bar chart over time."""
    stacking = {"mode": "normal" if stacked else "none", "group": "A"}
    style = {"drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80, "stacking": stacking}
    return _over_time(title, description, sql, width, style, **more)


def _over_time(title: str, description: str, sql: str, width: int, style: dict[str, Any], **more: Any) -> Panel:
    more["defaults"] = {"custom": style} | more.get("defaults", {})
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    return Panel("timeseries", title, description, sql, width, series=True, options=options, **more)


def coloured(colour: str) -> dict[str, Any]:
    """Return the property for a field with a fixed colour."""
    return {"color": {"mode": "fixed", "fixedColor": colour}}


def by_sign() -> dict[str, Any]:
    """Return the properties that colour values below 0 red, others green."""
    steps = [{"color": RED, "value": None}, {"color": GREEN, "value": 0}]
    return {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}


def bad_from(value: float) -> dict[str, Any]:
    """Return the properties that colour values from ``value`` on red, others green."""
    steps = [{"color": GREEN, "value": None}, {"color": RED, "value": value}]
    return {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}


def amounts_as_text(*, by_sign: bool = False) -> dict[str, Any]:
    """Return the properties of a column of `amount_text`; Grafana colours text by patterns alone."""
    patterns = (("^-", RED), ("^[^-]", GREEN)) if by_sign else ()
    mappings = [
        {"type": "regex", "options": {"pattern": pattern, "result": {"color": colour, "index": number}}}
        for number, (pattern, colour) in enumerate(patterns)
    ]
    coloured_text = {"mappings": mappings, "custom.cellOptions": {"type": "color-text"}} if by_sign else {}
    return {"custom.align": "right"} | coloured_text


def value_colours(**colours: str) -> dict[str, Any]:
    """Return the property that colours text values, such as ``passed=GREEN``."""
    options = {text: {"color": colour, "index": number} for number, (text, colour) in enumerate(colours.items())}
    mapping = {"mappings": [{"type": "value", "options": options}]}
    return mapping | {"custom.cellOptions": {"type": "color-text"}}
