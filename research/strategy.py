"""The strategy interface: the same class runs in a backtest and live.

::

    class Dip(Strategy[DipParameters]):
        warm_up = 20

        def on_bar(self, bar: Bar, view: View) -> Intent | None:
            if bar.price < view.closes(20).mean() * 0.98 and not view.position():
                return Intent.buy(stop_loss_pct=Decimal("0.05"))
            return None
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from domain.trading.orders import Target
from domain.trading.sizing import REFERENCE_CONFIDENCE
from domain.types import Action, DecisionId, OrderType, TimeInForce
from research.columns.bar_columns import BarColumns
from research.view import Bar, View


class Parameters(BaseModel):
    """The parameters of a strategy; subclasses add fields with defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(slots=True)
class Intent:
    """What a strategy wants at a bar. It becomes a decision, which the rules check like any other.

    Attributes:
        action: BUY, SELL, HOLD, CANCEL, AMEND or PROTECT.
        symbol: None: that of the bar.
        confidence: 0 to 1; without a ``quantity`` a BUY is sized by it. The default uses all of ``max_position_size``
            where the risk score is 0.
        target: of a CANCEL or AMEND: the number of a decision, ``symbol`` or ``all``.

    The others are those of `domain.trading.decision.Decision`. Prices and quantities are `Decimal`; `View.rounded`
    makes one of a binary fraction.
    """

    action: Action
    symbol: str | None = None
    confidence: Decimal = REFERENCE_CONFIDENCE
    quantity: Decimal | None = None
    risk_score: Decimal | None = None
    expires_at: datetime | None = None
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    order_expires_at: datetime | None = None
    post_only: bool = False
    reduce_only: bool = False
    stop_loss: Decimal | None = None
    stop_loss_pct: Decimal | None = None
    take_profit: Decimal | None = None
    take_profit_pct: Decimal | None = None
    take_profits: tuple[Target, ...] = ()
    trail: Decimal | None = None
    trail_pct: Decimal | None = None
    trailing_stop: Decimal | None = None
    trailing_stop_pct: Decimal | None = None
    target: DecisionId | str | None = None
    strategy: str | None = None

    @classmethod
    def buy(cls, **values: Any) -> Intent:
        """Return a BUY."""
        return cls(Action.BUY, **values)

    @classmethod
    def sell(cls, **values: Any) -> Intent:
        """Return a SELL; without a quantity it closes the position."""
        return cls(Action.SELL, **values)

    @classmethod
    def cancel(cls, target: DecisionId | str = "symbol", **values: Any) -> Intent:
        """Return a CANCEL of the open orders that a target names."""
        return cls(Action.CANCEL, target=target, **values)


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What a strategy wants at all bars of a symbol, computed at once.

    Attributes:
        bars: numbers of bars, in rising order; each is decided at the close of its bar.
        sides: for each of them 1 to buy, -1 to sell.
        buy: what a BUY wants; its symbol is that of the bars.
        sell: the same of a SELL.
    """

    bars: NDArray[np.int64]
    sides: NDArray[np.integer[Any]]
    buy: Intent = field(default_factory=Intent.buy)
    sell: Intent = field(default_factory=Intent.sell)


Wanted: TypeAlias = Intent | Sequence[Intent] | None
"""What `Strategy.on_bar` returns."""
P = TypeVar("P", bound=Parameters)


class Strategy(Generic[P]):
    """A strategy: it is called at the close of each bar of each symbol, and says what it wants.

    Args:
        parameters: its parameters; ``Strategy[MyParameters]`` states their class.

    Attributes:
        name: by which reports group results; by default the name of the class.
        warm_up: number of bars of a symbol that it needs before its first call; may be set in ``__init__``.
        every: it is called only at bars that close at a multiple of this time since 00:00 UTC; None: at each bar.
        parameters_type: the class of its parameters.
    """

    name: ClassVar[str] = ""
    warm_up: int = 1
    every: ClassVar[timedelta | None] = None
    parameters_type: ClassVar[type[Parameters]] = Parameters

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, Parameters):
                    cls.parameters_type = argument
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    def __init__(self, parameters: P) -> None:
        self.parameters = parameters

    def on_bar(self, bar: Bar, view: View) -> Wanted:  # noqa: ARG002 - subclasses use them
        """Return what it wants at the close of a bar; None: nothing.

        ``bar`` and ``view`` are the same two objects in every call: keep what you read from them, not the objects.
        What it wants must rest on this object alone, and on nothing outside it that changes: a backtest may begin anew
        with a new object.
        """
        return None

    def signals(self, bars: BarColumns) -> Signals | None:  # noqa: ARG002
        """Return what it wants at all bars of a symbol, in place of `on_bar`; None: it has no signals.

        A signal of a bar may use this bar and earlier ones alone; ``--check-lookahead`` finds others.
        """
        return None

    @property
    def has_signals(self) -> bool:
        """Whether `signals` takes the place of `on_bar`."""
        return type(self).signals is not Strategy.signals
