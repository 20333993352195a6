"""The run of a backtest: it goes from one moment that matters to the next, and passes over all bars between them.

A bar matters where a decision is due, an open order may be reached, an order expires, a snapshot is due, or the
strategy is called. What happens there is the work of `domain.trading.engine.Engine` alone; the results are the same, to
the last digit, as if the engine were shown each bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from heapq import heappop, heappush
from uuid import UUID

from domain.trading.bookkeeping import Result
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.engine import Ended, Engine
from domain.trading.events import OrderAccepted, OrderAmended
from domain.trading.instruments import Instrument
from domain.trading.open_orders.levels import NearestLevels
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Quote
from domain.trading.sizing import SizingRules
from domain.types import Action, Instant, PortfolioName, Symbol
from research.backtest.feeds import Feed, Wish
from research.backtest.making import DecisionMaker, InvalidIntent
from research.backtest.pieces import PHASES, Market, Phase, Piece
from research.backtest.records import Records
from research.backtest.search import next_reached, open_reaches
from research.columns.bar_columns import EPOCH
from research.errors import StrategyError
from research.view import Account

DAY_US = 86_400_000_000
MICROSECOND = timedelta(microseconds=1)
SIMPLE = frozenset({Action.BUY, Action.SELL})


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a backtest is run.

    Attributes:
        rules: of the portfolio.
        same_currency: currencies that count 1:1.
        fill_at_close: a decision at the close of a bar is executed at this close; else at the next open.
        begin: snapshots begin here, in microseconds since 1970.
        strategy: name of the strategy of decisions that name none.
    """

    rules: PortfolioRules
    begin: int
    same_currency: frozenset[str] = frozenset()
    fill_at_close: bool = False
    strategy: str | None = None


def new_engine(market: Market, options: RunOptions) -> Engine:
    """Return the engine of a backtest: no price is too old, and a decision is executed at the next one that is seen."""
    rules = SizingRules(timedelta(0), timedelta.max, None, options.same_currency)
    engine = Engine([PortfolioState.opened(options.rules)], rules)
    engine.on_instruments(market.catalog, market.instant(options.begin * PHASES))
    return engine


class BacktestRun:
    """One run.

    Args:
        market: the prices.
        options: how it is run.
        feed: makes the source of decisions from what a strategy reads of its portfolio, for each symbol.
        records: takes what happens.

    Attributes:
        looks: number of pieces of market data that the engine was shown.
    """

    def __init__(
        self, market: Market, options: RunOptions, feed: Callable[[Sequence[Account]], Feed], records: Records
    ) -> None:
        self.looks = 0
        self._market = market
        self._options = options
        self._engine = new_engine(market, options)
        self._records = records
        self._name: PortfolioName = options.rules.portfolio
        self._numbers = market.numbers
        self._catalog = market.catalog
        self._maker = DecisionMaker(self._name, options.strategy)
        self._moment = options.begin * PHASES
        self._queue: list[tuple[int, int]] = []  # moments, each with a symbol, or -1
        self._due: dict[int, dict[int, Piece]] = {}  # by moment and symbol: the pieces that decisions wait for
        self._held: dict[int, list[PendingDecision]] = {}  # by symbol: they go to the engine with their price
        self._waiting: set[object] = set()  # decisions that wait in the engine
        self._reached: dict[int, Piece] = {}  # by symbol: the next piece that may reach an order
        self._levels: dict[int, NearestLevels] = {}
        self._bars = [0] * len(market.columns)  # by symbol: no later piece belongs to an earlier bar
        self._instants: tuple[int, Instant] = (0, market.instant(0))  # the last one
        self._taken = [0] * len(market.columns)  # the number of the last piece that the engine has seen of a symbol
        self._feed = feed([Account.of(self._state, self._equity)] * len(market.columns))

    def run(self) -> PortfolioState:
        """Run to the end of the prices; return the portfolio's state then.

        Raises:
            StrategyError: the strategy raises, or wants what makes no sense.
        """
        midnight = (self._options.begin // DAY_US + 1) * DAY_US
        end = self._market.end
        over = (end + 1) * PHASES
        if midnight <= end:
            heappush(self._queue, (midnight * PHASES + Phase.SNAPSHOT, -1))
        while True:
            due = self._queue[0][0] if self._queue else over
            wishes = self._feed.advance(min(due, over))
            if wishes:
                self._moment = wishes[0].moment
                for wish in wishes:
                    self._decide(wish)
            elif due >= over:
                break
            else:
                self._moment = due
                self._happen(due)
        self._release_held()  # no price has come for them; some are refused for another reason
        self._moment = end * PHASES + Phase.SNAPSHOT
        self._records.snapshot(self._state(), self._marks(self._moment), end)
        return self._state()

    def _instant(self, moment: int) -> Instant:
        """Return a moment for the engine; those of a decision and of the open at the same time are one."""
        key = moment // PHASES * 2 + (moment % PHASES >= Phase.DECISION)
        if self._instants[0] != key:
            self._instants = key, self._market.instant(moment)
        return self._instants[1]

    def _next_piece(self, number: int, moment: int) -> Piece | None:
        piece = self._market.next_piece(number, moment, self._bars[number])
        if piece is not None:
            self._bars[number] = piece.bar
        return piece

    def _state(self) -> PortfolioState:
        state = self._engine.state(self._name)
        assert state is not None  # it is the only portfolio, and is never removed
        return state

    def _equity(self, micros: int) -> Decimal:
        return self._state().equity(self._marks(micros * PHASES + Phase.DECISION))

    def _marks(self, moment: int) -> dict[Symbol, Decimal]:
        """Return the last prices of what is held, at a moment."""
        rule, marks = self._options.rules.execution.price_rule, {}
        for symbol in self._state().positions:
            number = self._numbers[symbol]
            piece = self._market.last_piece(number, moment)
            if piece is not None:
                marks[symbol] = self._market.mark(number, piece, rule)
        return marks

    def _happen(self, moment: int) -> None:
        """Handle all that is due at a moment."""
        phase, queue = moment % PHASES, self._queue
        symbols = {heappop(queue)[1]}
        while queue and queue[0][0] == moment:
            symbols.add(heappop(queue)[1])
        if phase == Phase.SNAPSHOT:
            micros = moment // PHASES
            self._records.snapshot(self._state(), self._marks(moment), micros)
            if micros + DAY_US <= self._market.end:
                heappush(self._queue, (moment + DAY_US * PHASES, -1))
            return
        if phase == Phase.EXPIRY:
            self._take(self._engine.on_time(self._market.instant(moment)), ())
            return
        due = self._due.pop(moment, None)
        pieces = {} if due is None else due
        for number in symbols:
            piece = self._reached.get(number)
            if piece is not None and piece.moment == moment and number not in pieces:
                pieces[number] = piece
        if pieces:
            self._show(pieces if len(pieces) == 1 else dict(sorted(pieces.items())), moment)

    def _show(self, pieces: dict[int, Piece], moment: int) -> None:
        """Show the engine pieces of one moment, with the decisions that wait for them."""
        self.looks += len(pieces)
        now = self._instant(moment)
        held = [decision for number in pieces for decision in self._held.pop(number, ())]
        quotes = self._newest_of_others(pieces, moment) if held or self._waiting else []
        for number, first in pieces.items():
            for piece in self._market.together(number, first):
                if piece.number > self._taken[number]:  # else it was shown because it reached an order
                    quotes.append(self._market.quote(number, piece, now))
                    self._taken[number] = piece.number
        happened = self._engine.on_quotes(quotes, now)
        if len(held) > 1:
            held.sort(key=lambda decision: decision.place)
        for decision in held:
            happened += self._engine.on_decision(decision, now)
        self._take(happened, pieces)

    def _newest_of_others(self, pieces: Mapping[int, Piece], moment: int) -> list[Quote]:
        """Return the newest prices of what is held besides, as far as the engine has not seen them: equity needs them.

        They reach no order, else they would be shown at their moment.
        """
        quotes: list[Quote] = []
        for symbol in self._state().positions:
            if (number := self._numbers[symbol]) in pieces:
                continue
            piece = self._market.last_piece(number, moment)
            if piece is not None and piece.number > self._taken[number]:
                quotes.append(self._market.quote(number, piece))
                self._taken[number] = piece.number
        return quotes

    def _decide(self, wish: Wish) -> None:
        """Take a decision: it waits for the next price, or is executed at the close that has just been known."""
        moment, at_close = wish.moment, self._options.fill_at_close
        received = self._instant(moment - moment % PHASES + Phase.CLOSE if at_close else moment)
        name = self._market.columns[wish.symbol].symbol if wish.symbol is not None else Symbol("")
        try:
            decision = self._maker.make(wish.intent, name, UUID(bytes=wish.uid), received)
        except InvalidIntent as error:
            raise StrategyError(f"{self._feed.place(wish)}: {error}") from None
        self._records.decide(decision)
        number = self._number_of(decision, wish)
        if decision.action is Action.CANCEL:
            self._release_held()
        if number is None or decision.action in {Action.CANCEL, Action.HOLD}:
            self._take(self._engine.on_decision(decision, received), ())
            return
        close = self._market.last_piece(number, moment) if at_close else None
        if close is not None and not close.is_open and close.moment // PHASES == moment // PHASES:
            self._held.setdefault(number, []).append(decision)
            self._show({number: close}, close.moment)
            return
        if decision.action in SIMPLE and decision.expires_at is None and not self._waiting:
            self._held.setdefault(number, []).append(decision)
        else:
            self._release_held()
            self._wait(decision)
        piece = self._next_piece(number, moment)
        if piece is not None:
            due = self._due.get(piece.moment)
            if due is None:
                due = self._due[piece.moment] = {}
            if number not in due:
                due[number] = piece
                heappush(self._queue, (piece.moment, number))

    def _wait(self, decision: PendingDecision) -> None:
        """Let a decision wait in the engine."""
        self._waiting.add(decision.id)
        happened = self._engine.on_decision(decision, decision.received)
        if decision.expired(decision.received.time):
            happened += self._engine.on_time(decision.received)
        elif decision.expires_at is not None:
            self._expire_at((decision.expires_at - EPOCH) // MICROSECOND)
        self._take(happened, ())

    def _release_held(self) -> None:
        """Give the engine the decisions that wait for their prices here: the next one may be about them."""
        held = sorted((one for decisions in self._held.values() for one in decisions), key=lambda one: one.place)
        self._held.clear()
        for decision in held:
            self._wait(decision)

    def _number_of(self, decision: PendingDecision, wish: Wish) -> int | None:
        """Return the place of the symbol whose price a decision needs; None where there is none."""
        target = decision.target
        if decision.action is Action.AMEND and target is not None:
            for one in self._state().open_orders:
                if target.decision_id == one.order.decision_id or target.order_id == one.order.order_id:
                    return self._numbers[one.order.instrument.symbol]
            return wish.symbol
        if wish.symbol is not None and decision.symbol == self._market.columns[wish.symbol].symbol:
            return wish.symbol
        instrument = self._catalog.resolve(decision.symbol)
        return self._numbers.get(instrument.symbol) if isinstance(instrument, Instrument) else None

    def _take(self, happened: Sequence[Ended], numbers: Iterable[int]) -> None:
        """Record what has happened, and look for what the open orders wait for now."""
        changed = set(numbers)
        for one in happened:
            self._records.take(one)
            if isinstance(one, Refusal):
                self._waiting.discard(one.decision_id)
                continue
            assert isinstance(one, Result)
            event = one.event
            changed.add(self._numbers[event.order.instrument.symbol])
            self._waiting.discard(event.order.decision_id)
            for end in event.ends:
                self._waiting.discard(end.decision_id)
            if isinstance(event, OrderAccepted | OrderAmended) and event.order.expires_at is not None:
                self._expire_at((event.order.expires_at - EPOCH) // MICROSECOND)
        for number in changed:
            self._search(number)

    def _expire_at(self, micros: int) -> None:
        if (moment := micros * PHASES + Phase.EXPIRY) > self._moment:
            heappush(self._queue, (moment, -1))

    def _search(self, number: int) -> None:
        """Find the next piece of a symbol that may reach one of its open orders."""
        levels = self._engine.levels(self._market.columns[number].symbol)
        if levels is None:
            self._reached.pop(number, None)
            self._levels.pop(number, None)
            return
        present = self._reached.get(number)
        if levels == self._levels.get(number) and (present is None or present.moment > self._moment):
            return
        self._levels[number] = levels
        self._reached.pop(number, None)
        first, columns = self._next_piece(number, self._moment), self._market.columns[number]
        bar = next_reached(columns, first.bar, *levels) if first is not None else None
        if first is None or bar is None:
            return
        piece = Piece(int(columns.time[bar]) * PHASES + Phase.CLOSE, bar, is_open=False)
        if columns.has_open[bar] and (bar > first.bar or first.is_open) and open_reaches(columns, bar, *levels):
            piece = Piece(int(columns.begin[bar]) * PHASES + Phase.OPEN, bar, is_open=True)
        self._reached[number] = piece
        heappush(self._queue, (piece.moment, number))
