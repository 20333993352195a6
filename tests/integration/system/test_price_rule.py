"""The price rule in the database: stored evidence, rules of each revision, shared marks, and views at the mark."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

import psycopg
import pytest
from sqlalchemy import make_url

from domain.market_data.price_second import PriceSecond
from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import PendingDecision
from domain.trading.events import SizedOrder
from domain.trading.orders import order_id
from domain.trading.portfolio import PortfolioState
from domain.trading.prices import mark
from domain.types import PriceRule, Symbol
from persistence import schema
from persistence.stores import portfolios
from tests.integration.persistence.test_adoption import psql
from tests.integration.persistence.test_stores import FIRST, Stores, a_decision, taken
from tests.integration.persistence.test_upgrade import upgrade_to
from tests.support.database import dumps
from tests.support.database.servers import Server
from tests.support.values.builders import BTC, BY_QUOTE, ETH, NOON, instrument, market_order, quote, rules
from tests.support.values.builders import filled as event_of

SOL = Symbol("SOL/USDT")
ORDER = "SELECT price_rule, rules_version, tick, marks, marks_no FROM paper_orders"
FILL = (
    "SELECT liquidity, base_price, last_price, bid, ask, bid_size, ask_size, last_size, touch_size, spread_cost,"
    " slippage_cost, size_cost, random_cost FROM paper_fills"
)
RULES = "SELECT portfolio, revision, slippage_pct, price_rule, max_touch_share FROM paper_portfolio_rules ORDER BY 1, 2"
ROW_VERSIONS = (
    "SELECT 'orders', ctid::text, xmin::text, order_id::text FROM paper_orders"
    " UNION ALL SELECT 'fills', ctid::text, xmin::text, order_id::text FROM paper_fills"
    " UNION ALL SELECT 'portfolios', ctid::text, xmin::text, portfolio FROM paper_trading_config ORDER BY 1, 4"
)
SPRING = ("spring", 1, Decimal("0.0005"), "last", Decimal(1))


@pytest.fixture
def real(embedded_url: str) -> Iterator[Stores]:
    opened = Stores(embedded_url)
    opened.ledger.raise_generation(FIRST)
    yield opened
    opened.close()


def bought(
    state: PortfolioState,
    received: PendingDecision,
    symbol: Symbol = BTC,
    *,
    marks: MappingProxyType[Symbol, Decimal] = MappingProxyType({}),
    quantity: int = 3,
) -> Result:
    """Return the result of a BUY by price rule quote: last 100, bid 99, ask 101, of which 2 are offered."""
    made = market_order(
        "BUY", quantity, 100, seq=state.version + 1, execution=BY_QUOTE, instrument=instrument(symbol, tick="0.05")
    )
    met = replace(
        quote(100, symbol, bid=99, ask=101, bid_size="7.5", ask_size=2), last_size=Decimal("0.000000000000000001")
    )
    own = replace(made.order, decision_id=received.id, order_id=order_id(received.uid, 1))
    sizing = replace(made.sizing, quote=met, marks=marks, positions=state.positions)
    return apply(state, event_of(SizedOrder(own, sizing)))


def test_every_new_column_comes_back_to_the_last_digit(real: Stores) -> None:
    (received,) = taken(real, a_decision())
    (before,) = real.ledger.load()
    assert (BY_QUOTE, "quote") == (before.rules.execution, before.rules.execution.price_rule)
    result = bought(before, received)
    real.ledger.commit(FIRST, [result])
    assert [("quote", 3, Decimal("0.05"), None, None)] == psql(real.url, ORDER)
    ((*evidence, spread, slippage, size, random),) = psql(real.url, FILL)
    assert ["taker", 101, 100, 99, 101, Decimal("7.5"), 2, Decimal("1e-18"), 2] == evidence
    costs = result.fill.costs
    assert [costs.spread, costs.slippage, costs.size, costs.random] == [spread, slippage, size, random]
    # 3 of them at 101 instead of 100; 1 exceeds the 2 that are offered: 303 × 0.001 × 101 / 100 000
    assert (Decimal(3), Decimal("0.00030603")) == (spread, size)
    assert result.fill.notional - 300 == spread + slippage + size + random
    assert real.ledger_reader.ledger_differences() == []


def test_the_orders_of_one_moment_share_a_row_of_marks(real: Stores) -> None:
    received = taken(real, *(a_decision(number) for number in range(1, 6)))
    (state,) = real.ledger.load()
    one = MappingProxyType({BTC: Decimal("100.10"), ETH: Decimal(4000), Symbol("X/USDT"): Decimal(1)})
    later = MappingProxyType({BTC: Decimal("100.20"), ETH: Decimal("4000.5")})
    group = []
    # The third order counts ETH/USDT, the fourth BTC/USDT and ETH/USDT; SOL/USDT has no mark in the later table.
    for decision, symbol, marks in zip(received, (BTC, ETH, BTC, SOL, BTC), (one, one, one, one, later), strict=True):
        result = bought(state, decision, symbol, marks=marks, quantity=1)
        group.append(result)
        state = result.state
    real.ledger.commit(FIRST, group)
    numbers = psql(real.url, "SELECT seq, marks_no FROM paper_orders WHERE marks IS NULL ORDER BY seq")
    assert [(1, None), (2, 2), (3, 2), (4, 2), (5, 5)] == numbers
    sol = str(group[3].fill.price)
    assert psql(real.url, "SELECT portfolio, marks_no, at, marks FROM paper_marks ORDER BY marks_no") == [
        ("default", 2, NOON, {BTC: "100.1", ETH: "4000"}),
        ("default", 5, NOON, {ETH: "4000.5", SOL: sol}),
    ]
    with psycopg.connect(real.url) as connection, pytest.raises(psycopg.errors.CheckViolation, match="program alone"):
        connection.execute("DELETE FROM paper_marks")


def test_a_fill_outside_its_quote_is_named(real: Stores) -> None:
    (received,) = taken(real, a_decision())
    (before,) = real.ledger.load()
    result = bought(before, received)
    real.ledger.commit(FIRST, [result])
    plant = ("SET paper.writer = 'PositionKeeper'", "UPDATE paper_fills SET ask = 101.3")
    psql(real.url, *plant)
    (row,) = psql(real.url, "SELECT * FROM v_paper_ledger_check")
    order = f"order {result.order.order_id} of portfolio default"
    sentence = f"{order}: BUY BTC/USDT at 101.1, which is outside its quote (bid 99, ask 101.3)"
    assert row == ("default", "outside the quote", sentence)
    # Neither a maker nor an order by the last trade need be inside it, and crossed prices are no quote.
    for harmless in (
        "UPDATE paper_fills SET liquidity = 'maker'",
        "UPDATE paper_orders SET price_rule = 'last'",
        "UPDATE paper_fills SET bid = 102",
    ):
        with psycopg.connect(real.url) as connection, connection.transaction(force_rollback=True):
            connection.execute(plant[0])
            connection.execute(harmless)  # type: ignore[call-overload]
            assert [] == connection.execute("SELECT * FROM v_paper_ledger_check").fetchall()


CASES = [
    ("100", "99", "101"), ("0.50", "0.90", "0.92"), ("0.95", "0.90", "0.92"), ("100", "101", "99"),
    ("100", None, "99"), ("100", "101", None), ("100", None, None), ("0.90", "0.90", "0.90"),
    ("0.000000000000000001", "0.000000000000000002", "0.000000000000000003"),
]  # fmt: skip


def test_paper_mark_is_the_mark_of_the_program(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    cases = [tuple(None if text is None else Decimal(text) for text in case) for case in CASES]
    with psycopg.connect(embedded_url) as connection:
        marks = [connection.execute("SELECT paper_mark(%s, %s, %s)", case).fetchone() for case in cases]
    assert [(mark(PriceRule.QUOTE, price or Decimal(0), bid, ask),) for price, bid, ask in cases] == marks


def test_positions_are_valued_at_the_mark_of_their_portfolios_rule(real: Stores) -> None:
    (received,) = taken(real, a_decision())
    (before,) = real.ledger.load()
    real.ledger.commit(FIRST, [bought(before, received)])
    real.prices.record([PriceSecond.of(quote("50", bid="90", ask="92"))])
    values = (
        "SELECT current_price, position_value, calculate_position_pnl(position_id) + cost, get_portfolio_value() - cash"
        " FROM v_paper_open_positions JOIN v_paper_portfolio_overview USING (portfolio)"
    )
    assert [(90, 270, 270, 270)] == psql(real.url, values)
    portfolios.change(real.url, "default", {"price_rule": "last"})
    assert [(50, 150, 150, 150)] == psql(real.url, values)


def test_an_earlier_portfolio_keeps_the_last_trade_and_no_row_is_written(empty_embedded_url: str) -> None:
    dumps.restore(empty_embedded_url, "0.1.0")
    before = psql(empty_embedded_url, ROW_VERSIONS)
    assert ["fills"] * 5 + ["orders"] * 5 + ["portfolios"] * 2 == [row[0] for row in before]
    upgrade_to(empty_embedded_url, "0010_price_rule")
    assert before == psql(empty_embedded_url, ROW_VERSIONS)
    upgrade_to(empty_embedded_url, "0031_storage")
    # The schema of open orders writes orders and fills anew, because leg and fill_no become integers; portfolios stay.
    assert before[-2:] == psql(empty_embedded_url, ROW_VERSIONS)[-2:]
    schema.upgrade(empty_embedded_url)  # writes portfolios: each gets a name beside its id
    assert [(None, 1, None, True, None)] == psql(
        empty_embedded_url,
        "SELECT DISTINCT price_rule, rules_version, tick, marks IS NOT NULL, marks_no FROM paper_orders",
    )
    assert [("unknown", None)] == psql(empty_embedded_url, "SELECT DISTINCT liquidity, touch_size FROM paper_fills")
    default = ("default", 1, Decimal("0.0005"), "last", Decimal(1))
    assert [default, SPRING] == psql(empty_embedded_url, RULES)
    portfolios.create(empty_embedded_url, "new", {"initial_capital": 1})
    assert [default, ("new", 1, Decimal("0.0005"), "quote", Decimal(1)), SPRING] == psql(empty_embedded_url, RULES)


@pytest.mark.parametrize("path", ["", "hidden, public", "pg_catalog"])
def test_each_revision_is_recorded_whatever_the_search_path(embedded_url: str, path: str) -> None:
    schema.upgrade(embedded_url)
    psql(embedded_url, "CREATE SCHEMA hidden", "CREATE TABLE hidden.paper_portfolio_rules (portfolio int)")
    psql(
        embedded_url,
        f"SET search_path = {path or repr('')}",
        "INSERT INTO public.paper_trading_config (portfolio) VALUES ('mine')",
        "UPDATE public.paper_trading_config SET slippage_pct = 0.001",
        "UPDATE public.paper_trading_config SET slippage_pct = 0.001",  # no change
        "UPDATE public.paper_trading_config SET max_touch_share = 0.25, price_rule = 'last'",
    )
    assert psql(embedded_url, RULES) == [
        ("mine", 1, Decimal("0.0005"), "quote", Decimal(1)),
        ("mine", 2, Decimal("0.001"), "quote", Decimal(1)),
        ("mine", 3, Decimal("0.001"), "last", Decimal("0.25")),
    ]
    # The name of a deleted portfolio begins anew.
    psql(
        embedded_url,
        "DELETE FROM paper_trading_config",
        "INSERT INTO paper_trading_config (portfolio, price_rule) VALUES ('mine', 'last')",
    )
    assert [("mine", 1, Decimal("0.0005"), "last", Decimal(1))] == psql(embedded_url, RULES)


def test_a_later_rule_is_recorded_without_another_function(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    psql(
        embedded_url,
        "ALTER TABLE paper_trading_config ADD COLUMN patience numeric NOT NULL DEFAULT 1",
        "ALTER TABLE paper_portfolio_rules ADD COLUMN patience numeric",
        "INSERT INTO paper_trading_config (portfolio, patience) VALUES ('mine', 0.5)",
    )
    assert [(Decimal("0.5"),)] == psql(embedded_url, "SELECT patience FROM paper_portfolio_rules")


def test_a_role_that_may_change_portfolios_alone_records_revisions_and_writes_no_others(
    embedded_server: Server, embedded_url: str
) -> None:
    schema.upgrade(embedded_url)
    portfolios.create(embedded_url, "default", {"initial_capital": 1})
    role = f"clerk_{secrets.token_hex(4)}"
    with embedded_server.connect(make_url(embedded_url).database) as admin:
        admin.execute(f"CREATE ROLE {role}")  # type: ignore[call-overload]
        admin.execute(f"GRANT SELECT, UPDATE ON paper_trading_config TO {role}")  # type: ignore[call-overload]
        admin.execute(f"CREATE SCHEMA {role} AUTHORIZATION {role}")  # type: ignore[call-overload]
        try:
            admin.execute(f"SET ROLE {role}")  # type: ignore[call-overload]
            admin.execute("UPDATE paper_trading_config SET slippage_pct = 0.002")
            admin.execute(f"CREATE TABLE {role}.mine (portfolio text, revision int)")  # type: ignore[call-overload]
            for statement in (
                "UPDATE paper_portfolio_rules SET slippage_pct = 0",
                # The function runs with its owner's rights, so nobody else may use it.
                f"CREATE TRIGGER t AFTER INSERT ON {role}.mine EXECUTE FUNCTION public.paper_rules_changed()",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    admin.execute(statement)  # type: ignore[call-overload]
            admin.execute("RESET ROLE")
        finally:
            admin.execute(f"DROP OWNED BY {role} CASCADE")  # type: ignore[call-overload]
            admin.execute(f"DROP ROLE {role}")  # type: ignore[call-overload]
    assert [1, 2] == [row[1] for row in psql(embedded_url, RULES)]
    with pytest.raises(psycopg.errors.CheckViolation, match="paper_portfolio_rules is written by the program alone"):
        psql(embedded_url, "UPDATE paper_portfolio_rules SET slippage_pct = 0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("price_rule = 'ask'", "price_rule must be quote or last"),
        ("max_touch_share = 1.1", "max_touch_share must be a fraction from 0 to 1"),
        ("max_touch_share = -0.1", "max_touch_share must be a fraction from 0 to 1"),
        ("max_touch_share = 'NaN'", "max_touch_share must be a fraction from 0 to 1"),
    ],
)
def test_a_wrong_rule_is_refused_with_a_sentence(embedded_url: str, change: str, message: str) -> None:
    schema.upgrade(embedded_url)
    psql(embedded_url, "INSERT INTO paper_trading_config (portfolio) VALUES ('mine')")
    with pytest.raises(psycopg.errors.CheckViolation, match=message):
        psql(embedded_url, f"UPDATE paper_trading_config SET {change}")


def test_the_rules_of_a_portfolio_come_back(real: Stores) -> None:
    portfolios.change(real.url, "default", {"max_touch_share": Decimal("0.123456789012345678"), "price_rule": "last"})
    (stored,) = real.ledger.rules()
    execution = replace(rules().execution, max_touch_share=Decimal("0.123456789012345678"))
    assert execution == stored.execution
    assert PriceRule.LAST is stored.execution.price_rule
