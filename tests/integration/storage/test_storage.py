"""What grows: sizes and their growth, and prices that are thinned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import psycopg
import pytest

from persistence import schema
from persistence.lease import Lease
from persistence.queries.row_lists import LedgerReader
from persistence.storage import timescale
from persistence.storage.store import BATCH, StorageStore
from persistence.stores.prices import PriceStore
from tests.support.captured_log import captured_log
from tests.support.system.running_system import running_system

DAY = timedelta(days=1)
WRITER = "SET paper.writer = 'Storage'"
PRICE = """
INSERT INTO market_prices (time, symbol, source, price, bid, ask, price_time, high, low, bid_high, ask_low)
VALUES (%(at)s, %(symbol)s, %(source)s, %(price)s, 1, 2, %(at)s, %(high)s, %(low)s, %(bid_high)s, %(ask_low)s)
"""
ROWS = "SELECT time, price, high, low, bid_high, ask_low FROM market_prices WHERE symbol = %s ORDER BY time, source"


class World(NamedTuple):
    url: str
    store: StorageStore

    def execute(self, *statements: str, **values: object) -> list[tuple[object, ...]]:
        """Run statements in one transaction; return the rows of the last one."""
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description is not None else []

    def hours_ago(self, hours: float) -> datetime:
        """Return a whole minute, so many hours before the database's present one."""
        ((now,),) = self.execute("SELECT date_trunc('minute', clock_timestamp())")
        assert isinstance(now, datetime)
        return now - timedelta(hours=hours)

    def sample(self) -> bool:
        ((now,),) = self.execute("SELECT clock_timestamp()")
        assert isinstance(now, datetime)
        return self.store.sample(now)

    def seconds(self, symbol: str, begin: datetime, number: int, source: str = "test") -> None:
        """Store a price of each second: 1, 2, 3, …, and once every minute an extreme that lies between two prices."""
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.executemany(PRICE, [
                {"at": begin + timedelta(seconds=n), "symbol": symbol, "source": source, "price": n + 1,
                 "high": n + 1 + (1000 if n % 60 == 30 else 0), "low": n + 1, "bid_high": n, "ask_low": n + 2}
                for n in range(number)
            ])  # fmt: skip

    def prices(self, symbol: str) -> list[tuple[datetime, Decimal]]:
        with psycopg.connect(self.url) as connection:
            return [(row[0], row[1]) for row in connection.execute(ROWS, [symbol]).fetchall()]


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    lease = Lease.take(database_url)
    schema.upgrade(database_url)
    lease.begin_epoch()
    with closing(StorageStore(database_url, lease)) as store:
        yield World(database_url, store)
    lease.release()


def thinned(world: World, symbol: str) -> list[int]:
    """Thin all that is due; return how many rows each batch removed."""
    batches = []
    while (removed := world.store.thin(symbol, world.hours_ago(0) - DAY)) is not None:
        batches.append(removed)
    return batches


@pytest.mark.clock
def test_of_each_minute_the_last_price_stays_with_the_extremes_of_all(world: World) -> None:
    begin = world.hours_ago(26)
    world.seconds("NEW/USDT", begin, 180)
    world.seconds("NEW/USDT", begin, 2, "other")
    assert [120 + 57 + 1] == thinned(world, "NEW/USDT")[:1]
    with psycopg.connect(world.url) as connection:
        rows = connection.execute(ROWS, ["NEW/USDT"]).fetchall()
    ends = [begin + timedelta(seconds=n) for n in (1, 59, 119, 179)]
    expected = [(2, 2, 1, 1, 2), (60, 1031, 1, 59, 2), (120, 1091, 61, 119, 62), (180, 1151, 121, 179, 122)]
    assert [(at, *map(Decimal, row)) for at, row in zip(ends, expected, strict=True)] == rows
    ((removed, until),) = world.execute("SELECT removed, until FROM paper_thinned_prices")
    assert (178, begin + BATCH) == (removed, until)
    assert [] == thinned(world, "NEW/USDT")  # again it changes nothing
    with closing(LedgerReader(world.url)) as reader:
        assert 178 == reader.storage().thinned_prices


@pytest.mark.clock
def test_extremes_are_unknown_where_one_row_has_none(world: World) -> None:
    begin = world.hours_ago(30)
    world.seconds("NEW/USDT", begin, 3)
    world.execute("UPDATE market_prices SET high = NULL, low = NULL, bid_high = NULL, ask_low = NULL WHERE price = 2")
    assert [2] == thinned(world, "NEW/USDT")
    assert [(Decimal(3), None, None, Decimal(2), Decimal(2))] == [
        row[1:] for row in world.execute("SELECT time, price, high, low, bid_high, ask_low FROM market_prices")
    ]


@pytest.mark.clock
def test_prices_of_the_last_day_stay_and_the_rest_goes_on_where_it_ended(world: World) -> None:
    begin = world.hours_ago(24.05)  # 3 minutes are old enough, perhaps a fourth
    world.seconds("NEW/USDT", begin, 10 * 60)
    (removed,) = thinned(world, "NEW/USDT")
    assert removed in {3 * 59, 4 * 59}
    assert 600 - removed == len(world.prices("NEW/USDT"))
    world.execute(WRITER, "UPDATE paper_thinned_prices SET until = until - interval '1 hour'")  # as if it was cut off
    assert [0] == thinned(world, "NEW/USDT")[:1]


@pytest.mark.clock
def test_only_symbols_that_nothing_ever_named_are_thinned(world: World) -> None:
    for symbol in ("ADA/USDT", "BTC/USDT", "BTC-USD", "DOT/USDT", "ETHFI/USD", "NEW/USDT", "SOL/USDT"):
        world.seconds(symbol, world.hours_ago(26), 1)
    assert [] == world.store.untraded_symbols()  # nobody has looked yet
    world.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('dot-usdt', 'BUY', 1)")
    world.execute(
        "INSERT INTO trading_decisions (symbol, decision, confidence, created_at)"
        " VALUES ('SOLUSDT', 'HOLD', 1, now() - interval '300 days')"
    )
    assert world.sample()
    assert ["ADA/USDT", "ETHFI/USD", "NEW/USDT"] == world.store.untraded_symbols()
    world.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('ADA/USDT', 'BUY', 1)")
    assert not world.sample()  # it is young
    world.execute(WRITER, "UPDATE paper_storage_samples SET at = at - interval '1 hour'")
    assert world.sample()
    assert ["ETHFI/USD", "NEW/USDT"] == world.store.untraded_symbols()


@pytest.mark.clock
def test_a_symbol_that_was_bought_is_never_thinned(database_url: str) -> None:
    with running_system(database_url) as system:
        system.execute_order(symbol="SOL/USDT", side="BUY", quantity="1")
    lease = Lease.take(database_url)
    lease.begin_epoch()
    with closing(StorageStore(database_url, lease)) as store:
        world = World(database_url, store)
        for symbol in ("SOL/USDT", "NEW/USDT"):
            world.seconds(symbol, world.hours_ago(26), 1)
        world.sample()
        assert "SOL/USDT" not in store.untraded_symbols()
        assert "NEW/USDT" in store.untraded_symbols()
    lease.release()


@pytest.mark.clock
def test_the_growth_of_a_day_is_known_after_an_hour(world: World) -> None:
    def bytes_a_day() -> tuple[int | None, datetime | None]:
        with closing(LedgerReader(world.url)) as reader:
            one = reader.storage()
            assert list(one.tables) == sorted(one.tables, key=lambda name: (-one.tables[name], name))
            assert one.bytes == sum(one.tables.values())
            assert one.bytes < one.database_bytes
            return one.bytes_per_day, one.since

    assert world.sample()
    assert (None, None) == bytes_a_day()
    world.execute(WRITER, "UPDATE paper_storage_samples SET at = at - interval '59 minutes'")
    assert (None, None) == bytes_a_day()
    world.execute(WRITER, "UPDATE paper_storage_samples SET at = now() - interval '12 hours',"
                  " tables = jsonb_set(tables, '{market_prices}', '0')")  # fmt: skip
    with closing(LedgerReader(world.url)) as reader:
        one = reader.storage()
    assert one.bytes_per_day is not None
    twice = 2 * one.tables["market_prices"]
    assert abs(one.tables_per_day["market_prices"] - twice) <= twice * 0.01
    assert abs(one.bytes_per_day - sum(one.tables_per_day.values())) <= len(one.tables)
    # The oldest sample of the last day counts; an older one only where there is no other.
    world.execute(
        WRITER,
        "INSERT INTO paper_storage_samples SELECT now() - interval '3 days', 0, '{}'",
        "INSERT INTO paper_storage_samples SELECT now() - interval '40 days', 0, '{}'",
    )
    with closing(LedgerReader(world.url)) as reader:
        assert one.since == reader.storage().since
        world.execute(WRITER, "DELETE FROM paper_storage_samples WHERE at > now() - interval '1 day'")
        older = reader.storage()
    assert older.bytes_per_day is not None
    assert abs(older.bytes_per_day - older.bytes / 3) <= older.bytes * 0.01


def test_a_hypertable_counts_with_its_chunks(world: World) -> None:
    world.seconds("NEW/USDT", datetime.fromisoformat("2026-01-05T00:00:00+00:00"), 3_000)
    with closing(LedgerReader(world.url)) as reader:
        sizes = reader.storage().tables
    assert 300_000 < sizes["market_prices"] < 2_000_000
    assert "paper_schema_version" in sizes


def test_old_prices_go_by_the_day(world: World) -> None:
    begin = world.hours_ago(24 * 33)
    world.seconds("NEW/USDT", begin, 10)
    world.seconds("NEW/USDT", world.hours_ago(1), 10)
    with closing(PriceStore(world.url, world.store._lease)) as prices:
        assert prices.forget(world.hours_ago(24 * 30)) in {1, 10}  # a chunk, or the rows
    assert 10 == len(world.prices("NEW/USDT"))


@pytest.mark.parametrize("statement", ["DELETE FROM trading_decisions", "TRUNCATE trading_decisions"])
def test_a_decision_that_has_ended_is_never_deleted(embedded_url: str, statement: str) -> None:
    schema.upgrade(embedded_url)
    insert = "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 1)"
    with psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(insert)
        connection.execute(statement)  # one that waits may go
        assert (0,) == connection.execute("SELECT count(*) FROM trading_decisions").fetchone()
        connection.execute(insert)
        connection.execute("UPDATE trading_decisions SET status = 'cancelled', processed_at = now()")
        with pytest.raises(
            psycopg.errors.CheckViolation, match="never deleted: the books and reports refer to"
        ) as error:
            connection.execute(statement)
        if statement.startswith("DELETE"):
            text = "decision 2 has ended (cancelled) and is never deleted: the books and reports refer to it"
            assert text == error.value.diag.message_primary
        connection.execute("SET paper.writer = 'PositionKeeper'")  # the owner's way, as for all tables
        connection.execute(statement)


@pytest.mark.clock
def test_the_sizes_are_json_numbers(world: World) -> None:
    world.sample()
    ((tables,),) = world.execute("SELECT tables::text FROM paper_storage_samples")
    assert isinstance(tables, str)
    assert all(isinstance(number, int) for number in json.loads(tables).values())


@pytest.mark.parametrize(
    ("licence", "level", "reason"),
    [
        ("timescale", "INFO", "TimescaleDB runs under the license apache, without it"),
        ("apache", "WARNING", 'functionality not supported under the current "apache" license'),  # as if it had it
    ],
)
def test_where_prices_cannot_be_compressed_the_start_says_so_once_and_goes_on(
    timescale_url: str, monkeypatch: pytest.MonkeyPatch, licence: str, level: str, reason: str
) -> None:
    monkeypatch.setattr(timescale, "COMMUNITY", licence)
    with captured_log("persistence.storage.timescale") as log:
        schema.upgrade(timescale_url)
    (line,) = log
    assert line.startswith(f"{level} market_prices is not compressed: {reason}"), line
    assert schema.is_current(timescale_url)
    with psycopg.connect(timescale_url) as connection:
        hypertables = connection.execute(
            "SELECT hypertable_name::text, time_interval FROM timescaledb_information.dimensions ORDER BY 1"
        ).fetchall()
    week = timedelta(days=7)
    assert [("market_prices", DAY), ("paper_portfolio_snapshots", week), ("paper_trades", week)] == hypertables
