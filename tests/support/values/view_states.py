"""States of the live view at fixed times and prices."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from console.live.state import LedgerCheck, ViewState
from persistence.queries.live_view import DatabaseView
from tests.support.values.builders import NOON

ACTORS = (
    "PriceTracker",
    "Snapshotter",
    "PositionKeeper",
    "ExecutionSimulator",
    "Sizer",
    "DecisionWatcher",
    "Supervisor",
)
SIMULATED = {"source": "simulated", "real_prices": False}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def actor(name: str, **changes: Any) -> dict[str, Any]:
    usual = {"actor": name, "state": "idle", "doing": None, "busy_for": None, "waiting_since": None}
    return {**usual, "restarts": 0, "handled": 1200, "mailbox": 0, "most": 3, **changes}


def process(**changes: Any) -> dict[str, Any]:
    prices = {"source": "simulated", "real": False, "instruments": 5, "ended": False, "silent": []}
    prices["newest"] = at(-0.5).isoformat()
    usual: dict[str, Any] = {
        "actors": [actor(name) for name in ACTORS],
        "intake_paused_since": None,
        "lease_held": True,
        "prices": prices,
        "failures": [],
    }
    return {**usual, "quarantined": 0, "dead_letters": 0, "prices_dropped": 0, **changes}


def portfolio(name: str, worth: str, cash: str, held: int, currency: str = "USDT", **changes: Any) -> dict[str, Any]:
    capital, result = Decimal(10_000), Decimal(worth) - 10_000
    usual = {
        "portfolio": name,
        "currency": currency,
        "initial_capital": capital,
        "net_deposits": Decimal(0),
        "paid_in": capital,
        "cash": Decimal(cash),
        "halted": None,
        "open_orders": 0,
    }
    return {**usual, "worth": Decimal(worth), "result": result, "result_pct": result / capital, "held": held, **changes}


def position(symbol: str, quantity: str, entry: str, last: str, name: str = "default", **changes: Any) -> Any:
    value, cost = Decimal(quantity) * Decimal(last), Decimal(quantity) * Decimal(entry)
    usual = {"portfolio": name, "symbol": symbol, "side": "LONG", "quantity": Decimal(quantity)}
    usual |= {"entry_price": Decimal(entry), "current_price": Decimal(last), "price_time": at(-0.4)}
    usual |= {"stop_price": None, "stop_quantity": None}
    pct = (value - cost) / cost
    return {**usual, "position_value": value, "unrealized_pnl": value - cost, "unrealized_pnl_pct": pct, **changes}


def decision(number: Any, what: str, symbol: str, status: str, reason: str, **changes: Any) -> dict[str, Any]:
    seconds = number - 10 if isinstance(number, int) else 0
    usual = {"id": number, "created_at": at(seconds), "portfolio": "default", "symbol": symbol, "decision": what}
    usual |= {"confidence": Decimal("0.8"), "status": status, "outcome_reason": reason, "processed_at": at(seconds)}
    return {**usual, "side": None, "quantity": None, "price": None, "net_pnl": None, **changes}


def database_view(**changes: Any) -> DatabaseView:
    usual: dict[str, Any] = {
        "at": NOON,
        "served": {"holder": "process 7 on home", "started_at": at(-8040), "epoch": 3, "running": True},
        "portfolios": [
            portfolio("cautious", "9995.31", "9594.79", 1),
            portfolio("default", "10111.74", "7648.85", 2),
        ],
        "positions": [
            position("DOGE/USDT", "1635.43", "0.21223", "0.21549", "cautious"),
            position("BTC/USDT", "0.01444509", "112982.23", "112405.73"),
            position("ETH/USDT", "0.5127", "3938.77", "3918.09", stop_price=Decimal(3750), stop_quantity=Decimal(1)),
        ],
        "decisions": [
            decision(10, "BUY", "XRP/USDT", "pending", ""),
            decision(9, "SELL", "BTC/USDT", "executed", "sold", side="SELL", quantity=Decimal("0.01791713"),
                     price=Decimal("112375.67"), net_pnl=Decimal("24.297")),
            decision(8, "BUY", "DOGE/USDT", "rejected",
                     "no room: DOGE/USDT is worth 1960.7, the position limit is 1955.1"),
            decision(7, "HOLD", "SOL/USDT", "ignored", "hold: nothing to do"),
        ],
        "prices": [
            {"symbol": "BTC/USDT", "price": Decimal("112405.73"), "time": at(-0.4), **SIMULATED},
            {"symbol": "DOGE/USDT", "price": Decimal("0.21549"), "time": at(-45), **SIMULATED},
            {"symbol": "ETH/USDT", "price": Decimal("3918.09"), "time": at(-0.4), **SIMULATED},
        ],
        "rate": 12.34,
        "waiting": 5,
    }  # fmt: skip
    return DatabaseView(**{**usual, **changes})


def view_state(**changes: Any) -> ViewState:
    """Return the state of a healthy system, with changes."""
    worths = ["20000", "19983", "20010", "20054", "20080", "20107.05"]
    usual = ViewState(
        at=NOON,
        process=process(),
        database=database_view(),
        ledger_check=LedgerCheck(at(-8), (), {"executed": 22, "ignored": 9, "pending": 5, "rejected": 7}, 0, 0.01),
        equity_curve=[(at(60 * (index - 5)), Decimal(worth)) for index, worth in enumerate(worths)],
        capital=Decimal(20_000),
        price_history={"BTC/USDT": (112000.0, 112200.0, 112405.73)},
        messages_per_s={"Sizer": 15.7},
    )
    return replace(usual, **changes)
