"""CSV files of prices: their fields, and how they are played."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import SettingsError
from domain.trading.bookkeeping import Result
from domain.trading.decision_queue import SizingRules
from domain.trading.engine import Engine
from domain.trading.events import Filled
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.portfolio import PortfolioState
from domain.trading.quotes import Quote
from domain.types import Instant, Symbol
from market.base import MonotonicTimer
from market.files.file_source import FilePrices, PriceFile
from market.files.parsing import Row
from tests.support.system.running_system import until
from tests.support.values.builders import received, refused, rules

pytestmark = pytest.mark.clock

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PLAYED_AT = datetime(2030, 1, 1, tzinfo=UTC)
SEEN = Instant(PLAYED_AT, 0.0)
HOUR = timedelta(hours=1)


class StandingClock:
    def now(self) -> datetime:
        return PLAYED_AT

    def monotonic(self) -> float:
        return 0.0


class Listener:
    def __init__(self, stop_after: int | None = None) -> None:
        self.catalogs: list[InstrumentCatalog] = []
        self.batches: list[Sequence[Quote]] = []
        self.ends: list[str] = []
        self.ended = threading.Event()

    def instruments_loaded(self, catalog: InstrumentCatalog) -> None:
        self.catalogs.append(catalog)

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        self.batches.append(quotes)

    def source_ended(self, reason: str) -> None:
        self.ends.append(reason)
        self.ended.set()


class InstantTimer(MonotonicTimer):
    """A timer whose sleeps take no time; the one after ``enough`` of them waits for the stop."""

    def __init__(self, enough: int = 1_000_000) -> None:
        self.time, self.enough, self.waits, self.waiting = 0.0, enough, list[float](), threading.Event()

    def seconds(self) -> float:
        return self.time

    def wait(self, stopped: threading.Event, seconds: float) -> bool:
        if len(self.waits) == self.enough:
            self.waiting.set()
            return stopped.wait(10)
        self.waits.append(seconds)
        self.time += seconds
        return stopped.is_set()


def write_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "quotes.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path: Path) -> list[Row]:
    return list(PriceFile(path).rows())


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        FilePrices(path, 1, StandingClock())
    start = f"prices = {path}"
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


def play(source: FilePrices) -> Listener:
    listener = Listener()
    source.start(listener)
    assert listener.ended.wait(10)
    source.stop()
    return listener


FILE = """time,symbol,price,bid,ask,volume
2026-01-31T12:00:00Z,BTC/USDT,110485.85,110485.80,110485.90,1.5
2026-01-31T12:00:00Z,ETH/USDT,3950,,,
2026-01-31T12:00:30Z,BTC/USDT,,110485,110486.1,0
2026-01-31T13:00:30Z,AAPL,200.10,,,
"""


def test_a_file_is_played_moment_by_moment(tmp_path: Path) -> None:
    path = write_file(tmp_path, FILE)
    listener = play(FilePrices(path, math.inf, StandingClock()))
    half, hour = NOON + timedelta(seconds=30), NOON + timedelta(seconds=3630)
    btc = Symbol("BTC/USDT")
    assert [list(batch) for batch in listener.batches] == [
        [
            Quote(
                btc,
                Decimal("110485.85"),
                NOON,
                SEEN,
                "file",
                Decimal("110485.80"),
                Decimal("110485.90"),
                Decimal("1.5"),
                real=False,
            ),
            Quote(Symbol("ETH/USDT"), Decimal(3950), NOON, SEEN, "file", real=False),
        ],
        [
            Quote(
                btc,
                Decimal("110485.55"),
                half,
                SEEN,
                "file",
                Decimal(110485),
                Decimal("110486.1"),
                Decimal(0),
                real=False,
            )
        ],
        [Quote(Symbol("AAPL"), Decimal("200.10"), hour, SEEN, "file", real=False)],
    ]
    assert listener.ends == [f"the price file {path} was played to its end; no newer prices will come"]


def test_the_catalog_holds_the_symbols_of_the_file(tmp_path: Path) -> None:
    symbols = ["BTC/USDT:USDT", "eth/eur", "BTCEUR", "USDJPY", "EURUSD=X", "BRK-B", "AAPL"]
    path = write_file(tmp_path, "time,symbol,price\n" + "".join(f"1,{symbol},1\n" for symbol in [*symbols, "AAPL"]))
    listener = play(FilePrices(path, math.inf, StandingClock()))
    currencies = ["USDT", "EUR", "EUR", "JPY", "USD", None, None]
    assert [list(catalog.instruments.values()) for catalog in listener.catalogs] == [
        [Instrument(Symbol(symbol), currency) for symbol, currency in zip(symbols, currencies, strict=True)]
    ]


def test_the_setting_tells_the_currency_of_symbols_whose_names_do_not(tmp_path: Path) -> None:
    path = write_file(tmp_path, "time,symbol,price\n1,AAPL,1\n1,BTCEUR,1\n")
    source = FilePrices(path, math.inf, StandingClock(), quote_currency="USD")
    assert {"AAPL": "USD", "BTCEUR": "EUR"} == {name: one.quote for name, one in source.catalog.instruments.items()}


def test_a_euro_price_is_no_dollar_price(tmp_path: Path) -> None:
    path = write_file(tmp_path, "time,symbol,price\n1,BTCEUR,60058\n1,BTCUSDT,65000\n")
    listener = play(FilePrices(path, math.inf, StandingClock()))
    engine = Engine([PortfolioState.opened(rules())], SizingRules(HOUR, HOUR, None, frozenset({"USD", "USDT"})))
    assert [] == engine.on_instruments(listener.catalogs[0], SEEN)
    assert [] == engine.on_quotes(listener.batches[0], SEEN)
    (euros,) = engine.on_decision(replace(received(symbol="BTCEUR"), received=SEEN), SEEN)
    refused("other currency: BTCEUR trades in EUR, the portfolio holds USDT", euros)
    (dollars,) = engine.on_decision(replace(received(number=2, symbol="BTCUSDT"), received=SEEN), SEEN)
    assert isinstance(dollars, Result)
    assert isinstance(dollars.event, Filled)
    assert Decimal(65_000) == dollars.event.fill.quote.price


@pytest.mark.parametrize(("speed", "waits"), [(1, [30.0, 3600.0]), (60, [0.5, 60.0]), (math.inf, [])])
def test_speed_is_seconds_of_the_file_per_second(tmp_path: Path, speed: float, waits: list[float]) -> None:
    timer = InstantTimer()
    play(FilePrices(write_file(tmp_path, FILE), speed, StandingClock(), timer))
    assert timer.waits == waits


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_speed_is_above_zero(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        FilePrices(write_file(tmp_path, FILE), speed, StandingClock())


def test_it_stops_at_once_and_continues_where_it_stopped(tmp_path: Path) -> None:
    timer = InstantTimer(enough=1)
    source, listener = FilePrices(write_file(tmp_path, FILE), 1, StandingClock(), timer), Listener()
    source.start(listener)
    assert timer.waiting.wait(10)
    source.stop()
    source.stop()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "prices-file"])
    assert [len(batch) for batch in listener.batches] == [2, 1]
    assert listener.ends == []
    rest = play(source)
    assert [[quote.symbol for quote in batch] for batch in rest.batches] == [["AAPL"]]
    assert play(source).batches == []


def test_a_file_that_vanishes_after_the_check_ends_the_source(tmp_path: Path) -> None:
    path = write_file(tmp_path, FILE)
    source = FilePrices(path, math.inf, StandingClock())
    path.unlink()
    assert play(source).ends == [f"prices = {path}: there is no such file"]


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00+00:00",
        "2026-01-31T14:30:00+02:30",
        "20260131T120000Z",
        "1769860800",
        "1769860800.000",
        "1769860800000",
    ],
)
def test_every_spelling_of_a_time(tmp_path: Path, text: str) -> None:
    assert [row.time for row in read(write_file(tmp_path, f"time,symbol,price\n{text},A,1\n"))] == [NOON]


def test_times_are_kept_to_the_microsecond(tmp_path: Path) -> None:
    text = "time,symbol,price\n1769860800.000001,A,1\n1769860800001.5,A,1\n2026-01-31T12:00:00.123456Z,A,1\n"
    times = [(row.time - NOON) // timedelta(microseconds=1) for row in read(write_file(tmp_path, text))]
    assert times == [1, 1500, 123456]


def test_a_date_is_its_midnight(tmp_path: Path) -> None:
    text = "time,symbol,price\n2026-01-30,A,1\n20260131,A,1\n"
    times = [row.time for row in read(write_file(tmp_path, text))]
    assert times == [NOON - timedelta(hours=36), NOON - timedelta(hours=12)]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbftime,symbol,price\r\n1,A/B,2.5\r\n",
        "PRICE, Time ,SYMBOL\n2.5,1,A/B",
        "time,symbol,comment,price\n1,A/B,ignored,2.5\n\n",
        'time,symbol,price\n"1","A/B","2.5"\n',
        "time,symbol,bid,ask\n1,A/B,2,3\n",
        "time,symbol,price\n1, A/B , +25e-1 \n",
    ],
)
def test_every_shape_of_a_file(tmp_path: Path, text: str | bytes) -> None:
    [row] = read(write_file(tmp_path, text))
    assert (row.time.timestamp(), row.symbol, row.price) == (1, "A/B", Decimal("2.5"))


def test_the_smallest_and_the_largest_numbers(tmp_path: Path) -> None:
    text = f"time,symbol,price,bid,ask\n1,A,1e-18,,\n1,A,{'9' * 20}.{'9' * 18},,\n1,A,,1e-18,2e-18\n"
    prices = [row.price for row in read(write_file(tmp_path, text))]
    assert prices == [Decimal("1e-18"), Decimal("9" * 20 + "." + "9" * 18), Decimal("2e-18")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2,A,abc", "price is 'abc'; it must be a number such as 110485.85"),
        ("2,A,NaN", "price is 'NaN'; it must be a number such as 110485.85"),
        ("2,A,inf", "price is 'inf'; it must be a number such as 110485.85"),
        ("2,A,1_000", "price is '1_000'; it must be a number such as 110485.85"),
        ("2,A,\u0661", "price is '\u0661'; it must be a number such as 110485.85"),
        ("2,A,0", "price is '0'; it must be above 0 and below 1e20"),
        ("2,A,-1", "price is '-1'; it must be above 0 and below 1e20"),
        ("2,A,1e20", "price is '1e20'; it must be above 0 and below 1e20"),
        ("2,A,1e999999999999999999", "price is '1e999999999999999999'; it must be above 0 and below 1e20"),
        ("2,A,1e9999999999999999999999", "price is '1e9999999999999999999999'; it must be a number such as 110485.85"),
        ("2,A,1e-19", "price is '1e-19'; it may have at most 18 decimals"),
        ("2,A,", "price is empty, and so is bid or ask"),
        ("2,A", "the row has 2 columns, the header 3"),
        ("2,A,1,1", "the row has 4 columns, the header 3"),
        ("2,,1", "symbol is ''; it must be one such as BTC/USDT"),
        ("2,BTC/,1", "symbol is 'BTC/'; it must be one such as BTC/USDT"),
        ("2,/USDT,1", "symbol is '/USDT'; it must be one such as BTC/USDT"),
        ("2,A B,1", "symbol is 'A B'; it must be one such as BTC/USDT"),
        (",A,1", "time is ''; it must be one such as 2026-01-31T12:00:00Z or unix seconds"),
        ("noon,A,1", "time is 'noon'; it must be one such as 2026-01-31T12:00:00Z or unix seconds"),
        ("-5,A,1", "time is '-5'; it must be one such as 2026-01-31T12:00:00Z or unix seconds"),
        (
            "0001-01-01T00:00+01:00,A,1",
            "time is '0001-01-01T00:00+01:00'; it must be one such as 2026-01-31T12:00:00Z or unix seconds",
        ),
        ("1769860800000000,A,1", "time is '1769860800000000'; it must be in seconds or milliseconds"),
        ("0,A,1", "time goes back from 1970-01-01T00:00:01+00:00 to 1970-01-01T00:00:00+00:00"),
        ('2,"A,1', "it is not valid CSV: unexpected end of data"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    assert refusal(write_file(tmp_path, f"time,symbol,price\n1,A,1\n\n{row}")) == f", line 4: {message}"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,A,1,x,,", "bid is 'x'; it must be a number such as 110485.85"),
        ("1,A,1,,0,", "ask is '0'; it must be above 0 and below 1e20"),
        ("1,A,1,,,-1", "volume is '-1'; it must be at least 0 and below 1e20"),
        ("1,A,,1,,", "price is empty, and so is bid or ask"),
        ("1,A,1,3,2,", "bid 3 is above ask 2"),
    ],
)
def test_a_wrong_bid_ask_or_volume_is_refused(tmp_path: Path, row: str, message: str) -> None:
    assert refusal(write_file(tmp_path, f"time,symbol,price,bid,ask,volume\n{row}\n")) == f", line 2: {message}"


def test_sizes_at_bid_and_ask(tmp_path: Path) -> None:
    text = (
        "time,symbol,price,ask_size,bid,ask,bid_size\n1,A,0.50,1e-18,0.90,0.92,1500.5\n2,A,0.50,,0.90,,3\n3,A,1,,,,\n"
    )
    listener = play(FilePrices(write_file(tmp_path, text), math.inf, StandingClock()))
    expected = [
        (Decimal("0.90"), Decimal("1500.5"), Decimal("0.92"), Decimal("1e-18"), None),
        (Decimal("0.90"), Decimal(3), None, None, None),
        (None, None, None, None, None),
    ]
    quotes = [quote for (quote,) in listener.batches]
    assert expected == [(q.bid, q.bid_size, q.ask, q.ask_size, q.last_size) for q in quotes]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,A,1,2,3,0,", "bid_size is '0'; it must be above 0 and below 1e20"),
        ("1,A,1,2,3,-1,", "bid_size is '-1'; it must be above 0 and below 1e20"),
        ("1,A,1,2,3,,1e20", "ask_size is '1e20'; it must be above 0 and below 1e20"),
        ("1,A,1,2,3,,NaN", "ask_size is 'NaN'; it must be a number such as 110485.85"),
        ("1,A,1,2,3,,much", "ask_size is 'much'; it must be a number such as 110485.85"),
        ("1,A,1,2,3,1e-19,", "bid_size is '1e-19'; it may have at most 18 decimals"),
        ("1,A,1,,3,5,", "bid_size is 5, and bid is empty"),
        ("1,A,1,2,,,1.50", "ask_size is 1.5, and ask is empty"),
    ],
)
def test_a_wrong_size_is_refused(tmp_path: Path, row: str, message: str) -> None:
    path = write_file(tmp_path, f"time,symbol,price,bid,ask,bid_size,ask_size\n{row}\n")
    assert f", line 2: {message}" == refusal(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": it is empty, but must begin with a header such as time,symbol,price"),
        ("time,symbol,price\n", ": it has a header but no prices"),
        (
            "time;symbol;price\n1;A;1\n",
            ", line 1: the header must name time, symbol and price, and lacks time, symbol, price",
        ),
        ("time,symbol,bid\n1,A,1\n", ", line 1: the header must name time, symbol and price, and lacks price"),
        ("time,symbol,price,Price\n1,A,1,1\n", ", line 1: the header names price twice"),
        (b"time,symbol,price\n1,\xff,1\n", ": it is not UTF-8 text"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert refusal(write_file(tmp_path, text)) == message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv") == ": there is no such file"
    assert refusal(tmp_path) == ": it cannot be read: Is a directory"
