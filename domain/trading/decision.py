"""Decisions: as a sender creates them, as the DecisionWatcher reads them, and their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
    model_validator,
)

from domain.errors import InvalidDecision
from domain.immutable.records import fast_frozen, replace
from domain.trading.arithmetic import exact_number
from domain.trading.open_orders.targets import parse_targets
from domain.trading.open_orders.terms import DEFAULTS, FORCES, MARKET, ORDER_TYPES, OrderTerms, contradiction
from domain.trading.orders import Target
from domain.types import (
    DEFAULT_PORTFOLIO,
    Action,
    DecisionId,
    Instant,
    OrderId,
    OrderType,
    OutcomeStatus,
    PortfolioName,
    TimeInForce,
)
from domain.wording import FREE_TEXT, NAME, alternatives, quoted, requirement

MAX_AMOUNT = Decimal("1e20")
"""Prices and quantities must be below it: they are stored as NUMERIC(38,18)."""

EARLIEST_TIME = datetime(1, 1, 2, tzinfo=UTC)
LATEST_TIME = datetime(9999, 12, 30, tzinfo=UTC)
"""Times must be between these two, so that every time zone can represent them."""


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _word(words: Iterable[str], spelled: Callable[[str], str]) -> Callable[[object], object]:
    """Return the check that a value is one of ``words``, in any case."""
    allowed = tuple(map(str, words))

    def check(value: object) -> object:
        option = spelled(value.strip()) if isinstance(value, str) else value
        if option not in allowed:
            msg = f"must be {alternatives(allowed)}"
            raise ValueError(msg)
        return option

    return check


def _targets(value: object) -> object:
    return () if value is None or value == () else parse_targets(value)


def _storable(value: datetime) -> datetime:
    if not EARLIEST_TIME < value < LATEST_TIME:
        msg = "must be a moment in the years 1 to 9999"
        raise ValueError(msg)
    return value


Number = Annotated[Decimal, BeforeValidator(exact_number)]
Fraction = Annotated[Number, Field(ge=0, le=1, decimal_places=18)]
Amount = Annotated[Number, Field(gt=0, lt=MAX_AMOUNT, decimal_places=18)]
Text = Annotated[str, StringConstraints(pattern=FREE_TEXT, max_length=10_000)]
Part = Annotated[Number, Field(gt=0, lt=1, decimal_places=18)]
Moment = Annotated[AwareDatetime, AfterValidator(_storable)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=NAME, max_length=100)]


class Decision(BaseModel):
    """A trading decision: ``Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")``.

    Attributes:
        symbol: the market, in any usual spelling. A CANCEL or AMEND may leave it out.
        decision: BUY, SELL, HOLD, CANCEL, AMEND or PROTECT; case does not matter.
        confidence: 0 to 1. A CANCEL, AMEND or PROTECT may leave it out.
        risk_score: 0 to 1; None: the portfolio's default applies.
        reasoning: free text.
        current_price: the price that the sender saw; evidence only, nothing is computed from it.
        quantity: the quantity to trade; without it a BUY is sized by confidence and a SELL closes the position. Of an
            AMEND: the new quantity, with what is filled.
        strategy: name of the strategy, by which reports group results.
        portfolio: name of the portfolio that trades.
        asset_class: ``crypto``, ``equity``, …; None: the market's own applies.
        expires_at: time after which the decision is not sized any more; aware.
        order_type: market, limit, stop, stop_limit or trailing_stop.
        limit_price: the worst price of a limit or stop_limit order.
        stop_price: the mark at which a stop or stop_limit order is triggered.
        time_in_force: GTC, IOC, FOK, GTD or DAY; None counts as GTC where an order may rest.
        order_expires_at: end of an order with GTD; aware.
        post_only: the order is rejected where it would take at once.
        reduce_only: of a SELL: it works in a halted portfolio too, since it only reduces what is held.
        stop_loss: of a BUY or PROTECT: price of the stop that protects what it bought, or what is held.
        stop_loss_pct: the same as a fraction below the entry price: 0.05 is 5 %.
        take_profit: of a BUY or PROTECT: price at which that is sold.
        take_profit_pct: the same as a fraction above the entry price.
        take_profits: several targets in place of one, such as ``[{"price": 110, "share": 0.5}, {"pct": 0.2, "share":
            0.5}]`` or ``"110:0.5,20%:0.5"``; each sells its share of what is bought or held.
        trail: distance of a trailing_stop order from the best mark since its acceptance.
        trail_pct: the same as a fraction of that mark.
        trailing_stop: of a BUY or PROTECT: distance of a trailing stop in place of ``stop_loss``.
        trailing_stop_pct: the same as a fraction of the best mark.
        target: what a CANCEL cancels: a decision's id, uid or idempotency_key, an order's UUID, ``symbol`` or ``all``.
            The order that an AMEND gives new values: the same without the two words.
        idempotency_key: a second decision with the same key gets the outcome of the first.
        uid: its identity; created here by default.

    Raises:
        InvalidDecision: a value is not valid; the message is one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Required; the default of `Field` only tells type checkers that some decisions may leave the two out.
    symbol: Name = Field(default=...)
    decision: Annotated[Action, BeforeValidator(_upper)]
    confidence: Fraction = Field(default=...)
    risk_score: Fraction | None = None
    reasoning: Text | None = None
    current_price: Amount | None = None
    quantity: Amount | None = None
    strategy: Name | None = None
    portfolio: Name = DEFAULT_PORTFOLIO
    asset_class: Name | None = None
    expires_at: Moment | None = None
    order_type: Annotated[OrderType, BeforeValidator(_word(ORDER_TYPES, str.lower))] = OrderType.MARKET
    limit_price: Amount | None = None
    stop_price: Amount | None = None
    time_in_force: Annotated[TimeInForce, BeforeValidator(_word(FORCES, str.upper))] | None = None
    order_expires_at: Moment | None = None
    post_only: bool = False
    reduce_only: bool = False
    stop_loss: Amount | None = None
    stop_loss_pct: Part | None = None
    take_profit: Amount | None = None
    take_profit_pct: Amount | None = None
    take_profits: Annotated[tuple[Target, ...], BeforeValidator(_targets)] = ()
    trail: Amount | None = None
    trail_pct: Part | None = None
    trailing_stop: Amount | None = None
    trailing_stop_pct: Part | None = None
    target: Name | None = None
    idempotency_key: Name | None = None
    uid: UUID = Field(default_factory=uuid4)

    if not TYPE_CHECKING:

        def __init__(self, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as error:
                raise InvalidDecision(*_refusal(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """Fill in what some decisions may leave out."""
        if not isinstance(data, dict) or (defaults := DEFAULTS.get(str(_upper(data.get("decision"))))) is None:
            return data
        return {
            **defaults,
            **{name: value for name, value in data.items() if value is not None or name not in defaults},
        }

    @model_validator(mode="after")
    def _check_terms(self) -> Decision:
        """Refuse terms that do not fit together."""
        if (sentence := contradiction(self.decision, self.symbol, self.terms, self.target, self.quantity)) is not None:
            raise ValueError(sentence)
        return self

    @property
    def terms(self) -> OrderTerms:
        """How its order is to be executed."""
        return OrderTerms(
            self.order_type, self.limit_price, self.stop_price, self.time_in_force, self.order_expires_at,
            self.post_only, self.reduce_only, self.stop_loss, self.stop_loss_pct, self.take_profit,
            self.take_profit_pct, self.take_profits, self.trail, self.trail_pct, self.trailing_stop,
            self.trailing_stop_pct,
        )  # fmt: skip


def _refusal(error: ValidationError) -> tuple[str, str]:
    """Return message and code of the first error."""
    first = error.errors()[0]
    if not first["loc"]:  # fields that do not fit together
        return first["msg"].removeprefix("Value error, "), "invalid_terms"
    field = str(first["loc"][0])
    if first["type"] == "missing":
        return f"a decision needs {field}", f"missing_{field}"
    if first["type"] == "extra_forbidden":
        return f"a decision has no {field!r}", "unknown_field"
    return f"{field} = {quoted(first['input'])}: {requirement(first)}", f"invalid_{field}"


@dataclass(frozen=True, slots=True)
class CancelTarget:
    """What a CANCEL or AMEND is about: one of the three, or all of the portfolio, of the decisions ``among`` alone.

    Attributes:
        decision_id: the order of this decision.
        order_id: this order.
        symbol: all orders of this symbol, in any usual spelling.
        flaw: why there is nothing to cancel or to amend: no such decision, or it has ended.
        pending: of a decision: nothing has come of it when the row of the CANCEL or AMEND was read.
    """

    decision_id: DecisionId | None = None
    order_id: OrderId | None = None
    symbol: str | None = None
    among: frozenset[DecisionId] | None = None
    flaw: str | None = None
    pending: bool = False


@fast_frozen
@dataclass(frozen=True, slots=True)
class PendingDecision:
    """A decision's row as the DecisionWatcher read it.

    Attributes:
        created_at: when it was made, as its sender says, or when the database got it if that was earlier.
        terms: how its order is executed.
        target: what a CANCEL or AMEND is about.
        received: when this process read it; after a rebuild, the last time.
        waited: how long it had waited by then, by the database's clock; negative where the sender set a future time.
        sent, left_since: when it was sent, and since when it waits for a price, where `received` does not tell.
        received_at, sent_by: when the database got it, and from whom; None in rows from before these columns.
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
    sent: datetime | None = None
    received_at: datetime | None = None
    sent_by: str | None = None
    left_since: Instant | None = None

    @property
    def place(self) -> tuple[bool, datetime, DecisionId]:
        """Its place in the order of the table, which is that of `received_at`; rows without it come first."""
        return self.received_at is not None, self.received_at or self.created_at, self.id

    @property
    def sent_at(self) -> datetime:
        """When it was sent, by the clock of this process; one dated in the future counts as sent when it was read."""
        return self.sent or self.received.time - max(self.waited, timedelta(0))

    def age(self, now: Instant) -> timedelta:
        """Return how long it has waited; one dated in the future counts from the time at which it was read."""
        return max(self.waited, timedelta(0)) + now.since(self.received)

    def received_again(self, now: Instant) -> PendingDecision:
        """Return it as if it had been made and received just now: it could not be sized before."""
        return replace(self, received=now, waited=timedelta(0), sent=self.sent_at, left_since=None)

    @property
    def expiry(self) -> str:
        """The time at which it expires, as text."""
        return f"{self.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if self.expires_at is not None else "never"

    def expired(self, now: datetime) -> bool:
        """Return whether it has expired, so that it must not be sized."""
        return self.expires_at is not None and now.astimezone(UTC) >= self.expires_at


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
    NOTHING_TO_AMEND = "nothing to amend"
    NOTHING_TO_PROTECT = "nothing to protect"
    UNDER_VALIDATION = "portfolio is under validation"
    CLOSED = "portfolio is closed"
    OTHER_SOURCE = "other price source"


def reason_code(status: str, reason: str) -> str:
    """Return the code of an outcome's reason, such as ``no_price``; the status where the reason is free text."""
    return Reason(name).name.lower() if (name := reason.partition(":")[0]) in REASONS else str(status)


REASONS = frozenset(Reason)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The end of a decision without an order.

    Attributes:
        with_it: of a CANCEL: the ends of the decisions that end with it, in one transaction.
    """

    decision_id: DecisionId
    portfolio: PortfolioName
    status: OutcomeStatus
    reason: Reason
    detail: str
    with_it: tuple[Refusal, ...] = ()

    @property
    def together(self) -> tuple[Refusal, ...]:
        """All that end together: it comes last."""
        return (*self.with_it, self)

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
        outcome: with the status ``open`` while its order rests; None while it is pending, as a new decision is.
    """

    decision_id: DecisionId
    outcome: Outcome | None


def status_of(reason: Reason) -> OutcomeStatus:
    """Return the status that a decision without an order has for a reason."""
    if reason in {Reason.HOLD, Reason.LOW_CONFIDENCE}:
        return OutcomeStatus.IGNORED
    return OutcomeStatus.EXPIRED if reason is Reason.EXPIRED else OutcomeStatus.REJECTED


def refuse(decision: PendingDecision, reason: Reason, detail: str) -> Refusal:
    """Return the refusal of a decision, with the status that belongs to the reason."""
    return Refusal(decision.id, decision.portfolio, status_of(reason), reason, detail)
