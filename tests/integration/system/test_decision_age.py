"""Decisions inserted while nothing ran: a start expires those that are too old by the database's clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from loguru import logger
from prometheus_client import CollectorRegistry

from actors.runtime.timer import SystemClock
from actors.system import TradingSystem
from console.commands.serve import _facts
from console.metrics.endpoint import MetricsEndpoint
from domain.trading.instruments import Instrument
from domain.types import Symbol
from persistence import schema
from tests.integration.persistence.test_adoption import MINIMAL, psql
from tests.support.exchange.fixed_price_source import FixedPriceSource
from tests.support.system.running_system import PRICES, isolated_settings, running_system, until

pytestmark = pytest.mark.clock

QUEUED = "INSERT INTO trading_decisions (symbol, decision, confidence, created_at) VALUES (%s, %s, 0.8, now() - {})"


def queue(url: str, *ages: str) -> None:
    schema.upgrade(url)
    with psycopg.connect(url) as agent:
        for age in ages:
            agent.execute(QUEUED.format(f"interval '{age}'"), ["BTC/USDT", "BUY"])  # type: ignore[arg-type]


def outcomes(system: TradingSystem) -> list[tuple[Any, Any]]:
    rows = system.ledger_reader.rows(
        "SELECT status, split_part(outcome_reason, ':', 1) AS code FROM trading_decisions ORDER BY id"
    )
    return [(row["status"], row["code"]) for row in rows]


def warnings(messages: list[str]) -> list[str]:
    return [line for line in messages if "max_decision_age" in line and line.startswith("WARNING")]


@pytest.fixture
def log() -> Any:
    messages: list[str] = []
    number = logger.add(lambda line: messages.append(str(line)), format="{level} {message}")
    yield messages
    logger.remove(number)


def test_a_start_expires_decisions_older_than_five_minutes_and_logs_how_many(database_url: str, log: list[str]) -> None:
    queue(database_url, "6 hours", "301 seconds", "200 years", "100 seconds", "-3 hours")
    with running_system(database_url) as system:
        until_none_waits(system)
        assert [("expired", "expired")] * 3 == outcomes(system)[:3]
        assert ["executed"] * 2 == [status for status, _ in outcomes(system)[3:]]
        facts = _facts(system, isolated_settings(database_url), MetricsEndpoint(None, CollectorRegistry()))
        assert (3, 300.0, 3) == (
            facts["decisions_expired"],
            facts["max_decision_age"],
            system.status().expired_at_intake,
        )
        assert system.ledger_reader.ledger_differences() == []
    warning = "WARNING 3 decisions expired: older than max_decision_age = 300 s when this process could"
    assert [f"{warning} take them\n"] == warnings(log)


def test_with_0_nothing_is_too_old(database_url: str, log: list[str]) -> None:
    queue(database_url, "6 hours")
    with running_system(database_url, max_decision_age=0) as system:
        until_none_waits(system)
        assert ["executed"] == [status for status, _ in outcomes(system)]
        assert 0 == system.status().expired_at_intake
    assert [] == warnings(log)


class Ahead(SystemClock):
    """A clock that is seven hours ahead of the database's."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=7)


def test_the_clock_of_the_database_decides_and_not_that_of_this_machine(database_url: str) -> None:
    queue(database_url, "200 seconds", "400 seconds")
    clock = Ahead()
    instruments = [Instrument(Symbol(symbol), "USDT") for symbol in PRICES]
    source = FixedPriceSource(PRICES, clock, 0.1, instruments)
    with TradingSystem.start(isolated_settings(database_url), source=source, clock=clock) as system:
        until_none_waits(system)
        assert ["executed", "expired"] == [status for status, _ in outcomes(system)]


def test_the_backlog_of_an_adopted_table_is_traded_in_its_own_order_up_to_an_age(empty_url: str) -> None:
    psql(empty_url, MINIMAL, "INSERT INTO trading_decisions (symbol, decision, confidence, created_at) VALUES"
         " ('ETH/USDT', 'BUY', 0.7, '2020-01-02'), ('BTC/USDT', 'BUY', 0.7, '2020-01-01')")  # fmt: skip
    instruments = [Instrument(Symbol(symbol), "USDT") for symbol in PRICES]
    source = FixedPriceSource(PRICES, SystemClock(), 0.1, instruments)
    century = timedelta(days=36_500)
    settings = isolated_settings(empty_url)
    with TradingSystem.start(settings, source=source, include_backlog=True, backlog_max_age=century) as system:
        until_none_waits(system)
        rows = system.ledger_reader.rows(
            "SELECT symbol, status FROM trading_decisions WHERE status <> 'ignored' ORDER BY created_at"
        )
        assert [("BTC/USDT", "executed"), ("ETH/USDT", "executed")] == [(row["symbol"], row["status"]) for row in rows]
        young = "SELECT count(*) AS n FROM trading_decisions WHERE created_at > now() - interval '5 minutes'"
        assert 2 == system.ledger_reader.rows(young)[0]["n"]


def until_none_waits(system: TradingSystem) -> None:
    until(lambda: system.ledger_reader.waiting() == 0)
