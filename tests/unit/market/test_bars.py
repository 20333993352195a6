"""CSV files of OHLC bars; the fields that they share with price files are tested in test_csv_prices."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import SettingsError
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import Quote
from domain.types import Instant, Symbol
from market.files.file_source import FilePrices, PriceFile
from market.files.parsing import Row
from tests.support.system.running_system import captured_log

pytestmark = pytest.mark.clock

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PLAYED_AT = datetime(2030, 1, 1, tzinfo=UTC)
SEEN = Instant(PLAYED_AT, 0.0)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class StandingClock:
    def now(self) -> datetime:
        return PLAYED_AT

    def monotonic(self) -> float:
        return 0.0


class Listener:
    def __init__(self) -> None:
        self.symbols: list[Symbol] = []
        self.batches: list[list[Quote]] = []
        self.ends: list[str] = []
        self.ended = threading.Event()

    def instruments_loaded(self, catalog: InstrumentCatalog) -> None:
        self.symbols += catalog.instruments

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        self.batches.append(list(quotes))

    def source_ended(self, reason: str) -> None:
        self.ends.append(reason)
        self.ended.set()


def write_file(folder: Path, text: str, name: str = "BTC-USDT.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def ends(path: Path) -> list[tuple[str, datetime, Decimal]]:
    return [(row.symbol, row.time, row.price) for row in PriceFile(path).rows()]


def since_noon(path: Path) -> list[timedelta]:
    return [row.time - NOON for row in PriceFile(path).rows()]


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        PriceFile(path)
    start = f"prices = {path}"
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


FILE = """timestamp,open,high,low,close,volume,symbol
2026-01-31T12:00:00Z,100,110,90,105.50,1.5,BTC/USDT
2026-01-31T12:00:00Z,3,3,3,3,0,ETH/USDT
2026-01-31T13:00:00Z,105.5,120,105.5,120,,BTC/USDT
2026-01-31T13:00:00Z,3,4,2,3.5,7,ETH/USDT
"""


def test_a_bar_gives_its_close_at_its_end(tmp_path: Path) -> None:
    path = write_file(tmp_path, FILE, "quotes.csv")
    source, listener = FilePrices(path, math.inf, StandingClock()), Listener()
    source.start(listener)
    assert listener.ended.wait(10)
    source.stop()
    btc, eth = Symbol("BTC/USDT"), Symbol("ETH/USDT")
    one, two = NOON + HOUR, NOON + 2 * HOUR
    assert (source.name, listener.symbols) == ("file", [btc, eth])
    assert listener.batches == [
        [
            Quote(btc, Decimal("105.50"), one, SEEN, "file", real=False, volume=Decimal("1.5")),
            Quote(eth, Decimal(3), one, SEEN, "file", real=False, volume=Decimal(0)),
        ],
        [
            Quote(btc, Decimal(120), two, SEEN, "file", real=False),
            Quote(eth, Decimal("3.5"), two, SEEN, "file", real=False, volume=Decimal(7)),
        ],
    ]
    assert listener.ends == [f"the price file {path} was played to its end; no newer prices will come"]


@pytest.mark.parametrize(
    "header", ["time,close", "timestamp,close", "date,close", "datetime,close", " Close,TIME ", "x,close,time,bid"]
)
def test_every_spelling_of_the_header(tmp_path: Path, header: str) -> None:
    cells = {"close": ("5", "6"), "x": ("?", "?"), "bid": ("?", "?")}
    names = [name.strip().lower() for name in header.split(",")]
    rows = [
        ",".join(cells.get(name, ("1769860800", "1769864400"))[row] for name in names)  # noon and one o'clock
        for row in (0, 1)
    ]
    path = write_file(tmp_path, "\n".join([header, *rows]))
    assert ends(path) == [("BTC/USDT", NOON + HOUR, Decimal(5)), ("BTC/USDT", NOON + 2 * HOUR, Decimal(6))]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T13:00:00Z"),
        ("2026-01-31 12:00:00", "2026-01-31 13:00:00"),
        ("2026-01-31T14:00:00+02:00", "2026-01-31T14:00:00+01:00"),
        ("1769860800", "1769864400"),
        ("1769860800000", "1769864400000"),
    ],
)
def test_times_are_read_as_those_of_prices(tmp_path: Path, first: str, second: str) -> None:
    assert since_noon(write_file(tmp_path, f"time,close\n{first},1\n{second},1\n")) == [HOUR, 2 * HOUR]


@pytest.mark.parametrize(
    ("timeframe", "length"),
    [
        ("30s", timedelta(seconds=30)),
        ("1m", MINUTE),
        ("5m", 5 * MINUTE),
        ("15m", 15 * MINUTE),
        ("1h", HOUR),
        ("4H", 4 * HOUR),
        ("1d", 24 * HOUR),
        ("1D", 24 * HOUR),
        ("1w", 7 * 24 * HOUR),
    ],
)
def test_a_timeframe_is_the_length(tmp_path: Path, timeframe: str, length: timedelta) -> None:
    path = write_file(tmp_path, f"time,close,timeframe\n2026-01-31T12:00:00Z,1,{timeframe}\n")
    assert since_noon(path) == [length]


@pytest.mark.parametrize("timeframe", ["1M", "h", "0h", "1.5h", "-1h", "1 h", "60", "1y"])
def test_an_invalid_timeframe_is_refused(tmp_path: Path, timeframe: str) -> None:
    path = write_file(tmp_path, f"time,close,timeframe\n1,1,{timeframe}\n")
    message = f"timeframe is {timeframe!r}; it must be one such as 1m, 4h, 1d or 1w, or add close_time"
    assert refusal(path) == f", line 2: {message}"


def test_close_time_takes_precedence_over_the_timeframe(tmp_path: Path) -> None:
    text = "time,close,timeframe,close_time\n1769860800,1,1h,1769860859.999\n1769860860000,2,1m,\n1769860920,3,,\n"
    assert since_noon(write_file(tmp_path, text)) == [timedelta(seconds=59.999), 2 * MINUTE, 3 * MINUTE]


def of_minutes(*minutes: int, symbol: str = "BTC/USDT") -> str:
    return "".join(f"{(NOON + minute * MINUTE).isoformat()},1,{symbol}\n" for minute in minutes)


@pytest.mark.parametrize(
    ("minutes", "length"),
    [
        ((0, 5, 10, 15, 35, 40), 5),  # a bar before a gap is no longer than the others
        ((0, 60, 120, 121, 180, 240, 300), 60),  # one odd row moves no close to an earlier time
        ((0, 5, 15), 10),  # the larger of two equally frequent ones
        ((0, 5, 10, 20, 30, 60), 10),
    ],
)
def test_without_close_time_and_timeframe_the_most_frequent_distance_is_the_length(
    tmp_path: Path, minutes: tuple[int, ...], length: int
) -> None:
    path = write_file(tmp_path, "date,close,symbol\n" + of_minutes(*minutes))
    assert since_noon(path) == [(minute + length) * MINUTE for minute in minutes]


def test_the_assumed_bar_lengths_are_logged_at_the_start(tmp_path: Path) -> None:
    uneven, even = of_minutes(0, 60, 120, 121, 180, 420), of_minutes(500, 501, 502, symbol="ETH/USDT")
    more = of_minutes(600, 601, symbol="SOL/USDT") + of_minutes(700, 790, symbol="XRP/USDT")
    path = write_file(tmp_path, "time,close,symbol\n" + uneven + even + more, "quotes.csv")
    source = FilePrices(path, math.inf, StandingClock())
    uneven_note = (
        "BTC/USDT: bars are assumed to be 1h long, the most frequent distance between their times;"
        " 3 of 5 distances differ (from 1m to 4h)"
    )
    even_notes = [
        "bars are 1m long, the distance between all their times: ETH/USDT, SOL/USDT",
        "bars are 90m long, the distance between all their times: XRP/USDT",
    ]
    assert source.notes == (uneven_note, *even_notes)
    with captured_log("market.files.file_source") as lines:
        listener = Listener()
        source.start(listener)
        assert listener.ended.wait(10)
        source.stop()
    assert lines == [
        f"WARNING price file {path}: {uneven_note}",
        *(f"INFO price file {path}: {note}" for note in even_notes),
    ]


def test_no_length_is_noted_for_bars_with_an_end_and_for_prices(tmp_path: Path) -> None:
    bars = write_file(tmp_path, "time,close,timeframe\n1,1,1s\n3,1,1s\n9,1,1s\n")
    prices = write_file(tmp_path, "time,price,symbol\n1,1,A\n3,1,A\n9,1,A\n", "prices.csv")
    assert [FilePrices(path, 1, StandingClock()).notes for path in (bars, prices)] == [(), ()]


def test_only_the_first_of_many_symbols_are_noted(tmp_path: Path) -> None:
    rows = "".join(of_minutes(day * 1440, day * 1440 + 1, day * 1440 + 3, symbol=f"S{day}") for day in range(12))
    notes = FilePrices(write_file(tmp_path, "time,close,symbol\n" + rows), 1, StandingClock()).notes
    assert notes[-1] == "2 more symbols have bars at different distances"
    assert len(notes) == 11


def test_rows_without_any_common_distance_are_no_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market.files.bars.MAX_DISTANCES", 3)
    path = write_file(tmp_path, "time,close\n0,1\n1,1\n3,1\n6,1\n10,1\n15,1\n")
    assert refusal(path) == (
        ", line 6: BTC/USDT has over 3 different distances between its bars, so they have no common length;"
        " add a column timeframe, such as 1h, or close_time"
    )


def test_each_symbol_has_its_length_and_prices_come_at_the_end_of_their_bars(tmp_path: Path) -> None:
    text = (
        "time,symbol,close\n"
        "2026-01-31T12:00Z,SLOW,1\n2026-01-31T12:00Z,FAST,2\n2026-01-31T12:15Z,FAST,3\n2026-01-31T12:30Z,FAST,4\n"
        "2026-01-31T12:30Z,SLOW,5\n2026-01-31T13:30Z,FAST,6\n"
    )
    assert [(symbol, time - NOON, price) for symbol, time, price in ends(write_file(tmp_path, text))] == [
        ("FAST", 15 * MINUTE, 2),
        ("SLOW", 30 * MINUTE, 1),
        ("FAST", 30 * MINUTE, 3),
        ("FAST", 45 * MINUTE, 4),
        ("SLOW", 60 * MINUTE, 5),
        ("FAST", 105 * MINUTE, 6),
    ]


def test_several_timeframes_of_a_symbol_in_a_file(tmp_path: Path) -> None:
    text = "time,close,timeframe\n0,1,1h\n0,2,1m\n60,3,1m\n3540,4,1m\n3600,5,1m\n"
    rows = [(row.time.timestamp(), row.price) for row in PriceFile(write_file(tmp_path, text)).rows()]
    assert rows == [(60, 2), (120, 3), (3600, 1), (3600, 4), (3660, 5)]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTC-USDT.csv", "BTC/USDT"),
        ("BTC_USDT.csv", "BTC/USDT"),
        ("BTC_USDT-1h.csv", "BTC/USDT"),
        ("1INCH-EUR_15m.txt", "1INCH/EUR"),
        ("BTC-USDT-1M", "BTC/USDT"),
    ],
)
def test_the_files_name_is_the_symbol_where_no_column_is(tmp_path: Path, name: str, symbol: str) -> None:
    assert PriceFile(write_file(tmp_path, "time,close\n1,1\n2,1\n", name)).symbols == (symbol,)


@pytest.mark.parametrize(
    "name", ["prices.csv", "AAPL.csv", "my-prices.csv", "BTC-1h.csv", "BTC-2026.csv", "BTCUSDT.csv"]
)
def test_a_name_that_is_no_symbol_is_refused(tmp_path: Path, name: str) -> None:
    message = "the header must name symbol, or the file be named for it, such as BTC-USDT or BTC_USDT-1h"
    assert refusal(write_file(tmp_path, "time,close\n1,1\n2,1\n", name)) == f", line 1: {message}"


def test_a_symbol_column_takes_precedence_over_the_file_name(tmp_path: Path) -> None:
    assert PriceFile(write_file(tmp_path, "time,close,symbol\n1,1,ETH/EUR\n2,1,ETH/EUR\n")).symbols == ("ETH/EUR",)


def test_numbers_are_exact_and_only_a_volume_is_rounded(tmp_path: Path) -> None:
    text = f"time,close,volume\n1,{'9' * 20}.{'9' * 18},0.0012300000000000002\n2,1e-18,1e-19\n"
    assert [(row.price, row.volume) for row in PriceFile(write_file(tmp_path, text)).rows()] == [
        (Decimal("9" * 20 + "." + "9" * 18), Decimal("0.00123")),
        (Decimal("1e-18"), Decimal(0)),
    ]


def test_open_high_and_low_may_be_empty(tmp_path: Path) -> None:
    path = write_file(tmp_path, "time,open,high,low,close,volume\n1,,,,5,\n2,,6,,5,\n")
    assert list(PriceFile(path).rows()) == [
        Row(datetime(1970, 1, 1, 0, 0, second, tzinfo=UTC), Symbol("BTC/USDT"), Decimal(5), None, None, None)
        for second in (2, 3)
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2,5,6,5.5,5.7,1", "low 5.5 is above open 5"),
        ("2,,6,5.5,5,1", "low 5.5 is above close 5"),
        ("2,6.5,6,5,5,1", "open 6.5 is above high 6"),
        ("2,5,6,5,7.10,1", "close 7.1 is above high 6"),
        ("2,5,6,5,,1", "close is empty"),
        ("2,5,6,5,NaN,1", "close is 'NaN'; it must be a number such as 110485.85"),
        ("2,5,6,5,0,1", "close is '0'; it must be above 0 and below 1e20"),
        ("2,5,1e20,5,5,1", "high is '1e20'; it must be above 0 and below 1e20"),
        ("2,nan,6,5,5,1", "open is 'nan'; it must be a number such as 110485.85"),
        ("2,5,6,-5,5,1", "low is '-5'; it must be above 0 and below 1e20"),
        ("2,5,6,5,5,-1", "volume is '-1'; it must be at least 0 and below 1e20"),
        ("2,5,6,5,5.0000000000000000001,1", "close is '5.0000000000000000001'; it may have at most 18 decimals"),
        ("x,5,6,5,5,1", "time is 'x'; it must be one such as 2026-01-31T12:00:00Z or unix seconds"),
        ("1e9,5,6,5,5,1", "time is '1e9'; it must be one such as 2026-01-31T12:00:00Z or unix seconds"),
        ("1769860800000000,5,6,5,5,1", "time is '1769860800000000'; it must be in seconds or milliseconds"),
        ("0,5,6,5,5,1", "time goes back from 1970-01-01T00:00:01+00:00 to 1970-01-01T00:00:00+00:00"),
        ("1,5,6,5,5,1", "BTC/USDT has two bars that begin at 1970-01-01T00:00:01+00:00"),
        ("2,5,6,5,5", "the row has 5 columns, the header 6"),
    ],
)
def test_a_wrong_bar_is_refused_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    path = write_file(tmp_path, f"time,open,high,low,close,volume\n1,5,6,5,5,1\n{row}\n3,5,6,5,5,1\n")
    assert refusal(path) == f", line 3: {message}"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("5,1,4,", "close_time 1970-01-01T00:00:04+00:00 is before time 1970-01-01T00:00:05+00:00"),
        ("5,1,x,", "close_time is 'x'; it must be one such as 2026-01-31T12:00:00Z or unix seconds"),
        ("9999-12-31,1,,1w", "the bar that begins at 9999-12-31T00:00:00+00:00 ends after the year 9999"),
    ],
)
def test_a_wrong_end_is_refused(tmp_path: Path, row: str, message: str) -> None:
    assert refusal(write_file(tmp_path, f"time,close,close_time,timeframe\n{row}\n")) == f", line 2: {message}"


LONE = "has only one bar; add a column timeframe, such as 1h, or close_time"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,close\n", ": it has a header but no prices"),
        ("time,close\n1,1\n", f": BTC/USDT {LONE}"),
        ("time,close,symbol\n1,1,A\n1,1,B\n2,1,A\n", f": B {LONE}"),
        ("time,close\n9999-12-30,1\n9999-12-31,1\n", ""),
        (
            "time,price,close\n1,1,1\n",
            ", line 1: the header names price and close; it must name price for prices or close for bars",
        ),
        (
            "time,BID,ASK,close\n1,1,1,1\n",
            ", line 1: the header names bid and ask and close; it must name bid and ask for prices or close for bars",
        ),
        (
            "open_time,close\n1,1\n",
            ", line 1: the header names close, so it must name time, timestamp, date or datetime, when a bar begins",
        ),
        (
            "date,time,close\n1,1,1\n",
            ", line 1: the header names time and date; it must name one of them, when a bar begins",
        ),
        ("time,close,CLOSE\n1,1,1\n", ", line 1: the header names close twice"),
        ("time,time,close\n1,1,1\n", ", line 1: the header names time twice"),
        ("time,close,symbol\n1,1,\n", ", line 2: symbol is ''; it must be one such as BTC/USDT"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    message = message or ": the bar that begins at 9999-12-31T00:00:00+00:00 ends after the year 9999"
    assert refusal(write_file(tmp_path, text)) == message


def test_a_symbol_that_is_added_after_the_check_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path, "time,close,symbol\n1,1,A\n2,1,A\n")
    file = PriceFile(path)
    write_file(tmp_path, "time,close,symbol\n1,1,A\n2,1,B\n")
    with pytest.raises(SettingsError) as caught:
        list(file.rows())
    assert str(caught.value) == f"prices = {path}, line 3: B was not there when the file was checked"
