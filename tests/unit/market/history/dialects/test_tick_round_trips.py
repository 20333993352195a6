"""Random trades and quotes, written as each tool writes them and read back, are the same, in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.history.conversion.rows import TickRows
from tests.support.history.dialect_files import read_file

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_DAY = datetime(2001, 9, 10, tzinfo=UTC)
EASTERN = timezone(timedelta(hours=-5))
MILLISECOND = timedelta(milliseconds=1)


class Tick(NamedTuple):
    """A trade, or the quote of a moment."""

    time: datetime
    price: Decimal
    amount: Decimal


Ticks = Sequence[Tick]


def ms(tick: Tick) -> int:
    return (tick.time - EPOCH) // MILLISECOND


def text(ticks: Ticks, row: Callable[[Tick], str], header: str = "") -> str:
    return "\n".join([*([header] if header else []), *map(row, ticks)])


TRADES: dict[str, tuple[str, Callable[[Ticks], str]]] = {
    "own": ("prices.csv", lambda ticks: text(
        ticks, lambda tick: f"{tick.time.isoformat()},BTC/USDT,{tick.price},{tick.amount}", "time,symbol,price,volume"
    )),
    "kraken": ("BTCUSDT.csv", lambda ticks: text(
        ticks, lambda tick: f"{ms(tick) // 1000}.{ms(tick) % 1000:03},{tick.price},{tick.amount}"
    )),
    "binance": ("BTCUSDT-trades-2024-01.csv", lambda ticks: text(
        ticks, lambda tick: f"1,{tick.price},{tick.amount},5.5,{ms(tick)},True,True"
    )),
    "binance aggregated": ("BTCUSDT-aggTrades-2024-01.csv", lambda ticks: text(
        ticks, lambda tick: f"1,{tick.price},{tick.amount},5,6,{ms(tick)}000,False,True"
    )),
    "freqtrade": ("BTC_USDT-trades.csv", lambda ticks: text(
        ticks, lambda tick: f"{ms(tick)},7,,buy,{tick.price},{tick.amount},1",
        "timestamp,id,type,side,price,amount,cost",
    )),
}  # fmt: skip
QUOTES: dict[str, tuple[str, Callable[[Ticks], str]]] = {
    "own": ("prices.csv", lambda ticks: text(
        ticks, lambda tick: f"{tick.time.isoformat()},BTC/USDT,{tick.price},{tick.price + tick.amount}",
        "time,symbol,bid,ask",
    )),
    "histdata": ("DAT_ASCII_BTCUSDT_T_201202.csv", lambda ticks: text(
        ticks,
        lambda tick: f"{tick.time.astimezone(EASTERN):%Y%m%d %H%M%S}{ms(tick) % 1000:03},"
        f"{tick.price},{tick.price + tick.amount},0",
    )),
    "metatrader": ("BTCUSDT_202401020000_202401020001.csv", lambda ticks: text(
        ticks,
        lambda tick: f"{tick.time:%Y.%m.%d\t%H:%M:%S}.{ms(tick) % 1000:03}\t{tick.price}\t{tick.price + tick.amount}"
        "\t\t\t6",
        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>",
    )),
}  # fmt: skip


@st.composite
def drawn_ticks(draw: st.DrawFn) -> list[Tick]:
    unit = Decimal(1).scaleb(-draw(st.integers(1, 8)))
    numbers = st.integers(1, 10**9).map(lambda count: count * unit)
    start = FIRST_DAY + draw(st.integers(0, 9_000)) * timedelta(days=1)
    moments = draw(st.lists(st.integers(0, 86_399_999), min_size=1, max_size=6))
    return [Tick(start + moment * MILLISECOND, draw(numbers), draw(numbers)) for moment in moments]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as path:
        yield Path(path)


def read(folder: Path, name: str, content: str) -> TickRows:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    [spooled] = read_file(path)[1].ticks
    ticks = spooled.load()
    assert "BTC/USDT" == ticks.symbol
    return ticks


def in_order(ticks: Ticks) -> list[Tick]:
    return sorted(ticks, key=lambda tick: tick.time)  # those of one moment stay in the order of the file


@pytest.mark.parametrize("name", TRADES)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ticks=drawn_ticks())
def test_trades_are_read_as_they_were_written(name: str, ticks: list[Tick], folder: Path) -> None:
    file_name, write = TRADES[name]
    rows = read(folder, file_name, write(ticks))
    times = [EPOCH + timedelta(microseconds=int(time)) for time in rows.time]
    assert in_order(ticks) == [
        Tick(*values) for values in zip(times, rows.price.to_pylist(), rows.volume.to_pylist(), strict=True)
    ]


@pytest.mark.parametrize("name", QUOTES)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ticks=drawn_ticks())
def test_quotes_are_read_as_they_were_written(name: str, ticks: list[Tick], folder: Path) -> None:
    file_name, write = QUOTES[name]
    rows = read(folder, file_name, write(ticks))
    times = [EPOCH + timedelta(microseconds=int(time)) for time in rows.time]
    expected = in_order(ticks)
    assert [tick.time for tick in expected] == times
    assert [tick.price for tick in expected] == rows.bid.to_pylist()
    assert [tick.price + tick.amount for tick in expected] == rows.ask.to_pylist()
    assert [tick.price + tick.amount / 2 for tick in expected] == rows.price.to_pylist()
