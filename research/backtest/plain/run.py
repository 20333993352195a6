"""The run of a plain backtest: from one moment that matters to the next, as `research.backtest.run` does it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from domain.trading.arithmetic import ZERO, floor_to, multiply
from domain.trading.decision import Reason, Refusal, reason_code
from domain.trading.portfolio import PortfolioState, Position
from domain.trading.sizing import pre_trade_check, size
from domain.types import Symbol
from research.backtest.feeds import Feed, Wish
from research.backtest.making import DecisionMaker, InvalidIntent
from research.backtest.pieces import PHASES, Market, Phase, Piece
from research.backtest.plain.book import Book
from research.backtest.plain.intents import IntentReader, PlainIntent
from research.backtest.plain.rows import PlainRows
from research.backtest.plain.rules import MONEY_SCALE, NotPlain, PlainRules, as_integer, decimal
from research.backtest.records import MAX_SENTENCES, PlainRecord, Records
from research.backtest.run import DAY_US, RunOptions
from research.columns.bar_columns import time_of
from research.columns.scaled import UNKNOWN
from research.view import Account

FIRST_WINDOW, LAST_WINDOW = 64, 65_536
"""Bars that are searched for an exit at once."""
BLOCK = 4_096
"""So many times of bars are a list at once."""
NEVER = 2**80
CLOSE, DECISION, OPEN = int(Phase.CLOSE), int(Phase.DECISION), int(Phase.OPEN)


Due: TypeAlias = tuple[PlainIntent, int, bytes, int]
"""A decision that waits for its price: what is wanted, number, uid and moment."""


class PlainRun:
    """One run. It knows nothing but one symbol whose bars all end at different times, and decisions at the next price.

    Args:
        market: the prices.
        options: how it is run.
        feed: makes the source of decisions from what a strategy reads of its portfolio.
        records: gets what has happened, when the run has ended; until then nothing.

    Attributes:
        looks: number of pieces of market data that were looked at.

    Raises:
        NotPlain: market or options are not known here.
    """

    def __init__(
        self, market: Market, options: RunOptions, feed: Callable[[Sequence[Account]], Feed], records: Records
    ) -> None:
        if len(market.columns) != 1 or options.fill_at_close:
            raise NotPlain
        columns = market.columns[0]
        if not columns.has_bars or columns.has_ties:
            raise NotPlain
        self.looks = 0
        self._market, self._columns, self._options, self._records = market, columns, options, records
        self._rules = rules = PlainRules.of(options.rules, market.instruments[0], columns, options.same_currency)
        self._rows = PlainRows(rules, counts_alone=records.COUNTS_ALONE)
        self._book = Book(rules, self._rows, as_integer(options.rules.initial_capital, MONEY_SCALE))
        self._reader = IntentReader(rules, options.strategy)
        self._count, self._end = len(columns), market.end
        self._over = (self._end + 1) * PHASES
        self._number, self._keeps_rows = 0, not records.COUNTS_ALONE  # the number is that of the last decision
        self._confidences: list[Decimal] = []
        self._decided = 0  # the moment of the last decision
        self._due: list[Due] = []
        self._priced = NEVER  # when these decisions get their price
        self._is_open = False  # whether it is that of an open
        self._bar = 0  # of this price
        self._first = 0  # the bar of the first of the following times
        self._times: list[int] = []  # when some thousands of bars end
        self._watch_at = NEVER  # the next moment that may matter to an exit
        self._watched_piece: Piece | None = None  # the piece at this moment; None: the search goes on there
        self._place = 0  # the bar at which the search goes on
        self._window = FIRST_WINDOW
        self._sentences: dict[str, str] = {}
        self._reasons: dict[Reason, tuple[str, str, bool]] = {}  # how a decision ends for a reason
        self._values: list[tuple[int, int, int]] = []  # time, equity and cash
        self._touch, self._widen = rules.touch, rules.widen
        self._feed = feed([Account(self._state, self._equity, self._held, self._quantity)])

    def run(self) -> PortfolioState:
        """Run to the end of the prices; return the portfolio's state then.

        Raises:
            NotPlain: something comes up that is not known here.
            StrategyError: the strategy raises.
        """
        over, book, advance = self._over, self._book, self._feed.advance
        midnight = ((self._options.begin // DAY_US + 1) * DAY_US) * PHASES + Phase.SNAPSHOT
        while True:
            priced = due = self._priced
            due = min(due, self._watch_at)
            due = min(due, midnight)
            wishes = advance(min(over, due))
            if wishes:
                for wish in wishes:
                    self._decide(wish)
                # What is decided at a close is alone before the open of the next bar.
                priced = self._priced
                if self._is_open and wish.symbol is not None and priced < midnight and priced < self._watch_at:
                    self._trade()
            elif due >= over:
                break
            elif due == midnight:
                self._value(midnight)
                midnight += DAY_US * PHASES
                self._rows.trim()
            else:
                if due == self._watch_at:
                    self._look_at_exits()
                if due == priced:
                    self._trade()
                if book.exits is None:
                    self._watch_at = NEVER
        self._end_waiting()
        self._value(self._end * PHASES + Phase.SNAPSHOT)
        self._write()
        return book.state()

    def _decide(self, wish: Wish) -> None:
        wanted = self._reader.read(wish.intent)
        self._decided = wish.moment
        self._number += 1
        if self._keeps_rows:
            self._confidences.append(wish.intent.confidence)
        self._due.append((wanted, self._number, wish.uid, wish.moment))
        if self._priced == NEVER:
            self._find_price(wish)

    def _find_price(self, wish: Wish) -> None:
        """Find the first piece after a decision; none where the prices are over."""
        columns = self._columns
        at_close = wish.symbol is not None  # of the bar of its row
        if at_close and columns.time.item(wish.row) * PHASES + DECISION != wish.moment:
            raise NotPlain
        bar = wish.row + 1 if at_close else self._bar_after(wish.moment // PHASES)
        if bar >= self._count:
            return
        self._bar = bar
        if columns.has_open.item(bar):
            self._priced, self._is_open = columns.begin.item(bar) * PHASES + OPEN, True
            if self._priced > wish.moment:
                return
        self._priced, self._is_open = columns.time.item(bar) * PHASES + CLOSE, False

    def _bar_after(self, micros: int) -> int:
        """Return the first bar that ends after a time, which is no earlier than in the last call."""
        place = bisect_right(self._times, micros)
        if place == len(self._times):
            time = self._columns.time
            self._first, place = int(time.searchsorted(micros, "right")), 0
            self._times = time[self._first : self._first + BLOCK].tolist()
        return self._first + place

    def _trade(self) -> None:
        """Execute the decisions that have waited for a price."""
        self.looks += 1
        book, bar, is_open, columns = self._book, self._bar, self._is_open, self._columns
        at, before = self._priced // PHASES, book.exits
        price = (columns.open if is_open else columns.close).item(bar) * self._widen
        number = 2 * bar + (1 if is_open else 2)
        for one in self._due:
            wanted, decision, uid, _ = one
            if not wanted.is_confident:
                reason: Reason | None = Reason.LOW_CONFIDENCE
            elif wanted.buys:
                reason = book.buy(wanted, decision, uid, price, at, number)
            else:
                reason = book.sell(wanted, decision, uid, price, at)
            if reason is not None:
                self._refuse(one, reason, Piece(self._priced, bar, is_open))
        self._due.clear()
        self._priced = NEVER
        if book.exits is not before and book.exits is not None:
            # The close of a bar at whose open it was bought is later than its open.
            self._search(bar if is_open else bar + 1, FIRST_WINDOW, past_open=bar if is_open else -1)

    def _search(self, first: int, window: int, past_open: int = -1) -> None:
        """Find the next piece that may reach an exit, among so many bars.

        Args:
            first: the bar at which the search begins.
            window: number of bars.
            past_open: the open of this bar is over.
        """
        exits, columns, widen = self._book.exits, self._columns, self._rules.widen
        assert exits is not None
        last = min(first + window, len(columns))
        self._watched_piece, self._place, self._window = None, last, min(window * 4, LAST_WINDOW)
        if first >= last:
            self._watch_at = NEVER
            return
        stop, target = exits.stop, exits.target
        reached = None
        if stop is not None:
            reached = columns.lowest[first:last] <= stop // widen
        if target is not None:
            above = columns.highest[first:last] >= -(-target // widen)
            reached = above if reached is None else reached | above
        assert reached is not None  # there is one of the two
        bar = first + int(reached.argmax())
        if not reached[bar - first]:
            self._watch_at = int(columns.time[last - 1]) * PHASES + Phase.CLOSE
            return
        if columns.has_open[bar] and bar != past_open:
            opened = columns.open.item(bar) * widen
            if (stop is not None and opened <= stop) or (target is not None and opened >= target):
                self._watched_piece = Piece(int(columns.begin[bar]) * PHASES + Phase.OPEN, bar, is_open=True)
                self._watch_at = self._watched_piece.moment
                return
        self._watched_piece = Piece(int(columns.time[bar]) * PHASES + Phase.CLOSE, bar, is_open=False)
        self._watch_at = self._watched_piece.moment

    def _look_at_exits(self) -> None:
        """Match the exits with the piece that may reach one of them."""
        piece, book = self._watched_piece, self._book
        exits = book.exits
        if exits is None:
            return
        if piece is None:
            self._search(self._place, self._window)
            return
        self.looks += 1
        bar, at = piece.bar, piece.moment // PHASES
        self._match_open(bar, at) if piece.is_open else self._match_bar(bar, at)
        if book.exits is not None:  # it was not reached
            if piece.is_open:
                self._search(bar, FIRST_WINDOW, past_open=bar)
            else:
                self._search(bar + 1, FIRST_WINDOW)

    def _match_open(self, bar: int, at: int) -> None:
        book, price = self._book, self._columns.open.item(bar) * self._rules.widen
        exits = book.exits
        assert exits is not None
        above = exits.target is not None and self._beyond(price, exits.target)
        if exits.stop is not None and price <= exits.stop:
            book.sell_at_stop(price, at, ambiguous=above)  # slippage may have taken the entry beyond a fixed target
        elif above:
            book.sell_at_target(exits.quantity, at, price)

    def _match_bar(self, bar: int, at: int) -> None:
        book, columns, widen = self._book, self._columns, self._rules.widen
        exits = book.exits
        assert exits is not None
        volume = UNKNOWN if columns.volume is None else int(columns.volume[bar])
        if volume == 0:
            return  # its prices repeat earlier ones
        above = exits.target is not None and self._beyond(columns.high.item(bar) * widen, exits.target)
        if exits.stop is not None and columns.low.item(bar) * widen <= exits.stop:
            opened = columns.open.item(bar) * widen
            book.sell_at_stop(min(opened, exits.stop), at, ambiguous=above)
        elif above:
            quantity = exits.quantity
            if volume != UNKNOWN:
                quantity = min(quantity, self._offered(volume))
            if quantity:
                book.sell_at_target(quantity, at)

    def _offered(self, volume: int) -> int:
        """Return what a resting order gets of the volume of a bar, down to the step."""
        share = multiply(self._options.rules.execution.max_bar_share, self._columns.size(volume))
        return as_integer(floor_to(share, self._rules.instrument.step), self._rules.quantity_scale)

    def _beyond(self, price: int, target: int) -> bool:
        """Return whether a price goes through a target, or touches it where that is enough."""
        return price > target or (self._touch and price == target)

    def _refuse(self, due: Due, reason: Reason, piece: Piece | None) -> None:
        """Record the end of a decision without an order; the engine words the first one of each reason."""
        end = self._reasons.get(reason)
        if end is None:
            refusal = self._refusal(due, piece)
            if refusal.reason is not reason:
                raise NotPlain
            end = self._reasons[reason] = (refusal.status.value, reason.value, False)
            if len(self._sentences) < MAX_SENTENCES:
                self._sentences.setdefault(reason_code(refusal.status, refusal.sentence), refusal.sentence)
        self._rows.ends.append((self._decided // PHASES, due[1], *end))

    def _refusal(self, due: Due, piece: Piece | None) -> Refusal:
        """Return the refusal of a decision in the words of the engine."""
        rules, market, options = self._rules, self._market, self._options
        maker = DecisionMaker(options.rules.portfolio, options.strategy)
        wanted, number, uid, moment = due
        maker.number = number - 1
        symbol = rules.instrument.symbol
        try:
            decision = maker.make(wanted.intent, symbol, UUID(bytes=uid), market.instant(moment))
        except InvalidIntent:
            raise NotPlain from None
        refusal = pre_trade_check(decision, options.rules, rules.instrument, options.same_currency)
        if refusal is not None:
            return refusal
        if piece is None:
            raise NotPlain
        quote, now = market.quote(0, piece), market.instant(piece.moment)
        state, marks = self._book.state(), {symbol: market.mark(0, piece, options.rules.execution.price_rule)}
        answer = size(decision, state, rules.instrument, quote, state.equity(marks), marks, now.time)
        if not isinstance(answer, Refusal):
            raise NotPlain
        return answer

    def _end_waiting(self) -> None:
        """Refuse those for which no price has come and whose confidence is too low; the others still wait."""
        for one in self._due:
            if not one[0].is_confident:
                self._refuse(one, Reason.LOW_CONFIDENCE, None)

    def _state(self) -> PortfolioState:
        return self._book.state()

    def _held(self, symbol: Symbol) -> Position | None:
        return self._book.position() if symbol == self._rules.instrument.symbol else None

    def _quantity(self, symbol: Symbol) -> Decimal:
        held = self._book.quantity if symbol == self._rules.instrument.symbol else 0
        return self._rules.quantity(held) if held else ZERO

    def _equity(self, micros: int) -> Decimal:
        return self._book.state().equity(self._marks(micros * PHASES + Phase.DECISION))

    def _marks(self, moment: int) -> dict[Symbol, Decimal]:
        piece = self._market.last_piece(0, moment) if self._book.quantity else None
        if piece is None:
            return {}
        rule = self._options.rules.execution.price_rule
        return {self._rules.instrument.symbol: self._market.mark(0, piece, rule)}

    def _value(self, moment: int) -> None:
        book, piece = self._book, self._market.last_piece(0, moment) if self._book.quantity else None
        mark = 0
        if piece is not None:
            columns = self._columns
            mark = (columns.open if piece.is_open else columns.close).item(piece.bar) * self._widen
        self._values.append((moment // PHASES, book.equity(mark), book.cash))

    def _write(self) -> None:
        """Write everything to the records."""
        book, records, symbol = self._book, self._records, self._rules.instrument.symbol
        for micros, equity, cash in self._values:
            records.take_value(micros, decimal(equity, MONEY_SCALE), decimal(cash, MONEY_SCALE))
        traded = {symbol: decimal(book.traded, MONEY_SCALE)} if book.traded_from >= 0 else {}
        first = {symbol: time_of(book.traded_from)} if traded else {}
        columns = self._rows.batches()
        counts = self._number, self._rows.filled, self._rows.closed
        records.take_plain(PlainRecord(*counts, *columns, self._sentences, self._confidences, traded, first))
