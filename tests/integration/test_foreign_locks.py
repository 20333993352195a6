"""Locks of somebody else are said, with who holds them, and lose nothing."""

from __future__ import annotations

import psycopg
import pytest
from loguru import logger

from tests.integration.running import running, until, until_all_ended

INSERT = "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 1)"


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT FROM paper_trading_config FOR UPDATE",
        "LOCK TABLE paper_orders IN SHARE MODE",
    ],
)
def test_a_lock_is_said_and_all_is_traded_after_it(embedded_url: str, lock: str) -> None:
    said: list[str] = []
    with running(embedded_url) as system:
        handler = logger.add(lambda message: said.append(str(message)), level="WARNING")
        with psycopg.connect(embedded_url, autocommit=True) as sender:
            with psycopg.connect(embedded_url, application_name="report") as somebody:
                somebody.execute(lock)
                sender.execute(INSERT)
                until(lambda: any(f"session {somebody.info.backend_pid} (report" in line for line in said))
                somebody.rollback()
            until_all_ended(system.books)
        logger.remove(handler)
        assert system.books.ledger_differences() == []
