"""What somebody wants: the decision as it is sent, as it is taken in, and what became of it."""

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
from domain.types import DEFAULT_PORTFOLIO, Action, DecisionId, OrderId, OutcomeStatus, PortfolioName
from domain.wording import FREE_TEXT, NAME, quoted, requirement

MAX_AMOUNT = Decimal("1e20")
"""Prices and quantities stay below it: they are stored as NUMERIC(38,18)."""


EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""Moments stay between them, so that they can be told in every time zone."""


def exact_number(value: object) -> object:
    """Turn what a person types into the Decimal that they mean; refuse what is no finite decimal number."""
    if isinstance(value, bool):
        msg = "must be a number, not true or false"
        raise ValueError(msg)
    if isinstance(value, int | float | str):
        try:
            text = str(value).strip()
            value = Decimal(text, CONTEXT)
        except (InvalidOperation, ValueError):
            text = "_"
        # Python's own spelling of 1_000 is nobody's in a table or a shell, nor are other scripts' digits.
        if "_" in text or not text.isascii():
            msg = "must be a decimal number such as 0.75"
            raise ValueError(msg)
    if isinstance(value, Decimal) and not value.is_finite():
        msg = "must be a finite number"
        raise ValueError(msg)
    return value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _storable(moment: datetime) -> datetime:
    if not EARLIEST < moment < LATEST:
        msg = "must be a moment of the years 1 to 9999"
        raise ValueError(msg)
    return moment


Number = Annotated[Decimal, BeforeValidator(exact_number)]
Fraction = Annotated[Number, Field(ge=0, le=1, decimal_places=18)]
Amount = Annotated[Number, Field(gt=0, lt=MAX_AMOUNT, decimal_places=18)]
Text = Annotated[str, StringConstraints(pattern=FREE_TEXT, max_length=10_000)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=NAME, max_length=100)]


class Decision(BaseModel):
    """What somebody wants: ``Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")``.

    Attributes:
        symbol: the market, in any usual spelling.
        decision: BUY, SELL or HOLD; case does not matter.
        confidence: 0 to 1.
        risk_score: 0 to 1; the portfolio's default counts where there is none.
        reasoning: free text.
        current_price: the price that the sender saw; evidence only.
        quantity: how much; without it a BUY is sized by confidence and a SELL closes the position.
        strategy: whose decision it is, for the figures.
        portfolio: the pot of money.
        asset_class: ``crypto``, ``equity``, …; the market's own counts where there is none.
        expires_at: not to be sized after this moment; aware.
        idempotency_key: the same key again gives the first outcome.
        uid: its identity, made here unless given.

    Raises:
        InvalidDecision: with one sentence, if a value is not allowed.
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
    """Return what is wrong first, as a sentence and as a code."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "decision"
    if first["type"] == "missing":
        return f"a decision needs {field}", f"missing_{field}"
    if first["type"] == "extra_forbidden":
        return f"a decision has no {field!r}", "unknown_field"
    return f"{field} = {quoted(first['input'])}: {requirement(first)}", f"invalid_{field}"


@dataclass(frozen=True, slots=True)
class PendingDecision:
    """A decision's row as the DecisionWatcher took it in.

    Attributes:
        received_at: when this process took it in; after a rebuild, took it in again.
        waited: how long it had waited by then, by the clock that `created_at` is from: the database's, not this
            process's, which may be off. Negative where the sender gave a moment that is still to come.
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
    received_at: datetime
    asset_class: str | None = None
    waited: timedelta = timedelta(0)

    def age(self, now: datetime) -> timedelta:
        """Return how long it has waited; one that is dated ahead counts as made when it was taken in."""
        return max(self.waited, timedelta(0)) + max(now - self.received_at, timedelta(0))

    @property
    def expiry(self) -> str:
        """When it expires, for a sentence."""
        return f"{self.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if self.expires_at is not None else "never"

    def expired(self, now: datetime) -> bool:
        """Say whether it must not be sized any more."""
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
    """Return what is wrong with a stored decision: the table's constraints see to it, unless somebody dropped them."""
    if not isinstance(decision, str) or decision.strip().upper() not in set(Action):
        return f"decision is {decision!r}, which is none of BUY, SELL and HOLD"
    if confidence is None or not (confidence.is_finite() and 0 <= confidence <= 1):
        return f"confidence is {confidence}, which is no number from 0 to 1"
    if risk_score is not None and not (risk_score.is_finite() and 0 <= risk_score <= 1):
        return f"risk_score is {risk_score}, which is no number from 0 to 1"
    if quantity is not None and not (quantity.is_finite() and 0 < quantity < MAX_AMOUNT):
        return f"quantity is {quantity}, which is no number above 0"
    missing = {"symbol": symbol, "portfolio": portfolio, "created_at": created_at}
    return next((f"it has no {name}" for name, value in missing.items() if value is None), None)


class Reason(StrEnum):
    """Why a decision was not executed; an outcome's reason begins with it, then a colon and the details."""

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


def reason_code(status: str, reason: str) -> str:
    """Return an outcome's reason for programs, such as ``no_price``; the status where it is free text."""
    word = reason.partition(":")[0]
    return Reason(word).name.lower() if word in REASONS else str(status)


REASONS = frozenset(Reason)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A decision's end without an order."""

    decision_id: DecisionId
    portfolio: PortfolioName
    status: OutcomeStatus
    reason: Reason
    detail: str

    @property
    def sentence(self) -> str:
        """The outcome's reason as it is stored: ``too small: notional 5 is below …``."""
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision, as it stands in the database."""

    decision_id: DecisionId
    status: OutcomeStatus
    reason: str
    order_id: OrderId | None = None

    @property
    def code(self) -> str:
        """The reason for programs, such as ``no_price``: a name of `Reason` in lower case, else the status."""
        return reason_code(self.status, self.reason)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A decision that stands in the database.

    Attributes:
        outcome: what became of it; None while it has not ended. New ones have none; one sent twice may have.
    """

    decision_id: DecisionId
    outcome: Outcome | None


def status_of(reason: Reason) -> OutcomeStatus:
    """Return the status of a decision that got no order, as its reason tells it."""
    return {
        Reason.HOLD: OutcomeStatus.IGNORED,
        Reason.LOW_CONFIDENCE: OutcomeStatus.IGNORED,
        Reason.EXPIRED: OutcomeStatus.EXPIRED,
    }.get(reason, OutcomeStatus.REJECTED)


def refuse(decision: PendingDecision, reason: Reason, detail: str) -> Refusal:
    """Say that ``decision`` gets no order; the reason tells the status."""
    return Refusal(decision.id, decision.portfolio, status_of(reason), reason, detail)
