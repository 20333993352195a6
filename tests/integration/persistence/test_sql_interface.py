"""Bad input through SQL: a refused INSERT with a sentence, or one outcome with a reason; nothing else is disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from actors import Decision, TradingSystem
from domain.errors import DatabaseBusy
from tests.support.database.servers import Server
from tests.support.system.running_system import running_system, until, until_all_ended

GOOD = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": "0.75"}

REFUSED = [
    ({"confidence": "1.5"}, "confidence must be a number from 0 to 1"),
    ({"confidence": "NaN"}, "confidence must be a number from 0 to 1"),
    ({"confidence": "-1"}, "confidence must be a number from 0 to 1"),
    ({"confidence": "Infinity"}, "numeric field overflow"),
    ({"confidence": None}, "null value in column"),
    ({"risk_score": "NaN"}, "risk_score must be a number from 0 to 1"),
    ({"risk_score": "1.01"}, "risk_score must be a number from 0 to 1"),
    ({"symbol": ""}, "symbol must be 1 to 100 characters"),
    ({"symbol": "  "}, "symbol must be 1 to 100 characters"),
    ({"symbol": "X" * 101}, "symbol must be 1 to 100 characters"),
    ({"quantity": "0"}, "quantity must be a number above 0"),
    ({"quantity": "-1"}, "quantity must be a number above 0"),
    ({"quantity": "NaN"}, "quantity must be a number above 0"),
    ({"quantity": "1e-19"}, "quantity must be a number above 0"),
    ({"quantity": "1e20"}, "numeric field overflow"),
    ({"current_price": "0"}, "current_price must be a number above 0"),
    ({"current_price": "NaN"}, "current_price must be a number above 0"),
    ({"decision": "LONG"}, "decision must be BUY, SELL, HOLD, CANCEL, AMEND or PROTECT"),
    ({"decision": ""}, "decision must be BUY, SELL, HOLD, CANCEL, AMEND or PROTECT"),
    ({"expires_at": "infinity"}, "expires_at must be a moment"),
    ({"created_at": "-infinity"}, "created_at must be a moment"),
    ({"expires_at": "10000-01-01"}, "expires_at must be a moment"),
    ({"created_at": "20000-01-01"}, "created_at must be a moment"),
    ({"created_at": "0001-01-01 BC"}, "created_at must be a moment"),
    ({"id": 7}, "cannot insert a non-DEFAULT value"),
    ({"status": "open"}, "a decision begins as pending"),
    ({"status": "rejected", "processed_at": "now"}, "a decision begins as pending"),
    ({"processed_at": "now"}, "a decision begins as pending"),
    ({"order_id": str(UUID(int=1))}, "the order of a decision is named by the program; leave order_id out"),
    ({"sent_by": "x" * 121}, "sent_by must be 1 to 120 characters"),
    ({"reasoning": "x" * 10_001}, "reasoning must be at most 10 000 characters"),
    ({"portfolio": ""}, "portfolio must be 1 to 100 characters"),
]

ENDED = [
    ({"decision": "buy"}, "executed", "bought "),
    ({"decision": " Buy "}, "executed", "bought "),
    ({"symbol": "btcusdt"}, "executed", "bought "),
    ({"symbol": "NOPE/USDT"}, "rejected", "unknown symbol: 'NOPE/USDT' is not traded here"),
    ({"symbol": "'; DROP TABLE paper_orders; --"}, "rejected", "unknown symbol: "),
    ({"symbol": "😀"}, "rejected", "unknown symbol: "),
    ({"symbol": "%s %(x)s {0} :name"}, "rejected", "unknown symbol: "),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "expired", "expired: at 2020-01-01 00:00:00 UTC"),
    ({"portfolio": "nobody's"}, "rejected", 'unknown portfolio: there is no portfolio "nobody\'s"'),
    ({"decision": "SELL"}, "rejected", "nothing held: there is no BTC/USDT to sell"),
    ({"confidence": "0.59"}, "ignored", "confidence below threshold: 0.59 is below 0.6"),
    ({"decision": "HOLD"}, "ignored", "hold: nothing to do"),
    ({"quantity": "0.00000001"}, "rejected", "too small: 0.00000001 at 110485.85 is worth"),
    ({"quantity": "99999999999999999999"}, "rejected", "no room: 99999999999999999999 at 110485.85 is worth"),
]


@pytest.fixture(scope="module")
def system(server: Server) -> Iterator[TradingSystem]:
    url = server.create_database()
    with running_system(url) as system:
        yield system
    server.drop_database(url)


def put(system: TradingSystem, changes: dict[str, Any]) -> int:
    values = {**GOOD, **changes}
    columns = ", ".join(values)
    statement = f"INSERT INTO trading_decisions ({columns}) VALUES ({', '.join(['%s'] * len(values))}) RETURNING id"
    with psycopg.connect(system.database_url) as connection:
        row = connection.execute(statement, list(values.values())).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=[str(changes)[:60] for changes, _ in REFUSED])
def test_refused_at_the_door(system: TradingSystem, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(psycopg.Error) as refusal:
        put(system, changes)
    assert sentence in str(refusal.value)


@pytest.mark.clock
@pytest.mark.parametrize(("changes", "status", "reason"), ENDED, ids=[str(changes) for changes, _, _ in ENDED])
def test_one_outcome_with_its_reason(system: TradingSystem, changes: dict[str, Any], status: str, reason: str) -> None:
    portfolio = f"p{abs(hash(str(changes)))}"
    psql(system, "INSERT INTO paper_trading_config (portfolio) VALUES (%s)", portfolio)
    number = put(system, {"portfolio": portfolio, **changes})
    until_all_ended(system.ledger_reader)
    (row,) = system.ledger_reader.rows("SELECT status, outcome_reason FROM trading_decisions WHERE id = :id", id=number)
    assert status == row["status"]
    assert row["outcome_reason"].startswith(reason)
    assert system.ledger_reader.ledger_differences() == []


def test_an_order_that_a_row_of_an_earlier_version_names_does_not_stay(system: TradingSystem) -> None:
    """It would show the fills of another order, and the ledger check would miss an order that does not exist."""
    named = {"order_id": uuid4()}
    terms = {"order_type": "limit", "quantity": "0.001", "limit_price": "1", "portfolio": "names"}
    psql(system, "ALTER TABLE trading_decisions DISABLE TRIGGER paper_decision_order")
    with psycopg.connect(system.database_url) as connection:
        connection.execute(
            "INSERT INTO paper_trading_config (portfolio, currency, initial_capital, min_notional)"
            " VALUES ('names', 'USDT', 10000, 0)"
        )
    open_ids = [put(system, {**terms, **named}) for _ in range(2)]
    refused = put(system, {"symbol": "NOPE/USDT", **named})
    decision = system.ledger_reader.decision
    until(lambda: ["open"] * 2 == [decision(id_)["status"] for id_ in open_ids])
    cancel = put(system, {"decision": "CANCEL", "target": "all", "portfolio": "names", **named})
    until(lambda: None not in [decision(id_)["processed_at"] for id_ in (cancel, refused)])
    ended = [(row["status"], row["order_id"]) for row in map(decision, (cancel, refused))]
    assert [("executed", None), ("rejected", None)] == ended
    assert [] == system.ledger_reader.ledger_differences()
    psql(system, "ALTER TABLE trading_decisions ENABLE TRIGGER paper_decision_order")


def psql(system: TradingSystem, statement: str, *values: Any) -> None:
    with psycopg.connect(system.database_url) as connection:
        connection.execute(statement, values)


def test_the_second_use_of_a_key_is_refused(system: TradingSystem) -> None:
    put(system, {"idempotency_key": "signal 1", "decision": "HOLD"})
    with pytest.raises(psycopg.errors.UniqueViolation, match="idempotency_key was used before"):
        put(system, {"idempotency_key": "signal 1", "decision": "HOLD"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("status = 'cancelled'", "and never changes"),
        ("status = 'pending', processed_at = NULL", "and never changes"),
        ("outcome_reason = 'another'", "and never changes"),
        ("order_id = gen_random_uuid()", "and never changes"),
        ("symbol = 'ETH/USDT'", "and never changes"),
        ("confidence = 0.1", "and never changes"),
    ],
)
def test_an_outcome_never_changes(system: TradingSystem, change: str, sentence: str) -> None:
    number = put(system, {"decision": "HOLD"})
    until_all_ended(system.ledger_reader)
    with pytest.raises(psycopg.Error, match=sentence):
        psql(system, f"UPDATE trading_decisions SET {change} WHERE id = %s", number)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("status = 'done', processed_at = now()", "status must be one of the known words"),
        ("status = 'cancelled'", "processed_at is set exactly when a decision has ended"),
        ("status = 'executed', processed_at = now()", "an executed decision names its order"),
    ],
)
def test_a_pending_decision_ends_properly_or_not_at_all(system: TradingSystem, change: str, sentence: str) -> None:
    with psycopg.connect(system.database_url) as connection:
        row = connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('ETH/USDT', 'HOLD', 1) RETURNING id"
        ).fetchone()
        with pytest.raises(psycopg.Error, match=sentence):
            connection.execute(f"UPDATE trading_decisions SET {change} WHERE id = %s", row)


def test_the_example_of_the_documents_is_a_complete_decision(system: TradingSystem) -> None:
    psql(
        system,
        "INSERT INTO trading_decisions (symbol, decision, confidence, reasoning, current_price)"
        " VALUES ('ETH/USDT', 'BUY', 0.75, 'strong momentum', 3950)",
    )
    until_all_ended(system.ledger_reader)
    (newest,) = system.ledger_reader.decisions(limit=1)
    assert newest["status"] == "executed"


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE paper_trading_config SET initial_capital = 1", "never change; create another portfolio"),
        ("UPDATE paper_trading_config SET currency = 'EUR'", "never change; create another portfolio"),
        ("UPDATE paper_trading_config SET current_capital = 1", "only the PositionKeeper writes it"),
        ("UPDATE paper_trading_config SET slippage_pct = 'NaN'", "slippage_pct must be a fraction from 0 to 0.05"),
        ("INSERT INTO paper_trading_config (portfolio, currency) VALUES ('x', 'usd')", "currency must be letters"),
        (
            "INSERT INTO paper_trading_config (portfolio, initial_capital, current_capital) VALUES ('x', 5, 6)",
            "must start with current_capital = initial_capital",
        ),
        ("DELETE FROM paper_trading_config WHERE portfolio = 'default'", "violates foreign key"),
    ],
)
def test_the_guards_of_a_portfolio(system: TradingSystem, statement: str, sentence: str) -> None:
    system.execute_order(symbol="SOL/USDT", side="BUY", quantity="0.1")
    with pytest.raises(psycopg.Error) as refusal:
        psql(system, statement)
    assert sentence in str(refusal.value)


def test_a_changed_rule_counts_from_the_next_decision_and_the_order_says_which(system: TradingSystem) -> None:
    psql(system, "INSERT INTO paper_trading_config (portfolio) VALUES ('changing')")
    first = put(system, {"portfolio": "changing", "quantity": "0.001"})
    until_all_ended(system.ledger_reader)
    (order,) = system.ledger_reader.rows("SELECT * FROM paper_orders WHERE decision_id = :id", id=first)
    assert (1, Decimal(1)) == (order["config_revision"], order["commission"])
    psql(system, "UPDATE paper_trading_config SET commission_pct = 0.1 WHERE portfolio = 'changing'")
    # The change reaches the Sizer by its own wake-up; until it does, the old rule is the one in effect.
    commissions = {first: (1, False)}
    while len(set(commissions.values())) < 2:
        number = put(system, {"portfolio": "changing", "quantity": "0.001"})
        until_all_ended(system.ledger_reader)
        (order,) = system.ledger_reader.rows("SELECT * FROM paper_orders WHERE decision_id = :id", id=number)
        commissions[number] = (order["config_revision"], order["commission"] > 2)
        assert len(commissions) < 20
    assert {(1, False), (2, True)} >= set(commissions.values())
    assert commissions[number] == (2, True)
    (before,) = system.ledger_reader.rows("SELECT config_revision FROM paper_orders WHERE decision_id = :id", id=first)
    assert before["config_revision"] == 1


def test_a_portfolio_created_a_moment_ago_is_known(system: TradingSystem) -> None:
    with psycopg.connect(system.database_url) as connection:
        for number in range(20):
            connection.execute("INSERT INTO paper_trading_config (portfolio) VALUES (%s)", [f"new {number}"])
            connection.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence, portfolio)"
                " VALUES ('BTCUSDT', 'BUY', 1, %s)",
                [f"new {number}"],
            )
            connection.commit()
    until_all_ended(system.ledger_reader)
    (row,) = system.ledger_reader.rows("SELECT count(*) AS number FROM paper_orders WHERE portfolio LIKE 'new %'")
    assert row["number"] == 20


def test_a_name_used_again_is_another_portfolio(system: TradingSystem) -> None:
    """Deleted and made anew with more money: the old cash is not the new one's."""
    for capital in (1000, 5000):
        psql(system, "INSERT INTO paper_trading_config (portfolio, initial_capital) VALUES ('phoenix', %s)", capital)
        put(system, {"portfolio": "phoenix", "symbol": "NOPE"})  # the Sizer knows the portfolio now
        until_all_ended(system.ledger_reader)
        if capital == 1000:
            psql(system, "DELETE FROM paper_trading_config WHERE portfolio = 'phoenix'")
    put(system, {"portfolio": "phoenix", "quantity": "0.005"})
    until_all_ended(system.ledger_reader)
    assert system.ledger_reader.ledger_differences() == []
    (order,) = system.ledger_reader.orders("phoenix")
    assert Decimal(5000) == order["equity"]


def test_an_uncommitted_key_blocks_only_its_own_caller(system: TradingSystem) -> None:
    with psycopg.connect(system.database_url) as connection:
        connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence, idempotency_key)"
            " VALUES ('A', 'HOLD', 1, 'held')"
        )
        with pytest.raises(DatabaseBusy):
            system.submit(Decision(symbol="A", decision="HOLD", confidence=1, idempotency_key="held"))
        other = system.submit(Decision(symbol="BTC/USDT", decision="HOLD", confidence=1))
        assert "ignored" == other.get(timeout=10).status
        connection.rollback()
    again = system.submit(Decision(symbol="A", decision="HOLD", confidence=1, idempotency_key="held"))
    assert "ignored" == again.get(timeout=10).status


@pytest.mark.slow
def test_a_trigger_that_refuses_a_fill_has_its_decision_quarantined(server: Server) -> None:
    url = server.create_database()
    with running_system(url) as own:
        psql(
            own, "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not here'; END $$"
        )
        psql(own, "CREATE TRIGGER no BEFORE INSERT ON paper_orders FOR EACH ROW WHEN (NEW.symbol = 'ETH/USDT')"
                  " EXECUTE FUNCTION no()")  # fmt: skip
        symbols = ("SOL/USDT", "ETH/USDT", "BTC/USDT")
        decisions = [own.submit(Decision(symbol=s, decision="BUY", confidence=1)) for s in symbols]
        outcomes = [decision.get(timeout=10) for decision in decisions]
        assert ["executed", "rejected", "executed"] == [outcome.status for outcome in outcomes]
        assert "internal error: a trigger refused the values: not here; reference 1-1" == outcomes[1].reason
        assert own.wait(0) is None
    server.drop_database(url)


def test_a_locked_row_lets_the_rest_wait_and_loses_nothing(system: TradingSystem) -> None:
    with psycopg.connect(system.database_url) as connection:
        connection.execute("SELECT FROM paper_trading_config WHERE portfolio = 'default' FOR UPDATE")
        number = put(system, {"symbol": "ETH/USDT", "quantity": "0.01"})
        connection.execute("SELECT pg_sleep(0.5)")
        (row,) = system.ledger_reader.rows("SELECT status FROM trading_decisions WHERE id = :id", id=number)
        assert row["status"] == "pending"
        connection.rollback()
    until_all_ended(system.ledger_reader)
    (row,) = system.ledger_reader.rows("SELECT status FROM trading_decisions WHERE id = :id", id=number)
    assert row["status"] == "executed"
