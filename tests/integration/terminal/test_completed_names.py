"""Names in the database that a shell completes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import psycopg
import pytest
import typer

from console import completion
from persistence.stores import portfolios


@pytest.fixture
def context(embedded_url: str) -> typer.Context:
    """The context of a command line that names the database."""
    for name in ("second", "Special", "other"):
        portfolios.create(embedded_url, name, {"initial_capital": 1000})
    with psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute("SET paper.writer = 'PriceTracker'")
        connection.execute(
            "INSERT INTO market_prices (time, symbol, source, price, price_time)"
            " SELECT now() - n * interval '1 s', symbol, 'simulated', 1, now()"
            " FROM generate_series(1, 3) n, unnest(ARRAY['ETH/USDT', 'BTC/USDT', 'BNB/USDT']) symbol"
        )
    return cast("typer.Context", SimpleNamespace(params={"database_url": embedded_url}))


def test_portfolios_and_symbols_are_completed(context: typer.Context) -> None:
    assert ["Special", "other", "second"] == sorted(completion.portfolio_names(context, ""))
    assert ["Special"] == completion.portfolio_names(context, "S")
    assert ["BNB/USDT", "BTC/USDT", "ETH/USDT"] == completion.symbol_names(context, "")
    assert ["BTC/USDT"] == completion.symbol_names(context, "BT")
