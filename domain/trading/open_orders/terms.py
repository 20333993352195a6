"""The terms of an order as a decision states them, and which combinations are valid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.trading.orders import ExitPlan, Level
from domain.types import Action, OrderType, TimeInForce

RESTING = frozenset({TimeInForce.GTC, TimeInForce.GTD})
"""With these an order may rest."""

ORDER_TYPES = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)
"""The types that a decision may have."""
FORCES = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD)
"""The times in force that a decision may have."""


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """How a decision wants to be executed. The default is a market order without exits.

    Attributes:
        time_in_force: None counts as GTC where an order may rest.
        expires_at: end of an order with `TimeInForce.GTD`.
        reduce_only: of a SELL: it works in a halted portfolio, too.
        stop_loss: price of the stop of a BUY.
        stop_loss_pct: the same as a fraction below the entry price.
        take_profit: price of the target of a BUY.
        take_profit_pct: the same as a fraction above the entry price.
    """

    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    expires_at: datetime | None = None
    post_only: bool = False
    reduce_only: bool = False
    stop_loss: Decimal | None = None
    stop_loss_pct: Decimal | None = None
    take_profit: Decimal | None = None
    take_profit_pct: Decimal | None = None

    @property
    def exits(self) -> ExitPlan | None:
        """The exits that it wants; None without any."""
        stop = _level(self.stop_loss, self.stop_loss_pct)
        target = _level(self.take_profit, self.take_profit_pct)
        return ExitPlan(stop, target) if stop is not None or target is not None else None


MARKET = OrderTerms()
"""The terms of a plain market order."""


def _level(price: Decimal | None, fraction: Decimal | None) -> Level | None:
    if price is not None:
        return Level(price)
    return Level(fraction, is_fraction=True) if fraction is not None else None


def flaw(action: Action, terms: OrderTerms, target: str | None) -> str | None:
    """Return why these terms do not fit together; None if they do.

    The sentences are the names of the constraints on ``trading_decisions`` that refuse the same in SQL, of at most 63
    characters. Where several hold, both name the first in alphabetical order.
    """
    kind, force = terms.order_type, terms.time_in_force
    limited, stopped = (terms.limit_price is not None), (terms.stop_price is not None)
    both = None not in (terms.stop_loss, terms.stop_loss_pct) or None not in (terms.take_profit, terms.take_profit_pct)
    wrong = {
        "order_type must be market, limit, stop or stop_limit": kind not in ORDER_TYPES,
        "time_in_force must be GTC, IOC, FOK or GTD": force not in {None, *FORCES},
        "a CANCEL needs a target, and no other decision has one": (target is None) is (action is Action.CANCEL),
        "only a BUY or SELL has terms such as order_type or limit_price": (
            action not in {Action.BUY, Action.SELL} and terms != MARKET
        ),
        "limit_price is set exactly for limit and stop_limit orders": (
            limited is not (kind in {OrderType.LIMIT, OrderType.STOP_LIMIT})
        ),
        "stop_price is set exactly for stop and stop_limit orders": (
            stopped is not (kind in {OrderType.STOP, OrderType.STOP_LIMIT})
        ),
        "a market order has no time_in_force": force is not None and kind is OrderType.MARKET,
        "time_in_force IOC and FOK are for limit orders": (
            force in {TimeInForce.IOC, TimeInForce.FOK} and kind in {OrderType.STOP, OrderType.STOP_LIMIT}
        ),
        "order_expires_at is set exactly with time_in_force GTD": (
            (terms.expires_at is not None) is not (force is TimeInForce.GTD)
        ),
        "post_only is for limit orders with time_in_force GTC or GTD": (
            terms.post_only and (kind is not OrderType.LIMIT or force not in {None, *RESTING})
        ),
        "reduce_only is for a SELL": terms.reduce_only and action is not Action.SELL,
        "stop_loss and take_profit are for a BUY": terms.exits is not None and action is not Action.BUY,
        "an exit has a price or a fraction, not both": both,
    }
    return min((sentence for sentence, holds in wrong.items() if holds), default=None)
