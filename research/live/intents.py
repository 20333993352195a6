"""What a strategy wants becomes a decision as a sender writes it, with a key that is the same after a restart."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid5

from domain.errors import InvalidDecision
from domain.trading.decision import Decision
from domain.trading.open_orders.terms import TARGETED
from domain.types import DEFAULT_PORTFOLIO, Action, Instant, PortfolioName, Symbol
from research.backtest.making import DecisionMaker, InvalidIntent, namespace_of
from research.columns.bar_columns import EPOCH
from research.strategy import Intent

MAX_KEY_LENGTH = 100
MICROSECOND = timedelta(microseconds=1)
OF_INTENT = tuple(
    field.name for field in fields(Intent) if field.name not in {"action", "symbol", "target", "strategy"}
)


class Place(NamedTuple):
    """Where a decision of a strategy comes from: no other one has the same.

    Attributes:
        time: when the bar was complete.
        number: of the intent among those of the bar, from 0 on.
    """

    strategy: str
    portfolio: str
    symbol: Symbol
    time: datetime
    number: int

    @property
    def uid(self) -> UUID:
        """The uid of the decision. In the default portfolio it is that of a backtest, so that both meet one chance."""
        text = f"{self.symbol} {(self.time - EPOCH) // MICROSECOND} {self.number}"
        of = "" if self.portfolio == DEFAULT_PORTFOLIO else f" {self.portfolio}"
        return uuid5(namespace_of(self.strategy), text + of)

    @property
    def key(self) -> str:
        """The idempotency key of the decision."""
        text = f"{self.strategy} {self.portfolio} {self.symbol} {self.time:%Y-%m-%dT%H:%M:%SZ} {self.number}"
        return text if len(text) <= MAX_KEY_LENGTH else str(uuid5(namespace_of("keys"), text))


def decision_of(intent: Intent, place: Place) -> Decision:
    """Return the decision that an intent is.

    Raises:
        InvalidIntent: it makes no sense; the same that a backtest refuses.
    """
    maker = DecisionMaker(PortfolioName(place.portfolio), place.strategy)
    maker.number = intent.target if isinstance(intent, Intent) and isinstance(intent.target, int) else 0
    made = maker.make(intent, place.symbol, place.uid, Instant(place.time, 0.0))
    values = {name: value for name in OF_INTENT if (value := getattr(intent, name)) is not None}
    target = None if intent.target is None else str(intent.target)
    symbol: str | None = intent.symbol or place.symbol
    if made.action in TARGETED:
        symbol = symbol if made.action is Action.CANCEL and target == "symbol" else None
    if symbol is not None:
        values["symbol"] = symbol
    try:
        return Decision(
            decision=made.action, target=target, strategy=intent.strategy or place.strategy, portfolio=place.portfolio,
            idempotency_key=place.key, uid=place.uid, **values,
        )  # fmt: skip
    except InvalidDecision as error:
        raise InvalidIntent(str(error)) from None
