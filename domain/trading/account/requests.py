"""Requests that change a portfolio without an order: deposits, withdrawals, changes of an instrument, and its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from domain.trading.arithmetic import CONTEXT, STORED_QUANTUM, multiply, plain
from domain.types import PortfolioName, Side, Symbol

UNITS = Decimal("1e18")
"""Of `STORED_QUANTUM`, in one."""
UP = Context(prec=CONTEXT.prec, rounding=ROUND_CEILING)
DOWN = Context(prec=CONTEXT.prec, rounding=ROUND_FLOOR)


class AccountKind(StrEnum):
    """What a request asks for."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    SPLIT = "split"
    SYMBOL_CHANGE = "symbol_change"
    REDENOMINATION = "redenomination"
    DIVIDEND = "dividend"
    WRITE_OFF = "write_off"
    CLOSE = "close"
    RESET = "reset"

    @property
    def closes(self) -> bool:
        """Whether it ends a life of the portfolio."""
        return self in {AccountKind.CLOSE, AccountKind.RESET}


class Ratio(NamedTuple):
    """The ratio of a split: ``new`` pieces for each ``old`` ones; 10:1 makes ten of one.

    >>> Ratio(Decimal(10), Decimal(1)).quantity(Decimal("1.5"))
    Decimal('15.000000000000000000')
    """

    new: Decimal
    old: Decimal

    def quantity(self, before: Decimal) -> Decimal:
        """Return what becomes of a quantity, rounded down to 18 decimals."""
        units = CONTEXT.divide_int(multiply(multiply(before, self.new), UNITS), self.old)
        return multiply(units, STORED_QUANTUM)

    def price(self, before: Decimal, side: Side | None = None) -> Decimal:
        """Return what becomes of a price, with 18 decimals.

        Args:
            before: the price.
            side: of an order that must not get a worse price: a BUY's is rounded down, a SELL's up; None: to the
                nearest.
        """
        context = CONTEXT if side is None else DOWN if side is Side.BUY else UP
        return context.quantize(context.divide(context.multiply(before, self.old), self.new), STORED_QUANTUM)

    @property
    def back(self) -> Ratio:
        """The ratio that takes it back."""
        return Ratio(self.old, self.new)

    def __str__(self) -> str:
        return f"{plain(self.new)}:{plain(self.old)}"


SAME_UNITS = Ratio(Decimal(1), Decimal(1))


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """A row of ``paper_account_requests``: what the owner of a portfolio asks for.

    Attributes:
        id: number of the row.
        uid: the same for each time that it is carried out, as after a crash.
        portfolio: None: all that hold the symbol, at once; only for a split or a redenomination.
        symbol: of an adjustment, else None.
        amount: of a deposit or withdrawal, above 0; of a dividend: for one unit; of a reset: the capital of the next
            life, None: the same as of this one.
        price: at which a write-off closes, 0 or more.
        ratio: of a split or redenomination.
        new_symbol: of a symbol change, and of a redenomination where the symbol changes with it.
        reason: why, in the owner's words.
        author: who asked.
        shown_as: what people call the portfolio; empty: its id.
    """

    id: int
    uid: UUID
    portfolio: PortfolioName | None
    kind: AccountKind
    reason: str
    author: str
    requested_at: datetime
    symbol: Symbol | None = None
    amount: Decimal | None = None
    price: Decimal | None = None
    ratio: Ratio | None = None
    new_symbol: Symbol | None = None
    shown_as: str = field(default="", compare=False)

    @property
    def scope(self) -> str:
        """Whose account it is about."""
        return "all portfolios" if self.portfolio is None else f"portfolio {self.shown_as or self.portfolio}"

    @property
    def what(self) -> str:
        """What is asked for, as a clause: *split 10:1 of NVDA/USD*."""
        match self.kind:
            case AccountKind.DEPOSIT | AccountKind.WITHDRAWAL:
                return f"{self.kind} of {plain(self.amount or Decimal(0))}"
            case AccountKind.SPLIT | AccountKind.REDENOMINATION:
                of = f" as {self.new_symbol}" if self.new_symbol is not None else ""
                return f"{self.kind} {self.ratio} of {self.symbol}{of}"
            case AccountKind.SYMBOL_CHANGE:
                return f"symbol change of {self.symbol} to {self.new_symbol}"
            case AccountKind.DIVIDEND:
                return f"dividend of {plain(self.amount or Decimal(0))} for each {self.symbol}"
            case AccountKind.WRITE_OFF:
                return f"write-off of {self.symbol} at {plain(self.price or Decimal(0))}"
            case AccountKind.CLOSE | AccountKind.RESET:
                return str(self.kind)


@dataclass(frozen=True, slots=True)
class AccountRefusal:
    """The end of a request that changes nothing.

    Attributes:
        reason: a sentence for a person.
    """

    request: AccountRequest
    reason: str
