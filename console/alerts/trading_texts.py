"""The sentences of messages about trading."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from console.display.format import amount, money, number, signed, signed_money
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import ZERO, divide, multiply, subtract
from domain.trading.bookkeeping import Result
from domain.trading.portfolio import PortfolioRules
from domain.trading_messages.drawdown import Passed, drawdown
from domain.types import Side
from domain.validation.criteria import format_limit, format_percent
from domain.wording import counted, format_duration
from persistence.queries.trading_messages import Summary

HUNDRED = Decimal(100)


def fill_text(result: Result) -> str:
    """Return ``default: bought 0.01 BTC/USDT at 110,617.14, commission 1.11 USDT``."""
    order, fill, currency = result.order, result.fill, result.state.rules.currency
    verb = "bought" if order.side is Side.BUY else "sold"
    commission = f"commission {money(fill.commission, currency)} {currency}"
    leg = f" ({order.order_type.value.replace('_', ' ')} of the position)" if order.is_exit else ""
    late = ", while no process ran" if result.recovered else ""
    traded = f"{verb} {number(fill.quantity)} {order.instrument.symbol} at {number(fill.price)}"
    return f"{result.state.label}: {traded}{leg}, {commission}{late}"


def closed_text(trade: Trade, rules: PortfolioRules, net_and_cost: tuple[Decimal, Decimal] | None) -> str:
    """Return ``default: closed LONG BTC/USDT at 102, net +4.00 USDT (+1.33 %), after 3 h 5 min``.

    Args:
        trade: the last part of the position.
        rules: of the portfolio.
        net_and_cost: of all parts; None where the database cannot be read now.
    """
    result, currency = "", rules.currency
    if net_and_cost is not None:
        net, cost = net_and_cost
        result = f", net {signed_money(net, currency)} {currency}"
        result += f" ({percent(divide(net, cost), with_sign=True)})" if cost else ""
    held = format_duration(max(timedelta(), trade.exit_time - trade.entry_time))
    return f"{rules.label}: closed {trade.side} {trade.symbol} at {number(trade.exit_price)}{result}, after {held}"


def summary_text(summary: Summary, zone: ZoneInfo) -> str:
    """Return a portfolio's value and what happened since the last summary."""
    currency = summary.currency
    result = subtract(subtract(summary.total_value, summary.opening_value), summary.deposits)
    share = (
        f" ({percent(divide(result, summary.opening_value), with_sign=True)})" if summary.opening_value > ZERO else ""
    )
    since = f"since {summary.since.astimezone(zone):%a %H:%M %Z}"
    value = f"{money(summary.total_value, currency)} {currency}"
    parts = [f"{summary.portfolio}: {value}, {signed_money(result, currency)}{share} {since}"]
    if summary.deposits:
        parts.append(f"{signed_money(summary.deposits, currency)} deposits and withdrawals")
    if summary.closed:
        net = signed_money(summary.net, currency)
        parts.append(f"{counted(summary.closed, 'round trip')} closed, {summary.won} won, net {net}")
    parts.append(f"{counted(summary.fills, 'fill')}, commission {money(summary.commission, currency)}")
    total = sum(summary.decisions.values())
    outcomes = ", ".join(f"{count} {status}" for status, count in summary.decisions.items())
    parts.append(counted(total, "decision") + (f" ({outcomes})" if outcomes else ""))
    parts.append(counted(summary.num_positions, "open position"))
    gained = subtract(summary.total_value, summary.net_deposits)
    parts.append(f"drawdown {percent(drawdown(summary.peak, gained, summary.net_deposits))}")
    return "; ".join(parts)


def drawdown_text(portfolio: str, passed: Passed, limit: Decimal) -> str:
    """Return the sentence on a drawdown that has passed its limit, or is over."""
    now = format_percent(passed.fraction, limit)
    if passed.over:
        return f"{portfolio}: the drawdown is {now} again, at most half of the limit of {format_limit(limit)}"
    return f"{portfolio}: the drawdown is {now}, above the limit of {format_limit(limit)}"


def percent(fraction: Decimal, *, with_sign: bool = False) -> str:
    """Return a fraction as a percentage with two decimals: *1.33 %*."""
    value = multiply(fraction, HUNDRED)
    return f"{signed(value) if with_sign else amount(value)} %"
