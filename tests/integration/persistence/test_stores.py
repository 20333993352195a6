"""The stores keep one contract, on a real database and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from domain.errors import DecisionsEnded, Fenced, IdempotencyConflict, LeaseHeld, WriteRefused
from domain.market_data.price_second import PriceSecond
from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import LATEST_TIME, Accepted, Decision, Outcome, PendingDecision, Reason, Refusal
from domain.trading.events import SizedOrder
from domain.trading.orders import order_id
from domain.trading.portfolio import PortfolioState, Taken
from domain.trading.quotes import PricePoint
from domain.trading.snapshot import take_snapshot
from domain.types import DecisionId, Generation, OutcomeStatus, PortfolioName
from persistence import schema
from persistence.lease import Lease
from persistence.queries.row_lists import LedgerReader
from persistence.stores import portfolios
from persistence.stores.decisions import PENDING, PENDING_IDS, DecisionStore
from persistence.stores.ledger import LedgerStore
from persistence.stores.prices import PriceStore
from persistence.stores.snapshots import SnapshotStore
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.database.set_time import database_time
from tests.support.database.upgraded import database_url, embedded_url
from tests.support.values.builders import BTC, BY_QUOTE, NOON, instant, market_order, quote, rules, uid
from tests.support.values.builders import filled as event_of

__all__ = ["database_url", "embedded_url"]  # fixtures

FIRST = Generation(1)
DAY = timedelta(days=1)


class Stores:
    """The ports over a real database, under a lease of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.lease = Lease.take(url)
        schema.upgrade(url)
        self.lease.begin_epoch()
        portfolios.create(url, "default", {"initial_capital": 10_000})
        self.ledger = LedgerStore(url, self.lease)
        self.decisions = DecisionStore(url, self.lease)
        self.prices = PriceStore(url, self.lease)
        self.snapshots = SnapshotStore(url, self.lease)
        self.ledger_reader = LedgerReader(url)

    def remove(self) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute("DELETE FROM paper_trading_config")

    def remake(self, capital: int) -> None:
        self.remove()
        portfolios.create(self.url, "default", {"initial_capital": capital})

    def close(self) -> None:
        for store in (self.ledger, self.decisions, self.prices, self.snapshots, self.ledger_reader):
            store.close()
        self.lease.release()


class InMemory:
    """The same ports over memory."""

    def __init__(self) -> None:
        self.ledger = self.decisions = self.prices = self.snapshots = database = MemoryDatabase()
        database.open_portfolio(replace(rules(), created_at=NOON))

    def remove(self) -> None:
        self.ledger.portfolios.clear()

    def remake(self, capital: int) -> None:
        self.ledger.open_portfolio(replace(rules(initial_capital=capital), created_at=NOON + timedelta(seconds=1)))


@pytest.fixture(params=["memory", "database"])
def stores(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield InMemory()
        return
    opened = Stores(request.getfixturevalue("embedded_url"))
    yield opened
    opened.close()


@pytest.fixture
def real(database_url: str) -> Iterator[Stores]:
    opened = Stores(database_url)
    yield opened
    opened.close()


def a_decision(number: int = 1, **changes: Any) -> Decision:
    return Decision(**{"symbol": "BTC/USDT", "decision": "BUY", "confidence": "0.75", "uid": uid(number), **changes})


def taken(stores: Any, *decisions: Decision) -> list[PendingDecision]:
    stores.decisions.insert(decisions)
    return list(stores.decisions.pending([], 100, instant()))


def filled(portfolio: PortfolioState, received: PendingDecision, side: str = "BUY", quantity: str = "0.01") -> Result:
    made = market_order(side, quantity, "110485.85", seq=portfolio.version + 1)
    own = replace(made.order, decision_id=received.id, order_id=order_id(received.uid, 1))
    return apply(portfolio, event_of(made._replace(order=own)))


def test_a_fill_is_there_after_its_commit(stores: Any) -> None:
    stores.ledger.raise_generation(FIRST)
    (received,) = taken(stores, a_decision())
    (before,) = stores.ledger.load()
    applied = filled(before, received)
    stores.ledger.commit(FIRST, [applied])
    (after,) = stores.ledger.load()
    assert applied.state == after
    assert stores.decisions.pending([], 100, instant()) == []
    assert stores.decisions.outcomes([received.id]) == {
        received.id: Outcome(received.id, OutcomeStatus.EXECUTED, applied.sentence, applied.order.order_id)
    }


def test_a_group_rests_on_itself(stores: Any) -> None:
    stores.ledger.raise_generation(FIRST)
    first, second, third = taken(stores, a_decision(1), a_decision(2), a_decision(3))
    (before,) = stores.ledger.load()
    bought = filled(before, first)
    more = filled(bought.state, second)
    sold = filled(more.state, third, "SELL", "0.005")
    stores.ledger.commit(FIRST, [bought, more, sold])
    assert stores.ledger.load() == (sold.state,)


def test_what_orders_took_from_a_quote_is_there_after_a_reload(stores: Any) -> None:
    stores.ledger.raise_generation(FIRST)
    decisions = taken(stores, *(a_decision(number) for number in range(1, 6)))
    (state,) = stores.ledger.load()
    newest, earlier = NOON + timedelta(milliseconds=500), NOON
    group = []
    deals = [("BUY", 1, earlier), ("BUY", 2, newest), ("BUY", 4, newest), ("SELL", 3, newest)]
    for received, (side, quantity, at) in zip(decisions, deals, strict=False):
        result = filled_at_touch(state, received, side, quantity, at)
        group.append(result)
        state = result.state
    stores.ledger.commit(FIRST, group)
    (after,) = stores.ledger.load()
    # 5 are offered: the second BUY takes 2, the third the 3 that are left.
    assert {BTC: Taken(newest, Decimal(5), Decimal(3))} == after.taken == state.taken


def filled_at_touch(state: PortfolioState, received: PendingDecision, side: str, quantity: int, at: datetime) -> Result:
    """Return the result of an order that met a quote with 5 at each side."""
    made = market_order(side, quantity, "100", seq=state.version + 1, execution=BY_QUOTE)
    met = quote("100", at=at, bid="99.5", ask="100.5", bid_size=5, ask_size=5)
    sizing = replace(made.sizing, quote=met, taken=state.taken_from(met, made.order.side))
    own = replace(made.order, decision_id=received.id, order_id=order_id(received.uid, 1))
    return apply(state, event_of(SizedOrder(own, sizing)))


def test_what_is_flat_is_gone_and_its_successor_is_another(stores: Any) -> None:
    stores.ledger.raise_generation(FIRST)
    first, second, third = taken(stores, a_decision(1), a_decision(2), a_decision(3))
    (before,) = stores.ledger.load()
    bought = filled(before, first)
    sold = filled(bought.state, second, "SELL")
    again = filled(sold.state, third)
    stores.ledger.commit(FIRST, [bought])
    stores.ledger.commit(FIRST, [sold, again])
    (after,) = stores.ledger.load()
    assert again.state == after
    assert after.positions[BTC].position_id != bought.position_id


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "deleted"])
def test_a_decision_that_ended_meanwhile_takes_the_whole_group_back(stores: Any, ended: bool) -> None:
    stores.ledger.raise_generation(FIRST)
    first, second = taken(stores, a_decision(1), a_decision(2))
    (before,) = stores.ledger.load()
    if ended:
        stores.decisions.end(FIRST, [a_refusal(second.id)])
    else:
        second = replace(second, id=999_999)
    one = filled(before, first)
    with pytest.raises(DecisionsEnded) as caught:
        stores.ledger.commit(FIRST, [one, filled(one.state, second)])
    assert frozenset({second.id}) == caught.value.ids
    assert (before,) == stores.ledger.load()


def test_a_portfolio_made_anew_does_not_get_the_cash_of_the_one_before_it(stores: Any) -> None:
    stores.ledger.raise_generation(FIRST)
    (received,) = taken(stores, a_decision())
    (before,) = stores.ledger.load()
    stores.remake(500)
    with pytest.raises(Fenced, match="created again"):
        stores.ledger.commit(FIRST, [filled(before, received)])
    (after,) = stores.ledger.load()
    assert (Decimal(500), 0, {}) == (after.cash, after.version, after.positions)
    assert [received.id] == [left.id for left in stores.decisions.pending([], 100, instant())]


def test_a_portfolio_that_is_gone_gets_no_fill(stores: Any) -> None:
    stores.ledger.raise_generation(FIRST)
    (received,) = taken(stores, a_decision())
    (before,) = stores.ledger.load()
    stores.remove()
    with pytest.raises(WriteRefused):
        stores.ledger.commit(FIRST, [filled(before, received)])
    assert [received.id] == [left.id for left in stores.decisions.pending([], 100, instant())]


def a_refusal(decision_id: DecisionId) -> Refusal:
    return Refusal(decision_id, PortfolioName("default"), OutcomeStatus.REJECTED, Reason.NO_PRICE, "none came")


def test_an_older_generation_writes_nothing(stores: Any) -> None:
    stores.ledger.raise_generation(FIRST)
    (received,) = taken(stores, a_decision())
    (before,) = stores.ledger.load()
    stores.ledger.raise_generation(Generation(2))
    with pytest.raises(Fenced):
        stores.ledger.commit(FIRST, [filled(before, received)])
    with pytest.raises(Fenced):
        stores.decisions.end(FIRST, [a_refusal(received.id)])
    with pytest.raises(Fenced):
        stores.ledger.raise_generation(FIRST)
    stores.ledger.raise_generation(Generation(2))  # the answer to the COMMIT was lost
    (again,) = stores.decisions.pending([], 100, instant())
    assert (received, True) == (replace(again, waited=received.waited), again.waited >= received.waited)


def test_a_decision_ends_once(stores: Any) -> None:
    stores.ledger.raise_generation(FIRST)
    (received,) = taken(stores, a_decision())
    assert stores.decisions.end(FIRST, [a_refusal(received.id)]) == {received.id}
    assert stores.decisions.end(FIRST, [a_refusal(received.id)]) == set()
    assert stores.decisions.outcomes([received.id]) == {
        received.id: Outcome(received.id, OutcomeStatus.REJECTED, "no price in time: none came")
    }


def test_the_oldest_come_first_and_those_under_way_not_at_all(stores: Any) -> None:
    received = taken(stores, a_decision(1), a_decision(2), a_decision(3))
    ids = [r.id for r in received]
    assert sorted(ids) == ids
    assert [ids[1]] == [r.id for r in stores.decisions.pending([ids[0]], 1, instant())]


def test_the_same_uid_or_key_is_the_same_decision(stores: Any) -> None:
    (first,) = stores.decisions.insert([a_decision(1, idempotency_key="once")])
    others = {"reasoning": "another", "current_price": "9", "risk_score": "0.1", "expires_at": LATEST_TIME - DAY}
    (by_uid, by_key) = stores.decisions.insert([a_decision(1), a_decision(2, idempotency_key="once", **others)])
    assert first == by_uid == by_key
    assert stores.decisions.find([a_decision(1), a_decision(3)]) == [first, None]


CONTENT = {
    "symbol": "ETH/USDT", "decision": "SELL", "quantity": "1", "confidence": "0.7500000001", "portfolio": "other",
    "strategy": "trend", "stop_loss": "9", "take_profits": "110:0.5,20%:0.5",
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), CONTENT.items())
def test_the_same_key_or_uid_with_other_content_is_refused_and_the_others_are_stored(
    stores: Any, field: str, value: str
) -> None:
    (first,) = stores.decisions.insert([a_decision(1, idempotency_key="once")])
    wanted = [
        a_decision(2),
        a_decision(3, idempotency_key="once", **{field: value}),
        a_decision(1, idempotency_key="once", **{field: value}),
        a_decision(4, idempotency_key="another", **{field: value}),
    ]
    answers = stores.decisions.insert(wanted)
    assert [Accepted, IdempotencyConflict, IdempotencyConflict, Accepted] == [type(answer) for answer in answers]
    beginning = f"idempotency_key 'once' is that of decision {first.decision_id}, which differs in {field}; another"
    assert str(answers[1]).startswith(beginning)
    assert str(answers[2]).startswith(f"uid {uid(1)} is that of decision {first.decision_id}, which differs in {field}")
    conflict = stores.decisions.find([a_decision(3, idempotency_key="once", **{field: value})])[0]
    assert (first.decision_id, (field,)) == (conflict.decision_id, conflict.fields)
    assert 3 == len(stores.decisions.pending([], 100, instant()))


def test_an_outcome_of_a_row_that_is_gone_is_none(stores: Any) -> None:
    assert stores.decisions.outcomes([999_999]) == {}


@pytest.mark.clock
def test_a_snapshot_opens_the_next_day(stores: Any) -> None:
    (portfolio,) = stores.ledger.load()
    evening = take_snapshot(portfolio, {}, Decimal(10_000), NOON)
    stores.snapshots.save([evening])
    stores.snapshots.save([evening])
    assert stores.snapshots.opening_values(NOON - timedelta(seconds=1)) == {}
    assert stores.snapshots.opening_values(NOON + timedelta(days=1)) == {"default": Decimal(10_000)}


# What only a real database can show, on the embedded one and on TimescaleDB.


def test_a_committed_fill_is_what_people_read(real: Stores) -> None:
    real.ledger.raise_generation(FIRST)
    (received,) = taken(real, a_decision())
    (before,) = real.ledger.load()
    applied = filled(before, received)
    real.ledger.commit(FIRST, [applied])
    assert real.ledger_reader.ledger_differences() == []
    assert real.ledger_reader.performance("default")["total_trades"] == 0
    (position,) = real.ledger_reader.positions()
    assert Decimal("0.01") == position["quantity"]


def test_a_value_out_of_range_is_refused_and_nothing_is_written(real: Stores) -> None:
    real.ledger.raise_generation(FIRST)
    (received,) = taken(real, a_decision())
    (before,) = real.ledger.load()
    applied = filled(before, received)
    huge = replace(applied.event, fill=applied.fill._replace(commission=Decimal("1e27")))
    with pytest.raises(WriteRefused):
        real.ledger.commit(FIRST, [apply(before, huge)])
    assert real.ledger_reader.ledger_differences() == []
    assert real.ledger.load() == (before,)


def test_a_new_epoch_shuts_the_old_process_out(real: Stores) -> None:
    real.ledger.raise_generation(FIRST)
    (received,) = taken(real, a_decision())
    (before,) = real.ledger.load()
    with pytest.raises(LeaseHeld, match="serves the database"):
        Lease.take(real.url, timeout=0)
    real.lease.release()
    replacement = Lease.take(real.url)
    replacement.begin_epoch()
    with pytest.raises(Fenced):
        real.ledger.commit(FIRST, [filled(before, received)])
    with pytest.raises(Fenced):
        real.ledger.raise_generation(Generation(2))
    with pytest.raises(Fenced):
        real.snapshots.save([take_snapshot(before, {}, Decimal(10_000), NOON)])
    with pytest.raises(Fenced):
        real.prices.record([PriceSecond.of(quote("100"))])
    replacement.release()


def test_the_size_surcharge_counts_in_the_currency_of_the_portfolio(real: Stores) -> None:
    for name, currency in (("coins", "BTC"), ("yen", "JPY"), ("other", "FOO")):
        portfolios.create(real.url, name, {"currency": currency, "initial_capital": 1_000_000})
    expected = {"coins": "0.00001", "default": "1", "other": "1", "yen": "100"}
    assert expected == {state.name: str(state.rules.costs.dollar) for state in real.ledger.load()}
    assert expected == {rules.portfolio: str(rules.costs.dollar) for rules in real.ledger.rules()}


@pytest.mark.clock
def test_prices_come_back_as_marks_of_what_is_held_and_old_ones_go(real: Stores) -> None:
    real.ledger.raise_generation(FIRST)
    (received,) = taken(real, a_decision())
    (before,) = real.ledger.load()
    real.ledger.commit(FIRST, [filled(before, received)])
    now = database_time(real.url)
    old = now - timedelta(days=31)
    seen = [quote("100", at=old), quote("101", at=now), quote("7", symbol="ETH/USDT", at=now)]
    real.prices.record([PriceSecond.of(one) for one in seen])
    assert real.prices.last_prices() == {BTC: PricePoint(Decimal(101))}
    assert real.prices.forget(now - timedelta(days=30)) == 1


@pytest.mark.slow
def test_the_intake_reads_the_partial_index(real: Stores) -> None:
    rows = 20_000
    with psycopg.connect(real.url) as connection:
        connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence)"
            " SELECT 'BTC/USDT', 'HOLD', 1 FROM generate_series(1, %s)",
            [rows],
        )
        connection.execute(
            "UPDATE trading_decisions SET status = 'ignored', processed_at = now(), outcome_reason = 'hold: x'"
        )
        connection.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('A', 'HOLD', 1)")
        connection.commit()
        connection.execute("ANALYZE trading_decisions")
        plan, ids = (
            "\n".join(line for (line,) in connection.execute("EXPLAIN " + statement, ["{1,2,3}", 1000]))
            for statement in (PENDING, PENDING_IDS)
        )
    assert "Index Scan using trading_decisions_pending" in plan
    assert ("Index Scan using trading_decisions_pending" in ids, "Sort" in ids) == (True, False), ids
