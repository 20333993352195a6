"""``run.py replay``: what is stored of a portfolio gives the same digits again, and a changed one is named."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from console.cli import main
from domain.trading.account.requests import AccountKind, Ratio
from persistence.replay.reading import open_ledger
from persistence.replay.replaying import Difference, Replayed, replay
from persistence.replay.resting import NonEvents
from tests.integration.orders.test_accounts import Account
from tests.integration.orders.test_random_orders import send_order
from tests.integration.persistence.test_stores import Stores, real
from tests.support.database.roles import RoleMaker, role_maker
from tests.support.database.upgraded import database_url, embedded_url
from tests.support.system.running_system import decision_rows, insert_decisions, running_system, until_all_ended
from tests.support.values.builders import BTC

__all__ = ["database_url", "embedded_url", "real", "role_maker"]  # fixtures

Run = Callable[..., tuple[int, str, str]]
STEPS = 60


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_replay(url: str, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["replay", "--database-url", url, "--home", str(tmp_path), *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_replay


TRIGGERS = """
SELECT tgname FROM pg_trigger
WHERE tgrelid = %s::regclass AND NOT tgisinternal AND starts_with(tgname, 'paper_')
"""
"""Those of the program."""


def replayed(url: str, name: str = "default") -> Replayed:
    with open_ledger(url, name) as ledger:
        return replay(ledger)


def changed(url: str, table: str, assignment: str, condition: str = "true") -> None:
    """Change rows of a table as no writer of the program does."""
    with psycopg.connect(url) as owner:
        for (name,) in owner.execute(TRIGGERS, [table]).fetchall():  # those of a hypertable cannot be disabled
            owner.execute(f'DROP TRIGGER "{name}" ON {table}')  # type: ignore[call-overload]
        statement = f"UPDATE {table} SET {assignment} WHERE {condition}"
        assert 1 == owner.execute(statement).rowcount  # type: ignore[call-overload]


def traded(stores: Stores) -> Account:
    """Let events of all kinds happen: fills, exits, an amend, a trigger, a split, cash in and out, a dividend."""
    market = Account(stores)
    market.price("100", "99.9", "100.1", "5")
    market.send("BUY", "4", order_type="limit", limit_price="99", stop_loss="90", take_profit="110.5")
    market.trade("98.9", "1")
    market.send("BUY", "2")
    market.send("BUY", "1", order_type="trailing_stop", trail="5")
    resting = market.send("BUY", "1", order_type="limit", limit_price="80")
    market.send("AMEND", "2", target=str(resting))
    market.change(AccountKind.DEPOSIT, amount="2500.5")
    market.change(AccountKind.SPLIT, symbol=BTC, ratio=Ratio(Decimal(10), Decimal(1)))
    market.price("9.95", "9.94", "9.96", "30")
    market.trade("9.87", "15")
    market.price("10.6", "10.59", "10.61", "30")
    market.send("SELL", "3")
    market.price("8.9", "8.89", "8.91", "30")  # the stop
    market.change(AccountKind.DIVIDEND, symbol=BTC, amount="0.03")  # it ends all open orders
    market.change(AccountKind.WITHDRAWAL, amount="100")
    market.send("CANCEL", target="symbol")
    return market


def test_all_kinds_of_events_give_the_same_digits(real: Stores) -> None:
    market = traded(real)
    result = replayed(real.url)
    assert result.difference is None
    assert (market.state.version, market.state.cash) == (result.state.version, result.state.cash)
    assert {"fills", "order events", "account events", "orders", "trades"} == result.counts.keys()
    assert 4 == result.counts["account events"]


@pytest.mark.parametrize("seed", [1, 2])
def test_random_orders_give_the_same_digits(real: Stores, seed: int) -> None:
    draw = random.Random(seed)
    market, price = Account(real), Decimal(100)
    for _ in range(STEPS):
        match draw.choice(["price", "price", "order", "order", "cancel", "time", "kill"]):
            case "price":
                price = max(price + Decimal(draw.randint(-300, 300)) / 100, Decimal(20))
                spread = Decimal(draw.randint(1, 30)) / 100
                size = str(Decimal(draw.randint(1, 9_999_999)) / 1_000_000) if draw.random() < 0.7 else None
                market.price(str(price), str(price - spread), str(price + spread), size)
            case "order":
                send_order(market, draw, price)
            case "cancel":
                market.send("CANCEL", target="all" if draw.random() < 0.3 else str(draw.randint(1, market.number or 1)))
            case "time":
                market.time(draw.randint(1, 5))
            case "kill":
                market.restart()
    result = replayed(real.url)
    assert result.difference is None
    assert market.state.version == result.state.version > 10


@pytest.mark.parametrize(
    ("table", "assignment", "condition", "subject", "column"),
    [
        ("paper_fills", "touch_size = 1", "quantity = 3", "fill 1", "slippage_rate"),
        ("paper_fills", "position_id = order_id", "version = 2", "fill 1", "position_id"),
        ("paper_fills", "last_price = last_price + 5, ask = ask + 5", "version = 2", "fill 1", "last_price"),
        ("paper_fills", "version = 1000", "version = 2", "event", "version"),
        ("paper_orders", "equity = equity + 1", "order_type = 'market' AND side = 'BUY'", "order", "equity"),
        ("paper_orders", "slippage = slippage + 1", "order_type = 'stop'", "order", "slippage"),
        ("paper_order_events", "reserved = reserved + 1", "version = 1", "event accepted", "reserved"),
        ("paper_order_events", "price = 9, bid = 9, ask = 9", "kind = 'triggered' AND price > 10",
         "event triggered", "price"),
        ("paper_order_splits", "quantity = quantity + 1", "limit_price = 8", "split", "quantity"),
        ("paper_account_events", "cash_delta = 1", "kind = 'dividend'", "dividend", "cash_delta"),
        ("paper_trades", "cost = cost + 1, net_pnl = net_pnl - 1, realized_pnl = realized_pnl - 1",
         "exit_time = (SELECT min(exit_time) FROM paper_trades)", "trade", "cost"),
        ("paper_trading_config", "current_capital = current_capital + 1", "true", "portfolio", "current_capital"),
        ("paper_portfolio_state", "version = version + 1", "true", "portfolio", "version"),
    ],
)  # fmt: skip
def test_a_changed_row_is_named_with_its_column(
    real: Stores, table: str, assignment: str, condition: str, subject: str, column: str
) -> None:
    traded(real)
    with psycopg.connect(real.url) as owner:
        constraints = owner.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'", [table]
        ).fetchall()
        for (name,) in constraints:
            owner.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')  # type: ignore[call-overload]
    changed(real.url, table, assignment, condition)
    difference = replayed(real.url).difference
    assert isinstance(difference, Difference)
    assert column == difference.column, difference
    assert subject in difference.subject, difference


def test_a_row_that_is_missing_is_named(real: Stores) -> None:
    market = traded(real)
    with psycopg.connect(real.url) as owner:
        owner.execute("ALTER TABLE paper_order_events DISABLE TRIGGER USER")
        assert 1 == owner.execute("DELETE FROM paper_order_events WHERE version = 1").rowcount
    difference = replayed(real.url).difference
    assert (1, "event", "version") == difference[:3] if difference is not None else None
    assert market.state.version > 10


def test_the_command_and_its_exit_codes(real: Stores, run: Run) -> None:
    market = traded(real)
    code, out, err = run(real.url, "default")
    assert (0, "") == (code, err)
    assert f"Portfolio default: {market.state.version} events computed again (" in out
    assert "The same to the last digit: cash " in out
    assert "orders rested without a fill; stored prices show of 0 that" in out
    document = json.loads(run(real.url, "default", "--json")[1])
    assert (True, None, market.state.version) == (document["same"], document["difference"], document["version"])
    changed(real.url, "paper_trading_config", "current_capital = current_capital + 1")
    code, out, _ = run(real.url, "default")
    assert (1, True) == (code, "The first difference: portfolio default: current_capital is stored as" in out)
    document = json.loads(run(real.url, "default", "--json")[1])
    assert (False, "current_capital") == (document["same"], document["difference"]["column"])
    code, out, err = run(real.url, "defautl")
    assert (2, "") == (code, out)
    assert "there is no portfolio 'defautl'; did you mean default?" in err


def test_a_role_that_reads_suffices(embedded_url: str, role_maker: RoleMaker, run: Run) -> None:
    stores = Stores(embedded_url)
    try:
        traded(stores)
    finally:
        stores.close()
    code, out, err = run(role_maker.make("reader"), "default")
    assert (0, "") == (code, err)
    assert "The same to the last digit" in out
    assert 1 == run(role_maker.make("sender"), "default")[0]


def test_orders_that_rested_are_checked_with_stored_prices(real: Stores) -> None:
    market = Account(real)
    market.price("100", "99.9", "100.1")
    far = market.send("BUY", "1", order_type="limit", limit_price="80")
    market.send("BUY", "1", order_type="stop", stop_price="120")
    near = market.send("BUY", "1", order_type="limit", limit_price="99")
    market.send("BUY", "1", order_type="trailing_stop", trail_pct="0.2")
    rows = [(100, 99.5, 100.5), (100, 98.5, 101)]  # the first counts by its last price alone
    with psycopg.connect(real.url) as owner:
        for second, (price, low, high) in enumerate(rows, 2):
            owner.execute(
                "INSERT INTO market_prices (time, symbol, source, price, high, low, price_time)"
                " VALUES (%s + make_interval(secs => %s), %s, 'test', %s, %s, %s, now())",
                [market.now, second, BTC, price, high, low],
            )
    with open_ledger(real.url, "default") as ledger:
        assert NonEvents(2, 2) == ledger.non_events
    assert far < near


def test_what_a_running_system_has_written_is_replayed(embedded_url: str) -> None:
    with running_system(embedded_url) as system:
        insert_decisions(embedded_url, decision_rows(40))
        until_all_ended(system.ledger_reader)
        assert replayed(embedded_url).difference is None  # while it serves
        version = system.ledger_reader.rows("SELECT version FROM paper_portfolio_state")[0]["version"]
    result = replayed(embedded_url)
    assert (None, version) == (result.difference, result.state.version)
    assert result.counts["fills"] > 5
