"""Intents as integers: a BUY or SELL at market, with at most one stop and one target."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from operator import attrgetter
from typing import Any

from domain.trading.arithmetic import ONE, ZERO, ceil_to, floor_to, multiply, round_to, storable, subtract
from domain.trading.decision import MAX_AMOUNT
from domain.trading.orders import ExitPlan, Level, Target
from domain.trading.sizing import REFERENCE_CONFIDENCE, RISK_WEIGHT
from domain.types import BUY, SELL, Action, OrderType, Side
from research.backtest.plain.rules import (
    FACTOR_DIGITS,
    LARGEST_PRICE,
    LARGEST_SCALE,
    NotPlain,
    PlainRules,
    as_integer,
    decimals,
)
from research.columns.scaled import integer_above
from research.strategy import Intent

OPEN_TERMS = ("action", "symbol", "confidence", "quantity", "risk_score", "stop_loss", "stop_loss_pct", "take_profit",
              "take_profit_pct", "strategy")  # fmt: skip
"""What a plain intent may set."""
PLAIN_ACTIONS = frozenset({Action.BUY, Action.SELL})
NAMES = tuple(field.name for field in fields(Intent))
_values = attrgetter(*NAMES)
_others = attrgetter(*(name for name in NAMES if name not in OPEN_TERMS))
NO_OTHERS = _others(Intent.buy())


@dataclass(frozen=True, slots=True)
class PlainLevel:
    """The price of an exit: entry price × ``share`` / ``unit``, rounded to the tick, or a price.

    Attributes:
        above: it is rounded up to the tick, as a target is, else to the nearest one.
        fixed: the rounded price; None for a share of the entry price.
    """

    above: bool
    share: int
    unit: int
    fixed: int | None
    tick: int

    def price(self, entry: int) -> int:
        """Return the price of the exit of what was bought at a price, rounded to the tick."""
        if self.fixed is not None:
            return self.fixed
        raw, unit = entry * self.share, self.unit * self.tick
        return (-(-raw // unit) if self.above else (2 * raw + unit) // (2 * unit)) * self.tick


@dataclass(frozen=True, slots=True)
class PlainIntent:
    """An intent whose order is sized in integers.

    Attributes:
        intent: a copy of it; a refusal is worded by it.
        quantity: down to the step; None where a BUY is sized by confidence, and a SELL closes the position.
        requested: the same, not rounded to the step.
        budget_x2, budget_unit: the budget of a BUY as a share of equity, the numerator twice.
        plan: the exits of a BUY; None without any.
        is_confident: its confidence is high enough.
    """

    intent: Intent
    buys: bool
    confidence: Decimal
    quantity: int | None
    requested: int | None
    budget_x2: int
    budget_unit: int
    stop: PlainLevel | None
    target: PlainLevel | None
    plan: ExitPlan | None
    strategy: str | None
    is_confident: bool


class IntentReader:
    """Reads intents; those with the same values are read once.

    Args:
        rules: of the instrument.
        strategy: name of the strategy where an intent names none.
    """

    def __init__(self, rules: PlainRules, strategy: str | None) -> None:
        self._rules = rules
        self._strategy = strategy
        self._last: dict[Action, tuple[tuple[Any, ...], tuple[int, ...], PlainIntent]] = {}

    def read(self, intent: object) -> PlainIntent:
        """Return an intent as integers.

        Raises:
            NotPlain: it wants something else, or makes no sense.
        """
        if type(intent) is not Intent or type(intent.action) is not Action:
            raise NotPlain
        values, last = _values(intent), self._last.get(intent.action)
        try:
            if last is not None and last[0] == values:
                for place in last[1]:
                    if type(values[place]) is not Decimal:
                        raise NotPlain  # 0.75 is no Decimal, but equal to one
                return last[2]
            plain = self._read(replace(intent))  # a strategy may change its object
        except (ArithmeticError, TypeError, ValueError):
            raise NotPlain from None  # numbers that cannot be compared
        numbers = tuple(place for place, value in enumerate(values) if type(value) is Decimal)
        self._last[intent.action] = values, numbers, plain
        return plain

    def _read(self, intent: Intent) -> PlainIntent:
        rules, side = self._rules, intent.action
        if side not in PLAIN_ACTIONS or _others(intent) != NO_OTHERS or intent.order_type is not OrderType.MARKET:
            raise NotPlain
        if intent.symbol is not None and intent.symbol != rules.instrument.symbol:
            raise NotPlain
        if intent.strategy is not None and type(intent.strategy) is not str:
            raise NotPlain
        confidence, risk = intent.confidence, intent.risk_score
        risk = rules.rules.default_risk_score if risk is None else risk
        if not _is_share(confidence) or not _is_share(risk):
            raise NotPlain
        quantity = requested = None
        if intent.quantity is not None:
            amount = _amount(intent.quantity)
            quantity = as_integer(floor_to(amount, rules.instrument.step), rules.quantity_scale)
            requested = integer_above(amount, rules.quantity_scale)
        plan = self._plan(intent, Side(side))
        stop = None if plan is None or plan.stop_loss is None else self._exit(plan.stop_loss, above=False)
        target = None if plan is None or not plan.take_profits else self._exit(plan.take_profits[0].level, above=True)
        budget_x2, budget_unit = self._budget(confidence, risk)
        return PlainIntent(
            intent, side == Action.BUY, confidence, quantity, requested, budget_x2, budget_unit, stop, target, plan,
            intent.strategy or self._strategy, confidence >= rules.rules.decision_confidence_threshold,
        )  # fmt: skip

    def _budget(self, confidence: Decimal, risk: Decimal) -> tuple[int, int]:
        """Return numerator × 2 and denominator of `domain.trading.sizing.budget` as a share of equity."""
        factors = (self._rules.rules.max_position_size, confidence, subtract(ONE, multiply(RISK_WEIGHT, risk)))
        if sum(len(factor.as_tuple().digits) for factor in factors) > FACTOR_DIGITS:
            raise NotPlain
        scales = [decimals(factor) for factor in factors]
        share = 1
        for factor, scale in zip(factors, scales, strict=True):
            share *= as_integer(factor, scale)
        reference = decimals(REFERENCE_CONFIDENCE)
        return 2 * share * 10**reference, 10 ** sum(scales) * as_integer(REFERENCE_CONFIDENCE, reference)

    def _plan(self, intent: Intent, side: Side) -> ExitPlan | None:
        stop = _level(intent.stop_loss, intent.stop_loss_pct)
        target = _level(intent.take_profit, intent.take_profit_pct)
        if stop is None and target is None:
            return self._rules.rules.default_exits if side is BUY else None
        if side is SELL or (stop is not None and stop.is_fraction and stop.value >= ONE):
            raise NotPlain
        return ExitPlan(stop, () if target is None else (Target(target),))

    def _exit(self, level: Level, *, above: bool) -> PlainLevel:
        """Return the level of a target, which lies above the entry's price, or of a stop."""
        rules = self._rules
        if not level.is_fraction:
            rounded = (ceil_to if above else round_to)(level.value, rules.instrument.tick)
            return PlainLevel(above, 0, 1, _bounded(as_integer(rounded, rules.price_scale)), rules.tick)
        scale = _scale(level)
        part = as_integer(level.value, scale)
        share = _bounded(10**scale + (part if above else -part))
        return PlainLevel(above, share, 10**scale, None, rules.tick)


def _is_share(number: object) -> bool:
    return type(number) is Decimal and number.is_finite() and ZERO <= number <= ONE


def _amount(number: object) -> Decimal:
    if type(number) is not Decimal or not number.is_finite() or not ZERO < number < MAX_AMOUNT:
        raise NotPlain
    return storable(number)


def _level(price: Decimal | None, fraction: Decimal | None) -> Level | None:
    if price is not None and fraction is not None:
        raise NotPlain
    if price is not None:
        return Level(_amount(price))
    if fraction is None:
        return None
    if fraction != _amount(fraction):
        raise NotPlain
    return Level(fraction, is_fraction=True)


def _scale(level: Level) -> int:
    """Return the decimals of a fraction."""
    if (scale := decimals(level.value)) > LARGEST_SCALE:
        raise NotPlain
    return scale


def _bounded(price: int) -> int:
    if price >= LARGEST_PRICE:
        raise NotPlain
    return price
