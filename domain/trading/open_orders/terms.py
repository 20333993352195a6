"""The terms of an order as a decision states them, and which combinations are valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.immutable.records import fast_frozen, replace
from domain.trading.arithmetic import ONE, total
from domain.trading.orders import ExitPlan, Level, Target, Trail
from domain.types import Action, OrderType, TimeInForce

RESTING = frozenset({TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY})
"""With these an order may rest."""

ANY_SYMBOL = "*"
"""The symbol of a CANCEL or AMEND that names none."""

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    Action.CANCEL: {"symbol": ANY_SYMBOL, "confidence": 1},
    Action.AMEND: {"symbol": ANY_SYMBOL, "confidence": 1},
    Action.PROTECT: {"confidence": 1},
}
"""What these decisions may leave out; a trigger in ``sql/`` fills in the same."""

ORDER_TYPES = tuple(OrderType)
"""The types that a decision may have."""
FORCES = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD, TimeInForce.DAY)
"""The times in force that a decision may have."""


EXIT_FIELDS = (
    "stop_loss", "stop_loss_pct", "take_profit", "take_profit_pct", "take_profits", "trailing_stop",
    "trailing_stop_pct",
)  # fmt: skip
"""The terms of exits."""


@fast_frozen
@dataclass(frozen=True, slots=True)
class OrderTerms:
    """How a decision wants to be executed. The default is a market order without exits.

    Attributes:
        time_in_force: None counts as GTC where an order may rest.
        expires_at: end of an order with `TimeInForce.GTD`.
        reduce_only: of a SELL: it works in a halted portfolio, too.
        stop_loss: price of the stop of a BUY or PROTECT.
        stop_loss_pct: the same as a fraction below the entry price.
        take_profit: price of the target of a BUY or PROTECT.
        take_profit_pct: the same as a fraction above the entry price.
        take_profits: several targets in place of one, each with its share.
        trail: distance of a trailing stop order from the mark, in money.
        trail_pct: the same as a fraction of the mark.
        trailing_stop: distance of the trailing stop of a BUY or PROTECT, in money.
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
        trail = _trail(self.trailing_stop, self.trailing_stop_pct)
        return ExitPlan(stop, targets, trail) if stop is not None or targets or trail is not None else None

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
WITHOUT_ENTRY = TARGETED | {Action.PROTECT}
"""Decisions that buy and sell nothing themselves: neither a threshold nor their age counts."""
WITH_EXITS = frozenset({Action.BUY, Action.PROTECT})
LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
STOPPED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


def contradiction(
    action: Action, symbol: object, terms: OrderTerms, target: str | None, quantity: Decimal | None
) -> str | None:
    """Return why the fields of a decision do not fit together; None if they do."""
    if symbol == ANY_SYMBOL and action not in TARGETED:
        return f"only a CANCEL or AMEND may have the symbol {ANY_SYMBOL}"
    return flaw(action, terms, target, quantity)


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
        "time_in_force must be GTC, IOC, FOK, GTD or DAY": force not in {None, *FORCES},
        "a CANCEL or AMEND needs a target, and no other decision has one": (target is None) is (action in TARGETED),
        "an AMEND needs a quantity, price, trail or order_expires_at": amends and values == (None,) * 6,
        "an AMEND sets only quantity, prices, trail and order_expires_at": amends
        and _without_new_values(terms) != MARKET,
        "an AMEND has a trail or a trail_pct, not both": amends and not trails,
        "only a BUY or SELL has terms such as order_type or limit_price": (
            action in {Action.HOLD, Action.CANCEL} and terms != MARKET
        ),
        "a PROTECT sets only stop_loss, take_profit and trailing_stop": (
            action is Action.PROTECT and (quantity is not None or not _only_exits(terms))
        ),
        "limit_price needs order_type limit or stop_limit": not amends and limited and kind not in LIMITED,
        "order_type limit and stop_limit need a limit_price": not limited and kind in LIMITED,
        "stop_price needs order_type stop or stop_limit": not amends and stopped and kind not in STOPPED,
        "order_type stop and stop_limit need a stop_price": not stopped and kind in STOPPED,
        "a trailing_stop order, and no other, has a trail or a trail_pct": (
            not amends and trails != (1 if kind is OrderType.TRAILING_STOP else 2)
        ),
        "a market order has no time_in_force": force is not None and kind is OrderType.MARKET,
        "time_in_force IOC and FOK are for limit orders": (
            force in {TimeInForce.IOC, TimeInForce.FOK} and kind not in {OrderType.MARKET, OrderType.LIMIT}
        ),
        "order_expires_at needs time_in_force GTD": (
            not amends and terms.expires_at is not None and force is not TimeInForce.GTD
        ),
        "time_in_force GTD needs an order_expires_at": terms.expires_at is None and force is TimeInForce.GTD,
        "post_only is for limit orders that may rest: GTC, GTD or DAY": (
            terms.post_only and (kind is not OrderType.LIMIT or force not in {None, *RESTING})
        ),
        "reduce_only is for a SELL": terms.reduce_only and action is not Action.SELL,
        "stop_loss, take_profit, trailing_stop are for a BUY or PROTECT": exits != NO_EXITS
        and action not in WITH_EXITS,
        "an exit has a price or a fraction, not both": any(None not in pair for pair in pairs),
        "only one of take_profit and take_profits may be set": bool(terms.take_profits and pairs[1] != (None, None)),
        "the shares of take_profits add up to at most 1": total(one.share for one in terms.take_profits) > ONE,
        "only one of stop_loss and trailing_stop may be set": (
            exits.stop_loss is not None and exits.trailing_stop is not None
        ),
    }
    return min((sentence for sentence, holds in wrong.items() if holds), default=None)


def _only_exits(terms: OrderTerms) -> bool:
    """Return whether terms set nothing but exits."""
    return terms == replace(MARKET, **{name: getattr(terms, name) for name in EXIT_FIELDS})
