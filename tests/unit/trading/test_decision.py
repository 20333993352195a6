"""Invalid input to `Decision`, with one message each, and the end of a decision without an order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidDecision, PaperTradingError
from domain.trading.decision import Decision, Reason, refuse
from domain.types import Action, OutcomeStatus
from tests.support.values.builders import NOON, received

pytestmark = pytest.mark.clock

GOOD: dict[str, Any] = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": "0.75"}


def sentence(**changes: object) -> str:
    """Return the error message for a valid decision with ``changes``."""
    with pytest.raises(InvalidDecision) as caught:
        Decision(**{**GOOD, **changes})
    return str(caught.value)


def test_symbol_action_and_confidence_are_a_complete_decision() -> None:
    decision = Decision(**GOOD)
    assert ("BTC/USDT", Action.BUY, Decimal("0.75")) == (decision.symbol, decision.decision, decision.confidence)
    assert "default" == decision.portfolio
    optional = ("risk_score", "reasoning", "current_price", "quantity", "strategy", "expires_at", "idempotency_key")
    assert {None} == {getattr(decision, name) for name in optional}


def test_each_decision_has_its_own_uid_by_default() -> None:
    assert Decision(**GOOD).uid != Decision(**GOOD).uid
    given_uid = UUID("12345678-1234-5678-1234-567812345678")
    assert given_uid == Decision(**GOOD, uid=given_uid).uid


def test_a_decision_never_changes() -> None:
    decision = Decision(**GOOD)
    with pytest.raises(Exception, match="frozen"):
        decision.symbol = "ETH/USDT"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("expected", "confidence"),
    [
        ("confidence = '1.5': must be at most 1", "1.5"),
        ("confidence = 1.5: must be at most 1", 1.5),
        ("confidence = '1.000000000000000001': must be at most 1", "1.000000000000000001"),
        ("confidence = '-1': must be at least 0", "-1"),
        ("confidence = -1: must be at least 0", -1),
        ("confidence = 'NaN': must be a finite number", "NaN"),
        ("confidence = nan: must be a finite number", float("nan")),
        ("confidence = NaN: must be a finite number", Decimal("NaN")),
        ("confidence = 'sNaN': must be a finite number", "sNaN"),
        ("confidence = '-Infinity': must be a finite number", "-Infinity"),
        ("confidence = inf: must be a finite number", float("inf")),
        ("confidence = 'high': must be a decimal number such as 0.75", "high"),
        ("confidence = '': must be a decimal number such as 0.75", ""),
        ("confidence = '0,75': must be a decimal number such as 0.75", "0,75"),
        ("confidence = True: must be a number, not true or false", True),
        ("confidence = None: must be a decimal number such as 0.75", None),
        (
            "confidence = '0.1234567890123456789': must have at most 18 digits after the decimal point",
            "0.1234567890123456789",
        ),
    ],
)
def test_confidence_is_from_zero_to_one(expected: str, confidence: object) -> None:
    assert expected == sentence(confidence=confidence)


@pytest.mark.parametrize(
    ("expected", "confidence"),
    [("0", 0), ("1", 1), ("0.1", 0.1), ("0.75", " 0.75 "), ("0.3", Decimal("0.3")), ("0.000000000000000001", "1e-18")],
)
def test_confidence_is_the_number_that_a_person_means(expected: str, confidence: object) -> None:
    assert Decimal(expected) == Decision(**{**GOOD, "confidence": confidence}).confidence


@pytest.mark.parametrize("field", ["quantity", "current_price"])
@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("'0': must be above 0", "0"),
        ("0: must be above 0", 0),
        ("'-0.1': must be above 0", "-0.1"),
        ("'NaN': must be a finite number", "NaN"),
        ("'Infinity': must be a finite number", "Infinity"),
        ("'ten': must be a decimal number such as 0.75", "ten"),
        ("'1e-19': must have at most 18 digits after the decimal point", "1e-19"),
        ("'1e999999999999999999999': must be a decimal number such as 0.75", "1e999999999999999999999"),
        ("b'1': must be a decimal number such as 0.75", b"1"),
    ],
)
def test_quantity_and_price_are_positive_and_finite(field: str, expected: str, value: object) -> None:
    assert f"{field} = {expected}" == sentence(**{field: value})


def test_quantity_stays_below_what_the_database_holds() -> None:
    most = "99999999999999999999.999999999999999999"
    assert Decimal(most) == Decision(**GOOD, quantity=most).quantity
    assert sentence(quantity="1e20").startswith("quantity = '1e20': must be below 100000000000000000000")


def test_a_number_of_thousands_of_digits_is_refused_in_one_sentence_too() -> None:
    assert sentence(quantity=10**5000).startswith("quantity = ")


@pytest.mark.parametrize(
    ("expected", "risk_score"),
    [
        ("risk_score = '1.01': must be at most 1", "1.01"),
        ("risk_score = '-0.1': must be at least 0", "-0.1"),
        ("risk_score = 'NaN': must be a finite number", "NaN"),
    ],
)
def test_risk_score_is_from_zero_to_one(expected: str, risk_score: str) -> None:
    assert expected == sentence(risk_score=risk_score)


@pytest.mark.parametrize(
    ("expected", "action"),
    [(Action.BUY, "buy"), (Action.SELL, " Sell "), (Action.HOLD, "hold"), (Action.BUY, Action.BUY)],
)
def test_case_of_a_decision_does_not_matter(expected: Action, action: str) -> None:
    assert expected is Decision(**{**GOOD, "decision": action}).decision


@pytest.mark.parametrize("action", ["LONG", "", None, 1, "BUY BUY"])
def test_a_decision_is_one_of_the_actions(action: object) -> None:
    assert f"decision = {action!r}: must be BUY, SELL, HOLD, CANCEL, AMEND or PROTECT" == sentence(decision=action)


@pytest.mark.parametrize("field", ["symbol", "strategy", "portfolio", "idempotency_key"])
@pytest.mark.parametrize("value", ["", "   ", "a\x00b", "a\nb", "\t"])
def test_names_are_not_empty_and_hold_no_control_characters(field: str, value: str) -> None:
    assert sentence(**{field: value}).startswith(f"{field} = {value!r}: ")


def test_names_are_at_most_a_hundred_characters_and_a_long_one_is_shown_short() -> None:
    assert Decision(**{**GOOD, "symbol": f" {'x' * 100} "}).symbol == "x" * 100
    expected = f"symbol = '{'x' * 58}…: must be at most 100 characters"
    assert expected == sentence(symbol="x" * 101)


def test_an_attempt_at_injection_is_a_symbol_like_any_other_that_nobody_trades() -> None:
    typed = "'; DROP TABLE paper_orders; --"
    assert typed == Decision(**{**GOOD, "symbol": typed}).symbol


def test_reasoning_is_free_text_that_postgresql_can_hold() -> None:
    text = "strong\nmomentum\t· 強い"
    assert text == Decision(**GOOD, reasoning=text).reasoning
    assert sentence(reasoning="a\x00b").startswith("reasoning = 'a\\x00b': ")
    assert sentence(reasoning="x" * 10_001).endswith(": must be at most 10000 characters")


def test_times_are_aware() -> None:
    expected = "expires_at = datetime.datetime(2026, 1, 5, 12, 0): must have a time zone, as in 2026-01-31T12:00:00Z"
    assert expected == sentence(expires_at=datetime(2026, 1, 5, 12))  # noqa: DTZ001
    assert "expires_at = 'tomorrow': must be a moment such as 2026-01-31T12:00:00Z" == sentence(expires_at="tomorrow")
    assert Decision(**GOOD, expires_at="2026-01-05T14:00:00+02:00").expires_at == NOON


def test_uid_is_a_uuid() -> None:
    assert "uid = 'seven': must be a UUID" == sentence(uid="seven")


def test_a_decision_has_no_other_fields() -> None:
    expected = "a decision has no 'amount'"
    assert expected == sentence(amount=1)


@pytest.mark.parametrize("field", ["symbol", "decision", "confidence"])
def test_a_decision_needs_symbol_action_and_confidence(field: str) -> None:
    with pytest.raises(InvalidDecision) as caught:
        Decision(**{name: value for name, value in GOOD.items() if name != field})
    assert f"a decision needs {field}" == str(caught.value)


def test_the_error_is_invalid_decision_without_pydantics_traceback() -> None:
    with pytest.raises(PaperTradingError) as caught:
        Decision(**{**GOOD, "confidence": "2"})
    assert (InvalidDecision, None, True) == (
        type(caught.value),
        caught.value.__cause__,
        caught.value.__suppress_context__,
    )


@given(st.fixed_dictionaries({}, optional={name: st.none() | st.text() | st.floats() | st.integers() for name in GOOD}))
def test_any_input_gives_a_decision_or_a_message_of_one_line(changes: dict[str, object]) -> None:
    message = ""
    try:
        Decision(**{**GOOD, **changes})
    except InvalidDecision as refusal:
        message = str(refusal)
    assert len(message.splitlines()) <= 1


# what became of it


def test_expired_from_expires_at_on_in_any_zone() -> None:
    decision = received(expires_at=NOON)
    assert not decision.expired(NOON - timedelta(microseconds=1))
    assert decision.expired(NOON)
    assert decision.expired(NOON.astimezone(timezone(timedelta(hours=-7))))
    assert not received().expired(datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("expected", "reason"),
    [(OutcomeStatus.IGNORED, r) for r in (Reason.HOLD, Reason.LOW_CONFIDENCE)]
    + [(OutcomeStatus.EXPIRED, Reason.EXPIRED)]
    + [(OutcomeStatus.REJECTED, r) for r in Reason if r not in {Reason.HOLD, Reason.LOW_CONFIDENCE, Reason.EXPIRED}],
)
def test_the_reason_determines_the_status_and_begins_the_sentence(expected: OutcomeStatus, reason: Reason) -> None:
    decision = received(portfolio="agent")
    refusal = refuse(decision, reason, "because")
    assert expected is refusal.status
    assert f"{reason.value}: because" == refusal.sentence
    assert (decision.id, "agent") == (refusal.decision_id, refusal.portfolio)
