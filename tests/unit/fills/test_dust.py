"""A SELL leaves nothing behind that could not be sold alone, and says so (docs/arithmetic.md, *Size*)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.trading.instruments import Instrument
from domain.trading.sizing import size
from tests.support.values.builders import (
    BY_QUOTE,
    NOON,
    Number,
    holding,
    instant,
    instrument,
    ordered,
    quote,
    received,
    refused,
    rules,
    sized,
)
from tests.support.values.engine_run import engine_of, executed

PLAIN = instrument()
LOTS = instrument(step="0.01", min_quantity="0.5")
WORTH = instrument(step="0.01", min_notional=25)
BOTH = instrument(step="0.01", min_quantity="0.1", min_notional=25)


@pytest.mark.parametrize(
    ("expected", "note", "held", "requested", "what"),
    [
        # What differs from the position by less than one step is the position.
        ("1", "the whole position, the decision requested 0.9999999999999999", "1", "0.9999999999999999", PLAIN),
        ("1", "the whole position, the decision requested 0.999999990000000001", "1", "0.999999990000000001", PLAIN),
        ("0.99999999", "", "1", "0.99999999", PLAIN),
        ("0.99999998", "", "1", "0.99999998999", PLAIN),
        ("1", "", "1", "1.0000", PLAIN),
        ("1", "the whole position, the decision requested 1.0000000000000001", "1", "1.0000000000000001", PLAIN),
        ("0.000000004", "the whole position, the decision requested 0.000000001", "0.000000004", "0.000000001", PLAIN),
        # The venue's minimum quantity, 0.5.
        (
            "10",
            "the whole position: after 9.6, 0.4 would be left, below the venue's minimum quantity, 0.5",
            "10",
            "9.6",
            LOTS,
        ),
        (
            "10",
            "the whole position: after 9.51, 0.49 would be left, below the venue's minimum quantity, 0.5",
            "10",
            "9.519",
            LOTS,
        ),
        ("9.5", "", "10", "9.5", LOTS),
        ("9.5", "", "10", "9.5099", LOTS),
        ("0.5", "", "10", "0.5", LOTS),
        ("9", "", "10", "9", LOTS),
        # The venue's minimum value, 25, at 100.
        (
            "10",
            "the whole position: after 9.8, 0.2 worth 20 would be left, below the venue's minimum value, 25",
            "10",
            "9.8",
            WORTH,
        ),
        (
            "10",
            "the whole position: after 9.76, 0.24 worth 24 would be left, below the venue's minimum value, 25",
            "10",
            "9.769",
            WORTH,
        ),
        ("9.75", "", "10", "9.75", WORTH),
        ("9.7", "", "10", "9.7", WORTH),
        # Both minimums; the quantity is named first.
        (
            "10",
            "the whole position: after 9.95, 0.05 would be left, below the venue's minimum quantity, 0.1",
            "10",
            "9.95",
            BOTH,
        ),
        (
            "10",
            "the whole position: after 9.85, 0.15 worth 15 would be left, below the venue's minimum value, 25",
            "10",
            "9.85",
            BOTH,
        ),
        # Without minimums nothing changes: a very small rest stays where it was requested.
        ("9.99999999", "", "10", "9.99999999", PLAIN),
        ("9.99", "", "10", "9.99", instrument(step="0.01")),
    ],
)
def test_a_sell_closes_all_where_the_rest_could_not_be_sold(
    expected: str, note: str, held: str, requested: str, what: Instrument
) -> None:
    order = ordered(received("SELL", quantity=requested), holding((held, 100)), of=what)
    assert (Decimal(expected), note) == (order.quantity, order.note)


def test_a_sell_below_a_minimum_that_leaves_enough_is_still_refused() -> None:
    held = holding((10, 100))
    refused(
        "too small: 0.2 is below the venue's minimum quantity, 0.5",
        sized(received("SELL", quantity="0.2"), held, of=LOTS),
    )
    refused(
        "too small: 0.2 at 100 is worth 20, the minimum is 25",
        sized(received("SELL", quantity="0.2"), held, of=WORTH),
    )
    refused(
        "too small: the quantity is less than one step of 0.01 at 100",
        sized(received("SELL", quantity="0.001"), held, of=LOTS),
    )


@pytest.mark.parametrize(("expected", "bid"), [("10", "99.99"), ("9.75", "100")])
def test_the_rest_counts_at_the_price_that_a_sell_meets(expected: Number, bid: str) -> None:
    portfolio = replace(holding((10, 100)), rules=rules(execution=BY_QUOTE))
    met = quote(100, bid=bid, ask=101)  # the rest is worth 0.25 × the bid
    result = size(received("SELL", quantity="9.75"), portfolio, WORTH, met, Decimal(10_000), {}, NOON)
    assert Decimal(expected) == result.order.quantity  # type: ignore[union-attr]


def test_the_outcome_says_so_and_nothing_is_left() -> None:
    portfolio = holding((1, 100), of=rules(min_notional=0))
    engine = engine_of(portfolio)
    result = executed(engine, received("SELL", quantity="0.9999999999999999"), quote(100))
    assert result.sentence.startswith("sold 1 BTC/USDT at 99.")
    assert result.sentence.endswith(" (the whole position, the decision requested 0.9999999999999999)")
    assert result.trade is not None
    assert result.trade.closes
    assert {} == result.state.positions
    (nothing,) = engine.on_decision(received("SELL", number=2), instant())
    assert "nothing held: there is no BTC/USDT to sell" == nothing.sentence


def test_a_sell_that_is_worth_less_than_its_commission_costs_no_cash() -> None:
    portfolio = replace(holding((1, 100)), cash=Decimal(0), rules=rules(min_notional=0))
    result = executed(engine_of(portfolio), received("SELL"), quote("0.50"))
    assert Decimal("0.50") == result.fill.commission  # of the minimum of 1; the price 0.50 rounds to itself
    assert (Decimal(0), Decimal(0)) == (result.cash_delta, result.state.cash)
