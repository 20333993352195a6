"""Splits in the books of a real database, and whether its stored prices have followed them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from domain.market_data.awaited_splits import AwaitedSplit
from domain.trading.account.requests import AccountKind, Ratio
from domain.types import Symbol
from persistence.stores import portfolios
from tests.integration.orders.test_accounts import TEN_FOR_ONE, Account
from tests.integration.persistence.test_stores import Stores, real
from tests.support.values.builders import BTC, NOON

__all__ = ["real"]  # a fixture

SECOND = timedelta(seconds=1)
BACK = Ratio(Decimal(1), Decimal(10))
# The same split of a portfolio that the first one has left out, an hour later.
LEFT_OUT = """
INSERT INTO paper_positions
SELECT (jsonb_populate_record(p, '{"portfolio": "second", "position_id": "00000000-0000-0000-0000-000000000002"}')).*
FROM paper_positions p;
INSERT INTO paper_account_requests (portfolio, kind, symbol, ratio_new, ratio_old, reason, author)
VALUES ('second', 'split', 'BTC/USDT', 10, 1, 'a test', 'me');
INSERT INTO paper_account_events
SELECT (jsonb_populate_record(e, jsonb_build_object('portfolio', 'second', 'request_id', 2,
                                                    'at', e.at + interval '1 hour'))).*
FROM paper_account_events e;
"""


def see(real: Stores, at: datetime, price: str, source: str = "test") -> None:
    with psycopg.connect(real.url) as connection:
        connection.execute(
            "INSERT INTO market_prices (time, symbol, source, price, price_time) VALUES (%s, %s, %s, %s, %s)",
            [at, BTC, source, price, at],
        )


def awaited(real: Stores) -> dict[Symbol, AwaitedSplit]:
    return dict(real.prices.read().awaited)


@pytest.fixture
def account(real: Stores) -> Account:
    """A portfolio that holds 4 at a price of 100."""
    account = Account(real)
    account.price("100", "99.9", "100.1")
    account.send("BUY", "4")
    see(real, account.now, "100")
    return account


def test_a_split_is_awaited_until_a_price_follows_it(real: Stores, account: Account) -> None:
    assert {} == awaited(real)
    account.change(AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    split = AwaitedSplit(TEN_FOR_ONE, account.now, Decimal(100))
    assert {BTC: split} == awaited(real)
    see(real, account.now + SECOND, "101")
    see(real, account.now + 2 * SECOND, "10", source="another")
    assert {BTC: split} == awaited(real)
    see(real, account.now + 3 * SECOND, "10.1")
    assert {} == awaited(real)
    see(real, account.now + 4 * SECOND, "150")  # whatever comes later
    assert {} == awaited(real)
    real.prices.close()
    assert {} == awaited(real)


def test_a_split_that_is_taken_back_is_awaited_no_more(real: Stores, account: Account) -> None:
    account.change(AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    see(real, account.now + SECOND / 2, "101")
    assert {BTC} == awaited(real).keys()
    account.change(AccountKind.SPLIT, symbol=BTC, ratio=BACK)
    assert {} == awaited(real)
    see(real, account.now + SECOND / 2, "102")
    assert {} == awaited(real)


def test_a_split_of_before_the_stored_prices_is_not_awaited(real: Stores, account: Account) -> None:
    with psycopg.connect(real.url) as connection:
        connection.execute("DELETE FROM market_prices")
    account.change(AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    see(real, account.now + SECOND, "100")
    assert {} == awaited(real)


def test_a_portfolio_that_was_left_out_gets_its_split_when_the_price_has_followed(
    real: Stores, account: Account
) -> None:
    account.change(AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    see(real, account.now + SECOND, "10.1")
    portfolios.create(real.url, "second", {})
    with psycopg.connect(real.url) as connection:
        connection.execute("SET paper.writer = 'PositionKeeper'")
        connection.execute(LEFT_OUT)
        row = connection.execute("SELECT count(*), max(at) FROM paper_account_events").fetchone()
    assert (2, account.now + timedelta(hours=1)) == row
    assert account.now > NOON
    assert {} == awaited(real)
