"""The tables of requests for accounts, and of the events that they become, in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from domain import failpoints
from domain.errors import Fenced
from domain.trading.account.applying import AccountResult
from domain.trading.account.changes import AccountChange, outcome_of
from domain.trading.account.requests import AccountKind, AccountRefusal, AccountRequest
from domain.trading.account.trades import Trade
from domain.trading.bookkeeping import Result
from domain.trading.events import Closed
from domain.trading.portfolio import PortfolioState
from domain.types import Generation, PortfolioName
from tests.support.actors.stored_state import stored_state, with_stored_mark


@dataclass
class MemoryAccount:
    """The tables.

    Attributes:
        requests: all rows of requests.
        ends: by number, status and outcome of those that have ended.
        changes: the events.
        lives: by name, the id of the present life of a portfolio that was begun anew, and the last decision before.
        last_id: of the decisions.
    """

    requests: list[AccountRequest] = field(default_factory=list, kw_only=True)
    ends: dict[int, tuple[str, str]] = field(default_factory=dict, kw_only=True)
    changes: list[AccountResult] = field(default_factory=list, kw_only=True)
    portfolios: dict[PortfolioName, PortfolioState] = field(default_factory=dict, kw_only=True)
    trades: list[Trade] = field(default_factory=list, kw_only=True)
    last_id: int = field(default=0, kw_only=True)
    lives: dict[str, tuple[PortfolioName, int]] = field(default_factory=dict, kw_only=True)

    def account_requests(self, excluded: Collection[int]) -> list[AccountRequest]:
        self._answer()
        return [one for one in self.requests if one.id not in self.ends and one.id not in excluded]

    def commit_account(self, generation: Generation, request: AccountRequest, changes: Sequence[AccountChange]) -> None:
        self._begin(generation)
        self._end_request(request, "done", outcome_of(changes))
        for ended, change in changes:
            self._write_group(ended)
            self._write_change(change)
            self._begin_life(change)
        failpoints.reach("committed", "account")
        self._lose()

    def _write_change(self, change: AccountResult) -> None:
        self.changes.append(change)
        if change.trade is not None:
            self.trades.append(change.trade)
        present = self.portfolios[change.state.name]
        orders, split = change.state.open_orders, {order.after.order.order_id for order in change.orders}
        state = stored_state(change.state, present)
        for one in orders:
            before = present.open_orders.get(one.order.order_id)
            if one.order.order_id not in split and before is not None:  # its mark is stored by itself
                state = with_stored_mark(state, before)
        self.portfolios[change.state.name] = state

    def _begin_life(self, change: AccountResult) -> None:
        """Begin the next life of a portfolio that was reset."""
        if not isinstance(change.event, Closed) or change.request.kind is not AccountKind.RESET:
            return
        before = self.portfolios[change.state.name]
        rules, life = before.rules, before.rules.life + 1
        name = rules.label.partition("@")[0]
        self.portfolios[change.state.name] = replace(before, rules=replace(rules, shown_as=f"{name}@{rules.life}"))
        capital = change.request.amount or rules.initial_capital
        new = replace(
            rules, portfolio=PortfolioName(f"{name}@{life}"), initial_capital=capital, revision=1, life=life,
            shown_as=name, halted=None,
        )  # fmt: skip
        self.portfolios[new.portfolio] = PortfolioState.opened(new)
        self.lives[name] = new.portfolio, self.last_id

    def refuse_account(self, generation: Generation, refusal: AccountRefusal) -> None:
        self._begin(generation)
        self._end_request(refusal.request, "refused", refusal.reason)
        failpoints.reach("committed", "account")
        self._lose()

    def _begin(self, generation: Generation) -> None:
        self._answer()
        failpoints.reach("commits", "account")
        self._answer()
        self._fence(generation)

    def _end_request(self, request: AccountRequest, status: str, outcome: str) -> None:
        if request.id in self.ends:
            raise Fenced(f"request {request.id} for {request.scope} has ended already")
        self.ends[request.id] = status, outcome

    @abstractmethod
    def _answer(self) -> None:
        """Raise if the database is away."""

    @abstractmethod
    def _fence(self, generation: Generation) -> None:
        """Raise if the generation writes no more."""

    @abstractmethod
    def _lose(self) -> None:
        """Raise if the answer is lost."""

    @abstractmethod
    def _write_group(self, group: Sequence[Result]) -> None:
        """Write results."""
