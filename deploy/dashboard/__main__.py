"""Writes deploy/grafana/dashboards/paper-trading.json: ``python -m deploy.dashboard``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.dashboard import running, trading
from deploy.dashboard.parts import CURRENCY_DECIMALS, GREEN, RED, SOURCE, UID, grid_layout, target
from deploy.dashboard.trading import STRATEGY, STRATEGY_OR_NONE, SYMBOL
from persistence.stores.portfolios import DECIDED_IN

FILE = Path(__file__).parents[1] / "grafana" / "dashboards" / "paper-trading.json"
MAX_MARKS = 300
"""Marked closings, for won and for lost ones; Grafana draws a line and a triangle for each."""

# Values of each variable; the last one takes the first row. Only the portfolio needs quotes here.
PORTFOLIOS = """
SELECT paper_portfolio_label(portfolio) AS portfolio FROM paper_trading_config
ORDER BY replaced_at IS NOT NULL, name <> 'default', name, life
"""
PORTFOLIO_ID = "SELECT paper_portfolio_id('$portfolio')"
CURRENCY = "SELECT currency FROM paper_trading_config WHERE portfolio = '$portfolio_id'"
DECIDED = DECIDED_IN.format("'$portfolio_id'")
SYMBOLS = f"""
SELECT symbol FROM paper_orders WHERE portfolio = '$portfolio_id'
UNION SELECT symbol FROM trading_decisions d WHERE {DECIDED} AND order_id IS NULL ORDER BY 1
"""
STRATEGIES = f"""
SELECT {STRATEGY_OR_NONE.format("strategy")} FROM paper_orders WHERE portfolio = '$portfolio_id'
UNION SELECT {STRATEGY_OR_NONE.format("strategy")} FROM trading_decisions d WHERE {DECIDED} ORDER BY 1
"""


def variable(name: str, label: str, sql: str, *, several: bool = False, hidden: bool = False) -> dict[str, Any]:
    """Return a variable whose values come from a query, which runs again when the time range changes."""
    default = {"current": {"text": ["All"], "value": ["$__all"]}} if several else {}
    return default | {
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


def marks(name: str, colour: str, condition: str, panel_ids: list[int]) -> dict[str, Any]:
    """Return annotations for the last closings that meet a condition."""
    net = f"round(net_pnl, ({CURRENCY_DECIMALS.strip()}))"
    sql = f"""
    SELECT exit_time AS time,
           format('%s %s %s at %s, net %s', CASE side WHEN 'LONG' THEN 'sold' ELSE 'bought back' END,
                  trim_scale(quantity), symbol, trim_scale(exit_price), {net}) AS text,
           symbol || ',' || strategy AS tags
    FROM (
        SELECT exit_time, order_id, side, quantity, symbol, exit_price, net_pnl,
               {STRATEGY_OR_NONE.format("strategy")} AS strategy
        FROM paper_trades WHERE portfolio = '$portfolio_id' AND $__timeFilter(exit_time)
    ) closings
    WHERE {condition} AND {SYMBOL} AND {STRATEGY} ORDER BY exit_time DESC, order_id LIMIT {MAX_MARKS}
    """
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": colour,
        "target": target(sql, "table"),
        "filter": {"exclude": False, "ids": panel_ids},
    }


def dashboard() -> dict[str, Any]:
    """Return the complete dashboard as Grafana reads it."""
    panels = grid_layout(trading.ROWS + running.ROWS)
    curves = [panel["id"] for panel in panels if panel["title"] == trading.EQUITY.title]
    return {
        "uid": UID,
        "title": "Paper trading",
        "description": "docs/performance.md defines the figures; times are UTC. Written by python -m deploy.dashboard.",
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
                variable("portfolio_id", "Portfolio id", PORTFOLIO_ID, hidden=True),
                variable("strategy", "Strategy", STRATEGIES, several=True),
                variable("symbol", "Symbol", SYMBOLS, several=True),
                variable("currency", "Currency", CURRENCY, hidden=True),
            ]
        },
        "annotations": {
            "list": [
                marks(f"Won (last {MAX_MARKS})", GREEN, "net_pnl > 0", curves),
                marks(f"Lost (last {MAX_MARKS})", RED, "net_pnl <= 0", curves),
            ]
        },
        "panels": panels,
    }


def text() -> str:
    """Return what stands in the file."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
