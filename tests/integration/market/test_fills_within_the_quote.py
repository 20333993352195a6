"""Fills under price rule `quote` at the prices of the real ccxt: a last trade far from bid and ask makes no money."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.trading.bookkeeping import Result
from domain.trading.engine import Engine
from domain.trading.orders import Costs
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.prices import mark
from domain.trading.quotes import Quote
from domain.trading.sizing import SizingRules
from domain.types import Symbol
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import BOTH, SourceFactory
from tests.support.values.builders import BY_LAST, BY_QUOTE, at_given_prices, costs, free, received, rules

ADA = Symbol("ADA/USDT")
SIZING = SizingRules(timedelta(seconds=1), timedelta(seconds=30), None, frozenset({"USDT"}))


class Trader:
    """A portfolio whose decisions meet what the exchange sends.

    Args:
        server: sends the prices.
        open_source: opens the source that receives them.
        exchange: its name.
        portfolio: the rules.
    """

    def __init__(
        self, server: ExchangeServer, open_source: SourceFactory, exchange: str, portfolio: PortfolioRules
    ) -> None:
        self._server = server
        _, self._recorder = open_source(exchange, ADA)
        self._recorder.wait(lambda: bool(self._recorder.catalogs))
        self._engine = Engine([PortfolioState.opened(portfolio)], SIZING)
        self._portfolio = portfolio.portfolio
        self._decisions = 0

    @property
    def state(self) -> PortfolioState:
        """The portfolio now."""
        state = self._engine.state(self._portfolio)
        assert state is not None
        return state

    def market(self, last: str, **values: Any) -> Quote:
        """Change the market; return the quote in which the change arrived."""
        self._server.set_price(ADA, last, **values)
        quote = self._recorder.price(ADA, last)
        assert [] == self._engine.on_instruments(self._recorder.catalogs[-1], quote.seen)
        assert [] == self._engine.on_quotes([quote], quote.seen)
        return quote

    def trade(self, side: str, quote: Quote, quantity: int | None = None) -> Result:
        """Decide at the moment of a quote, and return the result."""
        self._decisions += 1
        decision = received(side, number=self._decisions, symbol=ADA, confidence=1, quantity=quantity)
        (result,) = self._engine.on_decision(replace(decision, received=quote.seen), quote.seen)
        assert isinstance(result, Result), result
        return result

    def equity(self, quote: Quote) -> Decimal:
        """Return cash and position at the mark."""
        price = mark(self.state.rules.execution.price_rule, quote.price, quote.bid, quote.ask)
        return self.state.equity({ADA: price})


def by_quote(trading_costs: Costs) -> PortfolioRules:
    """Return a portfolio that may put all its 10 000 USDT into one position."""
    return rules(costs=trading_costs, max_position_size=1, execution=BY_QUOTE)


@BOTH
def test_a_print_between_bid_and_ask_after_one_far_away_gains_nothing(
    exchange: str, open_source: SourceFactory, server: ExchangeServer
) -> None:
    trader = Trader(server, open_source, exchange, by_quote(at_given_prices()))
    far = trader.market("0.50", bid="0.90", ask="0.92", bid_size="5000", ask_size="4000")
    bought = trader.trade("BUY", far, 1000)
    assert (Decimal("0.92"), Decimal("0.92"), Decimal(1)) == (
        bought.fill.price, bought.fill.base_price, bought.fill.commission,
    )  # fmt: skip
    assert Decimal(9079) == trader.state.cash  # 10 000 − 920 − 1
    assert Decimal(9979) == trader.equity(far)  # marked at the bid, which the last trade is below
    between = trader.market("0.91", bid="0.90", ask="0.92", bid_size="5000", ask_size="4000")
    assert Decimal(9989) == trader.equity(between)  # marked at 0.91
    sold = trader.trade("SELL", between)
    assert (Decimal("0.90"), Decimal(1000)) == (sold.fill.price, sold.fill.quantity)
    assert Decimal(9978) == trader.state.cash  # + 900 − 1


@BOTH
def test_repeated_prints_far_away_never_make_money(
    exchange: str, open_source: SourceFactory, server: ExchangeServer
) -> None:
    trader = Trader(server, open_source, exchange, by_quote(costs()))
    cash = Decimal(10_000)
    for number in range(3):
        far = trader.market(f"0.50{number}", bid="0.90", ask="0.92")
        bought = trader.trade("BUY", far)
        assert bought.fill.price >= Decimal("0.92")
        assert trader.equity(far) < cash
        between = trader.market(f"0.91{number}", bid="0.90", ask="0.92")
        sold = trader.trade("SELL", between)
        assert sold.fill.price <= Decimal("0.90")
        assert trader.state.cash < cash
        cash = trader.state.cash
    assert {} == dict(trader.state.positions)


@BOTH
def test_a_round_trip_over_a_wide_spread_costs_a_third(
    exchange: str, open_source: SourceFactory, server: ExchangeServer
) -> None:
    trader = Trader(server, open_source, exchange, by_quote(free()))
    wide = trader.market("1", bid="0.80", ask="1.20", bid_size="5000", ask_size="4000")
    bought = trader.trade("BUY", wide, 3000)
    assert (Decimal("1.20"), Decimal(3600)) == (bought.fill.price, bought.fill.notional)
    assert Decimal(600) == bought.fill.costs.spread  # 3000 × (1.20 − 1)
    sold = trader.trade("SELL", wide)
    assert (Decimal("0.80"), Decimal(2400)) == (sold.fill.price, sold.fill.notional)
    assert Decimal(8800) == trader.state.cash  # 1200 of the 3600 are gone: a third


@pytest.mark.parametrize(("exchange", "size"), [("kraken", Decimal(400)), ("bitstamp", None)])
def test_what_exceeds_the_size_at_the_touch_pays_the_surcharge(
    exchange: str, size: Decimal | None, open_source: SourceFactory, server: ExchangeServer
) -> None:
    trader = Trader(server, open_source, exchange, by_quote(costs(commission_pct=0, min_commission=0)))
    quote = trader.market("0.91", bid="0.90", ask="0.92", bid_size="1500.5", ask_size="400")
    sizes = (quote.bid_size, quote.ask_size, quote.last_size)
    assert ((Decimal("1500.5"), size, None) if size else (None, None, None)) == sizes
    bought = trader.trade("BUY", quote, 1000)
    assert size == bought.fill.touch_size
    assert bought.fill.costs.size > 0


@BOTH
def test_crossed_prices_leave_the_last_trade(exchange: str, open_source: SourceFactory, server: ExchangeServer) -> None:
    trader = Trader(server, open_source, exchange, by_quote(free()))
    crossed = trader.market("0.50", bid="0.93", ask="0.92", bid_size="5000", ask_size="4000")
    assert (Decimal("0.93"), Decimal("0.92")) == (crossed.bid, crossed.ask)
    bought = trader.trade("BUY", crossed, 1000)
    assert (Decimal("0.50"), None) == (bought.fill.price, bought.fill.touch_size)
    assert Decimal(10_000) == trader.equity(crossed)


def test_by_the_last_trade_the_same_market_gives_money_away(open_source: SourceFactory, server: ExchangeServer) -> None:
    trader = Trader(server, open_source, "kraken", replace(by_quote(costs()), execution=BY_LAST))
    bought = trader.trade("BUY", trader.market("0.50", bid="0.90", ask="0.92"), 10_000)
    sold = trader.trade("SELL", trader.market("0.91", bid="0.90", ask="0.92"))
    assert (True, True) == (bought.fill.price < Decimal("0.51"), sold.fill.price > Decimal("0.90"))
    assert trader.state.cash > 14_000  # about 0.41 for each of 10 000
