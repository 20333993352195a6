"""Validation runs: steps that begin one, judge it and write its evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import Engine

from domain.validation.criteria import Criteria, Criterion
from domain.validation.verdict import Verdict
from persistence import schema
from persistence.connections import engine_for, transaction
from persistence.queries import validation
from persistence.stores import portfolios, validation_runs
from persistence.stores.validation_runs import StoredRun

LIVE = {"prices": "ccxt", "exchange": "kraken", "max_price_age": 30.0}
NONE = "(none)"
KEEPER = "PositionKeeper"


def process(url: str, epoch: int = 100, version: str = "0.1.0", **settings: Any) -> None:
    """Insert a process that has served, as its lease would."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET paper.writer = 'Supervisor'")
        connection.execute(
            "INSERT INTO paper_processes VALUES (%s, 'tester', %s, %s, now())",
            [epoch, version, Jsonb({**LIVE, **settings})],
        )


@contextmanager
def reading(url: str) -> Iterator[Engine]:
    engine = engine_for(url, "test")
    try:
        yield engine
    finally:
        engine.dispose()


def begin(url: str, name: str | None = "spring", *names: str, strategies: tuple[str, ...] = (NONE,)) -> StoredRun:
    with reading(url) as engine, transaction(engine) as cursor:
        return validation_runs.begin(cursor, name, names, strategies, Criteria(), "tester")


BEGUN_AT = """
INSERT INTO paper_validation_runs (name, started_at, epoch, version, settings, portfolios, strategies, criteria)
SELECT 'spring', %s, epoch, version, settings,
       (SELECT jsonb_object_agg(portfolio, to_jsonb(c) - 'portfolio' - 'current_capital') FROM paper_trading_config c),
       ARRAY['(none)', 'trend'], '{}'
FROM paper_processes WHERE epoch = 100
"""


def begun_at(url: str, moment: datetime) -> None:
    """Insert a run of all portfolios that began at ``moment``."""
    execute(url, BEGUN_AT, moment)


def verdicts(url: str, **options: Any) -> dict[str, Verdict]:
    with reading(url) as engine:
        return {verdict.portfolio: verdict for verdict in validation.verdicts(engine, Criteria(), **options)}


def criterion(verdict: Verdict, name: str) -> Criterion:
    return next(criterion for criterion in (*verdict.operational, *verdict.criteria) if criterion.name == name)


def execute(url: str, statement: str, *values: Any, writer: str = "") -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT set_config('paper.writer', %s, false), set_config('timezone', 'UTC', false)", [writer]
        )
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def url(embedded_url: str) -> str:
    """Return a database that a process served at real prices, with two portfolios and no decision."""
    schema.upgrade(embedded_url)
    for name in ("default", "other"):
        portfolios.create(embedded_url, name, {"initial_capital": 1000})
    process(embedded_url)
    return embedded_url


def decide(url: str, strategy: str | None = None, portfolio: str = "default", **columns: Any) -> str:
    values = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": 1, "strategy": strategy, "portfolio": portfolio}
    values |= columns
    if "created_at" in columns:  # when the test runs must not matter
        values.setdefault("received_at", columns["created_at"])
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    (row,) = execute(
        url, f"INSERT INTO trading_decisions ({names}) VALUES ({marks}) RETURNING id::text", *values.values()
    )
    return str(row[0])


def executed(url: str, id_: str) -> None:
    execute(
        url,
        "UPDATE trading_decisions SET status = 'executed', processed_at = now(), outcome_reason = 'BUY',"
        " order_id = gen_random_uuid() WHERE id = %s",
        int(id_), writer=KEEPER,
    )  # fmt: skip


def end_changed(url: str) -> list[str]:
    with reading(url) as engine, transaction(engine) as cursor:
        return validation_runs.end_changed(cursor)
