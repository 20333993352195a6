"""What a split makes of a position and of open orders. Cost, cash paid and commissions stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from domain.immutable.records import replace
from domain.trading.account.requests import Ratio
from domain.trading.arithmetic import add
from domain.trading.decision import MAX_AMOUNT
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.orders import ExitPlan, Level, Trail
from domain.trading.portfolio import Position


def split_position(held: Position, ratio: Ratio, at: datetime) -> Position:
    """Return a position after a split; the rest that has no 18 decimals is gone, the cost stays."""
    price = ratio.price(held.last_price)
    return held._replace(quantity=ratio.quantity(held.quantity), last_price=price, split_at=at)


def split_order(open_order: OpenOrder, ratio: Ratio, since: int, at: datetime) -> OpenOrder:
    """Return an open order after a split, with what is filled of it in the new units, too.

    Args:
        open_order: before it.
        ratio: of the split.
        since: number of the last data in the old units.
        at: the time of the split.
    """
    order = open_order.order
    filled = ratio.quantity(open_order.filled)
    split = replace(
        order,
        quantity=add(filled, ratio.quantity(open_order.remaining)),
        limit_price=None if order.limit_price is None else ratio.price(order.limit_price, order.side),
        stop_price=None if order.stop_price is None else ratio.price(order.stop_price, order.side),
        trail=_trail(order.trail, ratio),
        exits=_exits(order.exits, ratio),
    )
    mark = None if open_order.mark is None else ratio.price(open_order.mark)
    after = replace(open_order, order=split, filled=filled, mark=mark, since=max(open_order.since, since), since_at=at)
    # Its rounded price may cost a little more; it holds back no more than before, and buys what that pays.
    return replace(after, reserved=min(after.cash_needed(), open_order.reserved))


def fits(orders: Iterable[OpenOrder]) -> bool:
    """Return whether these orders can be stored, and have something left to fill."""
    for one in orders:
        prices = (one.order.limit_price, one.order.stop_price)
        if not (
            one.remaining and one.order.quantity < MAX_AMOUNT and all(p is None or 0 < p < MAX_AMOUNT for p in prices)
        ):
            return False
    return True


def _trail(trail: Trail | None, ratio: Ratio) -> Trail | None:
    return trail if trail is None or trail.is_fraction else replace(trail, value=ratio.price(trail.value))


def _level(level: Level, ratio: Ratio) -> Level:
    return level if level.is_fraction else replace(level, value=ratio.price(level.value))


def _exits(plan: ExitPlan | None, ratio: Ratio) -> ExitPlan | None:
    if plan is None:
        return None
    stop = None if plan.stop_loss is None else _level(plan.stop_loss, ratio)
    targets = tuple(replace(one, level=_level(one.level, ratio)) for one in plan.take_profits)
    return ExitPlan(stop, targets, _trail(plan.trailing_stop, ratio))
