"""Which portfolios are being settled after a downtime, and what is still missing for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from loguru import logger

from actors.settlement.messages import HistoryFetched
from domain.market_data.buffer import NUMBERS_OF_A_PROCESS, LostData
from domain.trading.open_orders.settlement import (
    SettledSpan,
    Settlement,
    frozen_sources,
    settled_spans,
    symbols_to_settle,
)
from domain.trading.portfolio import PortfolioState, Progress
from domain.trading.quotes import History
from domain.types import DecisionId, Instant, PortfolioName, Symbol


@dataclass(frozen=True, slots=True)
class RecoveryRules:
    """The rules of settlement in this process.

    Attributes:
        first_no: a number below that of any market data that this process receives.
        source: name of the price source.
        timeout: how long an answer of the price source is waited for.
    """

    first_no: int
    source: str
    timeout: timedelta


class Downtime:
    """What the ExecutionSimulator must settle before it goes on. It sends no messages.

    Args:
        rules: of this process.
        states: the portfolios as they are stored.
        now: the present moment.
        frozen: decisions whose orders are neither matched nor ended.

    Attributes:
        waiting: the portfolios that are not settled yet, each with its symbols.
        since: for each symbol, the time since which the price source is asked.
    """

    def __init__(
        self,
        rules: RecoveryRules,
        states: Iterable[PortfolioState],
        now: Instant,
        frozen: frozenset[DecisionId] = frozenset(),
    ) -> None:
        self.waiting: dict[PortfolioName, frozenset[Symbol]] = {}
        self.since: dict[Symbol, datetime] = {}
        self._rules = rules
        self._frozen = frozen
        self._begun = now
        self._histories: dict[Symbol, History] = {}
        self._until, self._data_no, self._first_no = now.time, rules.first_no, 0
        self._lost_no = 0  # the number of the last data that were dropped before they were committed
        for state in states:
            if state.progress.settled_no >= rules.first_no or not len(state.open_orders):
                continue
            if others := frozen_sources(state, rules.source):
                logger.warning(
                    "portfolio {} has open orders whose prices come from {}; they rest unfilled while the price source "
                    "is {}", state.label, ", ".join(sorted(others)), rules.source,
                )  # fmt: skip
            self._wait_for(state)

    def _wait_for(self, state: PortfolioState) -> None:
        if symbols := symbols_to_settle(state, self._rules.source):
            self.waiting[state.name] = frozenset(symbols)
            for symbol, since in symbols.items():
                self.since[symbol] = min(since, self.since.get(symbol, since))

    def add_lost(
        self, lost: Mapping[Symbol, LostData], states: Iterable[PortfolioState], now: Instant
    ) -> frozenset[PortfolioName]:
        """Add the portfolios that must be settled because data were dropped before they were committed.

        The price source is then asked once more for all that wait. Data after the lost ones that are kept are matched
        if it does not answer.
        """
        before = frozenset(self.waiting)
        for state in states:
            concerned = [
                one.order.instrument.symbol
                for one in state.open_orders
                if (data := lost.get(one.order.instrument.symbol)) is not None
                and data.concern(one.since)
                and state.progress.settled_no < data.last_no
            ]
            if concerned and state.name not in before:
                self._wait_for(state)
                logger.warning(
                    "portfolio {}: market data of {} were dropped, because too many waited for the database; its open "
                    "orders are settled", state.label, ", ".join(sorted(set(concerned))),
                )  # fmt: skip
        added = self.waiting.keys() - before
        if added:
            self._histories.clear()  # of the request before
            self._begun, self._until = now, now.time
            self._lost_no = max(data.last_no for data in lost.values())
            self._data_no = max(self._data_no, self._lost_no)
        return frozenset(added)

    @property
    def symbols(self) -> frozenset[Symbol]:
        """The symbols of the portfolios that are not settled yet."""
        return frozenset().union(*self.waiting.values())

    @property
    def kept(self) -> int:
        """The number of symbols whose history is in memory."""
        return len(self._histories)

    def take(self, message: HistoryFetched) -> None:
        """Take what the price source answered about a symbol."""
        if message.data_no < self._data_no or message.symbol not in self.symbols:
            return  # of a request before the last one, or an answer that came twice
        if message.data_no > self._data_no:
            self._histories.clear()
        self._histories[message.symbol] = message.history
        self._until, self._data_no, self._first_no = message.until, message.data_no, message.first_no

    def keep_only(self, present: Collection[PortfolioName]) -> bool:
        """Forget the portfolios that are not present any more; return whether there is one."""
        removed = [name for name in self.waiting if name not in present]
        for name in removed:
            del self.waiting[name]
        self._forget_histories()
        return bool(removed)

    def ready(self, now: Instant) -> list[PortfolioName]:
        """Return the portfolios whose data have all arrived, or are not waited for any longer."""
        late = now.since(self._begun) >= self._rules.timeout
        return [name for name, symbols in self.waiting.items() if late or symbols <= self._histories.keys()]

    def settlement(self, state: PortfolioState, now: Instant) -> Settlement:
        """Return the settlement of a portfolio with what is known of its symbols."""
        histories = self._of(state)
        # Between the numbers of the processes before and those that this one receives.
        matched = [
            max(one.sees_after, state.open_orders.matched(one.order.instrument.symbol)) for one in state.open_orders
        ]
        # All orders may have ended meanwhile, as those of a decision that made an actor crash twice.
        first_no = self._first_no or max([self._rules.first_no - NUMBERS_OF_A_PROCESS // 2, *matched]) + 1
        return Settlement(state, histories, self._until, first_no, now, self._frozen)

    def end(self, before: PortfolioState) -> tuple[Progress, list[SettledSpan]]:
        """Return the progress of a portfolio after its settlement, and what is recorded of it.

        Args:
            before: the portfolio before its settlement.
        """
        del self.waiting[before.name]
        spans = settled_spans(before, self._of(before), self._until, self._rules.source)
        for span in spans:
            if span.gap is not None:
                logger.warning(
                    "portfolio {}: what {} did between {:%Y-%m-%d %H:%M:%S} and {:%Y-%m-%d %H:%M:%S} UTC is not known "
                    "({}): its open orders stay open, and its first new price counts as a gap",
                    span.portfolio, span.symbol, span.since, span.until, span.gap,
                )  # fmt: skip
            else:
                logger.info(
                    "portfolio {}: {} is settled from {:%Y-%m-%d %H:%M:%S} to {:%Y-%m-%d %H:%M:%S} UTC by {} trades "
                    "and {} bars", span.portfolio, span.symbol, span.since, span.until, span.trades, span.bars,
                )  # fmt: skip
        # Frozen orders have not seen these data.
        frozen = frozen_sources(before, self._rules.source)
        after = before.progress._replace(marks=()) if frozen else Progress(self._until)
        # Where nothing is known, what this process has received after dropped data is kept, and matched next.
        only_kept = all(span.gap is not None for span in spans)
        kept_after = self._lost_no or self._rules.first_no
        self._forget_histories()
        return after._replace(settled_no=kept_after if only_kept else self._data_no), spans

    def _forget_histories(self) -> None:
        """Forget the histories when nothing waits any more: they are up to 20 000 trades of each symbol."""
        if not self.waiting:
            self._histories.clear()

    def _of(self, state: PortfolioState) -> Mapping[Symbol, History]:
        symbols = symbols_to_settle(state, self._rules.source)
        return {symbol: self._histories[symbol] for symbol in symbols if symbol in self._histories}
