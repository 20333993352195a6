"""The conditions of a filter: only those that are wanted, with bound values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from persistence.queries.listing.row_filter import FLAT_SYMBOL, NAMED_ID, RowFilter, RowList, flat_symbol

LIST = RowList("SELECT * FROM t {where}", time="at", order="a", limited_order="at DESC")


@pytest.mark.parametrize(
    ("wanted", "conditions"),
    [
        (
            RowFilter("it's", strategy="x", status="open", since=datetime(2026, 1, 31, tzinfo=UTC)),
            f"portfolio = {NAMED_ID} AND strategy = :strategy AND status = :status AND at >= :since",
        ),
        (RowFilter(strategy="(none)"), "nullif(strategy, '') IS NULL"),
        (RowFilter(status="pending"), "status = :status AND processed_at IS NULL"),
        (
            RowFilter(symbol="btc/usdt"),
            f"(symbol = :symbol OR :flat_symbol <> '' AND {FLAT_SYMBOL} = :flat_symbol)",
        ),
    ],
)
def test_only_what_is_wanted_is_a_condition(wanted: RowFilter, conditions: str) -> None:
    assert f"SELECT * FROM t WHERE {conditions} ORDER BY a LIMIT :limit" == LIST.query(wanted)


def test_all_rows_have_no_condition_and_a_limited_number_its_own_order() -> None:
    assert "SELECT * FROM t  ORDER BY a LIMIT :limit" == LIST.query(RowFilter())
    assert "SELECT * FROM t  ORDER BY at DESC LIMIT :limit" == LIST.query(RowFilter(limit=3))


def test_values_are_bound() -> None:
    wanted = RowFilter("it's", "btc-usdt", "x' OR true", "open", datetime(2026, 1, 31, tzinfo=UTC), 7)
    assert {
        "portfolio": "it's",
        "symbol": "btc-usdt",
        "flat_symbol": "BTCUSDT",
        "strategy": "x' OR true",
        "status": "open",
        "since": datetime(2026, 1, 31, tzinfo=UTC),
        "limit": 7,
    } == wanted.parameters


@pytest.mark.parametrize(("symbol", "flat"), [("btc/usdt", "BTCUSDT"), (" BTC-USDT ", "BTCUSDT"), ("比特", "")])
def test_usual_spellings_of_a_symbol_are_the_same(symbol: str, flat: str) -> None:
    assert flat == flat_symbol(symbol)
