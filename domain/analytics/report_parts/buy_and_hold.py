"""Buying and holding: what the same time would have brought without any decision but the first.

The comparison begins with the first fill of the period, because until then the portfolio held cash alone; where a
position was open at the beginning of the period, with that. It ends with the period, so both sides have the same time,
as the GIPS standards demand of a benchmark. Comparing rules of trading with buying and holding the same shares goes
back to E. F. Fama and M. E. Blume, Filter Rules and Stock-Market Trading, Journal of Business 39 (1966); equal weights,
bought once and never rebalanced, to 1/N in DeMiguel, Garlappi and Uppal, Optimal Versus Naive Diversification, Review
of Financial Studies 22 (2009).

Costs of buying, and dividends, are left out: with the first, holding would come out lower, with the second, higher.
Which symbols were traded is known only afterwards; an agent did not know it at the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.analytics.performance_metric import PerformanceMetric, defined, mean, undefined
from domain.trading.arithmetic import ONE, ZERO, divide, multiply, rate, subtract

MAX_POINTS = 200
"""Points of a curve between its ends."""
MAX_PRICES = 6_000
"""Prices that are read for all symbols together; of many symbols, each has fewer points."""
MIN_POINTS = 10
USUAL = ("BTC", "ETH")
"""What a portfolio that trades crypto is compared with, besides what it traded."""
EQUAL_WEIGHTS = "traded symbols, equal weights"


class HeldPoint(NamedTuple):
    """The change since the beginning, a fraction; None where the price of that time is not known."""

    time: datetime
    change: Decimal | None


@dataclass(frozen=True, slots=True)
class PriceLine:
    """Prices of a symbol at the times of a comparison.

    Attributes:
        prices: one for each time; None where none is known.
        reason: why the comparison cannot be made; None where it can, and then the first and the last price are known.
    """

    symbol: str
    prices: tuple[Decimal | None, ...]
    reason: str | None = None


class Split(NamedTuple):
    """From this time on, ``ratio`` units stand for one unit of before; 0: the symbol itself was changed."""

    symbol: str
    time: datetime
    ratio: Decimal


@dataclass(frozen=True, slots=True)
class BuyAndHold:
    """The result of buying once and holding.

    Attributes:
        name: a symbol, or `EQUAL_WEIGHTS`.
        symbols: what is held.
        traded: whether the portfolio traded them.
        named: whether the portfolio is compared with it whatever it traded.
        since: when they are bought.
        until: when they are valued.
        change: of their value, a fraction; where it is not known, the reason.
        curve: from ``since`` to ``until``; empty where the change is not known.
    """

    name: str
    symbols: tuple[str, ...]
    traded: bool
    named: bool
    since: datetime
    until: datetime
    change: PerformanceMetric
    curve: tuple[HeldPoint, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a portfolio is to be compared with.

    Attributes:
        traded: the symbols that it held in the period, the one with the largest traded value first.
        others: symbols that it is compared with besides.
        times: at which prices are needed, from the beginning to the end.
    """

    traded: tuple[str, ...]
    others: tuple[str, ...]
    times: tuple[datetime, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, each once."""
        return tuple(dict.fromkeys((*self.traded, *self.others)))


@dataclass(frozen=True, slots=True)
class Held:
    """What a portfolio held of a symbol in a period.

    Attributes:
        traded: value of the fills of those positions, in the portfolio's currency.
        since: time of the first of these fills, which may be before the period.
        crypto: whether it is a crypto currency.
    """

    symbol: str
    traded: Decimal
    since: datetime
    crypto: bool


def comparison(
    held: Sequence[Held], since: datetime | None, until: datetime, currency: str, named: Sequence[str] = ()
) -> Comparison | None:
    """Return what a portfolio is compared with in a period; None where nothing was held in it.

    Args:
        held: what it held, one for each symbol.
        since: beginning of the period; None: with the portfolio.
        until: end of the period.
        currency: of the portfolio.
        named: symbols to compare with instead of the `USUAL` ones.
    """
    if not held:
        return None
    first = min(one.since for one in held)
    begin = first if since is None else max(first, since)
    if begin >= until:
        return None
    symbols = tuple(one.symbol for one in sorted(held, key=lambda one: (-one.traded, one.symbol)))
    bases = USUAL if any(one.crypto for one in held) else ()
    others = tuple(named) or tuple(f"{base}/{currency}" for base in bases if base != currency)
    intervals = max(min(MAX_POINTS, MAX_PRICES // len({*symbols, *others})), MIN_POINTS)
    length = (until - begin) / intervals
    return Comparison(symbols, others, (*(begin + index * length for index in range(intervals)), until))


def buy_and_hold(
    wanted: Comparison, lines: Mapping[str, PriceLine], splits: Iterable[Split] = ()
) -> tuple[BuyAndHold, ...]:
    """Return the results: of all traded symbols together where there are several, of each, and of the others.

    Args:
        wanted: what is compared.
        lines: by symbol, one for each of its symbols.
        splits: of the period, oldest first.
    """
    changes = list(splits)
    held = {
        symbol: _factors(lines[symbol], wanted.times, [split for split in changes if split.symbol == symbol])
        for symbol in wanted.symbols
    }
    baskets = [(EQUAL_WEIGHTS, wanted.traded)] if len(wanted.traded) > 1 else []
    return tuple(
        _held(name, symbols, wanted, held) for name, symbols in (*baskets, *((one, (one,)) for one in wanted.symbols))
    )


def _factors(line: PriceLine, times: Sequence[datetime], splits: Sequence[Split]) -> Sequence[Decimal | None] | str:
    """Return the value of each time as a multiple of the first, or the reason why it is not known."""
    if line.reason is not None:
        return line.reason
    first = line.prices[0]
    assert first is not None
    factors: list[Decimal | None] = []
    for time, price in zip(times, line.prices, strict=True):
        units = ONE
        for split in splits:
            if times[0] < split.time <= time:
                if split.ratio <= ZERO:
                    return f"{line.symbol} was replaced by another symbol"
                units = multiply(units, split.ratio)
        factors.append(None if price is None else divide(multiply(price, units), first))
    return factors


def _held(
    name: str,
    symbols: tuple[str, ...],
    wanted: Comparison,
    held: Mapping[str, Sequence[Decimal | None] | str],
) -> BuyAndHold:
    change, curve = _change(symbols, wanted.times, held)
    return BuyAndHold(
        name=name,
        symbols=symbols,
        traded=set(symbols) <= set(wanted.traded),
        named=name in wanted.others,
        since=wanted.times[0],
        until=wanted.times[-1],
        change=change,
        curve=curve,
    )


def _change(
    symbols: Sequence[str], times: Sequence[datetime], held: Mapping[str, Sequence[Decimal | None] | str]
) -> tuple[PerformanceMetric, tuple[HeldPoint, ...]]:
    reasons: list[str] = []
    lines: list[Sequence[Decimal | None]] = []
    for symbol in symbols:
        factors = held[symbol]
        if isinstance(factors, str):
            reasons.append(factors)
        else:
            lines.append(factors)
    if reasons:
        return undefined("; ".join(dict.fromkeys(reasons))), ()
    points = []
    for time, *factors_then in zip(times, *lines, strict=True):
        complete = [factor for factor in factors_then if factor is not None]
        change = rate(subtract(mean(complete), ONE)) if len(complete) == len(symbols) else None
        points.append(HeldPoint(time, change))
    last = points[-1].change
    assert last is not None
    return defined(last), tuple(points)
