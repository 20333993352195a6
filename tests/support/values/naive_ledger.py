"""Naive model of a ledger for comparison: exact fractions, signed quantities, all fills from the beginning.

It uses no code of ``domain``. A LONG has a positive quantity and cost, a SHORT negative ones. A fill is a flow of cash
that increases a holding or closes a share of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

Number = Decimal | Fraction | int


class Deal(NamedTuple):
    """One fill: direction, quantity and price.

    ``rates`` are commission_pct and min_commission, where they differ from those of the ledger. Fills of the same
    ``order`` pay its commission in parts.
    """

    symbol: str
    buy: bool
    quantity: Decimal
    price: Decimal
    rates: tuple[Number, Number] | None = None
    order: Any = None


class Change(NamedTuple):
    """A change of an account: cash that comes in or goes out, and a split of a symbol."""

    cash: Decimal
    symbol: str | None = None
    ratio: Fraction | None = None


class Closed(NamedTuple):
    """The result of a closing."""

    symbol: str
    quantity: Fraction
    gross: Fraction
    net: Fraction


@dataclass
class Holding:
    quantity: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    entry_commission: Fraction = Fraction(0)


@dataclass
class NaiveLedger:
    cash: Fraction
    holdings: dict[str, Holding] = field(default_factory=dict)
    trades: list[Closed] = field(default_factory=list)

    def values(self, marks: Mapping[Any, Number]) -> dict[str, Fraction]:
        """Return the value of each holding, negative for a SHORT."""
        return {symbol: money(h.quantity * Fraction(marks[symbol])) for symbol, h in self.holdings.items()}

    def imbalance(self, capital: Number, marks: Mapping[Any, Number]) -> Fraction:
        """Return the difference that law 1 requires to be zero, at any marks."""
        values = self.values(marks)
        still_open = sum((values[s] - h.cost - h.entry_commission for s, h in self.holdings.items()), Fraction(0))
        return self.cash + sum(values.values()) - Fraction(capital) - sum(t.net for t in self.trades) - still_open


def money(amount: Fraction) -> Fraction:
    """Round to 1e-12, a tie away from zero."""
    size = Fraction(floor(abs(amount) * 10**12 + Fraction(1, 2)), 10**12)
    return size if amount > 0 else -size


def ledger(
    capital: Number, deals: Iterable[Deal | Change], commission_pct: Number, min_commission: Number
) -> NaiveLedger:
    """Compute cash, holdings and trades from deals."""
    result = NaiveLedger(Fraction(capital))
    charged: dict[Any, Fraction] = {}  # by order: Σ notional × rate, not rounded
    paid_by: dict[Any, Fraction] = {}
    for deal in deals:
        if isinstance(deal, Change):
            result.cash += Fraction(deal.cash)
            if deal.ratio is not None and deal.symbol in result.holdings:
                split = result.holdings[deal.symbol]
                split.quantity = Fraction(floor(split.quantity * deal.ratio * 10**18), 10**18)
            continue
        signed = Fraction(deal.quantity) * (1 if deal.buy else -1)
        paid = money(signed * Fraction(deal.price))
        rate, least = deal.rates or (commission_pct, min_commission)
        order = object() if deal.order is None else deal.order
        charged[order] = charged.get(order, Fraction(0)) + abs(paid) * Fraction(rate)
        due = max(money(charged[order]), Fraction(least)) - paid_by.get(order, Fraction(0))
        commission = max(due, Fraction(0))
        if not deal.buy:
            commission = min(commission, -paid)
        paid_by[order] = paid_by.get(order, Fraction(0)) + commission
        result.cash -= paid + commission
        holding = result.holdings.setdefault(deal.symbol, Holding())
        if holding.quantity * signed >= 0:
            holding.quantity += signed
            holding.cost += paid
            holding.entry_commission += commission
            continue
        share = -signed / holding.quantity
        cost = money(holding.cost * share) if share < 1 else holding.cost
        entry_commission = money(holding.entry_commission * share) if share < 1 else holding.entry_commission
        holding.quantity += signed
        holding.cost -= cost
        holding.entry_commission -= entry_commission
        gross = -paid - cost
        result.trades.append(Closed(deal.symbol, abs(signed), gross, gross - entry_commission - commission))
        if holding.quantity == 0:
            del result.holdings[deal.symbol]
    return result
