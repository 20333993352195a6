"""The price at which an order counts before it is filled: for its budget, its minimum, its room and its cash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from domain.immutable.records import fast_frozen, replace
from domain.trading.arithmetic import add, ceil_to, floor_to, money, multiply, plain, round_to
from domain.trading.execution import commission_due, worst_cost
from domain.trading.instruments import Instrument
from domain.trading.open_orders.open_order import rounding_spare
from domain.trading.open_orders.targets import too_small_targets
from domain.trading.open_orders.terms import MARKET, OrderTerms
from domain.trading.orders import Costs, ExitPlan, Order, Trail
from domain.trading.portfolio import PortfolioRules
from domain.trading.prices import BasePrice, mark
from domain.trading.quotes import Quote
from domain.types import BUY, SELL, Side, TimeInForce

STOP_REACHED = "its stop price was already reached"
"""Noted where the mark is at the stop price, or beyond, when an order gets it: the next data trigger it."""


@fast_frozen
@dataclass(frozen=True, slots=True)
class Pricing:
    """The price of an order that is sized.

    Attributes:
        price: its limit; the stop price of a stop order that the market has not passed; else the base price.
        cost: returns the highest possible cost of buying a quantity, with commission, in money.
        costs: of the order.
        limit_price: rounded to the tick so that the limit of the decision is never exceeded.
        stop_price: rounded to the nearest tick; the first one of a trailing stop.
    """

    price: Decimal
    cost: Callable[[Decimal], Decimal]
    costs: Costs
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


def price_order(
    terms: OrderTerms, side: Side, instrument: Instrument, rules: PortfolioRules, base: BasePrice, present: Decimal
) -> Pricing:
    """Return the price of an order with these terms.

    Args:
        terms: of the decision.
        side: BUY or SELL.
        instrument: the instrument that is traded.
        rules: of the portfolio.
        base: the price that a market order meets now.
        present: the mark, from which a trailing stop begins.
    """
    costs, rule, tick = rules.costs_of(instrument), rules.execution.price_rule, instrument.tick
    if terms is MARKET:
        return Pricing(base.price, partial(worst_cost, base=base, tick=tick, costs=costs, rule=rule), costs)
    stop = round_to(terms.stop_price, tick) if terms.stop_price is not None else None
    if (trail := terms.distance) is not None:
        stop = trail.stop_price(present, side, tick)
    if terms.limit_price is not None:
        limit = floor_to(terms.limit_price, tick) if side is BUY else ceil_to(terms.limit_price, tick)
        return Pricing(limit, partial(limit_cost, limit, costs, rounding_spare(instrument)), costs, limit, stop)
    at_market = partial(worst_cost, base=base, tick=tick, costs=costs, rule=rule)
    if stop is None:
        return Pricing(base.price, at_market, costs)
    at_stop = partial(worst_cost, base=BasePrice(stop), tick=tick, costs=costs, rule=rule)
    if side is BUY and base.price > stop:
        # It is filled at the market, but holds back what it may cost at its stop, where no size at the touch is known.
        return Pricing(base.price, partial(highest_cost, at_market, at_stop), costs, None, stop)
    return Pricing(stop, at_stop, costs, None, stop)


def highest_cost(one: Callable[[Decimal], Decimal], other: Callable[[Decimal], Decimal], quantity: Decimal) -> Decimal:
    """Return the higher one of two costs of buying ``quantity``, in money."""
    return max(one(quantity), other(quantity))


def limit_cost(limit: Decimal, costs: Costs, spare: Decimal, quantity: Decimal) -> Decimal:
    """Return the highest possible cost of buying ``quantity`` at a limit, with commission and spare, in money."""
    notional = money(multiply(quantity, limit))
    return add(add(notional, commission_due(multiply(notional, costs.highest_rate), costs)), spare)


def stop_is_reached(order: Order, stop_price: Decimal | None, quote: Quote) -> bool:
    """Return whether the mark is at a stop price of an order, or beyond it."""
    if stop_price is None:
        return False
    present = mark(order.execution.price_rule, quote.price, quote.bid, quote.ask)
    return present <= stop_price if order.side is SELL else present >= stop_price


def with_terms(order: Order, terms: OrderTerms, pricing: Pricing, quote: Quote) -> Order:
    """Return a sized order with the terms of its decision; a price that was rounded, or a reached stop, is noted."""
    exits, notes = terms.exits, [order.note] if order.note else []
    for name, wanted, rounded in (
        ("limit", terms.limit_price, pricing.limit_price),
        ("stop", terms.stop_price, pricing.stop_price),
    ):
        if wanted is not None and rounded is not None and wanted != rounded:
            notes.append(f"{name} {plain(wanted)} rounded to {plain(rounded)}")
    notes += rounded_exits(exits, order.instrument.tick)
    if exits is not None:
        notes += too_small_targets(exits.take_profits, order.quantity, order.instrument.step)
    rests = pricing.limit_price is not None or pricing.stop_price is not None
    if stop_is_reached(order, pricing.stop_price, quote):
        notes.append(STOP_REACHED)
    return replace(
        order,
        limit_price=pricing.limit_price,
        stop_price=pricing.stop_price,
        time_in_force=(terms.time_in_force or TimeInForce.GTC) if rests else None,
        expires_at=terms.expires_at,
        post_only=terms.post_only,
        reduce_only=terms.reduce_only,
        exits=exits,
        trail=terms.distance,
        note="; ".join(notes),
        price_source=quote.source,
    )


def rounded_exits(plan: ExitPlan | None, tick: Decimal) -> list[str]:
    """Return a clause for each price of an exit that is rounded to the tick."""
    if plan is None:
        return []
    prices = [("stop_loss", plan.stop_loss, round_to)] if plan.stop_loss is not None else []
    prices += [("take_profit", target.level, ceil_to) for target in plan.take_profits]
    return [
        f"{name} {plain(level.value)} rounded to {plain(rounded)}"
        for name, level, to_tick in prices
        if not level.is_fraction and (rounded := to_tick(level.value, tick)) != level.value
    ]


def no_price(terms: OrderTerms, pricing: Pricing, tick: Decimal, present: Decimal) -> str | None:
    """Return why the prices of a decision are none: one of them is 0, or a stop at the mark, rounded to the tick."""
    if (trail := terms.distance) is not None and pricing.stop_price is not None:
        return misplaced_trail("trail", trail, pricing.stop_price, present, tick)
    for name, wanted, rounded in (
        ("limit_price", terms.limit_price, pricing.limit_price),
        ("stop_price", terms.stop_price, pricing.stop_price),
    ):
        if wanted is not None and not rounded:
            return f"{name} {plain(wanted)} is less than one tick of {plain(tick)}"
    return None


def misplaced_trail(name: str, trail: Trail, stop: Decimal, present: Decimal, tick: Decimal) -> str | None:
    """Return why the first stop of a trailing order is none; None where it is right.

    Args:
        name: of the column.
        trail: its distance.
        stop: the first stop price, rounded to the tick.
        present: the mark.
        tick: of the instrument.
    """
    column = f"{name}_pct" if trail.is_fraction else name
    if stop < tick:
        return f"{column} {plain(trail.value)} leaves no stop above 0 at {plain(present)}"
    if stop == round_to(present, tick):
        return f"{column} {plain(trail.value)} at {plain(present)} is less than one tick of {plain(tick)}"
    return None


def misplaced_exit(order: Order, price: Decimal) -> str | None:
    """Return why an exit of an entry is on the wrong side of its price; None where the exits are right."""
    return None if order.exits is None else misplaced(order.exits, price, price, order.instrument.tick, "the entry's")


def misplaced(plan: ExitPlan, entry: Decimal, price: Decimal, tick: Decimal, whose: str) -> str | None:
    """Return why an exit is on the wrong side of a price; None where the exits are right.

    Args:
        plan: the exits.
        entry: the price to which their fractions refer.
        price: the one that must lie above the stop and below the targets.
        tick: of the instrument.
        whose: price it is, for the sentence: ``the entry's``.
    """
    stop = plan.stop_loss
    if (trail := plan.trailing_stop) is not None:
        flaw = misplaced_trail("trailing_stop", trail, trail.stop_price(price, SELL, tick), price, tick)
        if flaw is not None:
            return flaw
    if stop is not None:
        stop_price = round_to(stop.below(entry), tick)
        if not stop_price < price:
            return f"stop_loss {plain(stop_price)} must be below {whose} price, {plain(price)}"
        if stop_price < tick:
            return f"stop_loss {plain(stop.below(entry))} is less than one tick of {plain(tick)}"
    for target in plan.take_profits:
        if not (target_price := ceil_to(target.level.above(entry), tick)) > price:
            return f"take_profit {plain(target_price)} must be above {whose} price, {plain(price)}"
    return None
