"""The way from the round trips of a period to its result: how net result, expectancy and value are connected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from domain.analytics.trade_stats import TradeHistory
from domain.trading.arithmetic import ZERO, negate, subtract, total


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Summands of a period's result, in the portfolio's currency.

    ``round_trips + open_closings + earlier_closings`` is the net result of all closings, and that
    ``+ dividends + open_positions`` is the result (the first law in docs/arithmetic.md, between two moments).

    Attributes:
        round_trips: Σ net of the round trips that ended in the period, which is their number × the expectancy.
        open_closings: Σ net of the period's closings of positions that were still open at its end.
        earlier_closings: Σ net of closings before the period that belong to those round trips, negated.
        dividends: dividends received less dividends paid.
        open_positions: change of the unrealised results less the entry commissions of what is open; None for a
            strategy, which has no value.
    """

    round_trips: Decimal
    open_closings: Decimal
    earlier_closings: Decimal
    dividends: Decimal
    open_positions: Decimal | None


def reconciliation(
    trade_history: TradeHistory, result: Decimal | None, dividends: Iterable[Decimal] = ()
) -> Reconciliation:
    """Return the summands of the result of a period.

    Args:
        trade_history: of the period.
        result: change of the value without deposits and withdrawals; None for a strategy.
        dividends: cash of the period's dividends.
    """
    ended = {trip.position_id for trip in trade_history.round_trips}
    round_trips = total([trip.net for trip in trade_history.round_trips])
    open_closings = total([trade.net for trade in trade_history.trades if trade.position_id not in ended])
    earlier = total([trade.net for trade in trade_history.before[0] if trade.position_id in ended])
    received = total(dividends) if result is not None else ZERO
    rest = subtract(subtract(result, trade_history.stats.net_pnl), received) if result is not None else None
    return Reconciliation(round_trips, open_closings, negate(earlier), received, rest)
