"""Terms of an order that do not fit together are refused by the same sentence in Python and in SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from domain.errors import InvalidDecision
from domain.trading.decision import Decision
from persistence import schema
from persistence.stores.decision_rows import row_flaw, row_terms
from tests.support.database.servers import Server

GOOD: dict[str, Any] = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": "0.75"}
LIMIT = {"order_type": "limit", "limit_price": "100"}
STOP = {"order_type": "stop", "stop_price": "100"}
STOP_LIMIT = {"order_type": "stop_limit", "stop_price": "100", "limit_price": "101"}
EXPIRES = "2030-01-01T00:00:00Z"
CANCEL = {"decision": "CANCEL", "target": "19"}
TRAILING = {"order_type": "trailing_stop", "trail": "5"}
AMEND = {"decision": "AMEND", "target": "19"}
PROTECT = {"decision": "PROTECT"}

TARGET = "a CANCEL or AMEND needs a target, and no other decision has one"
TERMS = "only a BUY or SELL has terms such as order_type or limit_price"
LIMIT_PRICE = "limit_price needs order_type limit or stop_limit"
NO_LIMIT_PRICE = "order_type limit and stop_limit need a limit_price"
STOP_PRICE = "stop_price needs order_type stop or stop_limit"
NO_STOP_PRICE = "order_type stop and stop_limit need a stop_price"
MARKET_FORCE = "a market order has no time_in_force"
AT_ONCE = "time_in_force IOC and FOK are for limit orders"
EXPIRY = "order_expires_at needs time_in_force GTD"
NO_EXPIRY = "time_in_force GTD needs an order_expires_at"
POST_ONLY = "post_only is for limit orders that may rest: GTC, GTD or DAY"
REDUCE_ONLY = "reduce_only is for a SELL"
EXITS = "stop_loss, take_profit, trailing_stop are for a BUY or PROTECT"
SHARES = "the shares of take_profits add up to at most 1"
ONE_TARGET = "only one of take_profit and take_profits may be set"
TARGETS = "take_profits must be 1 to 10 of price or pct, each with a share"
ONE_STOP = "only one of stop_loss and trailing_stop may be set"
TRAIL = "a trailing_stop order, and no other, has a trail or a trail_pct"
BOTH = "an exit has a price or a fraction, not both"
NEW_VALUE = "an AMEND needs a quantity, price, trail or order_expires_at"
ONLY_VALUES = "an AMEND sets only quantity, prices, trail and order_expires_at"
ONE_TRAIL = "an AMEND has a trail or a trail_pct, not both"
ONLY_EXITS = "a PROTECT sets only stop_loss, take_profit and trailing_stop"
SYMBOL = "only a CANCEL or AMEND may have the symbol *"

REFUSED: list[tuple[str, dict[str, Any]]] = [
    (TARGET, {"decision": "CANCEL"}),
    (TARGET, {"target": "19"}),
    (TARGET, {"decision": "HOLD", "target": "all"}),
    (TERMS, {"decision": "HOLD", **LIMIT}),
    (TERMS, {"decision": " hold ", "stop_loss": "90"}),
    (TERMS, {**CANCEL, **STOP}),
    (LIMIT_PRICE, {"limit_price": "100"}),
    (NO_LIMIT_PRICE, {"order_type": "limit"}),
    (LIMIT_PRICE, {**STOP, "limit_price": "100"}),
    (NO_LIMIT_PRICE, {"order_type": "stop_limit", "stop_price": "100"}),
    (STOP_PRICE, {"stop_price": "100"}),
    (NO_STOP_PRICE, {"order_type": "stop"}),
    (STOP_PRICE, {**LIMIT, "stop_price": "100"}),
    (NO_STOP_PRICE, {"order_type": "stop_limit", "limit_price": "100"}),
    (MARKET_FORCE, {"time_in_force": "GTC"}),
    (MARKET_FORCE, {"time_in_force": "IOC"}),
    (AT_ONCE, {**STOP, "time_in_force": "IOC"}),
    (AT_ONCE, {**STOP_LIMIT, "time_in_force": "FOK"}),
    (NO_EXPIRY, {**LIMIT, "time_in_force": "GTD"}),
    (EXPIRY, {**LIMIT, "order_expires_at": EXPIRES}),
    (EXPIRY, {**STOP, "time_in_force": "GTC", "order_expires_at": EXPIRES}),
    (EXPIRY, {**LIMIT, "time_in_force": "DAY", "order_expires_at": EXPIRES}),
    (MARKET_FORCE, {"time_in_force": "DAY"}),
    (MARKET_FORCE, {**AMEND, "quantity": "1", "time_in_force": "DAY"}),
    (POST_ONLY, {"post_only": "true"}),
    (POST_ONLY, {**STOP, "post_only": "true"}),
    (POST_ONLY, {**LIMIT, "time_in_force": "IOC", "post_only": "true"}),
    (REDUCE_ONLY, {"reduce_only": "true"}),
    (REDUCE_ONLY, {**LIMIT, "reduce_only": "true"}),
    (EXITS, {"decision": "SELL", "stop_loss": "90"}),
    (EXITS, {"decision": "SELL", "take_profit_pct": "0.1"}),
    (BOTH, {"stop_loss": "90", "stop_loss_pct": "0.1"}),
    (BOTH, {"take_profit": "110", "take_profit_pct": "0.1"}),
    (BOTH, {"trailing_stop": "5", "trailing_stop_pct": "0.1"}),
    (EXITS, {"decision": "SELL", "trailing_stop": "5"}),
    (EXITS, {"decision": "SELL", **TRAILING, "trailing_stop_pct": "0.1"}),
    (ONE_STOP, {"stop_loss": "90", "trailing_stop": "5"}),
    (ONE_STOP, {"stop_loss_pct": "0.1", "trailing_stop_pct": "0.1"}),
    (SHARES, {"take_profits": '[{"price": 110, "share": 0.5}, {"pct": 0.1, "share": 0.50000001}]'}),
    (ONE_TARGET, {"take_profit": "110", "take_profits": '[{"price": 110, "share": 1}]'}),
    (EXITS, {"decision": "SELL", "take_profits": '[{"price": 110, "share": 1}]'}),
    (TERMS, {"decision": "HOLD", "take_profits": '[{"price": 110, "share": 1}]'}),
    (TRAIL, {"trail": "5"}),
    (TRAIL, {"order_type": "trailing_stop"}),
    (TRAIL, {**STOP, "trail_pct": "0.1"}),
    (TRAIL, {**TRAILING, "trail_pct": "0.1"}),
    (STOP_PRICE, {**TRAILING, "stop_price": "100"}),
    (LIMIT_PRICE, {**TRAILING, "limit_price": "100"}),
    (AT_ONCE, {**TRAILING, "time_in_force": "IOC"}),
    (POST_ONLY, {**TRAILING, "post_only": "true"}),
    (TRAIL, {"decision": "HOLD", "trail": "5"}),
    (TERMS, {"decision": "HOLD", "trailing_stop": "5"}),
    (SYMBOL, {"symbol": "*"}),
    (SYMBOL, {"symbol": "*", "decision": "HOLD"}),
    (TARGET, {"decision": "AMEND", "limit_price": "100"}),
    (NEW_VALUE, AMEND),
    (NEW_VALUE, {**AMEND, "symbol": "*"}),
    (ONLY_VALUES, {**AMEND, **LIMIT}),
    (ONLY_VALUES, {**AMEND, "limit_price": "100", "post_only": "true"}),
    (ONLY_VALUES, {**AMEND, "quantity": "1", "stop_loss": "90"}),
    (ONLY_VALUES, {**AMEND, "quantity": "1", "take_profit_pct": "0.1"}),
    (ONLY_VALUES, {**AMEND, **TRAILING}),
    (ONLY_VALUES, {**AMEND, "quantity": "1", "trailing_stop": "5"}),
    (ONE_TRAIL, {**AMEND, "trail": "5", "trail_pct": "0.1"}),
    (SYMBOL, {**PROTECT, "symbol": "*", "stop_loss": "90"}),
    (TARGET, {**PROTECT, "target": "19"}),
    (ONLY_EXITS, {**PROTECT, "quantity": "1", "stop_loss": "90"}),
    (ONLY_EXITS, {**PROTECT, **LIMIT}),
    (ONLY_EXITS, {**PROTECT, **STOP}),
    (ONLY_EXITS, {**PROTECT, **TRAILING}),
    (ONLY_EXITS, {**PROTECT, "stop_loss": "90", "post_only": "true"}),
    (ONLY_EXITS, {**PROTECT, "reduce_only": "true"}),
    (BOTH, {**PROTECT, "stop_loss": "90", "stop_loss_pct": "0.1"}),
    (ONE_STOP, {**PROTECT, "stop_loss": "90", "trailing_stop": "5"}),
    (ONE_TARGET, {**PROTECT, "take_profit": "110", "take_profits": '[{"price": 110, "share": 1}]'}),
    # Where several hold, the first in alphabetical order.
    (MARKET_FORCE, {"time_in_force": "GTC", "limit_price": "100", "post_only": "true"}),
    (BOTH, {"decision": "SELL", "stop_loss": "90", "stop_loss_pct": "0.1"}),
]

ONE_PART = '{"price": 1, "share": 0.01}'
NO_TARGETS = (
    "[]", '{"price": 1, "share": 1}', '[{"price": 1}]', '[{"share": 1}]', '[{"price": 1, "pct": 1, "share": 1}]',
    '[{"price": 1, "share": 1, "x": 1}]', '[{"price": 0, "share": 1}]', '[{"price": 1, "share": 0}]', "[1]",
    "[null]", '[{"price": 1, "share": 1.01}]', '[{"price": null, "share": 1}]', '[{"price": 1e20, "share": 1}]',
    '[{"price": 1, "share": 1e-19}]', f"[{', '.join([ONE_PART] * 11)}]",
)  # fmt: skip

VALUES = [
    ("order_type: market, limit, stop, stop_limit or trailing_stop", {"order_type": "iceberg"}),
    ("order_type: market, limit, stop, stop_limit or trailing_stop", {"order_type": ""}),
    ("time_in_force must be GTC, IOC, FOK, GTD or DAY", {**LIMIT, "time_in_force": "GTX"}),
    ("limit_price must be a number above 0", {"order_type": "limit", "limit_price": "NaN"}),
    ("limit_price must be a number above 0", {"order_type": "limit", "limit_price": "0"}),
    ("stop_price must be a number above 0", {"order_type": "stop", "stop_price": "-1"}),
    ("stop_loss must be a number above 0", {"stop_loss": "0"}),
    ("stop_loss_pct must be a number above 0 and below 1", {"stop_loss_pct": "1"}),
    ("stop_loss_pct must be a number above 0 and below 1", {"stop_loss_pct": "NaN"}),
    ("take_profit must be a number above 0", {"take_profit": "NaN"}),
    ("take_profit_pct must be a number above 0", {"take_profit_pct": "0"}),
    *((TARGETS, {"take_profits": text}) for text in NO_TARGETS),
    ("trail must be a number above 0", {**TRAILING, "trail": "0"}),
    ("trail_pct must be a number above 0 and below 1", {"order_type": "trailing_stop", "trail_pct": "1"}),
    ("trailing_stop must be a number above 0", {"trailing_stop": "NaN"}),
    ("trailing_stop_pct must be a number above 0 and below 1", {"trailing_stop_pct": "0"}),
    ("order_expires_at must be a moment",
     {**LIMIT, "time_in_force": "GTD", "order_expires_at": "9999-12-31T23:59:59Z"}),
    ("target must be 1 to 100 characters", {"decision": "CANCEL", "target": " "}),
    ("target must be 1 to 100 characters", {"decision": "CANCEL", "target": "x" * 101}),
]  # fmt: skip

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"stop_loss": "90", "take_profit_pct": "0.5"},
    LIMIT,
    {**LIMIT, "time_in_force": "FOK"},
    {**LIMIT, "time_in_force": "DAY", "post_only": "true"},
    {**STOP, "time_in_force": "DAY"},
    {**STOP_LIMIT, "time_in_force": "DAY"},
    {**TRAILING, "time_in_force": "DAY"},
    {**LIMIT, "time_in_force": "GTD", "order_expires_at": EXPIRES, "post_only": "true"},
    {**STOP, "time_in_force": "GTC", "stop_loss_pct": "0.05", "take_profit": "120"},
    {**STOP_LIMIT, "decision": "SELL"},
    {**TRAILING, "decision": "SELL"},
    {**TRAILING, "time_in_force": "GTD", "order_expires_at": EXPIRES, "trailing_stop_pct": "0.05"},
    {"order_type": "trailing_stop", "trail_pct": "0.1", "stop_loss_pct": "0.05"},
    {"trailing_stop": "5", "take_profit": "120"},
    {"decision": "SELL", "reduce_only": "true"},
    {**AMEND, "quantity": "1"},
    {**AMEND, "trail": "5"},
    {**AMEND, "trail_pct": "0.1", "quantity": "1"},
    {**AMEND, "limit_price": "100", "symbol": None, "confidence": None},
    {**AMEND, "stop_price": "100", "order_expires_at": EXPIRES, "decision": " amend ", "symbol": "*"},
    {"take_profits": '[{"price": 110, "share": 0.5}, {"pct": 0.1, "share": 0.5}]'},
    {"take_profits": '[{"pct": 0.125, "share": 0.1}]', "stop_loss": "90"},
    {**PROTECT, "stop_loss_pct": "0.05"},
    {**PROTECT, "confidence": None, "take_profits": '[{"price": 110, "share": 0.5}]', "trailing_stop": "5"},
    {**PROTECT, "confidence": None, "decision": " protect "},
    CANCEL,
    {**CANCEL, "symbol": None, "confidence": None},
    {**CANCEL, "decision": " cancel ", "symbol": "*"},
]
MOST_CHARACTERS = 63
"""PostgreSQL cuts longer names."""


@pytest.fixture(scope="module")
def url(server: Server) -> Iterator[str]:
    url = server.create_database()
    schema.upgrade(url)
    yield url
    server.drop_database(url)


def insert(url: str, row: dict[str, Any]) -> dict[str, Any]:
    """Insert a row as a person does; return it as the program reads it. Nothing is committed."""
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    statement = f"INSERT INTO trading_decisions ({names}) VALUES ({marks}) RETURNING *, take_profits::text"
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        stored = connection.execute(statement, list(row.values())).fetchone()
        connection.rollback()
    assert stored is not None
    return stored


@pytest.mark.parametrize(("sentence", "changes"), REFUSED, ids=[str(changes) for _, changes in REFUSED])
def test_the_same_sentence_in_python_and_in_sql(url: str, sentence: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidDecision) as refused:
        Decision(**{**GOOD, **changes})
    assert (sentence, "invalid_terms") == (str(refused.value), refused.value.code)
    with pytest.raises(psycopg.errors.CheckViolation) as refusal:
        insert(url, {**GOOD, **changes})
    assert sentence == refusal.value.diag.constraint_name
    assert MOST_CHARACTERS >= len(sentence)


@pytest.mark.parametrize(("sentence", "changes"), VALUES, ids=[str(changes)[:70] for _, changes in VALUES])
def test_a_value_that_no_order_can_have_is_refused(url: str, sentence: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidDecision) as refused:
        Decision(**{**GOOD, **changes})
    assert f"invalid_{re.split('[ :]', sentence, maxsplit=1)[0]}" == refused.value.code
    with pytest.raises(psycopg.errors.CheckViolation) as refusal:
        insert(url, {**GOOD, **changes})
    assert sentence == refusal.value.diag.constraint_name


@pytest.mark.parametrize("changes", ACCEPTED, ids=map(str, ACCEPTED))
def test_terms_that_fit_are_accepted_and_read_as_they_were_sent(url: str, changes: dict[str, Any]) -> None:
    sent = Decision(**{**GOOD, **changes})
    stored = insert(url, {**GOOD, **changes})
    assert None is row_flaw(stored)
    assert sent.confidence == stored["confidence"]
    names = (
        "symbol", "order_type", "limit_price", "stop_price", "time_in_force", "post_only", "reduce_only", "target",
        "trail", "trail_pct", "trailing_stop", "trailing_stop_pct",
    )  # fmt: skip
    assert {name: getattr(sent, name) for name in names} == {name: stored[name] for name in names}
    assert sent.order_expires_at == stored["order_expires_at"]
    assert sent.take_profits == row_terms(stored).take_profits


@pytest.mark.parametrize(
    ("sentence", "changes"),
    [
        ("order_type is 'x', which is not market, limit, stop, stop_limit or trailing_stop", {"order_type": "x"}),
        ("time_in_force is 'GTX', which is not GTC, IOC, FOK, GTD or DAY", {"time_in_force": "GTX"}),
        (NO_LIMIT_PRICE, {"order_type": "limit"}),
        (TARGET, {"target": "19"}),
    ],
)
def test_a_stored_row_is_checked_once_more(url: str, sentence: str, changes: dict[str, Any]) -> None:
    assert sentence == row_flaw({**insert(url, GOOD), **changes})


def test_an_update_of_a_term_is_refused(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('A', 'BUY', 1)")
        with pytest.raises(psycopg.errors.CheckViolation, match="a decision never changes"):
            connection.execute("UPDATE trading_decisions SET stop_loss = 1")
