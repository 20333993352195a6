"""Files of prices and bars as a price source: what is opened, and how it is played."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from actors.settings import Settings
from actors.system import price_source
from domain.errors import SettingsError
from domain.trading.bookkeeping import Result
from domain.trading.engine import Engine
from domain.trading.events import Filled
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.portfolio import PortfolioState
from domain.trading.quotes import BarPrices, Quote
from domain.trading.sizing import SizingRules
from domain.types import Instant, Symbol
from market.base import MonotonicTimer
from market.files import file_source
from market.files.file_source import FilePrices
from market.files.opening import open_files
from market.files.recording import TimeSpan
from tests.support.captured_log import captured_log
from tests.support.system.running_system import until
from tests.support.values.builders import received, refused, rules

pytestmark = pytest.mark.clock

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PLAYED_AT = datetime(2030, 1, 1, tzinfo=UTC)
SEEN = Instant(PLAYED_AT, 0.0)
HOUR = timedelta(hours=1)
BTC, ETH, AAPL = Symbol("BTC/USDT"), Symbol("ETH/USDT"), Symbol("AAPL")


class StandingClock:
    def now(self) -> datetime:
        return PLAYED_AT

    def monotonic(self) -> float:
        return 0.0


class Listener:
    """A listener that records every call; ``backlog`` is what it says to be waiting."""

    def __init__(self) -> None:
        self.catalogs: list[InstrumentCatalog] = []
        self.batches: list[Sequence[Quote]] = []
        self.ends: list[str] = []
        self.ended = threading.Event()
        self.backlog = 0
        self.was_asked = threading.Event()

    def instruments_loaded(self, catalog: InstrumentCatalog) -> None:
        self.catalogs.append(catalog)

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        self.batches.append(quotes)

    def waiting(self) -> int:
        if self.backlog:
            self.was_asked.set()
        return self.backlog

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


def write_file(folder: Path, text: str, name: str = "quotes.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def source_of(
    path: Path, speed: float = math.inf, timer: MonotonicTimer | None = None, part: TimeSpan | None = None
) -> FilePrices:
    files = open_files(str(path), PLAYED_AT, part or TimeSpan())
    return FilePrices(files, speed, StandingClock(), timer)


def play(source: FilePrices) -> Listener:
    listener = Listener()
    source.start(listener)
    assert listener.ended.wait(10)
    source.stop()
    return listener


PRICES = """time,symbol,price,bid,ask,volume,bid_size,ask_size
2026-01-31T12:00:00Z,BTC/USDT,110485.85,110485.80,110485.90,1.5,0.25,0.4
2026-01-31T12:00:00Z,ETH/USDT,3950,,,,,
2026-01-31T12:00:30Z,BTC/USDT,,110485,110486.1,0,,
2026-01-31T13:00:30Z,AAPL,200.10,,,,,
"""


def test_single_prices_are_played_moment_by_moment(tmp_path: Path) -> None:
    path = write_file(tmp_path, PRICES)
    listener = play(source_of(path))
    half, hour = NOON + timedelta(seconds=30), NOON + timedelta(seconds=3630)
    first = Quote(
        BTC, Decimal("110485.85"), NOON, SEEN, "file", Decimal("110485.80"), Decimal("110485.90"), Decimal("1.5"),
        real=False, bid_size=Decimal("0.25"), ask_size=Decimal("0.4"),
    )  # fmt: skip
    middle = Quote(
        BTC, Decimal("110485.55"), half, SEEN, "file", Decimal(110485), Decimal("110486.1"), Decimal(0), real=False
    )
    assert [
        [first, Quote(ETH, Decimal(3950), NOON, SEEN, "file", real=False)],
        [middle],
        [Quote(AAPL, Decimal("200.10"), hour, SEEN, "file", real=False)],
    ] == [list(batch) for batch in listener.batches]
    assert [f"the price file {path} was played to its end; no newer prices will come"] == listener.ends


BARS = """timestamp,open,high,low,close,volume,symbol
2026-01-31T12:00:00Z,100,110,90,105.50,1.5,BTC/USDT
2026-01-31T12:00:00Z,3,3,3,3,0,ETH/USDT
2026-01-31T13:00:00Z,105.5,120,105.5,120,,BTC/USDT
2026-01-31T13:00:00Z,3,4,2,3.5,7,ETH/USDT
"""


def close(symbol: Symbol, hour: int, prices: str, volume: str | None) -> Quote:
    opened, high, low, price = map(Decimal, prices.split())
    amount = None if volume is None else Decimal(volume)
    bar = BarPrices(NOON + (hour - 1) * HOUR, opened, high, low, amount)
    return Quote(symbol, price, NOON + hour * HOUR, SEEN, "file", real=False, volume=amount, bar=bar)


def test_a_bar_is_its_close_when_it_has_ended_with_all_its_prices(tmp_path: Path) -> None:
    source = source_of(write_file(tmp_path, BARS))
    listener = play(source)
    assert ("file", [BTC, ETH]) == (source.name, list(listener.catalogs[0].instruments))
    assert [
        [close(BTC, 1, "100 110 90 105.5", "1.5"), close(ETH, 1, "3 3 3 3", "0")],
        [close(BTC, 2, "105.5 120 105.5 120", None), close(ETH, 2, "3 4 2 3.5", "7")],
    ] == [list(batch) for batch in listener.batches]


def test_several_lengths_of_one_symbol_come_in_the_order_of_their_ends(tmp_path: Path) -> None:
    text = "time,close,timeframe\n0,1,1h\n0,2,1m\n60,3,1m\n3540,4,1m\n3600,5,1m\n"
    quotes = [quote for batch in play(source_of(write_file(tmp_path, text, "BTC-USDT.csv"))).batches for quote in batch]
    assert [(60, 2), (120, 3), (3600, 1), (3600, 4), (3660, 5)] == [
        (quote.price_time.timestamp(), quote.price) for quote in quotes
    ]


def test_no_close_is_played_early_after_an_outage(tmp_path: Path) -> None:
    begins = ("1518040800", "1518044400", "1518048000", "1518319694.789", "1518321600", "1518325200")
    path = write_file(tmp_path, "\n".join(["time,close", *(f"{begin},1" for begin in begins)]), "BTC-USDT.csv")
    times = [quote.price_time.timestamp() for batch in play(source_of(path)).batches for quote in batch]
    assert [1518044400, 1518048000, 1518051600, 1518321600, 1518325200, 1518328800] == times


def test_a_last_bar_that_has_not_ended_is_left_out(tmp_path: Path) -> None:
    path = write_file(tmp_path, BARS)
    files = open_files(str(path), NOON + 1.5 * HOUR)
    assert 2 == len(files.recording)
    assert all("left out as not complete" in note for note in files.notes)


def test_what_is_played_is_logged_and_shown(tmp_path: Path) -> None:
    path = write_file(tmp_path, BARS)
    source = source_of(path)
    sentence = "2 bars of 1 h, 2026-01-31 12:00:00 to 2026-01-31 14:00:00"
    assert [f"BTC/USDT: {sentence}", f"ETH/USDT: {sentence}"] == [note.partition(" (")[0] for note in source.notes]
    with captured_log("market.files.file_source") as lines:
        play(source)
    assert [f"INFO price file {path}: {note}" for note in source.notes] == lines


def test_what_was_changed_is_said_and_bars_of_another_length_are_a_warning(tmp_path: Path) -> None:
    rows = [f"{(NOON + minute * HOUR / 60).isoformat()},1" for minute in (0, 60, 120, 121, 180, 240)]
    path = write_file(tmp_path, "\n".join(["time,close", *rows[::-1]]), "BTC-USDT.csv")
    with captured_log("market.files.file_source") as lines:
        play(source_of(path))
    sentence = (
        "BTC/USDT: 6 bars of 1 h, 2026-01-31 12:00:00 to 2026-01-31 17:00:00, 2 bars of another length: rows 4 and 5;"
        " sorted by time: 5 rows were before the row above (BTC-USDT.csv, read as bars; BTC/USDT: time from 'time',"
        " close from 'close'; symbol BTC/USDT from the file's name)"
    )
    assert [f"WARNING price file {path}: {sentence}"] == lines


def test_notes_about_many_symbols_are_few(tmp_path: Path) -> None:
    rows = [f"{minute},1,S{number}/USD" for number in range(13) for minute in ("0", "60")]
    notes = source_of(write_file(tmp_path, "\n".join(["time,close,symbol", *rows]))).notes
    assert 11 == len(notes)
    assert "and 3 more" == notes[-1]


def test_bars_of_one_symbol_in_several_files_are_one_series(tmp_path: Path) -> None:
    rows = [f"{(NOON + hour * HOUR).isoformat()},{hour + 10}" for hour in range(5)]
    write_file(tmp_path, "\n".join(["time,close", *rows[:3]]), "BTC_USDT-1h-2026-01.csv")
    write_file(tmp_path, "\n".join(["time,close", *rows[2:]]), "BTC_USDT-1h-2026-02.csv")
    (quotes,) = zip(*play(source_of(tmp_path)).batches, strict=True)
    assert [(BTC, NOON + hour * HOUR, hour + 9) for hour in (1, 2, 3, 4, 5)] == [
        (quote.symbol, quote.price_time, quote.price) for quote in quotes
    ]
    assert [NOON + hour * HOUR for hour in range(5)] == [quote.bar.begin for quote in quotes if quote.bar]


def test_the_catalog_holds_the_symbols_and_their_currencies(tmp_path: Path) -> None:
    symbols = ["BTC/USDT:USDT", "eth/eur", "BTCEUR", "USDJPY", "EURUSD=X", "BRK-B", "AAPL"]
    path = write_file(tmp_path, "time,symbol,price\n" + "".join(f"1,{symbol},1\n" for symbol in symbols))
    files = open_files(str(path), PLAYED_AT)
    catalog = FilePrices(files, math.inf, StandingClock()).catalog
    currencies = ["USDT", "EUR", "EUR", "JPY", "USD", None, None]
    assert currencies == [one.quote for one in catalog.instruments.values()]
    catalog = FilePrices(files, math.inf, StandingClock(), quote_currency="USD").catalog
    assert [currency or "USD" for currency in currencies] == [one.quote for one in catalog.instruments.values()]
    assert all(isinstance(one, Instrument) for one in catalog.instruments.values())


def test_a_euro_price_is_no_dollar_price(tmp_path: Path) -> None:
    path = write_file(tmp_path, "time,symbol,price\n1,BTCEUR,60058\n1,BTCUSDT,65000\n")
    listener = play(source_of(path))
    engine = Engine([PortfolioState.opened(rules())], SizingRules(HOUR, HOUR, None, frozenset({"USD", "USDT"})))
    euro, dollar = listener.catalogs[0].instruments
    assert [] == engine.on_instruments(listener.catalogs[0], SEEN)
    assert [] == engine.on_quotes(listener.batches[0], SEEN)
    (euros,) = engine.on_decision(replace(received(symbol=euro), received=SEEN), SEEN)
    refused(f"other currency: {euro} trades in EUR, the portfolio holds USDT", euros)
    (dollars,) = engine.on_decision(replace(received(number=2, symbol=dollar), received=SEEN), SEEN)
    assert isinstance(dollars, Result)
    assert isinstance(dollars.event, Filled)
    assert Decimal(65_000) == dollars.event.fill.quote.price


@pytest.mark.parametrize(("speed", "waits"), [(1, [30.0, 3600.0]), (60, [0.5, 60.0]), (math.inf, [])])
def test_speed_is_seconds_of_the_file_per_second(tmp_path: Path, speed: float, waits: list[float]) -> None:
    timer = InstantTimer()
    play(source_of(write_file(tmp_path, PRICES), speed, timer))
    assert waits == timer.waits


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_speed_is_above_zero(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        source_of(write_file(tmp_path, PRICES), speed)


def test_it_stops_at_once_and_continues_where_it_stopped(tmp_path: Path) -> None:
    timer = InstantTimer(enough=1)
    source, listener = source_of(write_file(tmp_path, PRICES), 1, timer), Listener()
    source.start(listener)
    assert timer.waiting.wait(10)
    source.stop()
    source.stop()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "prices-file"])
    assert [2, 1] == [len(batch) for batch in listener.batches]
    assert [] == listener.ends
    rest = play(source)
    assert [["AAPL"]] == [[quote.symbol for quote in batch] for batch in rest.batches]
    assert [] == play(source).batches


def test_at_any_speed_no_more_is_delivered_while_much_waits(tmp_path: Path) -> None:
    source, listener = source_of(write_file(tmp_path, PRICES)), Listener()
    listener.backlog = file_source.MAX_WAITING + 1
    source.start(listener)
    assert listener.was_asked.wait(10)
    assert [] == listener.batches
    listener.backlog = file_source.MAX_WAITING
    assert listener.ended.wait(10)
    assert 3 == len(listener.batches)


def test_it_stops_while_much_waits(tmp_path: Path) -> None:
    source, listener = source_of(write_file(tmp_path, PRICES)), Listener()
    listener.backlog = file_source.MAX_WAITING + 1
    source.start(listener)
    assert listener.was_asked.wait(10)
    source.stop()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "prices-file"])
    assert ([], []) == (listener.batches, listener.ends)


def test_a_part_is_played(tmp_path: Path) -> None:
    path = write_file(tmp_path, BARS)
    listener = play(source_of(path, part=TimeSpan(first=NOON + HOUR)))
    assert [[Decimal(120), Decimal("3.5")]] == [[quote.price for quote in batch] for batch in listener.batches]


def test_the_settings_choose_file_speed_and_part(tmp_path: Path) -> None:
    settings = Settings.isolated(
        prices=str(write_file(tmp_path, BARS)),
        price_speed="max",
        price_from=NOON.replace(tzinfo=None).isoformat(),
        price_to=(NOON + HOUR).isoformat(),
    )
    source = price_source(settings, StandingClock())
    assert isinstance(source, FilePrices)
    assert [[close(BTC, 1, "100 110 90 105.5", "1.5"), close(ETH, 1, "3 3 3 3", "0")]] == [
        list(batch) for batch in play(source).batches
    ]


def test_what_has_not_happened_while_no_process_played_it(tmp_path: Path) -> None:
    history = source_of(write_file(tmp_path, PRICES)).history(BTC, NOON, PLAYED_AT, 1.0)
    assert ((), None) == (history.data, history.unknown)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.csv", None, "there is no such file"),
        ("prices.csv", "time,close\n1,1\n2,1\n", "neither a column nor the file's name says the symbol"),
        ("BTC-USDT.csv", "time,open,high,low,close\n0,5,6,5.5,5.7\n60,5,6,5,5\n", "line 2: low 5.5 is above open 5"),
        ("BTC-USDT.csv", "time,close\n0,1\n", "there is only one bar, so its length is unknown"),
        ("BTC-USDT.csv", "time,close\n0,1\n60,2\n60,3\n", ": line 3 and line 4 are different bars of"),
    ],
)
def test_a_wrong_file_is_refused_with_the_name_of_the_setting(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        open_files(str(path), PLAYED_AT)
    assert str(caught.value).startswith(f"prices = {path}")
    assert message in str(caught.value)


def test_a_file_that_needs_options_is_refused_with_the_way_to_give_them(tmp_path: Path) -> None:
    path = write_file(tmp_path, "Date,Close\n01/02/2024,1\n02/02/2024,2\n", "BTC-USDT.csv")
    with pytest.raises(SettingsError) as caught:
        source_of(path)
    assert "say which with --day-first or --month-first; `history import` has these options" in str(caught.value)
