"""The columns that the program names are those of the tables: a column that one side lacks is found here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest

from domain.failures import Failure
from domain.market_data.price_second import PriceSecond
from domain.trading.account.requests import AccountKind, Ratio
from domain.trading.account.trades import Trade
from domain.trading.bookkeeping import apply
from domain.trading.events import Adjusted, OrderAccepted
from domain.trading.open_orders.settlement import SettledSpan
from domain.trading.orders import Costs, ExecutionRules
from domain.trading.portfolio import PortfolioRules, PortfolioState, Position
from domain.trading.snapshot import Snapshot
from domain.types import OrderType
from persistence import schema
from persistence.queries import row_lists
from persistence.rows import columns_of
from persistence.stores import decisions, portfolios, prices
from persistence.stores.books import account, rows, states
from persistence.stores.intake import submissions
from tests.support.account.account_run import account_request
from tests.support.values.builders import BTC, NOON, deal, market_order, quote, rules


def names(*kinds: type) -> set[str]:
    return {name for kind in kinds for name in columns_of(kind)}


BOUGHT = deal(PortfolioState.opened(rules()), "BUY", "0.02", 100)
SALE = deal(BOUGHT.state, "SELL", "0.01", 100)
assert SALE.trade is not None
assert SALE.position is not None
OTHER = deal(BOUGHT.state, "BUY", "0.3", 4000, symbol="ETH/USDT")
OTHER = replace(OTHER, event=replace(OTHER.event, sizing=replace(OTHER.event.sizing, positions=BOUGHT.state.positions)))
ACCEPTED = apply(BOUGHT.state, OrderAccepted(2, market_order(seq=2).order, None, Decimal(0), 1, NOON))
RESTING = rows.order_changes([ACCEPTED], [None])[ACCEPTED.order.order_id]
TEN_FOR_ONE = account_request(AccountKind.SPLIT, symbol=BTC, ratio=Ratio(Decimal(10), Decimal(1)))
LIMIT = market_order(seq=2).order
LIMIT = replace(LIMIT, order_type=OrderType.LIMIT, limit_price=Decimal(90))
SPLIT = apply(
    apply(BOUGHT.state, OrderAccepted(2, LIMIT, None, Decimal(0), 1, NOON)).state, Adjusted(3, TEN_FOR_ONE, NOON)
)
OUTCOME = {
    "id", "created_at", "status", "outcome_reason", "order_id", "processed_at", "retry_of", "sent_by", "received_at",
}  # fmt: skip
OF_THE_VENUE = {"maker_fee", "taker_fee"}
"""Costs that are no rule of a portfolio; `paper_orders` has them."""
WRITTEN: dict[str, Collection[str]] = {
    "trading_decisions": {*submissions.SENT, *OUTCOME},
    "paper_trading_config": names(PortfolioRules, Costs, ExecutionRules)
    - {"costs", "execution", "halted", "shown_as", "dollar", *OF_THE_VENUE}
    | {"current_capital", "name", "closed_at", "replaced_at"},
    "paper_portfolio_rules": {"portfolio", "revision", "at", *portfolios.CHANGEABLE},
    # "marks" is of earlier versions, and only a split writes "split_quantity".
    "paper_orders": {*rows.order_row(SALE), *rows.accepted_row(RESTING), "marks", "split_quantity"},
    "paper_order_events": rows.event_row(ACCEPTED),
    "paper_portfolio_state": {"portfolio", "version", "data_no", "data_at", "settled_no", "behind"},
    "paper_settlements": names(SettledSpan),
    "paper_marks": rows.shared_marks([OTHER])[0][0],
    "paper_fills": rows.fill_row(SALE),
    "paper_trades": rows.trade_row(SALE.trade),
    "paper_positions": {*rows.position_row("default", SALE.position)},
    "paper_account_events": account.event_row(SPLIT),
    "paper_order_splits": account.split_row(SPLIT, SPLIT.orders[0]),
    "paper_portfolio_snapshots": names(Snapshot) - {"shown_as"},
    "paper_failures": names(Failure),
    "market_prices": prices.price_row(PriceSecond.of(quote("100"))),
}
READ: dict[str, Collection[str]] = {
    "trading_decisions": {*decisions.READ, *row_lists.DECISION_COLUMNS} - {"now", "strict_runs", "lives"},
    "paper_positions": names(Position) - {"last_price"} | {*states.FIXED},
    "paper_trades": names(Trade) | row_lists.TRADES.unlisted,
    "paper_orders": row_lists.ORDERS.unlisted,
    "paper_trading_config": portfolios.CHANGEABLE,
}


@pytest.fixture
def columns(embedded_url: str) -> dict[str, set[str]]:
    """The columns of each table of a new database."""
    schema.upgrade(embedded_url)
    with psycopg.connect(embedded_url) as connection:
        rows = connection.execute(
            "SELECT table_name::text, array_agg(column_name::text) FROM information_schema.columns"
            " WHERE table_schema = 'public' GROUP BY 1"
        ).fetchall()
    return {table: set(own) for table, own in rows}


def test_every_column_is_written_and_every_one_that_is_read_exists(columns: dict[str, set[str]]) -> None:
    assert {table: set(written) for table, written in WRITTEN.items()} == {table: columns[table] for table in WRITTEN}
    assert {} == {table: left for table, read in READ.items() if (left := set(read) - columns[table])}
