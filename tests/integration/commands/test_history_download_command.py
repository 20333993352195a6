"""``run.py history download``: what people and programs read, how it is stopped, and how it refuses."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.settings import Settings
from console.cli import main
from console.commands import history_download as module
from domain.types import Symbol
from market.history.store import HistoryStore, SeriesKey
from tests.support.exchange.candles import Faults, random_bars
from tests.support.exchange.downloads import BTC, options_of
from tests.support.exchange.server import ExchangeServer
from tests.support.system.program import Program, environment, run
from tests.support.system.terminal import Screen

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
START = int(BEGIN.timestamp())
COMMAND = ("history", "download", "--symbols", "BTC/USDT", "--since", "2026-01-05")


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        running.past.candles.add("BTCUSDT", 60, random_bars(1, START, 1000, 60, [(100, 109), (500, 500)]))
        running.past.candles.clock, running.past.candles.page = START + 999 * 60, 50
        yield running


@pytest.fixture
def env(server: ExchangeServer, tmp_path: Path) -> dict[str, str]:
    options = json.dumps(options_of(server, "kraken"))
    return environment(
        tmp_path / "home", exchange="kraken", exchange_options=options, exchange_trusted_hosts="127.0.0.1"
    )


def path(env: dict[str, str]) -> Path:
    return HistoryStore(Path(env["PAPER_HOME"])).path(SeriesKey("kraken", BTC, "1m"))


@pytest.mark.slow
def test_it_says_what_is_stored_and_what_the_exchange_lacks(env: dict[str, str]) -> None:
    ended = run(*COMMAND, env=env)
    assert 0 == ended.code, ended
    stored = "988 bars of 1 m from 2026-01-05 00:00:00 to 2026-01-05 16:38:00 UTC; 988 of them are new"
    gaps = "kraken has no bars in 2 spans (11 bars), asked at least twice"
    compared = "1 answer compared with a second one: 0 differences"
    assert [
        f"BTC/USDT: {stored}; {gaps}; {compared}",
        f"  {path(env)}",
        "`run.py history list` shows all that is stored.",
    ] == ended.out.splitlines()
    lines = ended.err.splitlines()
    assert ("BTC/USDT: 999 bars", "BTC/USDT: done") == (lines[0], lines[-1])
    assert 9 == sum(" of 999 bars, about " in line for line in lines)
    document = run(*COMMAND, "--json", env=env).json
    (series,) = document["series"]
    assert ("kraken", "1m", 0, 988) == (document["exchange"], document["timeframe"], series["added"], series["bars"])
    assert str(path(env)) == series["file"]
    assert 0 == run("history", "check", env=env).code


@pytest.mark.slow
def test_a_stop_keeps_what_has_arrived(server: ExchangeServer, env: dict[str, str]) -> None:
    server.past.candles.planned = [""] * 5 + ["hang"]
    with Program(*COMMAND, env=env) as program:
        assert server.past.candles.wait_for(6)
        stopped = program.stop(signal.SIGINT)
    assert 130 == stopped.code, stopped
    assert ["What has arrived is kept: the same command goes on from here.", "run.py: interrupted"] == (
        stopped.err.splitlines()[-2:]
    )
    assert "Traceback" not in stopped.err
    assert program.seconds_to_stop < module.STOP_TIMEOUT_S
    assert [path(env).with_suffix(".download")] == list(path(env).parent.iterdir())
    ended = run(*COMMAND, "--json", env=env)
    assert 988 == ended.json["series"][0]["bars"]
    assert "bars, " in ended.err.splitlines()[0]
    assert "of them are there already" in ended.err.splitlines()[0]


@pytest.mark.slow
def test_a_terminal_shows_a_bar_with_the_time_left(server: ExchangeServer, env: dict[str, str]) -> None:
    server.past.candles.planned = [""] * 12 + ["hang"]
    with Screen(*COMMAND, env=env, columns=100) as screen:
        screen.wait_for("of 999 bars")
        screen.wait_for(" left")
        screen.kill(signal.SIGINT)
        assert 130 == screen.ended()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--exchange", "krakn"], "setting exchange = 'krakn': ccxt knows no such exchange; did you mean kraken"),
        (["--symbols", "BTC/USD"], "kraken lists no market BTC/USD; did you mean BTC/USDT"),
        (["--symbols", " , "], "--symbols must name at least one, such as BTC/USDT"),
        (["--timeframe", "1y"], "--timeframe: '1y' is no timeframe; it must be one such as 1m,"),
        (["--timeframe", "7m"], "kraken has no bars of 7 m; it has 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w"),
        (["--since", "yesterday"], "--since 'yesterday': must be a day such as 2026-01-31, or a time such as"),
        (["--since", "2999-01-01"], "no bar of 1 m begins after 2999-01-01 00:00:00 UTC and has ended by"),
        (["--until", "2026-01-04"], "--since 2026-01-05 must be before --until 2026-01-04"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_one_clear_sentence(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str],
    message: str,
) -> None:  # fmt: skip
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert 2 == main([*COMMAND, *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not path(env).parent.exists()


@pytest.mark.slow
def test_a_failure_is_one_sentence_that_names_the_exchange(server: ExchangeServer, env: dict[str, str]) -> None:
    server.past.candles.faults = Faults(1, 1.0, ["refused"])
    ended = run(*COMMAND, env=env)
    assert 1 == ended.code, ended
    assert "kraken: ExchangeError: kraken {" in ended.err.splitlines()[-1]


def test_options_of_another_exchange_are_not_used() -> None:
    settings = Settings(exchange="kraken", exchange_options={"rateLimit": 1})
    assert {"rateLimit": 1} == module._options(settings, "kraken")
    assert {} == module._options(settings, "binance")


def test_lines_tell_each_tenth_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    seconds: Iterator[float] = iter([0, 10, 60, 0, 0, 0])
    clock: Callable[[], float] = lambda: next(seconds)  # noqa: E731
    lines = module._Lines(module.terminal(stderr=True), clock)
    symbol = Symbol("BTC/USDT")
    lines.begins(symbol, 1000, 0)
    for present in (50, 100, 150, 600):
        lines.advances(symbol, present)
    lines.ends(symbol)
    assert [
        "BTC/USDT: 1,000 bars",
        "BTC/USDT: 100 of 1,000 bars, about 1 min 30 s left",
        "BTC/USDT: 600 of 1,000 bars, about 40 s left",
        "BTC/USDT: done",
    ] == capsys.readouterr().err.splitlines()
