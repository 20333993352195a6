"""PROTECT in the books: its exits are there after its commit, and what is loaded equals what was in memory."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from console.service.explanation import explain
from domain.types import OutcomeStatus
from tests.integration.orders.test_open_orders import Market, market, open_of
from tests.integration.persistence.test_stores import Stores, real, stores
from tests.support.values.builders import BTC

__all__ = ["market", "real", "stores"]  # fixtures


def test_a_held_position_gets_exits_and_its_decision_ends(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4")
    protect = market.send("PROTECT", stop_loss_pct="0.05", take_profits="110:0.5,120:0.5")
    assert [(2, "stop", Decimal(4)), (3, "limit", Decimal(2)), (4, "limit", Decimal(2))] == [
        one[:3] for one in open_of(market)
    ]
    outcome = market.outcome(protect)
    stop = next(one.order for one in market.state.open_orders if one.order.leg == 2)
    assert (OutcomeStatus.EXECUTED, stop.order_id) == (outcome.status, outcome.order_id)
    assert outcome.reason.startswith("protected: SELL 4 BTC/USDT, stop ")
    second = market.send("PROTECT", stop_loss="90")
    assert market.outcome(second).reason.startswith("nothing to protect: all 4 BTC/USDT has exits; AMEND or CANCEL ")
    market.price("110.5", "110.4", "110.6")
    assert [(2, "stop", Decimal(2)), (4, "limit", Decimal(2))] == [one[:3] for one in open_of(market)]
    market.price("90", "89.9", "90.1")
    assert [] == open_of(market)
    assert BTC not in market.state.positions


def test_a_trailing_stop_goes_on_after_a_restart(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4")
    market.send("PROTECT", trailing_stop="5")
    market.price("110", "109.9", "110.1")
    (stop,) = market.state.open_orders
    assert (Decimal(110), Decimal(105)) == (stop.mark, stop.stop_price)
    market.price("104.9", "104.8", "105")
    assert BTC not in market.state.positions


def test_its_exits_are_amended_and_cancelled_as_those_of_an_entry(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4")
    protect = market.send("PROTECT", stop_loss="90", take_profit="120")
    stop, target = (one.order for one in market.state.open_orders)
    amend = market.send("AMEND", target=str(stop.order_id), stop_price="95")
    assert "amended: stop 90 -> 95" == market.outcome(amend).reason
    late = market.send("CANCEL", target=str(protect))
    assert market.outcome(late).reason.startswith("nothing to cancel: already executed: protected: SELL 4 BTC/USDT")
    market.send("CANCEL", target=str(target.order_id))
    assert [(2, "stop", Decimal(4))] == [one[:3] for one in open_of(market)]
    market.send("SELL", "3")
    assert [(2, "stop", Decimal(1))] == [one[:3] for one in open_of(market)]
    market.send("CANCEL", target="all")
    again = market.send("PROTECT", stop_loss="90")
    assert OutcomeStatus.EXECUTED is market.outcome(again).status


def test_nothing_held(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    protect = market.send("PROTECT", stop_loss="90")
    assert "nothing held: there is no BTC/USDT to protect" == market.outcome(protect).reason


def test_it_is_explained_and_its_fill_recomputed(real: Stores) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4")
    protect = market.send("PROTECT", stop_loss_pct="0.05")
    market.price("90", "89.9", "90.1")
    explanation = explain(real.ledger_reader, str(protect))
    text = " ".join(" ".join(explanation["lines"]).split())
    assert explanation["lines"][0] == f"Decision {protect}: PROTECT BTC/USDT: stop_loss_pct 5 %, portfolio default"
    assert f"leg 2, an exit of the position, by PROTECT {protect}; revision 1 of the rules" in text
    assert explanation["same"] is True
    (order,) = explanation["orders"]
    assert text == " ".join(" ".join(explain(real.ledger_reader, str(order["order"]["order_id"]))["lines"]).split())
    _, ended = real.ledger_reader.ended_decisions([1, protect])
    assert (Decimal(0), None) == (ended["quantity"] or Decimal(0), ended["side"])  # the fill is the exit's own


def test_sql_alone(real: Stores) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    market.send("BUY", "4")
    with psycopg.connect(real.url) as connection:
        connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, stop_loss, created_at)"
            " VALUES ('btc-usdt', ' protect ', 90, now() + interval '1 s')"
        )
    market._commit(market._take())
    assert [(2, "stop", Decimal(4))] == [one[:3] for one in open_of(market)]
    # Its exits need no entry with a fill; but a PROTECT that was not executed has none.
    with psycopg.connect(real.url) as connection:
        connection.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        connection.execute("UPDATE trading_decisions SET status = 'rejected', outcome_reason = 'x' WHERE id = 2")
    (difference,) = [row["difference"] for row in real.ledger_reader.ledger_differences()]
    assert "is leg 2 of decision 2, which is no executed PROTECT and whose entry has no fill" in difference


@pytest.mark.parametrize("symbol", ["*", None])
def test_sql_needs_a_symbol(real: Stores, symbol: str | None) -> None:
    insert = "INSERT INTO trading_decisions (symbol, decision, stop_loss) VALUES (%s, 'PROTECT', 90)"
    sentence = "only a CANCEL or AMEND may have the symbol" if symbol else 'null value in column "symbol"'
    with psycopg.connect(real.url) as connection, pytest.raises(psycopg.errors.IntegrityError, match=sentence):
        connection.execute(insert, [symbol])
