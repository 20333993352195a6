"""The ledger in a few lines, naive on purpose: exact fractions, signed quantities, every fill from the start.

It shares nothing with ``domain``: a LONG has a positive quantity and cost, a SHORT negative ones, and a fill is a flow
of cash that grows a holding or closes a share of it.
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
    """One fill as the market saw it: ``buy`` or not, how much, at what price.

    ``rates`` are commission_pct and min_commission, where they are not everybody's.
    """

    symbol: str
    buy: bool
    quantity: Decimal
    price: Decimal
    rates: tuple[Number, Number] | None = None


class Closed(NamedTuple):
    """What a closing brought."""

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
class LedgerReader:
    cash: Fraction
    holdings: dict[str, Holding] = field(default_factory=dict)
    trades: list[Closed] = field(default_factory=list)

    def values(self, marks: Mapping[Any, Number]) -> dict[str, Fraction]:
        """What each holding is worth, a SHORT less than nothing."""
        return {symbol: money(h.quantity * Fraction(marks[symbol])) for symbol, h in self.holdings.items()}

    def imbalance(self, capital: Number, marks: Mapping[Any, Number]) -> Fraction:
        """What law 1 says is zero, at any marks."""
        values = self.values(marks)
        still_open = sum((values[s] - h.cost - h.entry_commission for s, h in self.holdings.items()), Fraction(0))
        return self.cash + sum(values.values()) - Fraction(capital) - sum(t.net for t in self.trades) - still_open


def money(amount: Fraction) -> Fraction:
    """To 1e-12, a tie away from zero."""
    size = Fraction(floor(abs(amount) * 10**12 + Fraction(1, 2)), 10**12)
    return size if amount > 0 else -size


def ledger(capital: Number, deals: Iterable[Deal], commission_pct: Number, min_commission: Number) -> LedgerReader:
    """Tell cash, holdings and trades from the deals alone."""
    ledger_reader = LedgerReader(Fraction(capital))
    for deal in deals:
        signed = Fraction(deal.quantity) * (1 if deal.buy else -1)
        paid = money(signed * Fraction(deal.price))
        rate, least = deal.rates or (commission_pct, min_commission)
        commission = max(money(abs(paid) * Fraction(rate)), Fraction(least))
        ledger_reader.cash -= paid + commission
        holding = ledger_reader.holdings.setdefault(deal.symbol, Holding())
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
        ledger_reader.trades.append(Closed(deal.symbol, abs(signed), gross, gross - entry_commission - commission))
        if holding.quantity == 0:
            del ledger_reader.holdings[deal.symbol]
    return ledger_reader
