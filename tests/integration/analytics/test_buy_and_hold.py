"""Buying and holding at the stored prices of a real database: known by hand, or not known with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy.engine import Engine

from domain.analytics.report import Report
from persistence import schema
from persistence.connections import engine_for
from tests.support.database.reports import report_now
from tests.support.database.servers import Server
from tests.support.system.report_databases import BEGUN, Sold, sell, value

pytestmark = pytest.mark.clock

DAY = timedelta(days=1)
END = BEGUN + 2 * DAY
PRICES = {
    "BTC/USDT": [(-2 * DAY, "200"), (-timedelta(hours=1), "100"), (DAY, "150"), (2 * DAY - timedelta(hours=1), "130"),
                 (3 * DAY, "1")],
    "ETH/USDT": [(timedelta(minutes=30), "10"), (DAY, "12")],
    "LATE/USDT": [(timedelta(hours=2), "10"), (DAY, "12")],
    "GONE/USDT": [(-DAY, "10"), (-DAY + timedelta(hours=1), "12")],
    "OLD/USDT": [(-9 * DAY, "10"), (timedelta(hours=2), "12"), (DAY, "12")],
}  # fmt: skip
"""Prices of the source ``simulated``, by their distance from the first fill."""


@pytest.fixture(scope="module")
def engine(embedded_server: Server) -> Iterator[Engine]:
    made = embedded_server.create_database()
    schema.upgrade(made)
    sell(made, Sold("one", "100", "110"))
    value(made, "one", BEGUN - DAY, "1000")  # the portfolio began then
    with psycopg.connect(made) as connection:
        for symbol, prices in PRICES.items():
            for after, price in prices:
                connection.execute(
                    "INSERT INTO market_prices (time, symbol, source, price, price_time) VALUES (%s, %s, %s, %s, %s)",
                    [BEGUN + after, symbol, "simulated", Decimal(price), BEGUN + after],
                )
        # Prices of another source, in between and after the others.
        for symbol, at in (("XRP/USDT", BEGUN), ("BTC/USDT", BEGUN + DAY - timedelta(minutes=1)), ("BTC/USDT", END)):
            connection.execute(
                "INSERT INTO market_prices (time, symbol, source, price, price_time)"
                " VALUES (%(at)s, %(symbol)s, 'kraken', 999, %(at)s)",
                {"at": at, "symbol": symbol},
            )
    engine = engine_for(made, "reader")
    yield engine
    engine.dispose()
    embedded_server.drop_database(made)


def changes(report: Report) -> dict[str, Decimal | str | None]:
    return {one.name: one.change.value if one.change.reason is None else one.change.reason for one in report.benchmarks}


def test_from_the_first_fill_to_the_end_at_the_stored_prices(engine: Engine) -> None:
    report = report_now(engine, "one", until=END)
    # BTC from the last price before the fill to the last one before the end; ETH from the first one within the hour.
    assert {"BTC/USDT": Decimal("0.3"), "ETH/USDT": Decimal("0.2")} == changes(report)
    bitcoin, ether = report.benchmarks
    assert ((True, True), (False, True)) == ((bitcoin.traded, bitcoin.named), (ether.traded, ether.named))
    assert (BEGUN, END) == (bitcoin.since, bitcoin.until)
    by_time = {point.time: point.change for point in bitcoin.curve}
    assert (201, 0, Decimal("0.5")) == (len(by_time), by_time[BEGUN], by_time[BEGUN + DAY])


def test_a_symbol_may_be_named_as_people_type_it(engine: Engine) -> None:
    report = report_now(engine, "one", until=END, named=["eth-usdt"])
    assert ["BTC/USDT", "ETH/USDT"] == list(changes(report))


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        ("DOGE/USDT", "no price of DOGE/USDT is stored"),
        ("LATE/USDT", "the stored prices of LATE/USDT begin at 2026-01-10 14:00 UTC, too late"),
        ("OLD/USDT", "no price of OLD/USDT is stored for the 4 days before 2026-01-10 12:00 UTC"),
        ("XRP/USDT", "the stored prices of XRP/USDT are of source kraken, unlike the portfolio's"),
    ],
)
def test_what_is_not_known_says_why(engine: Engine, symbol: str, reason: str) -> None:
    assert reason == changes(report_now(engine, "one", until=END, named=[symbol]))[symbol]


def test_prices_that_ended_long_before_the_end(engine: Engine) -> None:
    late = report_now(engine, "one", until=BEGUN + 5 * DAY, named=["GONE/USDT"])
    assert "the last stored price of GONE/USDT is of 2026-01-09 13:00 UTC" == changes(late)["GONE/USDT"]


def test_a_period_without_a_position_is_compared_with_nothing(engine: Engine) -> None:
    assert () == report_now(engine, "one", until=BEGUN).benchmarks
    assert () == report_now(engine, "one", since=BEGUN + DAY, until=END).benchmarks
    held = report_now(engine, "one", since=BEGUN + timedelta(minutes=30), until=END)
    assert [BEGUN + timedelta(minutes=30)] * 2 == [one.since for one in held.benchmarks]
    assert () == report_now(engine, "one", until=END, strategy="(none)").benchmarks
