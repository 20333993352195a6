"""Turns: no portfolio waits for the backlog of another, and each keeps its order."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.trading.decision import Decision, PendingDecision
from domain.trading.freshness.price_waits import NOTHING_LEFT, Left, SymbolOf
from domain.types import PortfolioName
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.values.builders import NOON, instant, rules, uid

NAMES = ("a", "b", "c")
UNKNOWN = "nobody's"


def filled(portfolios: list[str], symbols: list[str] | None = None) -> MemoryDatabase:
    """Return a database with a pending decision for each name, in this order."""
    database = MemoryDatabase()
    for name in NAMES:
        database.open_portfolio(rules(name))
    for number, name in enumerate(portfolios):
        symbol = symbols[number] if symbols is not None else "BTC/USDT"
        decision = Decision(symbol=symbol, decision="BUY", confidence=1, portfolio=name, uid=uid(number))
        database.add(decision, NOON + timedelta(milliseconds=number))
    return database


def read(database: MemoryDatabase, limit: int, left: Left = NOTHING_LEFT) -> list[PendingDecision]:
    rows = database.pending_in_turn([], limit, instant(), left)
    assert all(isinstance(row, PendingDecision) for row in rows)
    return [row for row in rows if isinstance(row, PendingDecision)]


def test_five_decisions_do_not_wait_for_a_backlog() -> None:
    database = filled(["a"] * 300 + ["b"] * 5)
    assert {"a": 5, "b": 5} == Counter(row.portfolio for row in read(database, 10))
    assert {"a": 45, "b": 5} == Counter(row.portfolio for row in read(database, 50))


@given(portfolios=st.lists(st.sampled_from([*NAMES, "a", "a", UNKNOWN]), max_size=60), limit=st.integers(1, 40))
def test_turns_keep_each_order_and_give_each_its_share(portfolios: list[str], limit: int) -> None:
    database = filled(portfolios)
    ids = [row.id for row in read(database, limit)]
    assert min(limit, len(portfolios)) == len(ids) == len(set(ids))
    pending = Counter(portfolios)
    for name in {*portfolios}:
        own = [id_ for id_, row in database.rows.items() if row.decision.portfolio == name]
        taken = [id_ for id_ in ids if id_ in own]
        assert own[: len(taken)] == taken  # its oldest, in their order
        if name != UNKNOWN:
            lanes = len(pending.keys() - {UNKNOWN})
            assert len(taken) >= min(pending[name], limit // (lanes + 1))


def test_those_that_are_left_block_no_others() -> None:
    database = filled(["a"] * 9 + ["b"], ["DEAD/USDT"] * 7 + ["ETH/USDT", "DEAD/USDT", "DEAD/USDT"])
    symbols = frozenset({SymbolOf(PortfolioName("a"), "DEAD/USDT")})
    assert [8, 10] == sorted(row.id for row in read(database, 5, Left(symbols)))
    assert [10] == [row.id for row in read(database, 5, Left(symbols, passes=False))]
