"""The smallest commission and order of a portfolio that is created, by SQL and by the start."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from actors.system import TradingSystem
from domain.currencies import ABOUT_ONE_DOLLAR, ALIASES, smallest_amounts
from domain.errors import SettingsError
from persistence import schema
from persistence.stores import portfolios
from tests.support.system.running_system import isolated_settings

ROWS = "SELECT currency, min_commission, min_notional FROM paper_trading_config WHERE portfolio <> 'default'"


def test_an_insert_gets_the_defaults_of_its_currency(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    currencies = {*ABOUT_ONE_DOLLAR, *ALIASES, "WHATEVER"}
    with psycopg.connect(embedded_url) as connection:
        for currency in currencies:
            connection.execute(
                "INSERT INTO paper_trading_config (portfolio, currency) VALUES (%s, %s)", [f"in {currency}", currency]
            )
        rows = connection.execute(ROWS).fetchall()
    assert {currency: tuple(smallest_amounts(currency)) for currency in currencies} == {
        currency: tuple(amounts) for currency, *amounts in rows
    }


def test_an_insert_may_state_its_own(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    values = {"currency": "BTC", "initial_capital": 1, "min_commission": Decimal("0.5")}
    portfolios.create(embedded_url, "own", values)
    with psycopg.connect(embedded_url) as connection:
        assert [("BTC", Decimal("0.5"), Decimal("0.0001"))] == connection.execute(ROWS).fetchall()


@pytest.mark.slow
def test_a_start_refuses_a_default_that_eats_the_capital_and_keeps_what_is_stored(empty_embedded_url: str) -> None:
    small = isolated_settings(empty_embedded_url, initial_capital=500)
    with pytest.raises(SettingsError, match=r"would be 1 USDT, more than 0.1 % of the capital, 500"):
        TradingSystem.start(small)
    with TradingSystem.start(isolated_settings(empty_embedded_url, initial_capital=500, min_commission=1)) as system:
        assert Decimal(1) == system.ledger_reader.portfolio("default")["min_commission"]
    with TradingSystem.start(small) as system:  # the portfolio is there already
        assert Decimal(1) == system.ledger_reader.portfolio("default")["min_commission"]
