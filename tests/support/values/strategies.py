"""Hypothesis strategies of the unit tests: portfolio rules, orders, decisions, deals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import prod
from typing import Any

from hypothesis import strategies as st

from domain.trading.arithmetic import QUANTITY_STEP
from domain.trading.events import SizedOrder
from domain.trading.instruments import Instrument
from domain.trading.orders import Costs, ExecutionRules
from domain.trading.portfolio import PortfolioRules
from domain.types import Action, OrderType, PriceRule, Symbol
from tests.support.values.builders import costs, instrument, market_order, rules
from tests.support.values.naive_ledger import Deal

INSTRUMENTS = (
    instrument("BTC/USDT", tick="0.01", step="0.00000001"),
    instrument("DOGE/USD", currency="USD", tick="0.000000000001", step="1"),
    instrument("ETH/USDC", currency="USDC", tick="0.25", step="0.0003", min_notional=25),
    instrument("AAPL", currency="USD", tick="0.01", step="0.1", asset_class="equity"),
)
LEVELS = (Decimal(110_000), Decimal("0.1"), Decimal(4_000), Decimal(200))
"""Typical prices of the instruments, in the same order."""


def decimals(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places)


def costs_() -> st.SearchStrategy[Costs]:
    return st.builds(
        costs,
        slippage_pct=st.sampled_from([Decimal("0.0005"), Decimal(0), Decimal("0.0123456")]),
        commission_pct=st.sampled_from([Decimal("0.001"), Decimal(0), Decimal("0.00271828")]),
        min_commission=st.sampled_from([Decimal(1), Decimal(0), Decimal("0.123456789012"), Decimal(20)]),
    )


def portfolio_rules() -> st.SearchStrategy[PortfolioRules]:
    """Return a strategy of rules, from a very small portfolio to one whose orders have large slippage."""
    return st.builds(
        rules,
        initial_capital=st.sampled_from(
            [Decimal(10_000), Decimal("1234.567890123456"), Decimal(5_000_000), Decimal(60)]
        ),
        costs=costs_(),
        max_position_size=st.sampled_from([Decimal("0.20"), Decimal(1), Decimal("0.333333")]),
        min_notional=st.sampled_from([Decimal(10), Decimal(0)]),
        execution=executions(),
    )


def executions() -> st.SearchStrategy[ExecutionRules]:
    """Return a strategy of both price rules."""
    shares = st.sampled_from([Decimal(1), Decimal("0.5"), Decimal("0.0123456")])
    return st.builds(ExecutionRules, st.sampled_from(list(PriceRule)), shares)


@dataclass(frozen=True)
class Book:
    """Bid, ask and their sizes, relative to a price; None where a number is unknown.

    Attributes:
        bid: in ticks above the price.
        ask: in ticks above the price; below the bid where the book is crossed.
        bid_size: in steps.
        ask_size: in steps.
    """

    bid: int | None = None
    ask: int | None = None
    bid_size: int | None = None
    ask_size: int | None = None

    def around(self, price: Decimal, what: Instrument) -> dict[str, Decimal | None]:
        """Return bid, ask and sizes in an instrument, by the names of the fields of `Quote`."""

        def side(ticks: int | None) -> Decimal | None:
            return None if ticks is None else max(price + ticks * what.tick, what.tick)

        def size(steps: int | None) -> Decimal | None:
            return None if steps is None else steps * what.step

        sizes = {"bid_size": size(self.bid_size), "ask_size": size(self.ask_size)}
        return {"bid": side(self.bid), "ask": side(self.ask), **sizes}


BOOKS = [
    Book(),
    *(
        Book(bid, ask, bid_size, ask_size)
        for bid, ask in ((-1, 1), (0, 0), (-300, 500), (20, 45), (-45, -20), (7, -7), (None, 2), (-3, None))
        for bid_size, ask_size in ((None, None), (0, 1), (3, 2), (10**4, 10**5), (10**9, None), (None, 5))
    ),
]
"""Books around the last trade, above and below it, crossed and half known; sizes that are unknown, thin and large."""


@st.composite
def orders(draw: st.DrawFn) -> SizedOrder:
    """Draw a market order of any side and size under any price rule, and the quote that it meets."""
    which = draw(st.integers(0, len(INSTRUMENTS) - 1))
    what = INSTRUMENTS[which]
    price = price_of(which, draw(st.sampled_from(FACTORS)))
    sized = market_order(
        draw(st.sampled_from(["BUY", "SELL"])),
        draw(st.integers(1, 10**9)) * what.step,
        price,
        seq=draw(st.integers(1, 1000)),
        costs=draw(costs_()),
        instrument=what,
        order_type=OrderType.MARKET,
        execution=draw(executions()),
    )
    met = replace(sized.sizing.quote, **draw(st.sampled_from(BOOKS)).around(price, what))  # type: ignore[arg-type]
    taken = draw(st.sampled_from([0, 1, 2, 10**4])) * what.step
    return sized._replace(sizing=replace(sized.sizing, quote=met, taken=taken))


@dataclass(frozen=True)
class Wish:
    """A decision relative to the positions and cash at its time.

    Attributes:
        which: index of the instrument; for a SELL, among the instruments held.
        share: quantity as a fraction of the position, for a SELL; of what the cash can buy, for a BUY. A SELL may have
            more than 1. None leaves the size to the program.
        factor: the price as a multiple of the instrument's level.
        book: bid, ask and sizes around that price.
        same_quote: the decision meets the quote of its symbol that is there already, if there is one.
    """

    which: int
    action: Action
    confidence: Decimal
    risk_score: Decimal | None
    share: Decimal | None
    factor: Decimal
    book: Book = BOOKS[0]
    same_quote: bool = False


ACTIONS = [Action.BUY] * 5 + [Action.SELL] * 4 + [Action.HOLD]
CONFIDENCES = [Decimal(c) for c in ("0.8", "0.75", "0.6", "1", "0.812345", "0.7", "0.61", "0.9", "0.654321", "0.59")]
RISKS = [None, Decimal(0), Decimal("0.3"), Decimal("0.987"), Decimal(1)]
SHARES = [None, *(Decimal(x) for x in ("0.5", "0.333333", "0.1", "0.777777", "0.01", "0.999999", "1", "1.5"))]
FACTORS = [1 + Decimal("0.00123457") * n for n in range(-250, 250)] + [Decimal("0.05")] * 20
FACTORS.sort(key=lambda factor: abs(1 - factor))


def chosen(number: int, *choices: Sequence[Any]) -> list[Any]:
    """Return one item of each sequence, encoded in one number: drawing one number is faster and shrinks better."""
    result = []
    for choice in choices:
        number, index = divmod(number, len(choice))
        result.append(choice[index])
    return result


def numbers(*choices: Sequence[Any]) -> st.SearchStrategy[int]:
    return st.integers(0, prod(map(len, choices)) - 1)


def several(element: st.SearchStrategy[int], most: int) -> st.SearchStrategy[list[int]]:
    """Return a strategy of lists whose lengths are equally likely."""
    return st.integers(1, most).flatmap(lambda length: st.lists(element, min_size=length, max_size=length))


def wishes(most: int = 30) -> st.SearchStrategy[list[Wish]]:
    """Return a strategy of consecutive decisions for several symbols."""
    choices = (range(len(INSTRUMENTS)), ACTIONS, CONFIDENCES, RISKS, SHARES, FACTORS, BOOKS, (False, False, True))
    return several(numbers(*choices), most).map(lambda drawn: [Wish(*chosen(number, *choices)) for number in drawn])


def marks() -> st.SearchStrategy[dict[Symbol, Decimal]]:
    """Return a strategy of marks: any prices."""
    return st.fixed_dictionaries({what.symbol: decimals("0.000001", "500000", 12) for what in INSTRUMENTS})


QUANTITIES = [Decimal("0.00000007") * n**3 for n in range(1, 500)]
PRICES = [Decimal("0.12345678") * n**2 for n in range(1, 500)]
PARTS = [Decimal(1), Decimal("0.5"), Decimal("0.333333"), Decimal("0.0123456"), Decimal("0.99")]


def deals(most: int = 30) -> st.SearchStrategy[list[Deal]]:
    """Return a strategy of fills that open, increase, reduce and close positions, but never reverse their side."""
    choices = (INSTRUMENTS, (True, False), QUANTITIES, PRICES, PARTS)
    return several(numbers(*choices), most).map(lambda drawn: _possible([chosen(n, *choices) for n in drawn]))


def _possible(drawn: list[list[Any]]) -> list[Deal]:
    held: dict[str, Decimal] = {}
    result = []
    for what, buy, wanted, price, part in drawn:
        before = held.get(what.symbol, Decimal(0))
        quantity = wanted
        if before < 0 if buy else before > 0:  # a part of the position, or all of it
            quantity = abs(before) * part // QUANTITY_STEP * QUANTITY_STEP or abs(before)
        held[what.symbol] = before + (quantity if buy else -quantity)
        result.append(Deal(what.symbol, buy, quantity, price))
    return result


def price_of(which: int, factor: Decimal) -> Decimal:
    """Return the price of an instrument at a multiple of its level, rounded to its tick."""
    return max(LEVELS[which] * factor // INSTRUMENTS[which].tick, Decimal(1)) * INSTRUMENTS[which].tick
