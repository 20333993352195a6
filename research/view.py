"""What a strategy sees at the close of a bar: the bar, those before it, and its portfolio.

Nothing is computed before it is read, and nothing is of a later moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.trading.arithmetic import CONTEXT, ZERO, floor_to, round_to
from domain.trading.instruments import Instrument
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.portfolio import PortfolioState, Position
from domain.types import Symbol
from research.columns.bar_columns import BarColumns, Floats, time_of
from research.columns.scaled import UNKNOWN


class Bar:
    """The bar that has just closed. Prices are exact, but for `price`, which is quick.

    Args:
        columns: the bars of its symbol.

    Attributes:
        index: number of the bar among those of its symbol.
    """

    __slots__ = ("_columns", "index")

    def __init__(self, columns: BarColumns) -> None:
        self._columns = columns
        self.index = 0

    @property
    def symbol(self) -> Symbol:
        """The symbol."""
        return self._columns.symbol

    @property
    def begin(self) -> datetime:
        """When it began."""
        return time_of(int(self._columns.begin[self.index]))

    @property
    def time(self) -> datetime:
        """When its close was known: the present moment."""
        return time_of(int(self._columns.time[self.index]))

    @property
    def price(self) -> float:
        """The close as a binary fraction, for indicators."""
        return float(self._columns.closes[self.index])

    @property
    def open(self) -> Decimal:
        """The first price."""
        return self._columns.price(self._columns.open[self.index])

    @property
    def high(self) -> Decimal:
        """The highest price."""
        return self._columns.price(self._columns.high[self.index])

    @property
    def low(self) -> Decimal:
        """The lowest price."""
        return self._columns.price(self._columns.low[self.index])

    @property
    def close(self) -> Decimal:
        """The last price."""
        return self._columns.price(self._columns.close[self.index])

    @property
    def volume(self) -> Decimal | None:
        """The volume; None where it is not known."""
        column = self._columns.volume
        if column is None or column[self.index] == UNKNOWN:
            return None
        return self._columns.size(column[self.index])

    def __repr__(self) -> str:
        return f"bar {self.index} of {self.symbol}, {self.time:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class Account:
    """Where a view reads the portfolio.

    Attributes:
        state: returns its present state.
        equity: returns its value at the last prices of a time, in microseconds since 1970.
        held: returns its position in a symbol; None where it has none.
        quantity: returns the quantity that is held of a symbol.
    """

    state: Callable[[], PortfolioState]
    equity: Callable[[int], Decimal]
    held: Callable[[Symbol], Position | None]
    quantity: Callable[[Symbol], Decimal]

    @classmethod
    def of(cls, state: Callable[[], PortfolioState], equity: Callable[[int], Decimal]) -> Account:
        """Return the account of a portfolio whose positions are those of its state."""

        def held(symbol: Symbol) -> Position | None:
            position: Position | None = state().positions.get(symbol)
            return position

        def quantity(symbol: Symbol) -> Decimal:
            position = held(symbol)
            return position.quantity if position is not None else ZERO

        return cls(state, equity, held, quantity)


class View:
    """What is known at the close of a bar besides the bar itself.

    Args:
        bar: the bar of the present call.
        instrument: of its symbol.
        account: where the portfolio is read.
    """

    __slots__ = ("_account", "_bar", "_columns", "_instrument")

    def __init__(self, bar: Bar, columns: BarColumns, instrument: Instrument, account: Account) -> None:
        self._bar = bar
        self._columns = columns
        self._instrument = instrument
        self._account = account

    def opens(self, count: int) -> Floats:
        """Return the opens of the last ``count`` bars, this one the last; fewer where there are fewer."""
        return self._last(self._columns.opens, count)

    def highs(self, count: int) -> Floats:
        """Return the highs of the last bars, see `opens`."""
        return self._last(self._columns.highs, count)

    def lows(self, count: int) -> Floats:
        """Return the lows of the last bars, see `opens`."""
        return self._last(self._columns.lows, count)

    def closes(self, count: int) -> Floats:
        """Return the closes of the last bars, see `opens`."""
        return self._last(self._columns.closes, count)

    def volumes(self, count: int) -> Floats:
        """Return the volumes of the last bars, NaN where unknown, see `opens`."""
        return self._last(self._columns.volumes, count)

    def _last(self, column: Floats, count: int) -> Floats:
        end = self._bar.index + 1
        return column[max(end - count, 0) : end]

    def position(self, symbol: str | None = None) -> Decimal:
        """Return the quantity that is held of a symbol, in its exact spelling; by default of that of the bar."""
        return self._account.quantity(self._columns.symbol if symbol is None else Symbol(symbol))

    def entry_price(self, symbol: str | None = None) -> Decimal | None:
        """Return the average price of what is held of a symbol; None where nothing is."""
        held = self._held(symbol)
        return held.entry_price if held is not None else None

    def _held(self, symbol: str | None) -> Position | None:
        return self._account.held(self._columns.symbol if symbol is None else Symbol(symbol))

    def open_orders(self, symbol: str | None = None) -> Iterator[OpenOrder]:
        """Yield the open orders of a symbol, exits among them; by default of that of the bar."""
        return self._account.state().open_orders.of(self._columns.symbol if symbol is None else Symbol(symbol))

    @property
    def cash(self) -> Decimal:
        """The cash that no open order holds back."""
        return self._account.state().free_cash

    @property
    def equity(self) -> Decimal:
        """The value of the portfolio at the last prices."""
        return self._account.equity(int(self._columns.time[self._bar.index]))

    def rounded(self, price: float) -> Decimal:
        """Return a price as an exact number, rounded to the tick of the bar's symbol."""
        return round_to(Decimal(repr(float(price)), CONTEXT), self._instrument.tick)

    def quantity(self, size: float) -> Decimal:
        """Return a quantity as an exact number, rounded down to the step of the bar's symbol."""
        return floor_to(Decimal(repr(float(size)), CONTEXT), self._instrument.step)
