"""Decimal arithmetic in one explicit context.

Every operation here passes `CONTEXT` explicitly, because any code that runs in a thread can change the thread's decimal
context. An amount is rounded once, when it is computed, HALF_UP: a tie rounds away from zero, as PostgreSQL's
``round(numeric)`` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import reduce

CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])

ZERO = Decimal(0)
ONE = Decimal(1)
MONEY_QUANTUM = Decimal("1e-12")
PRICE_QUANTUM = Decimal("1e-12")
"""The tick of a market whose venue states none."""
QUANTITY_STEP = Decimal("1e-8")
"""The quantity step of a market whose venue states none."""
RATE_QUANTUM = Decimal("1e-12")
STORED_QUANTUM = Decimal("1e-18")
"""The database keeps numbers as NUMERIC(38,18)."""

# Bound once: it takes as long to look a method up as to round a number.
add = CONTEXT.add
subtract = CONTEXT.subtract
multiply = CONTEXT.multiply
divide = CONTEXT.divide
negate = CONTEXT.minus
absolute = CONTEXT.abs
_quantize = CONTEXT.quantize
_divide_int = CONTEXT.divide_int
_to_integral = CONTEXT.to_integral_value


def total(values: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of ``values``."""
    return reduce(add, values, ZERO)


def money(value: Decimal) -> Decimal:
    """Round an amount of money to 1e-12."""
    return _quantize(value, MONEY_QUANTUM)


def rate(value: Decimal) -> Decimal:
    """Round a rate to 1e-12."""
    return _quantize(value, RATE_QUANTUM)


def storable(value: Decimal) -> Decimal:
    """Round ``value`` to 18 decimals; one that has no more stays as it is."""
    return _quantize(value, STORED_QUANTUM) if int(value.as_tuple().exponent) < -18 else value


def round_to(value: Decimal, quantum: Decimal) -> Decimal:
    """Round ``value`` to the nearest multiple of ``quantum``, a tie away from zero."""
    return multiply(_to_integral(divide(value, quantum)), quantum)


def floor_to(value: Decimal, quantum: Decimal) -> Decimal:
    """Round a non-negative value down to a multiple of ``quantum``."""
    return multiply(_divide_int(value, quantum), quantum)


def ceil_to(value: Decimal, quantum: Decimal) -> Decimal:
    """Round a non-negative value up to a multiple of ``quantum``."""
    below = multiply(_divide_int(value, quantum), quantum)
    return below if below == value else add(below, quantum)


def affordable(spend: Decimal, price: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of ``step`` with quantity × ``price`` ≤ ``spend``; 0 for a negative ``spend``."""
    return multiply(_divide_int(max(spend, ZERO), multiply(price, step)), step)


def plain(value: Decimal) -> str:
    """Format ``value`` exactly, without exponent or trailing zeros: ``8892.7224286``."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact_number(value: object) -> object:
    """Convert an input value to the Decimal that a person means by it.

    Raises:
        ValueError: the value is not a finite decimal number.
    """
    if isinstance(value, bool):
        msg = "must be a number, not true or false"
        raise ValueError(msg)
    if isinstance(value, int | float | str):
        try:
            text = str(value).strip()
            value = Decimal(text, CONTEXT)
        except (InvalidOperation, ValueError):
            text = "_"
        # Python also reads 1_000 and digits of other scripts; in a table or a shell they are mistakes.
        if "_" in text or not text.isascii():
            msg = "must be a decimal number such as 0.75"
            raise ValueError(msg)
    if isinstance(value, Decimal) and not value.is_finite():
        msg = "must be a finite number"
        raise ValueError(msg)
    return value
