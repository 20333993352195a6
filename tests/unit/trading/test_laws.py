"""Laws 1, 5 and 7 over random decisions, prices and partial closes, against the naive model, to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.trading.arithmetic import CONTEXT
from domain.trading.decision import PendingDecision, Reason, Refusal, refuse
from domain.trading.execution import execute, worst_cost
from domain.trading.orders import Fill, Order
from domain.trading.portfolio import Applied, Portfolio, PortfolioRules, Position, apply
from domain.trading.quotes import Quote
from domain.trading.sizing import budget, pre_trade_check, size
from domain.types import Action, Side, Symbol
from tests.support.values.builders import NOON, deal, quote, received
from tests.support.values.naive_ledger import Deal, NaiveLedger, ledger, money
from tests.support.values.strategies import INSTRUMENTS, Wish, deals, marks, price_of, terms_, wishes

CURRENCIES = frozenset({"USD", "USDT", "USDC"})
SOME = settings(max_examples=40)
BY_SYMBOL = {what.symbol: what for what in INSTRUMENTS}


@dataclass
class Run:
    """A portfolio with its decisions, their prices and their outcomes."""

    portfolio: Portfolio
    marks: dict[Symbol, Decimal] = field(default_factory=dict)
    sent: list[tuple[PendingDecision, Quote]] = field(default_factory=list)
    outcomes: list[Applied | Refusal] = field(default_factory=list)
    states: list[Portfolio] = field(default_factory=list)

    def meet(self, decision: PendingDecision, base: Quote) -> None:
        """Process one decision at one price: check, size, execute, apply."""
        self.marks[base.symbol] = base.price
        outcome = self._outcome(decision, base)
        if isinstance(outcome, Applied):
            self.portfolio = outcome.portfolio
        self.sent.append((decision, base))
        self.outcomes.append(outcome)
        self.states.append(self.portfolio)

    def _outcome(self, decision: PendingDecision, base: Quote) -> Applied | Refusal:
        what = BY_SYMBOL[base.symbol]
        refusal = pre_trade_check(decision, self.portfolio.rules, what, CURRENCIES)
        if refusal is not None:
            return refusal
        sized = size(decision, self.portfolio, what, base, self.marks, base.seen_at)
        if isinstance(sized, Refusal):
            return sized
        fill = execute(sized, base.seen_at)
        return apply(self.portfolio, fill) if isinstance(fill, Fill) else refuse(decision, Reason.NO_FILL, fill.reason)

    @property
    def applied(self) -> list[Applied]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, Applied)]


def decided(wish: Wish, number: int, portfolio: Portfolio) -> tuple[PendingDecision, Quote]:
    """Return the decision for a wish, given the current positions and cash, and its price."""
    which = wish.which
    if wish.action is Action.SELL and portfolio.positions:
        which = [n for n, what in enumerate(INSTRUMENTS) if what.symbol in portfolio.positions][
            which % len(portfolio.positions)
        ]
    what, price = INSTRUMENTS[which], price_of(which, wish.factor)
    quantity = None
    if wish.share is not None and wish.action is Action.SELL and portfolio.positions:
        quantity = CONTEXT.multiply(portfolio.positions[what.symbol].quantity, wish.share)
    elif wish.share is not None and wish.action is Action.BUY:
        room = CONTEXT.multiply(max(portfolio.cash, Decimal(1)), portfolio.rules.max_position_size)
        quantity = CONTEXT.divide(CONTEXT.multiply(room, wish.share), price)
    decision = received(
        wish.action,
        number=number,
        symbol=what.symbol,
        confidence=wish.confidence,
        risk_score=wish.risk_score,
        quantity=None if quantity is None else CONTEXT.quantize(quantity, Decimal("1e-18")),
    )
    return decision, quote(price, what.symbol, at=NOON + timedelta(seconds=number))


def lived(start: PortfolioRules, wanted: Sequence[Wish]) -> Run:
    run = Run(Portfolio.opened(start))
    for number, wish in enumerate(wanted, start=1):
        run.meet(*decided(wish, number, run.portfolio))
    return run


def as_deal(fill: Fill) -> Deal:
    return Deal(fill.order.instrument.symbol, fill.order.side is Side.BUY, fill.quantity, fill.price)


def stored(number: Decimal, scale: int) -> Decimal:
    """Return a number as NUMERIC(38, scale) returns it: rounded half up, with trailing zeros."""
    return Decimal(f"{CONTEXT.quantize(number, Decimal(1).scaleb(-scale)):f}")


def stored_position(position: Position) -> Position:
    return replace(
        position,
        quantity=stored(position.quantity, 18),
        cost=stored(position.cost, 12),
        entry_commission=stored(position.entry_commission, 12),
        last_price=stored(position.last_price, 18),
    )


def reloaded(portfolio: Portfolio) -> Portfolio:
    """Return the portfolio as the database returns it."""
    positions = {symbol: stored_position(position) for symbol, position in portfolio.positions.items()}
    return replace(portfolio, cash=stored(portfolio.cash, 12), positions=positions)


def assert_same_books(expected: NaiveLedger, portfolio: Portfolio, applied: Sequence[Applied]) -> None:
    assert expected.cash == Fraction(portfolio.cash)
    assert {symbol: abs(holding.quantity) for symbol, holding in expected.holdings.items()} == {
        symbol: Fraction(position.quantity) for symbol, position in portfolio.positions.items()
    }
    for symbol, position in portfolio.positions.items():
        holding = expected.holdings[symbol]
        assert ("LONG" if holding.quantity > 0 else "SHORT") == position.side
        assert (abs(holding.cost), holding.entry_commission) == (
            Fraction(position.cost),
            Fraction(position.entry_commission),
        )
    trades = [outcome.trade for outcome in applied if outcome.trade is not None]
    assert [tuple(closed) for closed in expected.trades] == [
        (trade.symbol, Fraction(trade.quantity), Fraction(trade.gross), Fraction(trade.net)) for trade in trades
    ]


def imbalance(portfolio: Portfolio, applied: Sequence[Applied], at: dict[Symbol, Decimal]) -> Fraction:
    """Return the left side of law 1 less the right side, in exact fractions of the domain's numbers."""
    left = Fraction(portfolio.cash) - Fraction(portfolio.rules.initial_capital)
    right = sum((Fraction(outcome.trade.net) for outcome in applied if outcome.trade is not None), Fraction(0))
    for position in portfolio.positions.values():
        mark = at.get(position.symbol, position.last_price)
        left += Fraction(position.value(mark))
        right += Fraction(position.unrealized(mark)) - Fraction(position.entry_commission)
    assert Fraction(portfolio.equity(at)) == left + Fraction(portfolio.rules.initial_capital)
    return left - right


# law 1


@SOME
@given(terms_(), wishes(), marks(), st.data())
def test_law_1_the_books_balance_at_every_state_and_any_marks(
    start: PortfolioRules, wanted: list[Wish], at: dict[Symbol, Decimal], data: st.DataObject
) -> None:
    run = lived(start, wanted)
    seen: list[Applied] = []
    for outcome, state in zip(run.outcomes, run.states, strict=True):
        seen += [outcome] if isinstance(outcome, Applied) else []
        assert Fraction(0) == imbalance(state, seen, at)
        assert Fraction(0) == imbalance(state, seen, {})
    assert Fraction(0) == imbalance(reloaded(run.portfolio), seen, data.draw(marks()))


@SOME
@given(terms_(), wishes())
def test_the_ledger_equals_the_naive_model(start: PortfolioRules, wanted: list[Wish]) -> None:
    run = lived(start, wanted)
    fills = [as_deal(outcome.fill) for outcome in run.applied]
    expected = ledger(start.initial_capital, fills, start.costs.commission_pct, start.costs.min_commission)
    assert_same_books(expected, run.portfolio, run.applied)


@SOME
@given(terms_(), deals(), marks())
def test_long_and_short_equal_the_naive_model_and_balance(
    start: PortfolioRules, given_deals: list[Deal], at: dict[Symbol, Decimal]
) -> None:
    fees = replace(start.costs, slippage_pct=Decimal(0))
    portfolio, applied = Portfolio.opened(start), []
    for one in given_deals:
        side = Side.BUY if one.buy else Side.SELL
        applied.append(deal(portfolio, side, one.quantity, one.price, costs=fees, symbol=one.symbol))
        portfolio = applied[-1].portfolio
        assert Fraction(0) == imbalance(portfolio, applied, at)
    expected = ledger(start.initial_capital, given_deals, fees.commission_pct, fees.min_commission)
    assert_same_books(expected, portfolio, applied)
    assert Fraction(0) == expected.imbalance(start.initial_capital, at)
    assert expected.values(at) == {symbol: Fraction(p.value(at[symbol])) for symbol, p in portfolio.positions.items()}
    assert expected.cash + sum(expected.values(at).values()) == Fraction(portfolio.equity(at))


@SOME
@given(terms_(), wishes())
def test_cash_and_positions_are_the_sums_of_the_fills_deltas(start: PortfolioRules, wanted: list[Wish]) -> None:
    run = lived(start, wanted)
    cash = Fraction(start.initial_capital) + sum(Fraction(outcome.cash_delta) for outcome in run.applied)
    assert cash == Fraction(run.portfolio.cash)
    for symbol in BY_SYMBOL:
        deltas = [outcome.asset_delta for outcome in run.applied if outcome.fill.order.instrument.symbol == symbol]
        held = run.portfolio.positions.get(symbol)
        assert sum(map(Fraction, deltas)) == (Fraction(held.quantity) if held is not None else 0)


# law 2, as far as the domain goes


@SOME
@given(terms_(), wishes())
def test_every_decision_gets_an_outcome_with_a_reason_in_plain_words(start: PortfolioRules, wanted: list[Wish]) -> None:
    run = lived(start, wanted)
    assert len(wanted) == len(run.outcomes)
    for (decision, _), outcome in zip(run.sent, run.outcomes, strict=True):
        ended = outcome.decision_id if isinstance(outcome, Refusal) else outcome.fill.order.decision_id
        assert decision.id == ended
        assert "E-" not in outcome.sentence
        assert "E+" not in outcome.sentence
        assert not outcome.sentence.endswith(": ")
    assert list(range(1, len(run.applied) + 1)) == [outcome.fill.order.seq for outcome in run.applied]
    assert len(run.applied) == len({outcome.fill.order.order_id for outcome in run.applied})


# law 5


@SOME
@given(terms_(), wishes())
def test_law_5_no_buy_takes_cash_below_zero_and_none_happens_below_it(
    start: PortfolioRules, wanted: list[Wish]
) -> None:
    run = lived(start, wanted)
    cash = start.initial_capital
    for outcome in run.applied:
        if outcome.fill.order.side is Side.BUY:
            assert cash > 0
            assert outcome.portfolio.cash >= 0
        cash = outcome.portfolio.cash


@SOME
@given(terms_(), wishes())
def test_a_buy_is_the_largest_that_budget_position_limit_and_cash_allow(
    start: PortfolioRules, wanted: list[Wish]
) -> None:
    run = lived(start, wanted)
    before = Portfolio.opened(start)
    for (decision, base), outcome, after in zip(run.sent, run.outcomes, run.states, strict=True):
        if isinstance(outcome, Applied) and decision.action is Action.BUY:
            assert_largest(decision, base, before, outcome.fill.order)
        before = after


def assert_largest(decision: PendingDecision, base: Quote, before: Portfolio, order: Order) -> None:
    """Assert that the quantity fits and one step more does not, unless the decision requested no more."""
    price, step, cap = Fraction(base.price), order.instrument.step, before.rules.max_position_size
    held = before.positions.get(base.symbol)
    room = Fraction(cap) * Fraction(order.equity) - (Fraction(held.quantity) * price if held is not None else 0)
    risk = before.rules.default_risk_score if decision.risk_score is None else decision.risk_score
    wanted = Fraction(cap) * Fraction(order.equity) * Fraction(decision.confidence) / Fraction("0.8")
    wanted *= 1 - Fraction(risk) / 2
    rounding = Fraction(2, 10**12)
    marked = {**order.marks, base.symbol: base.price}
    values = (money(Fraction(p.quantity) * Fraction(marked[s])) for s, p in before.positions.items())
    assert Fraction(before.cash) + sum(values) == Fraction(order.equity)
    assert abs(wanted - Fraction(budget(order.equity, decision.confidence, risk, cap))) < rounding

    def fits(quantity: Decimal, tolerance: Fraction) -> bool:
        notional = Fraction(quantity) * price
        most = room if decision.quantity is not None else min(room, wanted)
        affordable = worst_cost(quantity, base.price, order.instrument.tick, order.costs) <= before.cash
        return notional <= most + tolerance and affordable

    assert Fraction(order.quantity) % Fraction(step) == 0
    assert fits(order.quantity, rounding)
    more = CONTEXT.add(order.quantity, step)
    if decision.quantity is None:
        assert not fits(more, -rounding)
    else:
        assert order.quantity <= decision.quantity < more


# law 7


@SOME
@given(terms_(), wishes())
def test_law_7_the_same_again_gives_the_identical_ledger(start: PortfolioRules, wanted: list[Wish]) -> None:
    run = lived(start, wanted)
    again = Run(Portfolio.opened(start))
    for decision, base in run.sent:
        again.meet(decision, base)
    assert run.outcomes == again.outcomes
    assert repr(run.outcomes) == repr(again.outcomes)
    assert run.states == again.states


@SOME
@given(terms_(), wishes(), st.data())
def test_a_rebuild_from_the_database_in_the_middle_changes_nothing(
    start: PortfolioRules, wanted: list[Wish], data: st.DataObject
) -> None:
    run = lived(start, wanted)
    crash = data.draw(st.integers(0, len(run.sent)), label="crash")
    again = Run(Portfolio.opened(start))
    for decision, base in run.sent[:crash]:
        again.meet(decision, base)
    assert again.portfolio == reloaded(again.portfolio)  # nothing is finer than its column
    again.portfolio = reloaded(again.portfolio)
    for decision, base in run.sent[crash:]:
        again.meet(decision, base)
    assert run.outcomes == again.outcomes
    assert run.portfolio == again.portfolio
    assert [outcome.sentence for outcome in run.outcomes] == [outcome.sentence for outcome in again.outcomes]


@SOME
@given(terms_(), wishes(), st.data())
def test_folding_fills_in_chunks_each_reloaded_gives_the_same_as_at_once(
    start: PortfolioRules, wanted: list[Wish], data: st.DataObject
) -> None:
    run = lived(start, wanted)
    fills = [outcome.fill for outcome in run.applied]
    cuts = data.draw(st.sets(st.integers(0, len(fills))), label="cuts")
    portfolio, applied = Portfolio.opened(start), []
    for number, fill in enumerate(fills):
        if number in cuts:
            portfolio = reloaded(portfolio)
        applied.append(apply(portfolio, fill))
        portfolio = applied[-1].portfolio
    assert run.portfolio == portfolio
    assert [outcome.trade for outcome in run.applied] == [outcome.trade for outcome in applied]
    assert [outcome.cash_delta for outcome in run.applied] == [outcome.cash_delta for outcome in applied]


@SOME
@given(terms_(), wishes())
def test_every_amount_of_a_fill_is_as_fine_as_its_column(start: PortfolioRules, wanted: list[Wish]) -> None:
    for outcome in lived(start, wanted).applied:
        fill, trade = outcome.fill, outcome.trade
        amounts = [fill.notional, fill.commission, fill.slippage, fill.slippage_rate, outcome.cash_delta]
        amounts += [fill.order.equity]
        if trade is not None:
            amounts += [trade.cost, trade.gross, trade.net, trade.commission, trade.exit_notional]
        assert amounts == [stored(amount, 12) for amount in amounts]
        finer = [fill.quantity, fill.price, outcome.asset_delta]
        assert finer == [stored(number, 18) for number in finer]
        assert Fraction(fill.price) % Fraction(fill.order.instrument.tick) == 0
