"""Deposits, withdrawals and changes of instruments between random orders, market data, cancels and restarts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from domain.trading.account.applying import AccountResult
from domain.trading.account.requests import AccountKind, AccountRefusal, AccountRequest, Ratio
from domain.trading.arithmetic import ZERO, multiply
from domain.trading.bookkeeping import Result
from domain.trading.decision import Refusal
from domain.trading.open_orders.open_order import TrailingMark
from domain.trading.portfolio import PortfolioState
from domain.types import PortfolioName, PositionSide, Symbol
from tests.support.values.builders import BTC, ETH, NOON, instant, quote, uid
from tests.support.values.order_choices import DOGE, PORTFOLIOS, Choices
from tests.support.values.order_run import OrderRun, require

NEW = Symbol("NEW/USDT")
RATIOS = [Ratio(Decimal(new), Decimal(old)) for new, old in ((2, 1), (1, 2), (3, 1), (1, 3), (7, 3), ("1.05", 1))]
SHARES = [Decimal(x) for x in ("0.001", "0.1", "0.5", "1", "1.0000001", "3")]
KINDS = [*(kind for kind in AccountKind if not kind.closes), AccountKind.DEPOSIT, AccountKind.SPLIT, AccountKind.SPLIT]
ONE_IN = 8
"""Of so many steps one is a request for an account."""


def account_request(
    kind: AccountKind, *, number: int = 1, portfolio: str | None = "default", symbol: str | None = None,
    amount: Decimal | int | str | None = None, price: Decimal | int | str | None = None,
    ratio: Ratio | None = None, new_symbol: str | None = None,
) -> AccountRequest:  # fmt: skip
    """Return a request."""
    return AccountRequest(
        number, uid(1_000_000 + number), None if portfolio is None else PortfolioName(portfolio), kind,
        "a test", "a tester", NOON,
        symbol=None if symbol is None else Symbol(symbol), amount=None if amount is None else Decimal(amount),
        price=None if price is None else Decimal(price), ratio=ratio,
        new_symbol=None if new_symbol is None else Symbol(new_symbol),
    )  # fmt: skip


class AccountRun(OrderRun):
    """An `OrderRun` in which accounts change, too.

    Attributes:
        changes: number of requests that were carried out, by their kind.
        refusals: number of requests that were refused.
    """

    def __init__(self, *, check: bool = True) -> None:
        self.changes: Counter[AccountKind] = Counter()
        self.refusals = 0
        self._requests = 0
        super().__init__(check=check)

    def step(self, number: int) -> None:
        """Do what a number means."""
        if number % ONE_IN:
            super().step(number // ONE_IN)
        else:
            self._second += 1
            self._change(Choices(number // ONE_IN))

    def _change(self, choices: Choices) -> None:
        self._requests += 1
        kind, row = choices.of(KINDS), PORTFOLIOS[choices.of([0, 0, 1, 2])]
        before = self.states[row.portfolio]
        symbol, ratio = choices.of([*sorted(before.positions), BTC, ETH, DOGE, NEW]), None
        amount = price = new_symbol = None
        if kind in {AccountKind.DEPOSIT, AccountKind.WITHDRAWAL}:
            symbol, amount = (
                None,
                max(multiply(before.cash, choices.of(SHARES)), Decimal("0.01")).quantize(Decimal("1e-12")),
            )
        elif kind is AccountKind.DIVIDEND:
            amount = choices.of(SHARES)
        elif kind is AccountKind.WRITE_OFF:
            price = choices.of([ZERO, *SHARES])
        elif kind is AccountKind.SYMBOL_CHANGE:
            new_symbol = NEW if symbol != NEW else BTC
        else:
            ratio = choices.of(RATIOS)
            new_symbol = choices.of([None, NEW]) if kind is AccountKind.REDENOMINATION and symbol != NEW else None
        request = account_request(
            kind, number=self._requests, portfolio=row.portfolio, symbol=symbol, amount=amount, price=price,
            ratio=ratio, new_symbol=new_symbol,
        )  # fmt: skip
        self._carry_out(request, before)

    def _carry_out(self, request: AccountRequest, before: PortfolioState) -> None:
        happened = self._engine.on_account_event(request, instant(self._now))
        self._took(one for one in happened if isinstance(one, Result | Refusal))
        answers = [one for one in happened if isinstance(one, AccountResult | AccountRefusal)]
        require(len(answers) == 1, "one answer", request, happened)
        (answer,) = answers
        assert request.portfolio is not None
        after = self.states[request.portfolio]
        if isinstance(answer, AccountRefusal):
            self.refusals += 1
            require(before == after, "a refused request changes nothing", answer)
            return
        self.changes[request.kind] += 1
        require(after.version == before.version + len(happened), "each event raises the version", request)
        self._note_change(answer, before)
        if request.ratio is not None and request.symbol in self._newest:
            price = request.ratio.price(self._newest[request.symbol].price)
            self._see(quote(price, request.symbol, self._now))
        self._check_state(self.states[request.portfolio])

    def _note_change(self, change: AccountResult, before: PortfolioState) -> None:
        request, held, after = change.request, change.before, change.position
        require(change.cash_delta == change.state.cash - before.cash, "the change of the cash", change)
        if change.trade is not None:
            self._net[before.name] += Fraction(change.trade.net)
            require(after is None and change.trade.closes, "a write-off closes", change)
        elif held is not None:
            assert after is not None
            require(
                (held.cost, held.entry_commission) == (after.cost, after.entry_commission), "the cost stays", change
            )
        if request.kind is AccountKind.DIVIDEND and held is not None:
            require((change.cash_delta >= 0) is (held.side is PositionSide.LONG), "a SHORT pays dividends", change)
        if request.kind not in {AccountKind.SPLIT, AccountKind.DEPOSIT, AccountKind.WITHDRAWAL}:
            assert request.symbol is not None
            require(not change.state.open_orders.has(request.symbol), "its open orders have ended", change)
        for order in change.orders:
            one, ratio = order.after, request.ratio
            assert ratio is not None
            id_ = one.order.order_id
            require(one.reserved <= order.before.reserved, "a split reserves no more", order)
            require(
                one.notional == order.before.notional and one.paid == order.before.paid, "what was paid stays", order
            )
            self._since[id_] = one.since
            if one.trails and one.mark is not None:
                self._extremes[id_] = one.mark
                self._marks[id_] = TrailingMark(id_, one.mark, one.mark_no)


def account_run(numbers: Iterable[int], restarts: Iterable[int] = (), *, check: bool = True) -> AccountRun:
    """Return a run of these steps; before each of the numbered ones it is restarted."""
    run, at = AccountRun(check=check), frozenset(restarts)
    for index, number in enumerate(numbers):
        if index in at:
            run.restart()
        run.step(number)
    return run
