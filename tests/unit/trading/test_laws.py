"""Laws 1, 5 and 7 over random decisions, prices and partial closes, against the naive model, to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.trading.arithmetic import CONTEXT
from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.events import Event
from domain.trading.execution import worst_cost
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.prices import base_price, mark
from domain.trading.quotes import Quote
from domain.trading.sizing import budget
from domain.types import Action, Side, Symbol
from tests.support.values.builders import deal
from tests.support.values.engine_run import Run, lived, reloaded, stored
from tests.support.values.naive_ledger import Deal, NaiveLedger, ledger, money
from tests.support.values.strategies import INSTRUMENTS, Wish, deals, marks, portfolio_rules, wishes

SOME = settings(max_examples=40)
SYMBOLS = [what.symbol for what in INSTRUMENTS]


def as_deal(result: Result) -> Deal:
    return Deal(result.order.instrument.symbol, result.order.side is Side.BUY, result.fill.quantity, result.fill.price)


def assert_same_books(expected: NaiveLedger, portfolio: PortfolioState, applied: Sequence[Result]) -> None:
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


def imbalance(portfolio: PortfolioState, applied: Sequence[Result], at: dict[Symbol, Decimal]) -> Fraction:
    """Return the left side of law 1 less the right side, in exact fractions of the domain's numbers."""
    left = Fraction(portfolio.cash) - Fraction(portfolio.rules.initial_capital)
    right = sum((Fraction(outcome.trade.net) for outcome in applied if outcome.trade is not None), Fraction(0))
    for position in portfolio.positions.values():
        price = at.get(position.symbol, position.last_price)
        left += Fraction(position.value(price))
        right += Fraction(position.unrealized(price)) - Fraction(position.entry_commission)
    assert Fraction(portfolio.equity(at)) == left + Fraction(portfolio.rules.initial_capital)
    return left - right


# law 1


@SOME
@given(portfolio_rules(), wishes(), marks(), st.data())
def test_law_1_the_books_balance_at_every_state_and_any_marks(
    start: PortfolioRules, wanted: list[Wish], at: dict[Symbol, Decimal], data: st.DataObject
) -> None:
    run = lived(start, wanted)
    seen: list[Result] = []
    for outcome, state in zip(run.outcomes, run.states, strict=True):
        seen += [outcome] if isinstance(outcome, Result) else []
        assert Fraction(0) == imbalance(state, seen, at)
        assert Fraction(0) == imbalance(state, seen, {})
    assert Fraction(0) == imbalance(reloaded(run.portfolio), seen, data.draw(marks()))


@SOME
@given(portfolio_rules(), wishes())
def test_the_ledger_equals_the_naive_model(start: PortfolioRules, wanted: list[Wish]) -> None:
    run = lived(start, wanted)
    fills = [as_deal(outcome) for outcome in run.applied]
    expected = ledger(start.initial_capital, fills, start.costs.commission_pct, start.costs.min_commission)
    assert_same_books(expected, run.portfolio, run.applied)


@SOME
@given(portfolio_rules(), deals(), marks())
def test_long_and_short_equal_the_naive_model_and_balance(
    start: PortfolioRules, given_deals: list[Deal], at: dict[Symbol, Decimal]
) -> None:
    fees = replace(start.costs, slippage_pct=Decimal(0))
    portfolio, applied = PortfolioState.opened(start), []
    for one in given_deals:
        side = Side.BUY if one.buy else Side.SELL
        applied.append(deal(portfolio, side, one.quantity, one.price, costs=fees, symbol=one.symbol))
        portfolio = applied[-1].state
        assert Fraction(0) == imbalance(portfolio, applied, at)
    expected = ledger(start.initial_capital, given_deals, fees.commission_pct, fees.min_commission)
    assert_same_books(expected, portfolio, applied)
    assert Fraction(0) == expected.imbalance(start.initial_capital, at)
    assert expected.values(at) == {symbol: Fraction(p.value(at[symbol])) for symbol, p in portfolio.positions.items()}
    assert expected.cash + sum(expected.values(at).values()) == Fraction(portfolio.equity(at))


@SOME
@given(portfolio_rules(), wishes())
def test_cash_and_positions_are_the_sums_of_the_fills_deltas(start: PortfolioRules, wanted: list[Wish]) -> None:
    run = lived(start, wanted)
    cash = Fraction(start.initial_capital) + sum(Fraction(outcome.cash_delta) for outcome in run.applied)
    assert cash == Fraction(run.portfolio.cash)
    for symbol in SYMBOLS:
        deltas = [outcome.asset_delta for outcome in run.applied if outcome.order.instrument.symbol == symbol]
        held = run.portfolio.positions.get(symbol)
        assert sum(map(Fraction, deltas)) == (Fraction(held.quantity) if held is not None else 0)


# law 2, as far as the domain goes


@SOME
@given(portfolio_rules(), wishes())
def test_every_decision_gets_an_outcome_with_a_reason_in_plain_words(start: PortfolioRules, wanted: list[Wish]) -> None:
    run = lived(start, wanted)
    assert len(wanted) == len(run.outcomes)
    for (decision, _), outcome in zip(run.sent, run.outcomes, strict=True):
        ended = outcome.decision_id if isinstance(outcome, Refusal) else outcome.order.decision_id
        assert decision.id == ended
        assert "E-" not in outcome.sentence
        assert "E+" not in outcome.sentence
        assert not outcome.sentence.endswith(": ")
    assert list(range(1, len(run.applied) + 1)) == [outcome.order.seq for outcome in run.applied]
    assert len(run.applied) == len({outcome.order.order_id for outcome in run.applied})


# law 5


@SOME
@given(portfolio_rules(), wishes())
def test_law_5_no_buy_takes_cash_below_zero_and_none_happens_below_it(
    start: PortfolioRules, wanted: list[Wish]
) -> None:
    run = lived(start, wanted)
    cash = start.initial_capital
    for outcome in run.applied:
        if outcome.order.side is Side.BUY:
            assert cash > 0
            assert outcome.state.cash >= 0
        cash = outcome.state.cash


@SOME
@given(portfolio_rules(), wishes())
def test_a_buy_is_the_largest_that_budget_position_limit_and_cash_allow(
    start: PortfolioRules, wanted: list[Wish]
) -> None:
    run = lived(start, wanted)
    before = PortfolioState.opened(start)
    for (decision, base), outcome, after in zip(run.sent, run.outcomes, run.states, strict=True):
        if isinstance(outcome, Result) and decision.action is Action.BUY:
            assert_largest(decision, base, before, outcome.event)
        before = after


def assert_largest(decision: PendingDecision, base: Quote, before: PortfolioState, event: Event) -> None:
    """Assert that the quantity fits and one step more does not, unless the decision requested no more."""
    order, equity = event.order, event.sizing.equity
    rule = before.rules.execution.price_rule
    met = base_price(base, Side.BUY, before.rules.execution, event.sizing.taken)
    price, step, cap = Fraction(met.price), order.instrument.step, before.rules.max_position_size
    held, at = before.positions.get(base.symbol), mark(rule, *base.point)
    room = Fraction(cap) * Fraction(equity) - (Fraction(held.quantity) * Fraction(at) if held is not None else 0)
    risk = before.rules.default_risk_score if decision.risk_score is None else decision.risk_score
    wanted = Fraction(cap) * Fraction(equity) * Fraction(decision.confidence) / Fraction("0.8")
    wanted *= 1 - Fraction(risk) / 2
    rounding = Fraction(2, 10**12)
    marked = {**event.sizing.other_marks(), base.symbol: at}
    values = (money(Fraction(p.quantity) * Fraction(marked[s])) for s, p in before.positions.items())
    assert Fraction(before.cash) + sum(values) == Fraction(equity)
    assert abs(wanted - Fraction(budget(equity, decision.confidence, risk, cap))) < rounding

    def fits(quantity: Decimal, tolerance: Fraction) -> bool:
        notional = Fraction(quantity) * price
        most = room if decision.quantity is not None else min(room, wanted)
        affordable = worst_cost(quantity, met, order.instrument.tick, order.costs, rule) <= before.cash
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
@given(portfolio_rules(), wishes())
def test_law_7_the_same_again_gives_the_identical_ledger(start: PortfolioRules, wanted: list[Wish]) -> None:
    run = lived(start, wanted)
    again = Run(start)
    for decision, base in run.sent:
        again.meet(decision, base)
    assert run.outcomes == again.outcomes
    assert repr(run.outcomes) == repr(again.outcomes)
    assert run.states == again.states


@SOME
@given(portfolio_rules(), wishes(), st.data())
def test_a_rebuild_from_the_database_in_the_middle_changes_nothing(
    start: PortfolioRules, wanted: list[Wish], data: st.DataObject
) -> None:
    run = lived(start, wanted)
    crash = data.draw(st.integers(0, len(run.sent)), label="crash")
    again = Run(start)
    for decision, base in run.sent[:crash]:
        again.meet(decision, base)
    assert again.portfolio == reloaded(again.portfolio)  # nothing is finer than its column
    again.reload()
    for decision, base in run.sent[crash:]:
        again.meet(decision, base)
    assert run.outcomes == again.outcomes
    assert run.portfolio == again.portfolio
    assert [outcome.sentence for outcome in run.outcomes] == [outcome.sentence for outcome in again.outcomes]


@SOME
@given(portfolio_rules(), wishes(), st.data())
def test_folding_events_in_chunks_each_reloaded_gives_the_same_as_at_once(
    start: PortfolioRules, wanted: list[Wish], data: st.DataObject
) -> None:
    run = lived(start, wanted)
    events = [outcome.event for outcome in run.applied]
    cuts = data.draw(st.sets(st.integers(0, len(events))), label="cuts")
    portfolio, applied = PortfolioState.opened(start), []
    for number, event in enumerate(events):
        if number in cuts:
            portfolio = reloaded(portfolio)
        applied.append(apply(portfolio, event))
        portfolio = applied[-1].state
    assert run.portfolio == portfolio
    assert [outcome.trade for outcome in run.applied] == [outcome.trade for outcome in applied]
    assert [outcome.cash_delta for outcome in run.applied] == [outcome.cash_delta for outcome in applied]


@SOME
@given(portfolio_rules(), wishes())
def test_every_amount_of_a_fill_is_as_fine_as_its_column(start: PortfolioRules, wanted: list[Wish]) -> None:
    for outcome in lived(start, wanted).applied:
        fill, trade = outcome.fill, outcome.trade
        amounts = [fill.notional, fill.commission, fill.slippage, fill.slippage_rate, outcome.cash_delta]
        amounts += [fill.costs.spread, fill.costs.slippage, fill.costs.size, fill.costs.random]
        amounts += [outcome.event.sizing.equity]
        if trade is not None:
            amounts += [trade.cost, trade.gross, trade.net, trade.commission, trade.exit_notional]
        assert amounts == [stored(amount, 12) for amount in amounts]
        finer = [fill.quantity, fill.price, outcome.asset_delta]
        assert finer == [stored(number, 18) for number in finer]
        assert Fraction(fill.price) % Fraction(outcome.order.instrument.tick) == 0
