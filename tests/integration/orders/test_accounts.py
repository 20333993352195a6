"""Requests for accounts in the books: what is loaded equals what was in memory, and the ledger check finds nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from domain.audit import differences
from domain.errors import Fenced, WriteRefused
from domain.trading.account.applying import AccountResult
from domain.trading.account.changes import AccountChange
from domain.trading.account.requests import AccountKind, AccountRefusal, AccountRequest, Ratio
from domain.trading.bookkeeping import Result
from domain.types import Generation
from persistence.queries.evidence import evidence
from persistence.stores.books.account import cancel_request, insert_request, read_request
from tests.integration.orders.test_open_orders import Market
from tests.integration.persistence.test_stores import FIRST, InMemory, Stores, real, stores
from tests.support.account.account_run import account_request
from tests.support.values.builders import BTC, BY_QUOTE, NOON, instant, quote, rules

__all__ = ["real", "stores"]  # fixtures

TEN_FOR_ONE = Ratio(Decimal(10), Decimal(1))


class Account(Market):
    """A market whose portfolio's account changes."""

    def trade(self, price: str, size: str) -> None:
        """See a trade of the market of this size."""
        self.seconds += 1
        assert self.last is not None
        self.data_no += 1
        met = replace(quote(price, at=self.now, bid=self.last.bid, ask=self.last.ask), data_no=self.data_no)
        self.last = replace(met, is_trade=True, last_size=Decimal(size))
        self._commit(self.engine.on_quotes([self.last], instant(self.now)))

    def change(self, kind: AccountKind, **values: Any) -> AccountResult | AccountRefusal:
        """Insert a request, read it as the DecisionWatcher does, and carry it out."""
        self.seconds += 1
        if isinstance(self.stores, InMemory):
            number = len(self.stores.ledger.requests) + 1
            self.stores.ledger.requests.append(account_request(kind, number=number, **values))
        else:
            insert_request(self.stores.url, as_row(account_request(kind, **values)))
        (request,) = self.stores.decisions.account_requests([])
        happened = self.engine.on_account_event(request, instant(self.now))
        ended = [one for one in happened if isinstance(one, Result)]
        (answer,) = [one for one in happened if not isinstance(one, Result)]
        if isinstance(answer, AccountRefusal):
            self.stores.ledger.refuse_account(FIRST, answer)
        else:
            assert isinstance(answer, AccountResult)
            self.stores.ledger.commit_account(FIRST, request, [AccountChange(tuple(ended), answer)])
        assert [] == self.stores.decisions.account_requests([])
        if request.ratio is not None:
            self.last = None  # its price counts no more
        self._commit([])
        assert isinstance(answer, AccountResult | AccountRefusal)
        return answer


def as_row(request: AccountRequest) -> dict[str, object]:
    ratio = request.ratio
    return {
        "portfolio": request.portfolio, "kind": request.kind.value, "symbol": request.symbol, "amount": request.amount,
        "price": request.price, "ratio_new": ratio.new if ratio is not None else None,
        "ratio_old": ratio.old if ratio is not None else None, "new_symbol": request.new_symbol,
        "reason": request.reason, "author": request.author,
    }  # fmt: skip


@pytest.fixture(params=["one process", "a kill after each commit"])
def account(request: pytest.FixtureRequest, stores: Any) -> Account:
    if isinstance(stores, InMemory):  # as a new portfolio in the database
        stores.ledger.open_portfolio(rules(execution=BY_QUOTE))
    market = Account(stores)
    if request.param != "one process":
        commit = market._commit

        def commit_and_restart(happened: Iterable[Any]) -> None:
            commit(happened)
            market.restart()

        market._commit = commit_and_restart  # type: ignore[method-assign]
    return market


def test_deposits_and_withdrawals(account: Account) -> None:
    account.change(AccountKind.DEPOSIT, amount="2500.000000000001")
    account.change(AccountKind.WITHDRAWAL, amount="500")
    refusal = account.change(AccountKind.WITHDRAWAL, amount="12000.1")
    assert isinstance(refusal, AccountRefusal)
    state = account.state
    assert (Decimal("12000.000000000001"), 2) == (state.cash, state.version)
    assert Decimal("2000.000000000001") == state.flows.net_deposits


def test_a_split_of_a_position_with_orders_that_are_filled_in_part(account: Account) -> None:
    account.price("100", "99.9", "100.1")
    entry = {"order_type": "limit", "limit_price": "99", "stop_loss": "90", "take_profit": "110.5"}
    account.send("BUY", "4", **entry)
    account.trade("98.9", "1")
    account.send("BUY", "1", order_type="trailing_stop", trail="5")
    account.send("BUY", "2", order_type="stop_limit", stop_price="104", limit_price="104.5")
    account.change(AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    first, *_ = account.state.open_orders
    assert (Decimal(40), Decimal(10), Decimal("9.9")) == (first.order.quantity, first.filled, first.order.limit_price)
    account.price("9.95", "9.94", "9.96")
    account.trade("9.87", "15")
    account.change(AccountKind.SPLIT, symbol=BTC, ratio=Ratio(Decimal(1), Decimal(3)))
    account.price("33.2", "33.15", "33.16")
    account.price("40", "39", "40.1")
    account.send("CANCEL", target="all")
    account.send("SELL")
    assert {} == account.state.positions


def test_every_other_adjustment_ends_the_open_orders(account: Account) -> None:
    account.price("100", "99.9", "100.1")
    account.send("BUY", "4", stop_loss="90", take_profit="110")
    account.change(AccountKind.DIVIDEND, symbol=BTC, amount="0.123456789012345678")
    assert 0 == len(account.state.open_orders)
    assert Decimal("0.493827156049") == account.state.flows.dividends
    account.change(AccountKind.REDENOMINATION, symbol=BTC, ratio=TEN_FOR_ONE, new_symbol="NEW/USDT")
    account.change(AccountKind.SYMBOL_CHANGE, symbol="NEW/USDT", new_symbol="NEWER/USDT")
    (held,) = account.state.positions.values()
    assert ("NEWER/USDT", Decimal(40)) == (held.symbol, held.quantity)
    account.change(AccountKind.WRITE_OFF, symbol="NEWER/USDT", price="0.5")
    assert {} == account.state.positions


def test_a_request_is_carried_out_once(stores: Any) -> None:
    account = Account(stores)
    change = account.change(AccountKind.DEPOSIT, amount=1)
    assert isinstance(change, AccountResult)
    with pytest.raises(Fenced, match="request 1 for portfolio default has ended already"):
        stores.ledger.commit_account(FIRST, change.request, [AccountChange((), change)])
    with pytest.raises(Fenced):
        stores.ledger.commit_account(Generation(0), change.request, [AccountChange((), change)])
    assert Decimal(10_001) == account.state.cash


def test_a_cancelled_request_is_read_no_more_and_cannot_be_carried_out(real: Stores) -> None:
    account = Account(real)
    values = {"portfolio": "default", "kind": "deposit", "amount": 5, "reason": "a test", "author": "me"}
    first, second = (insert_request(real.url, values) for _ in range(2))
    requests = real.decisions.account_requests([])
    assert cancel_request(real.url, first, "cancelled by me")
    assert not cancel_request(real.url, first, "cancelled again")
    with psycopg.connect(real.url) as connection:
        connection.execute("UPDATE paper_account_requests SET status = 'cancelled' WHERE id = %s", [second])
    assert [] == real.decisions.account_requests([])
    (change,) = account.engine.on_account_event(requests[0], instant(account.now))
    assert isinstance(change, AccountResult)
    with pytest.raises(Fenced, match="request 1 for portfolio default has ended already"):
        real.ledger.commit_account(FIRST, requests[0], [AccountChange((), change)])
    outcomes = [str(row["outcome"]) for row in (read_request(real.url, first), read_request(real.url, second)) if row]
    assert ["cancelled by me", True] == [outcomes[0], outcomes[1].startswith("cancelled by ")]


def test_memory_that_lacks_a_deposit_differs_from_the_database(account: Account) -> None:
    before = account.state
    account.change(AccountKind.DEPOSIT, amount=1)
    assert ["portfolio default: the last event is number 0 in memory and 1 in the database"] == list(
        differences({before.name: before}, [account.state]).values()
    )


def test_the_fills_of_an_order_before_and_after_a_split_are_explained(real: Stores) -> None:
    account = Account(real)
    account.price("100", "99.9", "100.1")
    id_ = account.send("BUY", "4", order_type="limit", limit_price="99")
    account.trade("98.9", "1")
    account.change(AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    account.price("9.87", "9.84", "9.86")
    (part,) = evidence(real.ledger_reader, str(id_))["orders"]
    assert ["accepted", "amended"] == [event["kind"] for event in part["events"]]
    assert "split 10:1 of BTC/USDT" == part["events"][1]["reason"]
    assert [Decimal(99), Decimal("9.9")] == [event["limit_price"] for event in part["events"]]


REFUSED = [
    ({"kind": "deposit", "amount": 0}, "amount must be above 0"),
    ({"kind": "deposit", "amount": "NaN"}, "amount must be above 0"),
    ({"kind": "deposit", "amount": "0.0000000000001"}, "a deposit or withdrawal has at most 12 decimals"),
    ({"kind": "deposit"}, "a deposit, withdrawal or dividend has an amount, a reset may"),
    ({"kind": "deposit", "amount": 1, "symbol": "A"}, "an adjustment has a symbol, and no other"),
    ({"kind": "split", "symbol": "A"}, "a split or redenomination has a ratio, and no other"),
    ({"kind": "split", "symbol": "A", "ratio_new": 2, "ratio_old": 2}, "a split changes something"),
    ({"kind": "split", "symbol": "A", "ratio_new": 0, "ratio_old": 2}, "the parts of a ratio must be from 0.000001"),
    ({"kind": "write_off", "symbol": "A"}, "a write-off has a price, and no other"),
    ({"kind": "write_off", "symbol": "A", "price": -1}, "price must be 0 or more"),
    ({"kind": "symbol_change", "symbol": "A"}, "a symbol change has a new_symbol, a redenomination may have one"),
    ({"kind": "symbol_change", "symbol": "A", "new_symbol": "A"}, "new_symbol must be another name"),
    ({"kind": "deposit", "amount": 1, "portfolio": None}, "only a split or redenomination is of all portfolios"),
    ({"kind": "gift", "symbol": "A"}, "kind must be deposit, withdrawal, an adjustment, close or reset"),
    ({"kind": "deposit", "amount": 1, "reason": " "}, "reason of a request must be 1 to 1 000 characters"),
    ({"kind": "deposit", "amount": 1, "status": "done"}, "a request begins as pending"),
]


@pytest.mark.parametrize(("values", "sentence"), REFUSED, ids=[f"{values}" for values, _ in REFUSED])
def test_a_request_that_makes_no_sense_is_refused(real: Stores, values: dict[str, object], sentence: str) -> None:
    with pytest.raises(WriteRefused, match=sentence):
        insert_request(real.url, {"portfolio": "default", "reason": "a test", "author": "me", **values})


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "UPDATE paper_account_requests SET amount = 2",
            "a request for an account never changes; cancel it, or insert",
        ),
        ("DELETE FROM paper_account_requests", "a request for an account never changes; cancel it, or insert another"),
        ("UPDATE paper_account_requests SET status = 'cancelled'", "never changes"),
        ("UPDATE paper_account_requests SET status = 'done', outcome = 'x', ended_at = now()", "never changes"),
        ("DELETE FROM paper_account_events", "table paper_account_events is written by the program alone"),
    ],
)
def test_a_request_and_its_event_never_change(real: Stores, statement: str, sentence: str) -> None:
    Account(real).change(AccountKind.DEPOSIT, amount=1)
    with psycopg.connect(real.url) as connection, pytest.raises(psycopg.errors.CheckViolation, match=sentence):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("UPDATE paper_account_events SET cash_delta = 2", "its fills make it 10002.000000000000"),
        ("UPDATE paper_account_events SET version = 5", "has version 1, its last event has version 5"),
        ("UPDATE paper_account_events SET symbol = 'A', asset_delta = 3", "holds 0 A, its fills make it 3"),
    ],
)
def test_the_ledger_check_sees_account_events(real: Stores, fault: str, sentence: str) -> None:
    Account(real).change(AccountKind.DEPOSIT, amount=1)
    with psycopg.connect(real.url) as connection:
        connection.execute("SET paper.writer = 'PositionKeeper'")
        connection.execute(fault)
    assert [one for one in map(str, real.ledger_reader.ledger_differences()) if sentence in one]


def test_a_position_of_before_a_split_is_not_valued_at_the_old_price(real: Stores) -> None:
    account = Account(real)
    account.price("100", "99.9", "100.1")
    account.send("BUY", "4")
    with psycopg.connect(real.url) as connection:
        connection.execute(
            "INSERT INTO market_prices (time, symbol, source, price, price_time) VALUES (%s, %s, 'test', 100, %s)",
            [NOON, BTC, NOON],
        )
    account.change(AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    (row,) = real.ledger_reader.positions()
    assert "last fill" == row["price_source"]
    assert Decimal(400) < row["position_value"] < Decimal(401)
