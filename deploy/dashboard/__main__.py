"""Writes deploy/grafana/dashboards/paper-trading.json: ``python -m deploy.dashboard``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.dashboard import running, trading
from deploy.dashboard.parts import GREEN, RED, SOURCE, UID, laid_out, target
from deploy.dashboard.trading import NAMED, STRATEGY, SYMBOL

FILE = Path(__file__).parents[1] / "grafana" / "dashboards" / "paper-trading.json"
MARKS = 300
"""So many closings are marked, won and lost each; Grafana draws each one as a line and a triangle."""

# What each variable may be; of the last one the first row counts. None needs to be quoted here but the portfolio.
PORTFOLIOS = "SELECT portfolio FROM paper_trading_config ORDER BY portfolio <> 'default', portfolio"
CURRENCY = "SELECT currency FROM paper_trading_config WHERE portfolio = '$portfolio'"
SYMBOLS = """
SELECT symbol FROM paper_orders WHERE portfolio = '$portfolio'
UNION SELECT symbol FROM trading_decisions WHERE portfolio = '$portfolio' AND order_id IS NULL ORDER BY 1
"""
STRATEGIES = f"""
SELECT {NAMED.format("strategy")} FROM paper_orders WHERE portfolio = '$portfolio'
UNION SELECT {NAMED.format("strategy")} FROM trading_decisions WHERE portfolio = '$portfolio' ORDER BY 1
"""


def variable(name: str, label: str, sql: str, *, several: bool = False, hidden: bool = False) -> dict[str, Any]:
    """Return a variable whose values a query lists, asked again whenever the time range moves on."""
    chosen = {"current": {"text": ["All"], "value": ["$__all"]}} if several else {}
    return chosen | {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": sql.strip(),
        "definition": sql.strip(),
        "refresh": 2,
        "sort": 0,
        "multi": several,
        "includeAll": several,
        "hide": 2 if hidden else 0,
    }


def marks(name: str, colour: str, condition: str, shown_on: list[int]) -> dict[str, Any]:
    """Return annotations: the last closings that the condition is true of."""
    sql = f"""
    SELECT exit_time AS time,
           format('%s %s %s at %s, net %s', CASE side WHEN 'LONG' THEN 'sold' ELSE 'bought back' END,
                  trim_scale(quantity), symbol, trim_scale(exit_price), round(net_pnl, 2)) AS text,
           symbol || ',' || strategy AS tags
    FROM (
        SELECT exit_time, order_id, side, quantity, symbol, exit_price, net_pnl, {NAMED.format("strategy")} AS strategy
        FROM paper_trades WHERE portfolio = '$portfolio' AND $__timeFilter(exit_time)
    ) closings
    WHERE {condition} AND {SYMBOL} AND {STRATEGY} ORDER BY exit_time DESC, order_id LIMIT {MARKS}
    """
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": colour,
        "target": target(sql, "table"),
        "filter": {"exclude": False, "ids": shown_on},
    }


def dashboard() -> dict[str, Any]:
    """Return the whole of it, as Grafana reads it."""
    panels = laid_out(trading.ROWS + running.ROWS)
    curves = [each["id"] for each in panels if each["title"] == trading.EQUITY.title]
    return {
        "uid": UID,
        "title": "Paper trading",
        "description": "Figures are those of docs/performance.md; times are UTC. Made by python -m deploy.dashboard.",
        "tags": ["paper-trading"],
        "schemaVersion": 41,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "utc",
        "time": {"from": "now-30d", "to": "now"},
        "refresh": "1m",
        "templating": {
            "list": [
                variable("portfolio", "Portfolio", PORTFOLIOS),
                variable("strategy", "Strategy", STRATEGIES, several=True),
                variable("symbol", "Symbol", SYMBOLS, several=True),
                variable("currency", "Currency", CURRENCY, hidden=True),
            ]
        },
        "annotations": {
            "list": [
                marks(f"Won (last {MARKS})", GREEN, "net_pnl > 0", curves),
                marks(f"Lost (last {MARKS})", RED, "net_pnl <= 0", curves),
            ]
        },
        "panels": panels,
    }


def text() -> str:
    """Return what stands in the file."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
