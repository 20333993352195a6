"""The terms of an order as a decision states them, and which combinations are valid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.trading.arithmetic import ONE, total
from domain.trading.orders import ExitPlan, Level, Target, Trail
from domain.types import Action, OrderType, TimeInForce

RESTING = frozenset({TimeInForce.GTC, TimeInForce.GTD})
"""With these an order may rest."""

ORDER_TYPES = tuple(OrderType)
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
        take_profits: of a BUY: several targets, each with its share of what it buys.
        trail: distance of a trailing stop order from the mark, in money.
        trail_pct: the same as a fraction of the mark.
        trailing_stop: distance of the trailing stop of a BUY, in money.
        trailing_stop_pct: the same as a fraction of the mark.
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
    take_profits: tuple[Target, ...] = ()
    trail: Decimal | None = None
    trail_pct: Decimal | None = None
    trailing_stop: Decimal | None = None
    trailing_stop_pct: Decimal | None = None

    @property
    def exits(self) -> ExitPlan | None:
        """The exits that it wants; None without any."""
        stop = _level(self.stop_loss, self.stop_loss_pct)
        target = _level(self.take_profit, self.take_profit_pct)
        targets = self.take_profits if target is None else (Target(target),)
        plan = ExitPlan(stop, targets, _trail(self.trailing_stop, self.trailing_stop_pct))
        return plan if plan != NO_EXITS else None

    @property
    def distance(self) -> Trail | None:
        """The distance of a trailing stop order; None for any other."""
        return _trail(self.trail, self.trail_pct)


NO_EXITS = ExitPlan()


MARKET = OrderTerms()
"""The terms of a plain market order."""


def _level(price: Decimal | None, fraction: Decimal | None) -> Level | None:
    if price is not None:
        return Level(price)
    return Level(fraction, is_fraction=True) if fraction is not None else None


def _trail(amount: Decimal | None, fraction: Decimal | None) -> Trail | None:
    level = _level(amount, fraction)
    return Trail(level.value, level.is_fraction) if level is not None else None


AMENDABLE = ("quantity", "limit_price", "stop_price", "trail", "trail_pct", "order_expires_at")
"""Fields of a decision that give an open order new values."""


def _without_new_values(terms: OrderTerms) -> OrderTerms:
    return replace(terms, limit_price=None, stop_price=None, expires_at=None, trail=None, trail_pct=None)


TARGETED = frozenset({Action.CANCEL, Action.AMEND})
"""Decisions about open orders: they name a target, and may leave symbol and confidence out."""
_PLAIN = frozenset({Action.BUY, Action.SELL, Action.HOLD})


def flaw(action: Action, terms: OrderTerms, target: str | None, quantity: Decimal | None = None) -> str | None:
    """Return why these terms do not fit together; None if they do.

    The sentences are the names of the constraints on ``trading_decisions`` that refuse the same in SQL, of at most 63
    characters. Where several hold, both name the first in alphabetical order.
    """
    if terms is MARKET and target is None and action in _PLAIN:
        return None  # most decisions; the path of each begins here
    kind, force = terms.order_type, terms.time_in_force
    limited, stopped = (terms.limit_price is not None), (terms.stop_price is not None)
    amends = action is Action.AMEND
    values = (quantity, terms.limit_price, terms.stop_price, terms.expires_at, terms.trail, terms.trail_pct)
    pairs = (
        (terms.stop_loss, terms.stop_loss_pct),
        (terms.take_profit, terms.take_profit_pct),
        (terms.trailing_stop, terms.trailing_stop_pct),
    )
    exits, trails = terms.exits or NO_EXITS, [terms.trail, terms.trail_pct].count(None)
    wrong = {
        "order_type: market, limit, stop, stop_limit or trailing_stop": kind not in ORDER_TYPES,
        "time_in_force must be GTC, IOC, FOK or GTD": force not in {None, *FORCES},
        "a CANCEL or AMEND needs a target, and no other decision has one": (target is None) is (action in TARGETED),
        "an AMEND needs a quantity, price, trail or order_expires_at": amends and values == (None,) * 6,
        "an AMEND sets only quantity, prices, trail and order_expires_at": amends
        and _without_new_values(terms) != MARKET,
        "an AMEND has a trail or a trail_pct, not both": amends and not trails,
        "only a BUY or SELL has terms such as order_type or limit_price": (
            action not in {Action.BUY, Action.SELL, Action.AMEND} and terms != MARKET
        ),
        "limit_price is set exactly for limit and stop_limit orders": (
            not amends and limited is not (kind in {OrderType.LIMIT, OrderType.STOP_LIMIT})
        ),
        "stop_price is set exactly for stop and stop_limit orders": (
            not amends and stopped is not (kind in {OrderType.STOP, OrderType.STOP_LIMIT})
        ),
        "a trailing_stop order, and no other, has a trail or a trail_pct": (
            not amends and trails != (1 if kind is OrderType.TRAILING_STOP else 2)
        ),
        "a market order has no time_in_force": force is not None and kind is OrderType.MARKET,
        "time_in_force IOC and FOK are for limit orders": (
            force in {TimeInForce.IOC, TimeInForce.FOK} and kind not in {OrderType.MARKET, OrderType.LIMIT}
        ),
        "order_expires_at is set exactly with time_in_force GTD": (
            not amends and (terms.expires_at is not None) is not (force is TimeInForce.GTD)
        ),
        "post_only is for limit orders with time_in_force GTC or GTD": (
            terms.post_only and (kind is not OrderType.LIMIT or force not in {None, *RESTING})
        ),
        "reduce_only is for a SELL": terms.reduce_only and action is not Action.SELL,
        "stop_loss, take_profit and trailing_stop are for a BUY": exits != NO_EXITS and action is not Action.BUY,
        "an exit has a price or a fraction, not both": any(None not in pair for pair in pairs),
        "a BUY has take_profit or take_profits, not both": bool(terms.take_profits and pairs[1] != (None, None)),
        "the shares of take_profits add up to at most 1": total(one.share for one in terms.take_profits) > ONE,
        "a BUY has one stop_loss or one trailing_stop, not both": (
            exits.stop_loss is not None and exits.trailing_stop is not None
        ),
    }
    return min((sentence for sentence, holds in wrong.items() if holds), default=None)
