"""run.py explain, and explain in the debug console, on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from actors import Decision
from console.cli import main
from console.errors import Refused
from console.service.explanation import explain as explain_reference
from persistence import schema
from persistence.queries.row_lists import LedgerReader
from persistence.stores import portfolios
from tests.integration.persistence.test_stores import FIRST, Stores, a_decision
from tests.support.system.console_sessions import buy, console_session
from tests.support.system.running_system import decision_rows, insert_decisions, running_system, until, until_all_ended
from tests.support.values.mixed_run import PORTFOLIOS, mixed_run

Explain = Callable[..., tuple[int, list[str], str]]
SAME = "  recomputed  the same to the last digit"
NOBODY = UUID(int=7)


@pytest.fixture
def explain(embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Runs the command; returns its exit code, lines and error."""

    def run(*words: str) -> tuple[int, list[str], str]:
        capsys.readouterr()
        code = main(["explain", "--database-url", embedded_url, "--home", str(tmp_path), *words])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    return run


def changed(url: str, table: str, statement: str) -> None:
    """Change the row of a table as no writer of the program does."""
    with psycopg.connect(url) as owner:
        owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        assert 1 == owner.execute(statement.format(table)).rowcount  # type: ignore[call-overload]
        owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def orders(url: str) -> list[dict[str, Any]]:
    reader = LedgerReader(url)
    try:
        return reader.rows("SELECT * FROM paper_orders ORDER BY created_at, seq")
    finally:
        reader.close()


def test_a_fill_is_found_by_each_of_its_names_and_computed_again(embedded_url: str, explain: Explain) -> None:
    with running_system(embedded_url) as system:
        sent = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001", idempotency_key="my key")
        outcome = system.submit(sent).get(timeout=10)
    (order,) = orders(embedded_url)
    names = [str(outcome.decision_id), str(sent.uid), "my key", str(order["order_id"]), f"{order['order_id']}/1"]
    answers = [explain(name) for name in names]
    assert [(0, SAME)] * 5 == [(code, lines[-1]) for code, lines, _ in answers]
    assert 1 == len({tuple(lines) for _, lines, _ in answers})
    lines = answers[0][1]
    assert "Decision 1: BUY 0.001 BTC/USDT, confidence 1, portfolio default" == lines[0]
    assert f"Order {order['order_id']}: market BUY 0.001 BTC/USDT" in lines
    assert "  quote       last 110,485.85; spread unknown" in lines
    assert [] == [line for line in lines if len(line) > 80]
    code, (text,), _ = explain(f"{order['order_id']}/1", "--json")
    answer = json.loads(text)
    assert (0, "fill", 1, True, "my key") == (
        code, answer["kind"], answer["fill_no"], answer["same"], answer["decision"]["idempotency_key"],
    )  # fmt: skip
    assert lines == answer["lines"]


def test_a_changed_row_is_named_and_the_exit_code_is_1(embedded_url: str, explain: Explain) -> None:
    with running_system(embedded_url) as system:
        buy(system)
    for table, values, undo, name in (
        ("paper_fills", "spread_cost = 0.000000000001", "spread_cost = 0", "spread_cost of the fill 1"),
        ("paper_fills", "base_price = 110485.86", "base_price = 110485.85", "base_price of the fill 1"),
        ("paper_orders", "slippage = slippage + 1", "slippage = slippage - 1", "slippage of the order"),
        ("paper_portfolio_rules", "price_rule = 'last'", "price_rule = 'quote'", "price_rule of the order"),
    ):
        changed(embedded_url, table, f"UPDATE {{}} SET {values}")
        code, lines, _ = explain("1")
        assert (1, 1) == (code, len([line for line in lines if line.startswith(f"  differs     {name}: stored ")]))
        changed(embedded_url, table, f"UPDATE {{}} SET {undo}")
        assert 0 == explain("1")[0]
    changed(embedded_url, "paper_portfolio_rules", "DELETE FROM {}")
    code, (text,), _ = explain("1", "--json")
    assert (1, False) == (code, json.loads(text)["same"])


def test_an_order_of_an_earlier_version_is_explained_and_not_recomputed(embedded_url: str, explain: Explain) -> None:
    with running_system(embedded_url) as system:
        buy(system)
    changed(embedded_url, "paper_orders", "UPDATE {} SET rules_version = 1, price_rule = NULL, tick = NULL")
    changed(
        embedded_url,
        "paper_fills",
        "UPDATE {} SET liquidity = 'unknown', last_price = NULL, touch_size = NULL, spread_cost = NULL,"
        " slippage_cost = NULL, size_cost = NULL, random_cost = NULL",
    )
    code, lines, _ = explain("1")
    assert 0 == code
    assert "  recomputed  not possible: it was made by version 1 of the rules, which stored" == lines[-2]


@pytest.mark.slow
def test_every_fill_of_a_run_is_the_same(embedded_url: str, explain: Explain) -> None:
    with running_system(embedded_url) as system:
        insert_decisions(embedded_url, decision_rows(40))
        until_all_ended(system.ledger_reader)
    filled = orders(embedded_url)
    assert len(filled) > 5
    for order in filled:
        code, lines, _ = explain(str(order["decision_id"]))
        assert (0, SAME) == (code, lines[-1])


def test_a_refused_and_a_pending_decision_say_why_they_have_no_fill(embedded_url: str, explain: Explain) -> None:
    schema.upgrade(embedded_url)
    with psycopg.connect(embedded_url) as sender:
        sender.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 1),"
            " ('BTC/USDT', 'HOLD', 1)"
        )
    code, lines, _ = explain("1")
    assert (0, "  pending     it has no outcome yet") == (code, lines[2])
    assert [
        "  waits       in the table: The service is not running, and nothing has served",
        "              this database yet",
        "  waits       there is no portfolio 'default'",
        "  waits       no price of 'BTC/USDT' is stored",
    ] == lines[3:]
    with running_system(embedded_url) as system:
        until_all_ended(system.ledger_reader)
    code, lines, _ = explain("2")
    assert (0, 3) == (code, len(lines))
    assert lines[2].startswith("  ignored     ")
    assert lines[2].endswith("hold: nothing to do")


def test_what_does_not_exist_is_one_sentence(embedded_url: str, explain: Explain) -> None:
    with running_system(embedded_url) as system:
        buy(system)
    for unknown in ("99", "nonsense", "99999999999999999999999", str(NOBODY), f"{NOBODY}/1", "1.5", "", "-"):
        assert (2, [], f"run.py: there is no decision, order or fill {unknown!r}\n") == explain("--", unknown)
    (order,) = orders(embedded_url)
    assert (2, [], f"run.py: order {order['order_id']} has no fill 2\n") == explain(f"{order['order_id']}/2")
    code, (text,), _ = explain("99", "--json")
    assert (2, "invalid_request") == (code, json.loads(text)["code"])


def test_the_order_of_a_deleted_decision_is_explained(embedded_url: str, explain: Explain) -> None:
    with running_system(embedded_url) as system:
        buy(system)
    changed(embedded_url, "trading_decisions", "DELETE FROM {}")
    (order,) = orders(embedded_url)
    for name in ("1", str(order["order_id"])):
        code, lines, _ = explain(name)
        assert (0, "The row of the decision was deleted.", SAME) == (code, lines[0], lines[-1])


def test_the_debug_console_explains_and_says_where_a_decision_waits(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        buy(talk.system)
        assert SAME in talk.do("explain 1").splitlines()
        assert talk.json("explain 1")["same"] is True
        insert_decisions(embedded_url, [(NOBODY, "DEAD/USDT", "BUY", "1", None, "default")])
        waits = "  waits       in the Sizer for a price of DEAD/USDT"
        until(lambda: waits in talk.do("explain 2").splitlines())
        with pytest.raises(Refused, match="there is no decision, order or fill 'abc'"):
            talk.do("explain abc")


@pytest.mark.slow
def test_400_fills_of_a_mixed_run_are_the_same_in_the_database(embedded_url: str) -> None:
    results = list(mixed_run(seed=16, fills=400))
    stores = Stores(embedded_url)
    try:
        for row in PORTFOLIOS:
            values = {name: getattr(row, name) for name in ("max_position_size", "min_notional")}
            costs = {name: getattr(row.costs, name) for name in ("slippage_pct", "commission_pct", "min_commission")}
            execution = {"price_rule": row.execution.price_rule, "max_touch_share": row.execution.max_touch_share}
            portfolios.create(
                embedded_url, row.portfolio, {"initial_capital": row.initial_capital, **values, **costs, **execution}
            )
        numbers = range(1, max(int(result.order.decision_id) for result in results) + 1)
        stores.decisions.insert([a_decision(number) for number in numbers])
        stores.ledger.raise_generation(FIRST)
        stores.ledger.commit(FIRST, results)
        explanations = [explain_reference(stores.ledger_reader, str(result.order.order_id)) for result in results]
    finally:
        stores.close()
    assert [] == [one["lines"] for one in explanations if one["same"] is not True]
    (differences,) = {len(one["orders"][0]["differences"]) for one in explanations}
    assert (400, 0) == (len(explanations), differences)
