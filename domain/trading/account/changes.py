"""What a request makes of one account, or of several at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from domain.immutable.records import replace
from domain.trading.account.applying import DONE, AccountResult
from domain.trading.bookkeeping import Result, apply, apply_all
from domain.trading.events import AccountEvent, Event
from domain.trading.portfolio import PortfolioState, Progress
from domain.types import PortfolioName, Symbol


class AccountEvents(NamedTuple):
    """The events of one account.

    Attributes:
        ended: the ends of orders before the change.
        event: the change.
        progress: of the portfolio after it; None where nothing of it is stored with it.
    """

    ended: tuple[Event, ...]
    event: AccountEvent
    progress: Progress | None = None


class AccountChange(NamedTuple):
    """The change of one account, with the ends of orders before it."""

    ended: tuple[Result, ...]
    result: AccountResult


def apply_accounts(
    states: Mapping[PortfolioName, PortfolioState], accounts: Iterable[AccountEvents]
) -> list[AccountChange] | None:
    """Return what the events make of the accounts; None where one of the portfolios is gone."""
    changes = []
    for events in accounts:
        name = events.event.request.portfolio
        if name is None or name not in states:
            return None
        ended = apply_all(states, events.ended)
        result = apply(ended[-1].state if ended else states[name], events.event)
        if events.progress is not None:
            result = replace(result, state=replace(result.state, progress=events.progress))
        changes.append(AccountChange(tuple(ended), result))
    return changes


def outcome_of(changes: Sequence[AccountChange]) -> str:
    """Return what a request has changed, in one portfolio or in several."""
    outcomes = [change.result.outcome(len(change.ended)) for change in changes]
    if len(outcomes) == 1:
        return outcomes[0]
    names = [change.result.state.label for change in changes]
    parts = [f"{name}: {outcome.removeprefix(DONE)}" for name, outcome in zip(names, outcomes, strict=True)]
    return f"{DONE}{'. '.join(parts)}"


def new_symbols(changes: Iterable[AccountChange]) -> dict[Symbol, datetime]:
    """Return the symbols to which positions have changed, each with the time: their prices are needed from then on."""
    results = (change.result for change in changes)
    return {
        result.position.symbol: result.event.at
        for result in results
        if result.position is not None and result.request.new_symbol is not None
    }


def last_splits(states: Iterable[PortfolioState]) -> dict[Symbol, datetime]:
    """Return the symbols of positions that a split has changed, each with the time of the last one."""
    times: dict[Symbol, datetime] = {}
    for state in states:
        for symbol, held in state.positions.items():
            if held.split_at is not None:
                times[symbol] = max(held.split_at, times.get(symbol, held.split_at))
    return times
