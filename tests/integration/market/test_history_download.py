"""The real ccxt downloads past bars from the local exchange, which answers as exchanges do at their worst."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.errors import InvalidRequest, PaperTradingError, SettingsError
from domain.trading.freshness.age import ClockKind
from domain.types import Symbol
from market.history.download import Downloader, DownloadRequest
from market.history.downloading import source as source_module
from market.history.downloading.journal import Journal
from market.history.downloading.source import DownloadFailed
from market.history.timeframe import Timeframe
from tests.support.exchange.candles import FAULTS, Bar, Faults, random_bars
from tests.support.exchange.downloads import BTC, QUICK, Downloads, RecordedProgress
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import BOTH, KRAKEN_ALWAYS

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
START = int(BEGIN.timestamp())
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def fill(server: ExchangeServer, count: int = 600, gaps: Sequence[tuple[int, int]] = ()) -> list[Bar]:
    """Give the exchange bars, of which the last one has not ended."""
    bars = random_bars(1, START, count, 60, gaps)
    server.past.candles.add("BTCUSDT", 60, bars)
    server.past.candles.clock = START + (count - 1) * 60 + 30
    return bars


def stored(bars: Sequence[Bar], length: timedelta = MINUTE) -> list[dict[str, Any]]:
    """Return bars as the store has them."""
    rows = []
    for bar in bars:
        begin = datetime.fromtimestamp(bar.begin, UTC)
        names = ("open", "high", "low", "close", "volume")
        numbers = {name: Decimal(text) for name, text in zip(names, bar[1:], strict=True)}
        rows.append({"begin": begin, "published": begin + length, **numbers})
    return rows


@BOTH
def test_it_stores_each_bar_that_has_ended_exactly(server: ExchangeServer, tmp_path: Path, exchange: str) -> None:
    bars = fill(server)
    server.past.candles.page = 100
    downloads = Downloads(server, tmp_path, exchange)
    result = downloads.run(BEGIN)
    assert stored(bars[:599]) == downloads.rows()
    assert (599, 599, 0) == (result.bars, result.added, result.missing)
    assert (BEGIN, BEGIN + 598 * MINUTE) == (result.first, result.last)
    assert [downloads.path().name] == [path.name for path in downloads.path().parent.iterdir()]


def test_the_exchanges_clock_decides_which_bar_has_ended(server: ExchangeServer, tmp_path: Path) -> None:
    bars = fill(server, 10)
    downloads = Downloads(server, tmp_path)
    server.past.candles.clock = START + 5 * 60 - 1
    assert ClockKind.EXCHANGE is downloads.run(BEGIN).clock
    assert stored(bars[:4]) == downloads.rows()
    server.past.candles.clock = START + 5 * 60
    assert 1 == downloads.run(BEGIN).added
    assert stored(bars[:5]) == downloads.rows()


def test_without_a_clock_the_date_of_an_answer_counts(server: ExchangeServer, tmp_path: Path) -> None:
    bars = fill(server, 10)
    downloads = Downloads(server, tmp_path, "bitstamp")
    server.past.candles.clock = START + 5 * 60
    assert ClockKind.HTTP_DATE is downloads.run(BEGIN).clock
    assert stored(bars[:5]) == downloads.rows()


@pytest.mark.parametrize("kind", FAULTS)
@KRAKEN_ALWAYS
def test_one_kind_of_fault_changes_nothing(server: ExchangeServer, tmp_path: Path, exchange: str, kind: str) -> None:
    bars = fill(server, 400, gaps=[(90, 110), (250, 250)])
    server.past.candles.page = 40
    server.past.candles.faults = Faults(7, 0.5, [kind])
    downloads = Downloads(server, tmp_path, exchange)
    result = downloads.run(BEGIN, BEGIN + 399 * MINUTE)
    assert stored([bar for bar in bars if bar.begin < START + 399 * 60]) == downloads.rows()
    assert [(BEGIN + 90 * MINUTE, BEGIN + 111 * MINUTE), (BEGIN + 250 * MINUTE, BEGIN + 251 * MINUTE)] == result.gaps
    assert 22 == result.missing
    assert server.past.candles.faults.counts[kind] >= 3


@pytest.mark.parametrize("seed", range(5))
def test_all_faults_together_change_nothing(server: ExchangeServer, tmp_path: Path, seed: int) -> None:
    bars = fill(server, 1000, gaps=[(0, 3), (90, 150), (300, 300), (997, 998)])
    server.past.candles.page = 60
    server.past.candles.faults = Faults(seed, 0.5)
    downloads = Downloads(server, tmp_path)
    result = downloads.run(BEGIN)
    assert stored(bars[:-1]) == downloads.rows()
    assert 4 + 61 + 1 + 2 == result.missing
    assert result.comparison.fetched_again > 0


def test_a_short_answer_is_not_the_end(server: ExchangeServer, tmp_path: Path) -> None:
    """ccxt#30095: one page of the server, taken for all of them."""
    bars = fill(server, 300)
    server.past.candles.page = 17
    downloads = Downloads(server, tmp_path)
    downloads.run(BEGIN)
    assert stored(bars[:299]) == downloads.rows()


@BOTH
def test_an_hour_without_bars_is_not_the_end(server: ExchangeServer, tmp_path: Path, exchange: str) -> None:
    bars = fill(server, 1500, gaps=[(0, 400), (500, 1400)])
    server.past.candles.window = 3600
    downloads = Downloads(server, tmp_path, exchange)
    downloads.options = {**downloads.options, "features": {"spot": {"fetchOHLCV": {"limit": 60}}}}
    result = downloads.run(BEGIN, BEGIN + 1499 * MINUTE)
    assert stored([bar for bar in bars if bar.begin < START + 1499 * 60]) == downloads.rows()
    assert [(BEGIN, BEGIN + 401 * MINUTE), (BEGIN + 500 * MINUTE, BEGIN + 1401 * MINUTE)] == result.gaps


def test_a_market_that_ended_long_ago_is_not_asked_hour_by_hour(server: ExchangeServer, tmp_path: Path) -> None:
    bars = fill(server, 100)
    server.past.candles.clock = START + 400 * 86400
    downloads = Downloads(server, tmp_path)
    assert 100 == downloads.run(BEGIN).bars
    assert stored(bars) == downloads.rows()
    assert len(server.past.candles.requests) < 12


def test_an_exchange_that_tells_only_its_newest_bars_is_not_taken_for_complete(
    server: ExchangeServer, tmp_path: Path
) -> None:
    bars = fill(server, 2000)
    server.past.candles.page, server.past.candles.newest_only = 720, True
    downloads = Downloads(server, tmp_path)
    result = downloads.run(BEGIN)
    assert stored(bars[-720:-1]) == downloads.rows()
    assert [(BEGIN, BEGIN + 1280 * MINUTE)] == result.gaps


def test_gaps_that_only_empty_answers_show_are_unproven(server: ExchangeServer, tmp_path: Path) -> None:
    """ccxt#30095, its other half: answers that begin with the day's first bar, however late the one asked for."""
    bars = fill(server, 1500)
    server.past.candles.page, server.past.candles.whole_days = 300, True
    downloads = Downloads(server, tmp_path)
    result = downloads.run(BEGIN)
    assert stored([*bars[:300], *bars[1440:1499]]) == downloads.rows()
    assert (1140, 1140) == (result.missing, result.unproven)
    manifest = next(downloads.store.stored()).manifest
    assert manifest is not None
    assert "all answers about 2026-01-05 05:00:00 to 2026-01-06 00:00:00 UTC were empty" in manifest.inputs[0].notes[1]


def test_gaps_between_bars_of_one_answer_are_proven(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 300, gaps=[(0, 9), (100, 149), (280, 299)])
    result = Downloads(server, tmp_path).run(BEGIN)
    assert (10 + 50 + 19, 0) == (result.missing, result.unproven)


def test_a_gap_is_asked_for_twice_and_noted(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 100, gaps=[(40, 59)])
    downloads = Downloads(server, tmp_path)
    downloads.run(BEGIN)
    manifest = next(downloads.store.stored()).manifest
    assert manifest is not None
    assert [(BEGIN + 40 * MINUTE, 20)] == [(gap.begin, gap.bars) for gap in manifest.longest_gaps]
    assert (
        "kraken has no bars in 2026-01-05 00:40:00 to 2026-01-05 01:00:00 UTC; it was asked at least twice",
    ) == manifest.inputs[0].notes
    assert "fetched from kraken, 2026-01-05 00:00:00 to 2026-01-05 01:39:00 UTC" == manifest.inputs[0].name
    assert ("USDT", Decimal("0.1")) == (manifest.instrument.quote, manifest.instrument.tick)


def test_floats_of_the_answer_are_read_digit_by_digit(server: ExchangeServer, tmp_path: Path) -> None:
    server.past.candles.clock = START + 600
    number = "110485.123456789012345678"
    server.past.candles.add("BTCUSDT", 60, [Bar(START, *[number] * 4, "0.1000000000000000055")])
    server.past.candles.numbers = True
    downloads = Downloads(server, tmp_path)
    downloads.run(BEGIN)
    row = downloads.rows()[0]
    assert (Decimal(number), Decimal("0.100000000000000006")) == (row["close"], row["volume"])


def test_rows_that_cannot_be_are_left_out_or_widened(server: ExchangeServer, tmp_path: Path) -> None:
    server.past.candles.clock = START + 300
    server.past.candles.add("BTCUSDT", 60, [
        Bar(START, "100", "99", "101", "102", "1"),
        Bar(START + 30, "100", "100", "100", "100", "1"),
        Bar(START + 60, "100", "0", "100", "100", "1"),
        Bar(START + 120, "100", "100", "100", "100", "-1"),
    ])  # fmt: skip
    downloads = Downloads(server, tmp_path)
    result = downloads.run(BEGIN)
    rows = [(row["high"], row["low"], row["volume"]) for row in downloads.rows()]
    assert [(102, 99, 1), (100, 100, None)] == rows
    assert {"off the grid", "without prices"} == set(result.dropped)
    manifest = next(downloads.store.stored()).manifest
    assert manifest is not None
    assert {"widened": 1} == manifest.inputs[0].changes


@pytest.mark.parametrize(
    ("timeframe", "seconds", "begin"),
    [
        ("1h", 3600, BEGIN), ("1d", 86400, datetime(2026, 1, 4, 16, tzinfo=UTC)),
        ("1w", 604800, datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_days_and_weeks_begin_where_those_of_the_exchange_begin(
    server: ExchangeServer, tmp_path: Path, timeframe: str, seconds: int, begin: datetime
) -> None:
    bars = random_bars(1, int(begin.timestamp()), 30, seconds)
    server.past.candles.add("BTCUSDT", seconds, bars)
    server.past.candles.clock = bars[-1].begin + seconds - 1
    downloads = Downloads(server, tmp_path)
    downloads.run(begin - timedelta(hours=1), timeframe=timeframe)
    assert stored(bars[:-1], timedelta(seconds=seconds)) == downloads.rows(timeframe)


# Twice, and in parts


def test_the_same_again_fetches_nothing(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 100, gaps=[(5, 9)])
    downloads = Downloads(server, tmp_path)
    downloads.run(BEGIN)
    content, requests = downloads.path().read_bytes(), len(server.past.candles.requests)
    assert 0 == downloads.run(BEGIN).added
    assert (content, requests) == (downloads.path().read_bytes(), len(server.past.candles.requests))


def test_a_stored_series_is_continued_without_a_hole(server: ExchangeServer, tmp_path: Path) -> None:
    bars = fill(server, 300)
    downloads = Downloads(server, tmp_path)
    downloads.run(BEGIN + HOUR, BEGIN + 2 * HOUR)
    assert stored(bars[60:120]) == downloads.rows()
    downloads.run(BEGIN + 3 * HOUR, BEGIN + 4 * HOUR)
    assert stored(bars[60:240]) == downloads.rows()
    downloads.run(BEGIN, BEGIN + HOUR / 2)
    assert stored(bars[:240]) == downloads.rows()


def test_what_has_arrived_is_not_fetched_again(
    server: ExchangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = fill(server, 200)
    server.past.candles.page = 20
    downloads = Downloads(server, tmp_path)
    append, written = Journal.append, []

    def append_and_die(journal: Journal, piece: Any) -> None:
        append(journal, piece)
        written.append(piece)
        if len(written) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", append_and_die)
        with pytest.raises(KeyboardInterrupt):
            downloads.run(BEGIN)
    assert not downloads.path().exists()
    before = len(server.past.candles.requests)
    with downloads.path().with_suffix(".download").open("ab") as file:
        file.write(b"12345678 {")  # a line that a power failure cut off
    downloads.run(BEGIN)
    assert stored(bars[:199]) == downloads.rows()
    assert START + 80 * 60 == min(server.past.candles.requests[before:])
    assert ("begins", BTC, 199, 80) in downloads.progress.calls


def test_two_downloads_of_one_series_do_not_mix(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 100)
    downloads = Downloads(server, tmp_path)
    partial = downloads.path().with_suffix(".download")
    with Journal.opened(partial, {}), pytest.raises(PaperTradingError, match="another download writes"):
        downloads.run(BEGIN)


def test_progress_reaches_all_bars(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 101, gaps=[(50, 59)])
    server.past.candles.page = 30
    downloads = Downloads(server, tmp_path)
    downloads.run(BEGIN)
    assert ("begins", BTC, 100, 0) == downloads.progress.calls[0]
    assert [("advances", BTC, 100), ("ends", BTC)] == downloads.progress.calls[-2:]


# Second fetches


def test_a_different_second_answer_is_decided_by_a_third(server: ExchangeServer, tmp_path: Path) -> None:
    bars = fill(server, 100)
    server.past.candles.planned = ["", "other close"]
    downloads = Downloads(server, tmp_path)
    result = downloads.run(BEGIN)
    assert stored(bars[:99]) == downloads.rows()
    assert (1, 99) == (result.comparison.pages, result.comparison.different)


def test_answers_that_contradict_each_other_are_an_error(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 100)
    server.past.candles.planned = ["", "other close", "other close"]
    with pytest.raises(DownloadFailed, match="answers about BTC/USDT contradict each other: the bar of 2026-01-05"):
        Downloads(server, tmp_path).run(BEGIN)


def test_which_pages_are_compared_depends_on_the_request_alone(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 4000)
    server.past.candles.page = 20
    compared = []
    for name in ("one", "two"):
        server.past.candles.requests.clear()
        result = Downloads(server, tmp_path / name).run(BEGIN)
        compared.append([at for at in server.past.candles.requests if server.past.candles.requests.count(at) > 1])
        assert len(set(compared[-1])) == result.comparison.pages
    assert compared[0] == compared[1]
    assert 2 <= len(set(compared[0])) <= 15  # 1 % of 200, and the first one


# Rate limits


def test_requests_keep_to_the_rate_limit_of_ccxt(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 100)
    server.past.candles.page = 10
    downloads = Downloads(server, tmp_path)
    downloads.options = {**downloads.options, "rateLimit": 50}
    downloads.run(BEGIN)
    arrivals = server.past.candles.arrivals
    assert len(arrivals) >= 11
    assert arrivals[-1] - arrivals[0] > 0.05 * (len(arrivals) - 2)


def test_it_waits_as_long_as_the_exchange_demands(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 100)
    server.past.candles.planned = ["429, wait"]
    Downloads(server, tmp_path).run(BEGIN)
    first, second, *_ = server.past.candles.arrivals
    assert second - first >= 1


# What cannot be downloaded


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbols": (Symbol("BTC/USD"),)}, "kraken lists no market BTC/USD; did you mean BTC/USDT or"),
        ({"timeframe": Timeframe.parse("7m")}, "kraken has no bars of 7 m; it has 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w"),
        ({"since": BEGIN + timedelta(days=9)}, "no bar of 1 m begins after 2026-01-14 00:00:00 UTC and has ended by"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_one_clear_sentence(
    server: ExchangeServer, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    fill(server, 10)
    downloads = Downloads(server, tmp_path)
    values = {"exchange": "kraken", "symbols": (BTC,), "timeframe": Timeframe.parse("1m"), "since": BEGIN, **change}
    with pytest.raises(InvalidRequest) as error:
        Downloader(downloads.store, downloads.options, downloads.progress, QUICK).run(DownloadRequest(**values))
    assert str(error.value).startswith(message)


def test_an_unknown_exchange_is_named(server: ExchangeServer, tmp_path: Path) -> None:
    downloads = Downloads(server, tmp_path)
    downloader = Downloader(downloads.store, {}, downloads.progress, QUICK)
    with pytest.raises(SettingsError, match="'krakn': ccxt knows no such exchange; did you mean kraken"):
        downloader.run(DownloadRequest("krakn", (BTC,), Timeframe.parse("1m"), BEGIN))


def test_a_span_without_bars_is_an_error(server: ExchangeServer, tmp_path: Path) -> None:
    fill(server, 10)
    server.past.candles.clock = START + 86400
    downloads = Downloads(server, tmp_path)
    with pytest.raises(DownloadFailed, match="kraken has no bars of BTC/USDT in 2026-01-05 12:00:00 to"):
        downloads.run(BEGIN + 12 * HOUR)
    assert [] == [path.name for path in downloads.path().parent.iterdir()]


def test_an_outage_that_does_not_end_ends_the_download(
    server: ExchangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient(RecordedProgress):
        def begins(self, symbol: Symbol, bars: int, present: int) -> None:
            monkeypatch.setattr(source_module, "OUTAGE_TIMEOUT_S", 3)

    fill(server, 10)
    server.past.candles.faults = Faults(0, 1.0, ["503"])
    downloads = Downloads(server, tmp_path)
    downloads.progress = Impatient()
    with pytest.raises(DownloadFailed, match=r"kraken did not answer for 3 s \(.*503.*\); the same command goes on"):
        downloads.run(BEGIN)
