"""Decisions in turn, and those that are left in the table, by one contract on a real database and in memory."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from domain.errors import Fenced, WriteRefused
from domain.trading.decision import Decision, PendingDecision
from domain.trading.freshness.price_waits import NOTHING_LEFT, Left, LeftEnd, SymbolOf
from domain.types import DecisionId, Generation, OutcomeStatus, PortfolioName
from persistence.lease import Lease
from persistence.stores import portfolios
from persistence.stores.decisions import BY_AGE_EVERY, PENDING_IN_TURN, PENDING_ONE, DecisionStore
from persistence.stores.intake.submissions import id_literal
from persistence.stores.intake.turns import turn_parameters
from persistence.stores.ledger import LedgerStore
from persistence.stores.store import END_DECISIONS
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.database.upgraded import embedded_url
from tests.support.values.builders import instant, rules, uid

__all__ = ["embedded_url"]  # a fixture

FIRST = Generation(1)
NAMES = ("a", "b", "c")
NO_PRICE = "no price in time: none of DEAD/USDT was seen within 30 s"
INSERT = """
INSERT INTO trading_decisions
    (uid, portfolio, symbol, decision, confidence, order_type, limit_price, stop_loss_pct, expires_at, target,
     sent_by)
VALUES (%s, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s) RETURNING id
"""
MANY = """
INSERT INTO trading_decisions (portfolio, symbol, decision, confidence)
SELECT %s, 'BTC/USDT', 'BUY', 1 FROM generate_series(1, %s)
"""


@dataclass
class Table:
    """The decisions of a database; ``ids`` are those that were inserted, in their order."""

    store: Any
    database: MemoryDatabase | psycopg.Connection
    ids: list[DecisionId]

    def insert(self, *decisions: Decision, sent_by: str = "agent") -> None:
        for decision in decisions:
            if isinstance(self.database, MemoryDatabase):
                self.ids.append(self.database.add(decision, self.database.now(), sent_by=sent_by))
                continue
            d = decision
            terms = d.order_type, d.limit_price, d.stop_loss_pct, d.expires_at, d.target
            values = (d.uid, d.portfolio, d.symbol, d.decision, *terms, sent_by)
            row = self.database.execute(INSERT, values).fetchone()
            assert row is not None
            self.ids.append(row[0])

    def clear(self) -> None:
        self.ids.clear()
        if isinstance(self.database, MemoryDatabase):
            self.database.rows.clear()
        else:
            self.database.execute("DELETE FROM trading_decisions")

    def read(self, limit: int, left: Left = NOTHING_LEFT, under_way: Sequence[int] = ()) -> list[int]:
        """Return the numbers of the rows that are read; the first that was inserted is 0."""
        excluded = [self.ids[number] for number in under_way]
        rows = self.store.pending_in_turn(excluded, limit, instant(), left)
        assert all(isinstance(row, PendingDecision) for row in rows)
        return [self.ids.index(row.id) for row in rows]

    def end(
        self, *ends: LeftEnd, limit: int = 100, under_way: Sequence[int] = (), before: int | None = None
    ) -> dict[int, str]:
        """End rows; return the outcomes by number."""
        excluded = [self.ids[number] for number in under_way]
        cancel = self.ids[before] if before is not None else None
        ended = self.store.end_left(FIRST, ends, excluded, limit, cancel)
        stored = self.store.outcomes(self.ids)
        assert [one.outcome for one in ended] == [stored[one.outcome.decision_id] for one in ended]
        return {self.ids.index(one.outcome.decision_id): one.outcome.reason for one in ended}


@pytest.fixture(params=["memory", "database"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    if request.param == "memory":
        memory = MemoryDatabase()
        for name in NAMES:
            memory.open_portfolio(rules(name))
        memory.raise_generation(FIRST)
        yield Table(memory, memory, [])
        return
    url = request.getfixturevalue("embedded_url")
    with served(url) as store, psycopg.connect(url, autocommit=True) as connection:
        yield Table(store, connection, [])


class served:  # noqa: N801 - it reads as a function
    """The store of a process that serves a database with three portfolios."""

    def __init__(self, url: str) -> None:
        self.lease = Lease.take(url)
        self.lease.begin_epoch()
        for name in NAMES:
            portfolios.create(url, name, {"initial_capital": 10_000})
        ledger = LedgerStore(url, self.lease)
        ledger.raise_generation(FIRST)
        ledger.close()
        self.store = DecisionStore(url, self.lease)

    def __enter__(self) -> DecisionStore:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()
        self.lease.release()


def a_decision(number: int, portfolio: str = "a", symbol: str = "DEAD/USDT", **changes: Any) -> Decision:
    fields = {"decision": "BUY", "confidence": 1, "uid": uid(number), **changes}
    return Decision(portfolio=portfolio, symbol=symbol, **fields)


def of(portfolio: str = "a", symbol: str = "DEAD/USDT") -> SymbolOf:
    return SymbolOf(PortfolioName(portfolio), symbol)


def rejection(portfolio: str = "a", symbol: str = "DEAD/USDT", **changes: Any) -> LeftEnd:
    return replace(LeftEnd(of(portfolio, symbol), OutcomeStatus.REJECTED, NO_PRICE), **changes)


def test_each_portfolio_has_its_turns_and_the_oldest_fill_the_rest(table: Table) -> None:
    names = ["a"] * 130 + ["b"] * 5 + ["nobody's"] * 2
    table.insert(*(a_decision(number, name) for number, name in enumerate(names)))
    assert {"a": 25, "b": 5} == Counter(names[number] for number in table.read(30))
    first = table.read(8)
    assert [0, 130, 1, 131, 2, 132, 3, 133] == first
    assert [4, 134, 5, 6] == table.read(4, under_way=first)
    assert {"a": 130, "b": 5, "nobody's": 2} == Counter(names[number] for number in table.read(500))
    assert [] == table.read(500, under_way=range(len(names)))


def test_one_sender_of_many_portfolios_does_not_delay_another(table: Table) -> None:
    for number in range(20):
        table.insert(a_decision(number, "ab"[number % 2]))
    table.insert(a_decision(20, "c"), a_decision(21, "c"), sent_by="model")
    assert [0, 20, 1, 21, 2, 3] == table.read(6)


def test_senders_that_share_a_portfolio_share_its_queue(table: Table) -> None:
    for number in range(20):
        table.insert(a_decision(number))
    table.insert(a_decision(20), sent_by="model")
    assert list(range(6)) == table.read(6)


def test_the_database_and_memory_read_the_same(embedded_url: str) -> None:
    memory = MemoryDatabase()
    for name in NAMES:
        memory.open_portfolio(rules(name))
    with served(embedded_url) as store, psycopg.connect(embedded_url, autocommit=True) as connection:
        real, model = Table(store, connection, []), Table(memory, memory, [])
        draw = random.Random(7)
        for _ in range(12):
            real.clear()
            model.clear()
            for number in range(draw.randrange(25)):  # fewer than a share
                action = draw.choice(["BUY", "SELL", "HOLD", "PROTECT"])
                exits = {"stop_loss_pct": "0.1"} if action == "PROTECT" else {}
                name = draw.choice([*NAMES, "a", "nobody's"])
                symbol = draw.choice(["DEAD/USDT", "BTC/USDT", "dead-usdt"])
                decision = a_decision(number, name, symbol, decision=action, **exits)
                sender = draw.choice(["agent", "agent", "model"])
                real.insert(decision, sent_by=sender)
                model.insert(decision, sent_by=sender)
            for limit in (1, 3, 7, 100):
                symbols = {of(draw.choice(NAMES)) for _ in range(draw.randrange(3))}
                left = Left(frozenset(symbols), passes=draw.random() < 0.7)
                under_way = draw.sample(range(len(real.ids)), draw.randrange(len(real.ids) + 1))
                assert model.read(limit, left, under_way) == real.read(limit, left, under_way)


def test_those_that_are_left_are_passed_over(table: Table) -> None:
    table.insert(*(a_decision(number) for number in range(5)))
    table.insert(
        a_decision(5, symbol="BTC/USDT"),
        a_decision(6, decision="HOLD"),
        a_decision(7, decision="CANCEL", target="all"),
        a_decision(8, "b"),
    )
    left = Left(frozenset({of()}))
    assert [5, 6, 7, 8] == sorted(table.read(100, left))
    assert [8] == table.read(100, replace(left, passes=False))
    assert list(range(8)) == sorted(table.read(100, Left(frozenset({of("b")}))))


def test_those_that_are_left_end_by_one_statement(table: Table) -> None:
    table.insert(*(a_decision(number) for number in range(6)))
    table.insert(
        a_decision(6, symbol="BTC/USDT"),
        a_decision(7, decision="HOLD"),
        a_decision(8, "b"),
        a_decision(9, order_type="limit", limit_price=5),
    )
    assert {} == table.end(rejection(older_than=timedelta(hours=1)))
    assert {0: NO_PRICE, 1: NO_PRICE} == table.end(rejection(), limit=2)
    assert {3: NO_PRICE, 4: NO_PRICE, 5: NO_PRICE} == table.end(rejection(market_only=True), under_way=[2])
    assert {2: NO_PRICE, 9: NO_PRICE} == table.end(rejection(older_than=timedelta(0)))
    assert {} == table.end(rejection())
    assert {8: "no price"} == table.end(rejection(), rejection("b", sentence="no price"), rejection("c"))
    assert [6, 7] == sorted(table.read(100))


def test_one_that_has_expired_by_then_ends_as_expired(table: Table) -> None:
    past = datetime(2026, 1, 5, 12, 0, 20, tzinfo=UTC) - timedelta(days=365)
    table.insert(a_decision(0), a_decision(1, expires_at=past), a_decision(2, expires_at=past.replace(year=2999)))
    expired = "expired: at 2025-01-05 12:00:20 UTC, while it waited for a price"
    assert {0: NO_PRICE, 1: expired, 2: NO_PRICE} == table.end(rejection())
    assert OutcomeStatus.EXPIRED is table.store.outcomes(table.ids)[table.ids[1]].status


def test_only_those_before_a_cancel_end_with_it(table: Table) -> None:
    table.insert(a_decision(0), a_decision(1, decision="CANCEL", symbol="*", target="all"), a_decision(2))
    cancelled = rejection(status=OutcomeStatus.CANCELLED, sentence="cancelled: by decision 2, before it was sized")
    assert {0: cancelled.sentence} == table.end(cancelled, before=1)
    assert [1, 2] == sorted(table.read(100))


def test_only_those_of_its_sender_end_with_a_cancel(table: Table) -> None:
    table.insert(a_decision(0))
    table.insert(a_decision(1), sent_by="model")
    assert {1: NO_PRICE} == table.end(rejection(sender="model"))


def test_an_older_generation_ends_nothing(table: Table) -> None:
    table.insert(a_decision(0))
    with pytest.raises(Fenced):
        table.store.end_left(Generation(0), [rejection()], [], 100)
    assert [0] == table.read(100)


def test_a_trigger_that_refuses_one_refuses_all(embedded_url: str) -> None:
    with served(embedded_url) as store, psycopg.connect(embedded_url, autocommit=True) as connection:
        table = Table(store, connection, [])
        table.insert(a_decision(0), a_decision(1))
        connection.execute(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON trading_decisions FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION no()"
        )
        with pytest.raises(WriteRefused):
            store.end_left(FIRST, [rejection()], [], 100)
        assert [0, 1] == table.read(100)


def test_a_closed_portfolio_has_no_turns_and_its_next_life_has(embedded_url: str) -> None:
    with served(embedded_url) as store, psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute("SET paper.writer = 'PositionKeeper'")
        connection.execute("UPDATE paper_trading_config SET closed_at = now() WHERE portfolio = 'b'")
        table = Table(store, connection, [])
        table.insert(*(a_decision(number) for number in range(3)), a_decision(3, "b"))
        assert [0, 1, 2] == table.read(3)
        assert [0, 1, 2, 3] == table.read(4)


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize(
    ("left", "by_age", "along_turns", "along_age"),
    [
        (NOTHING_LEFT, False, 4, 1),
        (Left(frozenset({of("c")})), False, 5, 0),  # the oldest of all may lie behind all that are left
        (Left(frozenset({of("c")})), True, 4, 1),
        (Left(frozenset({of("c")}), passes=False), False, 4, 0),  # names that nothing asks for are not looked for
    ],
)
def test_each_portfolio_is_read_along_its_index(
    left: Left, by_age: bool, along_turns: int, along_age: int, embedded_url: str, analyzed: bool
) -> None:
    with served(embedded_url), psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(MANY, ["a", 3_000])
        connection.execute(MANY, ["b", 5])
        if analyzed:
            connection.execute("ANALYZE trading_decisions")
        values = turn_parameters([1, 2, 3], 500, left, 2, by_age=by_age)
        plan = connection.execute("EXPLAIN " + PENDING_IN_TURN, values).fetchall()
        text = "\n".join(line for (line,) in plan)
        assert along_turns == text.count("using trading_decisions_turns"), text
        assert along_age == text.count("using trading_decisions_pending"), text
        assert "Seq Scan on trading_decisions" not in text


def test_those_of_unknown_and_closed_portfolios_are_read_beside_those_that_are_left(embedded_url: str) -> None:
    with served(embedded_url) as store, psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute("SET paper.writer = 'PositionKeeper'")
        connection.execute("UPDATE paper_trading_config SET closed_at = now() WHERE portfolio = 'b'")
        table = Table(store, connection, [])
        names = ["a", "a", "nobody's", "b", "zzz", "c", "0"]
        table.insert(*(a_decision(number, name) for number, name in enumerate(names)))
        left = Left(frozenset({of()}))
        assert [2, 3, 4, 5, 6] == sorted(table.read(100, left))
        assert 2 == len(table.read(2, left))
        assert [4, 5, 6] == sorted(table.read(100, left, under_way=[2, 3]))


def test_those_behind_many_unknown_names_are_read_in_time(embedded_url: str) -> None:
    with served(embedded_url) as store, psycopg.connect(embedded_url, autocommit=True) as connection:
        table = Table(store, connection, [])
        names = ["a", "zzz", *"123456789"]
        table.insert(*(a_decision(number, name) for number, name in enumerate(names)))
        left = Left(frozenset({of()}))
        assert [*[False] * (BY_AGE_EVERY - 1), True] == [1 in table.read(4, left) for _ in range(BY_AGE_EVERY)]


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_decision_that_ends_is_looked_up_by_its_id_beside_a_backlog(embedded_url: str, analyzed: bool) -> None:
    """Before the first ANALYZE the planner takes the index of pending rows for short, and each end read all of it."""
    with served(embedded_url), psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(MANY, ["a", 3_000])
        if analyzed:
            connection.execute("ANALYZE trading_decisions")
        ends = {"ids": [1, 2], "statuses": ["rejected"] * 2, "reasons": ["no price"] * 2, "order_ids": []}
        fence = {"epoch": 1, "generation": 1, "writes_open": False}
        end = "EXPLAIN " + END_DECISIONS.format(id_type="bigint")
        for statement, values in ((end, ends | fence), ("EXPLAIN " + PENDING_ONE, [id_literal([1])])):
            text = "\n".join(line for (line,) in connection.execute(statement, values).fetchall())
            assert "using trading_decisions_pkey" in text, text
            assert "trading_decisions_pending" not in text, text
            assert "trading_decisions_turns" not in text, text
