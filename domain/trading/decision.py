"""Decisions: as a sender creates them, as the DecisionWatcher reads them, and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from domain.errors import InvalidDecision
from domain.trading.arithmetic import CONTEXT
from domain.trading.open_orders.terms import MARKET, OrderTerms
from domain.types import DEFAULT_PORTFOLIO, Action, DecisionId, Instant, OrderId, OutcomeStatus, PortfolioName
from domain.wording import FREE_TEXT, NAME, quoted, requirement

MAX_AMOUNT = Decimal("1e20")
"""Prices and quantities must be below it: they are stored as NUMERIC(38,18)."""

EARLIEST_TIME = datetime(1, 1, 2, tzinfo=UTC)
LATEST_TIME = datetime(9999, 12, 30, tzinfo=UTC)
"""Times must be between these two, so that every time zone can represent them."""


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


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _storable(value: datetime) -> datetime:
    if not EARLIEST_TIME < value < LATEST_TIME:
        msg = "must be a moment in the years 1 to 9999"
        raise ValueError(msg)
    return value


Number = Annotated[Decimal, BeforeValidator(exact_number)]
Fraction = Annotated[Number, Field(ge=0, le=1, decimal_places=18)]
Amount = Annotated[Number, Field(gt=0, lt=MAX_AMOUNT, decimal_places=18)]
Text = Annotated[str, StringConstraints(pattern=FREE_TEXT, max_length=10_000)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=NAME, max_length=100)]


class Decision(BaseModel):
    """A trading decision: ``Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")``.

    Attributes:
        symbol: the market, in any usual spelling.
        decision: BUY, SELL or HOLD; case does not matter.
        confidence: 0 to 1.
        risk_score: 0 to 1; None: the portfolio's default applies.
        reasoning: free text.
        current_price: the price that the sender saw; evidence only, nothing is computed from it.
        quantity: the quantity to trade; without it a BUY is sized by confidence and a SELL closes the position.
        strategy: name of the strategy, by which reports group results.
        portfolio: name of the portfolio that trades.
        asset_class: ``crypto``, ``equity``, …; None: the market's own applies.
        expires_at: time after which the decision is not sized any more; aware.
        idempotency_key: a second decision with the same key gets the outcome of the first.
        uid: its identity; created here by default.

    Raises:
        InvalidDecision: a value is not valid; the message is one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: Name
    decision: Annotated[Action, BeforeValidator(_upper)]
    confidence: Fraction
    risk_score: Fraction | None = None
    reasoning: Text | None = None
    current_price: Amount | None = None
    quantity: Amount | None = None
    strategy: Name | None = None
    portfolio: Name = DEFAULT_PORTFOLIO
    asset_class: Name | None = None
    expires_at: Annotated[AwareDatetime, AfterValidator(_storable)] | None = None
    idempotency_key: Name | None = None
    uid: UUID = Field(default_factory=uuid4)

    if not TYPE_CHECKING:

        def __init__(self, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as error:
                raise InvalidDecision(*_refusal(error)) from None


def _refusal(error: ValidationError) -> tuple[str, str]:
    """Return message and code of the first error."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "decision"
    if first["type"] == "missing":
        return f"a decision needs {field}", f"missing_{field}"
    if first["type"] == "extra_forbidden":
        return f"a decision has no {field!r}", "unknown_field"
    return f"{field} = {quoted(first['input'])}: {requirement(first)}", f"invalid_{field}"


@dataclass(frozen=True, slots=True)
class CancelTarget:
    """What a CANCEL cancels: one of the three, or all orders of the portfolio.

    Attributes:
        decision_id: the order of this decision.
        order_id: this order.
        symbol: all orders of this symbol, in any usual spelling.
        flaw: why there is nothing to cancel: no such decision, or it has ended.
    """

    decision_id: DecisionId | None = None
    order_id: OrderId | None = None
    symbol: str | None = None
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class PendingDecision:
    """A decision's row as the DecisionWatcher read it.

    Attributes:
        terms: how its order is executed.
        target: what a CANCEL cancels.
        received: when this process read it; after a rebuild, the last time.
        waited: how long it had waited by then, by the clock of `created_at`: the database's, since the clock of this
            process may differ. Negative where the sender set a time in the future.
    """

    id: DecisionId
    uid: UUID
    symbol: str
    action: Action
    confidence: Decimal
    risk_score: Decimal | None
    quantity: Decimal | None
    strategy: str | None
    portfolio: PortfolioName
    created_at: datetime
    expires_at: datetime | None
    received: Instant
    asset_class: str | None = None
    waited: timedelta = timedelta(0)
    terms: OrderTerms = MARKET
    target: CancelTarget | None = None

    def age(self, now: Instant) -> timedelta:
        """Return how long it has waited; one dated in the future counts from the time at which it was read."""
        return max(self.waited, timedelta(0)) + now.since(self.received)

    @property
    def expiry(self) -> str:
        """The time at which it expires, as text."""
        return f"{self.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if self.expires_at is not None else "never"

    def expired(self, now: datetime) -> bool:
        """Return whether it has expired, so that it must not be sized."""
        return self.expires_at is not None and now.astimezone(UTC) >= self.expires_at


def row_flaw(
    symbol: object,
    decision: object,
    confidence: Decimal | None,
    risk_score: Decimal | None,
    quantity: Decimal | None,
    portfolio: object,
    created_at: datetime | None,
) -> str | None:
    """Return what is invalid in a stored decision, None where it is valid.

    The table's constraints prevent invalid rows, unless they were dropped.
    """
    if not isinstance(decision, str) or decision.strip().upper() not in set(Action):
        return f"decision is {decision!r}, which is not BUY, SELL or HOLD"
    if confidence is None or not (confidence.is_finite() and 0 <= confidence <= 1):
        return f"confidence is {confidence}, which is not a number from 0 to 1"
    if risk_score is not None and not (risk_score.is_finite() and 0 <= risk_score <= 1):
        return f"risk_score is {risk_score}, which is not a number from 0 to 1"
    if quantity is not None and not (quantity.is_finite() and 0 < quantity < MAX_AMOUNT):
        return f"quantity is {quantity}, which is not a number above 0"
    missing = {"symbol": symbol, "portfolio": portfolio, "created_at": created_at}
    return next((f"it has no {name}" for name, value in missing.items() if value is None), None)


class Reason(StrEnum):
    """Why a decision was not executed. An outcome's reason begins with it, followed by a colon and the details."""

    HOLD = "hold"
    LOW_CONFIDENCE = "confidence below threshold"
    UNKNOWN_SYMBOL = "unknown symbol"
    UNKNOWN_PORTFOLIO = "unknown portfolio"
    OTHER_CURRENCY = "other currency"
    NO_PRICE = "no price in time"
    EXPIRED = "expired"
    NOTHING_HELD = "nothing held"
    TOO_SMALL = "too small"
    NO_ROOM = "no room"
    NO_CASH = "not enough cash"
    NO_FILL = "no fill at that price"
    INVALID = "invalid"
    HALTED = "halted"
    INTERNAL_ERROR = "internal error"
    ADOPTED = "adopted"
    CANCELLED = "cancelled"
    POST_ONLY = "post-only"
    NO_VOLUME = "not enough volume"
    NOTHING_OPEN = "nothing to cancel"


def reason_code(status: str, reason: str) -> str:
    """Return the code of an outcome's reason, such as ``no_price``; the status where the reason is free text."""
    name = reason.partition(":")[0]
    return Reason(name).name.lower() if name in REASONS else str(status)


REASONS = frozenset(Reason)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The end of a decision without an order."""

    decision_id: DecisionId
    portfolio: PortfolioName
    status: OutcomeStatus
    reason: Reason
    detail: str

    @property
    def sentence(self) -> str:
        """The outcome's reason as it is stored: ``too small: 0.05 at 100 is worth 5, the minimum is 10``."""
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a decision, as it is stored."""

    decision_id: DecisionId
    status: OutcomeStatus
    reason: str
    order_id: OrderId | None = None

    @property
    def code(self) -> str:
        """The reason's code for programs, such as ``no_price``: a name of `Reason` in lower case, else the status."""
        return reason_code(self.status, self.reason)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A decision that is stored in the database.

    Attributes:
        outcome: its outcome; None while it is pending. A new decision has none; one that was sent twice may have one.
    """

    decision_id: DecisionId
    outcome: Outcome | None


def status_of(reason: Reason) -> OutcomeStatus:
    """Return the status that a decision without an order has for a reason."""
    return {
        Reason.HOLD: OutcomeStatus.IGNORED,
        Reason.LOW_CONFIDENCE: OutcomeStatus.IGNORED,
        Reason.EXPIRED: OutcomeStatus.EXPIRED,
    }.get(reason, OutcomeStatus.REJECTED)


def refuse(decision: PendingDecision, reason: Reason, detail: str) -> Refusal:
    """Return the refusal of a decision, with the status that belongs to the reason."""
    return Refusal(decision.id, decision.portfolio, status_of(reason), reason, detail)
