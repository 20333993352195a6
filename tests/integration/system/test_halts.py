"""Halts by people and by the audit: nothing is traded, and each outcome has the reason."""

from __future__ import annotations

from queue import SimpleQueue

import psycopg
import pytest
from loguru import logger

from actors import Decision, TradingSystem
from actors.messages import Audit
from domain.errors import UnknownPortfolio
from persistence.stores import halts, portfolios
from tests.support.system.running_system import assert_sound, running_system, until


def reason_of(system: TradingSystem, decision: str = "BUY", portfolio: str = "default") -> str:
    future = system.submit(
        Decision(symbol="BTC/USDT", decision=decision, confidence=1, quantity="0.001", portfolio=portfolio)
    )
    return str(future.get(timeout=10).reason)


def test_a_halted_portfolio_trades_nothing_until_it_may_again(embedded_url: str) -> None:
    with running_system(embedded_url) as system:
        portfolios.create(embedded_url, "other", {"initial_capital": 1000})
        assert reason_of(system).startswith("bought")
        halts.insert(embedded_url, "default", "reviewing", "tester", halted=True)
        until(lambda: reason_of(system, "SELL") == "halted: reviewing")
        assert reason_of(system, "HOLD") == "hold: nothing to do"
        assert reason_of(system, portfolio="other").startswith("bought")
        halts.insert(embedded_url, None, "everything", "tester", halted=True)
        until(lambda: reason_of(system, portfolio="other") == "halted: everything")
        halts.insert(embedded_url, "default", "go on", "tester", halted=False)
        until(lambda: reason_of(system).startswith("bought"))
        assert ["other"] == [row["portfolio"] for row in system.ledger_reader.halted()]
        assert {"default": None, "other": "everything"} == {
            row["portfolio"]: row["halted"] for row in system.ledger_reader.portfolios()
        }
    with running_system(embedded_url) as system:  # a halt outlives the process
        assert reason_of(system, portfolio="other") == "halted: everything"


def test_the_log_has_changes_of_rules_and_a_halt_is_not_one(embedded_url: str) -> None:
    log_lines: list[str] = []
    sink = logger.add(lambda line: log_lines.append(line.strip()), level="INFO", format="{message}")
    try:
        with running_system(embedded_url) as system:
            halts.insert(embedded_url, "default", "reviewing", "tester", halted=True)
            until(lambda: reason_of(system).startswith("halted"))
            halts.insert(embedded_url, "default", "go on", "tester", halted=False)
            until(lambda: reason_of(system).startswith("bought"))
            portfolios.change(embedded_url, "default", {"slippage_pct": 0})
            until(lambda: any("revision" in line for line in log_lines))
    finally:
        logger.remove(sink)
    rules = [line for line in log_lines if "of its rules" in line]
    assert ["portfolio default now trades by revision 2 of its rules"] == rules


def test_a_halt_is_never_changed_and_names_a_portfolio_that_exists(embedded_url: str) -> None:
    with running_system(embedded_url):
        with pytest.raises(UnknownPortfolio, match="there is no portfolio 'defalt'; did you mean default"):
            halts.insert(embedded_url, "defalt", "x", "tester", halted=True)
        halts.insert(embedded_url, None, "x", "tester", halted=True)
        with psycopg.connect(embedded_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("DELETE FROM paper_halts")


def test_the_audit_finds_a_change_by_hand_and_halts_the_portfolio(embedded_url: str) -> None:
    with running_system(embedded_url) as system:
        assert reason_of(system).startswith("bought")
        answers: SimpleQueue[tuple[str, ...]] = SimpleQueue()
        keeper = system._wiring.address("PositionKeeper")
        keeper.tell(Audit(answers.put))
        assert () == answers.get(timeout=10)
        with psycopg.connect(embedded_url, autocommit=True) as connection:
            connection.execute("SET paper.writer = 'PositionKeeper'")
            connection.execute("UPDATE paper_trading_config SET current_capital = current_capital + 1")
        keeper.tell(Audit(answers.put))
        (difference,) = answers.get(timeout=10)
        assert difference.startswith("portfolio default: cash is ")
        until(lambda: reason_of(system).startswith("halted: audit: portfolio default: cash is"))
        (halted,) = system.ledger_reader.halted()
        assert "audit" == halted["by_whom"]
        with psycopg.connect(embedded_url, autocommit=True) as connection:
            connection.execute("SET paper.writer = 'PositionKeeper'")
            connection.execute("UPDATE paper_trading_config SET current_capital = current_capital - 1")
        keeper.tell(Audit(answers.put))  # the correction differs from memory too; the PositionKeeper then reloads
        assert 1 == len(answers.get(timeout=10))
        halts.insert(embedded_url, None, "put right", "tester", halted=False)
        until(lambda: reason_of(system).startswith("bought"))
        assert_sound(system.ledger_reader, sum(system.ledger_reader.outcomes().values()))
