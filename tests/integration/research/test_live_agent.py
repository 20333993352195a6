"""``run.py agent`` on a real database: prices that are stored, decisions that are stored once, and how it ends."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from console.cli import main
from console.commands import agent as command
from domain.types import DEFAULT_PORTFOLIO
from persistence.queries.research.live_market import LiveMarketReader
from persistence.stores import portfolios
from tests.support.database.set_time import database_time, set_time
from tests.support.database.upgraded import database_url, embedded_url
from tests.support.system.running_system import running_system, until_all_ended
from tests.support.values.builders import BTC, ETH

__all__ = ["database_url", "embedded_url"]  # fixtures

Run = Callable[..., tuple[int, str, str]]
SECOND = timedelta(seconds=1)
BUYS = """
from research import Intent, Parameters, Strategy

class Limits(Parameters):
    calls: int = 1

class Buys(Strategy[Limits]):
    calls = 0

    def on_bar(self, bar, view):
        self.calls += 1
        if self.calls > self.parameters.calls:
            raise ValueError("enough")
        return Intent.buy(quantity=view.quantity(0.001))
"""


@pytest.fixture
def run(embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with a strategy that is in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "MIN_LENGTH", SECOND)
    (tmp_path / "buys.py").write_text(BUYS)

    def run_agent(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["agent", "buys.py", "--database-url", embedded_url, "--home", str(tmp_path), *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_agent


def store(url: str, rows: list[tuple[datetime, float]], symbol: str = BTC, source: str = "test") -> None:
    with psycopg.connect(url) as owner:
        for at, price in rows:
            owner.execute(
                "INSERT INTO market_prices (time, symbol, source, price, high, low, price_time)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [at, symbol, source, price, price + 1, price - 1, at],
            )


def decisions(url: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as owner:
        return owner.execute("SELECT * FROM trading_decisions ORDER BY id").fetchall()


def test_a_database_on_which_no_service_has_run_is_named(run: Run) -> None:
    code, out, err = run("--symbols", BTC)
    assert (3, "") == (code, out)
    assert "no service has ever run on this database: start it first, with the same --home or database" in err


def test_the_reader_tells_prices_and_the_portfolio(embedded_url: str) -> None:
    portfolios.create(embedded_url, DEFAULT_PORTFOLIO, {"initial_capital": 5_000})
    now = database_time(embedded_url).replace(microsecond=0)
    store(embedded_url, [(now - 90 * SECOND, 90)], source="other")
    store(embedded_url, [(now - 61 * SECOND, 100), (now - 60 * SECOND, 101), (now - 2 * SECOND, 105)])
    with closing(LiveMarketReader(embedded_url, DEFAULT_PORTFOLIO)) as reader:
        newest, present = reader.newest([BTC, ETH])
        assert now - 2 * SECOND == newest
        assert abs(present - now) < timedelta(minutes=1)
        assert (None, True) == (reader.newest([ETH])[0], reader.newest([])[0] is None)
        rows = reader.prices(BTC, now - 60 * SECOND, now - 2 * SECOND)
        assert [(now - 60 * SECOND, 101)] == [(row[1], row[2]) for row in rows]
        assert [100, 101] == [row[2] for row in reader.prices(BTC, now - 600 * SECOND, now - 2 * SECOND)]
        state, marks = reader.portfolio()
        assert (Decimal(5_000), {}) == (state.cash, marks)


def test_a_restart_stores_a_decision_once_and_ctrl_c_ends_in_order(
    embedded_url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    portfolios.create(embedded_url, DEFAULT_PORTFOLIO, {"initial_capital": 5_000})
    begin = datetime(2026, 1, 5, 12, tzinfo=UTC)
    with psycopg.connect(embedded_url) as owner:
        set_time(owner, begin + 5 * SECOND)
    store(embedded_url, [(begin - 30 * SECOND, 100), (begin - SECOND, 101), (begin, 102)])
    interrupted = SimpleNamespace(sleep=lambda _: signal.raise_signal(signal.SIGINT), monotonic=time.monotonic)
    monkeypatch.setattr(command, "time", interrupted)
    for _ in range(2):
        code, out, err = run("--symbols", "btcusdt")
        assert (0, "") == (code, err)
        assert "Buys on BTC/USDT, bars of 1 m, portfolio default; Ctrl-C ends it" in out
        assert "BUY 0.001 BTC/USDT: sent" in out
    (row,) = decisions(embedded_url)
    assert f"Buys default BTC/USDT {begin:%Y-%m-%dT%H:%M:%SZ} 0" == row["idempotency_key"]
    assert ("pending", "Buys") == (row["status"], row["strategy"])


def test_a_strategy_trades_live_until_it_raises(embedded_url: str, run: Run) -> None:
    with running_system(embedded_url) as system:
        code, out, err = run("--symbols", "BTC/USDT", "--timeframe", "1s", "--param", "calls=2")
        until_all_ended(system.ledger_reader)
    assert 1 == code
    assert err.startswith("run.py: Buys raised ValueError: enough at bar ")
    assert "buys.py, line 13)" in err
    assert 1 == err.count("\n")
    assert "decision 1, BUY BTC/USDT: bought 0.001 BTC/USDT at" in out
    rows = decisions(embedded_url)
    assert ["executed"] * 2 == [row["status"] for row in rows]
    assert 2 == len({row["idempotency_key"] for row in rows})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--symbols", ","), "--symbols is empty"),
        (("--symbols", "NOPE"), "--symbols 'NOPE': no price of it is stored"),
        (("--symbols", "BTC/USDT", "--timeframe", "0.5s"), "--timeframe: '0.5s' is no timeframe"),
        (("--symbols", "BTC/USDT", "--timeframe", "1M"), "must be a fixed length of 5s or more"),
        (("--symbols", "BTC/USDT", "--param", "call=1"), "Buys has no parameter 'call'; did you mean calls?"),
        (("--symbols", "BTC/USDT", "--portfolio", "nobody"), "there is no portfolio 'nobody'"),
    ],
)
def test_a_mistake_gets_one_sentence(embedded_url: str, run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    portfolios.create(embedded_url, DEFAULT_PORTFOLIO, {"initial_capital": 5_000})
    code, out, err = run(*arguments)
    assert (2, "") == (code, out)
    assert 1 == err.count("\n")
    assert sentence in err
