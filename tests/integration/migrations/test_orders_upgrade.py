"""The upgrade to the schema of open orders: tables that were adopted, rights on the views, views of the user."""

from __future__ import annotations

import psycopg
import pytest

from domain.errors import DatabaseUnsuitable
from domain.trading.decision import CancelTarget, PendingDecision
from persistence import schema
from persistence.lease import Lease
from persistence.stores.decisions import DecisionStore
from tests.integration.persistence.test_adoption import FLOATS, MINIMAL, UUIDS, psql
from tests.integration.persistence.test_upgrade import upgrade_to
from tests.support.database import dumps
from tests.support.values.builders import instant

BEFORE = "0010_price_rule"
BUY = "INSERT INTO trading_decisions (symbol, decision, confidence, order_type, limit_price) VALUES ('A', 'BUY', 1, {})"
CANCEL = "INSERT INTO trading_decisions (decision, target, created_at) VALUES ('CANCEL', '{}', now() + interval '1 s')"


@pytest.mark.parametrize("adopted_before", [True, False], ids=["adopted by the version before", "adopted now"])
@pytest.mark.parametrize("table", [MINIMAL, FLOATS, UUIDS], ids=["minimal", "floats", "uuids"])
def test_a_table_that_was_adopted_takes_orders_and_cancels(embedded_url: str, table: str, adopted_before: bool) -> None:
    psql(embedded_url, table.replace("decision varchar(4)", "decision varchar(6)"))
    if adopted_before:
        upgrade_to(embedded_url, BEFORE)
    schema.upgrade(embedded_url)
    ((id_,),) = psql(embedded_url, BUY.format("'limit', 100") + " RETURNING id")
    psql(embedded_url, CANCEL.format(id_), CANCEL.format("all"), CANCEL.format("99999999999"))
    buy, by_id, everything, unknown = read(embedded_url)
    assert ("limit", 100) == (buy.terms.order_type, buy.terms.limit_price)
    assert [CancelTarget(decision_id=buy.id, pending=True), CancelTarget()] == [by_id.target, everything.target]
    assert CancelTarget(flaw="no decision or order is '99999999999'") == unknown.target
    assert ("*", 1) == (by_id.symbol, by_id.confidence)
    with pytest.raises(psycopg.errors.CheckViolation, match="limit_price needs order_type limit"):
        psql(embedded_url, BUY.format("'market', 100"))


def read(url: str) -> list[PendingDecision]:
    """Return the pending decisions as the DecisionWatcher reads them."""
    lease = Lease.take(url)
    store = DecisionStore(url, lease)
    decisions = [one for one in store.pending([], 10, instant()) if isinstance(one, PendingDecision)]
    store.close()
    lease.release()
    return decisions


@pytest.mark.parametrize("adopted_before", [True, False], ids=["adopted by the version before", "adopted now"])
def test_a_column_of_such_a_name_and_another_type_is_refused(embedded_url: str, adopted_before: bool) -> None:
    psql(embedded_url, MINIMAL, "ALTER TABLE trading_decisions ADD target numeric")
    if adopted_before:
        upgrade_to(embedded_url, BEFORE)
    sentence = "column target of table public.trading_decisions is numeric, and must be text or character varying"
    with pytest.raises(DatabaseUnsuitable, match=sentence):
        schema.upgrade(embedded_url)
    psql(embedded_url, "ALTER TABLE trading_decisions RENAME target TO my_target")
    schema.upgrade(embedded_url)


def test_a_column_of_such_a_name_and_type_is_used(embedded_url: str) -> None:
    psql(embedded_url, MINIMAL, "ALTER TABLE trading_decisions ADD order_type varchar(20), ADD stop_loss real")
    schema.upgrade(embedded_url)
    psql(
        embedded_url,
        "INSERT INTO trading_decisions (symbol, decision, confidence, stop_loss) VALUES ('A', 'BUY', 1, 0.1)",
    )
    (buy,) = read(embedded_url)
    assert ("market", "0.1") == (buy.terms.order_type, str(buy.terms.stop_loss))
    with pytest.raises(
        psycopg.errors.CheckViolation, match="order_type: market, limit, stop, stop_limit or trailing_stop"
    ):
        psql(embedded_url, BUY.format("NULL, NULL"))
    with pytest.raises(psycopg.errors.CheckViolation, match="stop_loss must be a number above 0"):
        psql(
            embedded_url,
            "INSERT INTO trading_decisions (symbol, decision, confidence, stop_loss) VALUES ('A', 'BUY', 1, 'NaN')",
        )


def test_a_view_of_the_user_on_the_changed_column_is_named_and_nothing_is_changed(embedded_url: str) -> None:
    dumps.restore(embedded_url, "0.1.0")
    psql(embedded_url, "CREATE VIEW my_fills AS SELECT order_id, fill_no FROM paper_fills")
    psql(embedded_url, "CREATE VIEW my_check AS SELECT * FROM v_paper_ledger_check")
    psql(embedded_url, "CREATE VIEW my_prices AS SELECT order_id, price FROM paper_fills")
    sentence = "fill_no, which view my_check, my_fills uses: keep its definition, DROP VIEW my_check, my_fills, upgrade"
    with pytest.raises(DatabaseUnsuitable, match=sentence) as refused:
        schema.upgrade(embedded_url)
    assert "\n" not in str(refused.value)
    psql(embedded_url, "DROP VIEW my_check, my_fills")
    schema.upgrade(embedded_url)
    assert 5 == len(psql(embedded_url, "SELECT * FROM my_prices"))


def test_a_view_of_the_user_on_the_number_of_a_trade_is_named(embedded_url: str) -> None:
    dumps.restore(embedded_url, "0.1.0")
    psql(embedded_url, "CREATE VIEW my_trades AS SELECT order_id, fill_no FROM paper_trades")
    with pytest.raises(DatabaseUnsuitable, match=r"type of paper_trades\.fill_no, which view my_trades uses"):
        schema.upgrade(embedded_url)


def test_each_number_of_a_fill_is_an_integer(embedded_url: str) -> None:
    """A resting order may have more fills than a smallint counts, and so more trades."""
    schema.upgrade(embedded_url)
    numbers = (
        "SELECT table_name::text, data_type::text FROM information_schema.columns"
        " WHERE column_name = 'fill_no' AND table_name IN ('paper_fills', 'paper_trades') ORDER BY 1"
    )
    assert [("paper_fills", "integer"), ("paper_trades", "integer")] == psql(embedded_url, numbers)


NUMBERS = """
SELECT table_name || '.' || column_name, data_type FROM information_schema.columns
WHERE column_name IN ('leg', 'fill_no') AND table_schema = 'public' AND table_name ~ '^paper_' ORDER BY 1
"""


def test_legs_and_numbers_of_fills_are_integers_in_every_table(embedded_url: str) -> None:
    dumps.restore(embedded_url, "0.1.0")
    before = psql(embedded_url, "SELECT order_id, leg FROM paper_orders ORDER BY 1")
    trades = psql(embedded_url, "SELECT order_id, fill_no, net_pnl FROM paper_trades ORDER BY 1")
    psql(embedded_url, "CREATE VIEW my_legs AS SELECT leg FROM paper_orders")
    with pytest.raises(DatabaseUnsuitable, match=r"paper_orders\.leg, which view my_legs uses: keep its definition"):
        schema.upgrade(embedded_url)
    psql(embedded_url, "DROP VIEW my_legs")
    schema.upgrade(embedded_url)
    assert [
        ("paper_fills.fill_no", "integer"), ("paper_orders.leg", "integer"), ("paper_trades.fill_no", "integer"),
    ] == psql(embedded_url, NUMBERS)  # fmt: skip
    assert before == psql(embedded_url, "SELECT order_id, leg FROM paper_orders ORDER BY 1")
    assert trades == psql(embedded_url, "SELECT order_id, fill_no, net_pnl FROM paper_trades ORDER BY 1")
    assert before
    assert trades
    assert [] == psql(embedded_url, "SELECT * FROM v_paper_ledger_check")
