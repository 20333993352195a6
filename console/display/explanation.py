"""Sentences that explain a decision, an order or a fill, on lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from console.display import resting, settled
from console.display.format import number
from console.display.resting import HUNDRED, order_terms, requested_terms, trail_of
from console.display.times import local_times, utc_moment
from domain.trading.arithmetic import absolute, add, multiply, subtract
from domain.trading.open_orders.terms import EXIT_FIELDS
from domain.trading.prices import round_price
from domain.types import PriceRule, Side
from domain.wording import escape_control, format_duration, one_line

WIDTH, MAX_WIDTH, LABEL_WIDTH = 80, 100, 14
MAX_EXACT_DELAY = timedelta(seconds=10)
"""A longer time between two moments is given in full seconds."""
COST_PARTS = {
    "spread": "spread",
    "slippage": "slippage",
    "size": "size surcharge",
    "random": "random part",
    "commission": "commission",
}
"""The parts of a fill's cost, as sentences name them."""
_TWELVE_DIGITS = Context(prec=12)

Row = Mapping[str, Any]
Fact = tuple[str, str]
"""A label and its sentence; without a label it is a heading."""


def lines(document: Row, width: int | None = None) -> list[str]:
    """Return an explanation as lines for people.

    Args:
        document: see `console.service.explanation.explain`, without its lines.
        width: of the terminal for which it is, whose times are local; None: for a document, at most 80 columns, in UTC.
    """
    facts = list(_decision(document))
    for part in document["orders"]:
        facts += _order(part, document["decision"])
        for detail in part["fills"]:
            facts += _fill(part, detail)
        facts += _recomputed(part)
    if width is not None:
        facts = [(label, local_times(text)) for label, text in facts]
    columns = WIDTH if width is None else min(width, MAX_WIDTH)
    return [line for label, text in facts for line in _wrapped(label, text, columns)]


def _wrapped(label: str, text: str, width: int) -> list[str]:
    text = escape_control(text)
    if not label:
        return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    first = f"  {label:<{LABEL_WIDTH - 2}}"
    rest = " " * LABEL_WIDTH
    # An amount or an id is never broken in two.
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _decision(document: Row) -> Iterator[Fact]:
    decision = document["decision"]
    if decision is None:
        yield "", "The row of the decision was deleted."
        return
    yield "", f"Decision {decision['id']}: {_asked(decision)}"
    yield "created", f"{_moment(decision['created_at'])}"
    if decision["expires_at"] is not None:
        yield "expires", f"{_moment(decision['expires_at'])}"
    if decision["processed_at"] is not None:
        after = _delay(decision["processed_at"] - decision["created_at"])
        reason = one_line(decision["outcome_reason"] or "")
        yield decision["status"], f"{_moment(decision['processed_at'])}, {after} later: {reason}".rstrip(": ")
        return
    if decision["status"] == "open":
        yield "open", "its order rests in the market"
        return
    yield decision["status"], "it has no outcome yet"
    for sentence in _waiting(decision, document["waiting"], document["place"]):
        yield "waits", sentence


def _asked(decision: Row) -> str:
    action = decision["decision"].strip().upper()
    quantity = f"{number(decision['quantity'])} " if decision["quantity"] is not None else ""
    if action == "CANCEL":
        what = f" of {decision['symbol']}" if decision["target"].strip().lower() == "symbol" else ""
        return one_line(f"CANCEL {decision['target']}{what}, portfolio {decision['portfolio']}")
    if action == "AMEND":
        names = {"quantity": "quantity", "limit": "limit_price", "stop": "stop_price"}
        new = [f"{name} {number(decision[column])}" for name, column in names.items() if decision[column] is not None]
        new += [f"trail {trail}"] if (trail := trail_of(decision)) else []
        new += [f"expires {_moment(decision['order_expires_at'])}"] if decision["order_expires_at"] else []
        return one_line(f"AMEND {decision['target']}: {', '.join(new)}, portfolio {decision['portfolio']}")
    if action == "PROTECT":
        exits = [f"{name} {_exit(decision[name], name)}" for name in EXIT_FIELDS if decision[name] is not None]
        what = ", ".join(exits) or "the exits of the portfolio"
        return one_line(f"PROTECT {decision['symbol']}: {what}, portfolio {decision['portfolio']}")
    terms = requested_terms(decision) if action in {"BUY", "SELL"} else []
    facts = [*terms, f"confidence {number(decision['confidence'])}", f"portfolio {decision['portfolio']}"]
    return one_line(", ".join([f"{action} {quantity}{decision['symbol']}", *facts]))


def _exit(value: object, field: str) -> str:
    """Return the value of an exit as a decision states it."""
    if field.endswith("_pct") and isinstance(value, Decimal):
        return f"{number(multiply(value, HUNDRED))} %"
    return number(value) if isinstance(value, Decimal) else str(value)


def _waiting(decision: Row, waiting: Row, place: str | None) -> Iterator[str]:
    symbol = one_line(decision["symbol"])
    if place is not None:
        yield place.removeprefix("waits ")
    elif waiting["not_running"] is not None:
        yield f"in the table: {waiting['not_running']}"
    else:
        yield (
            f"in the table or in the service ({waiting['served_by']}): for a fresh price of {symbol}, or"
            f" for its turn in its portfolio; in the debug console `explain {decision['id']}` says for which"
        )
    if not waiting["portfolio_exists"]:
        yield f"there is no portfolio {one_line(decision['portfolio'])!r}"
    if waiting["halted"] is not None:
        yield f"trading is halted in its portfolio: {one_line(waiting['halted'])}"
    if (last := waiting["last_price"]) is None:
        yield f"no price of {symbol!r} is stored"
    else:
        age = format_duration(last["now"] - last["time"])
        yield f"the last stored price of {symbol} is {number(last['price'])} from {last['source']}, {age} old"


def _order(part: Row, decision: Row | None) -> Iterator[Fact]:
    order = part["order"]
    yield "", ""
    yield "", f"Order {order['order_id']}: {order_terms(order)}"
    after = "" if decision is None else f", {_delay(order['created_at'] - decision['created_at'])} after the decision"
    rules = one_line(f"revision {order['config_revision']} of the rules of portfolio {order['portfolio']}")
    placed = "sized"
    if order["parent"] is not None:
        placed = "placed"
        of = f"order {order['parent']}"
        if decision is not None and decision["decision"].strip().upper() == "PROTECT":
            of = f"the position, by PROTECT {decision['id']}"
        rules = f"leg {order['leg']}, an exit of {of}; {rules}"
    yield placed, f"{_moment(order['created_at'])}{after}; {rules}"
    if order["note"]:
        yield "note", one_line(order["note"])
    yield from _events(part)
    if order["ended_at"] is not None and all(event["kind"] != "ended" for event in part["events"]):
        # An exit that the fill of another order has ended: that is no event of its own.
        yield order["status"], f"{_moment(order['ended_at'])}: {one_line(order['end_reason'] or '')}"
    yield from settled.gaps(part["settlements"])
    for row in part["exits"]:
        yield f"exit {row['leg']}", f"{row['order_type']} order {row['order_id']}: {row['status']}"
    yield from resting.facts(part)
    if not part["fills"] and not part["events"]:
        yield order["status"], f"{number(order['filled_quantity'])} of {number(order['quantity'])} was filled"


def _events(part: Row) -> Iterator[Fact]:
    for event in part["events"]:
        at = f"{_moment(event['at'])}"
        after = f"; {settled.after_downtime(event['at'], part['settlements'])}" if event["recovered"] else ""
        if event["kind"] == "triggered":
            names = {"bid": event["bid"], "ask": event["ask"], "last": event["price"]}
            prices = ", ".join(f"{name} {number(price)}" for name, price in names.items() if price is not None)
            seen = _delay(event["at"] - event["price_seen_at"])
            source = one_line(event["price_source"])
            mark = f"; its mark was {number(event['trail_mark'])}" if event["trail_mark"] is not None else ""
            yield (
                "triggered",
                f"{at}: by {prices} of {source}, data {event['data_no']}, seen {seen} before{mark}{after}",
            )
        elif event["kind"] == "amended":
            yield "amended", f"{at}: {_values(event)}: {one_line(event['reason'] or '')}{after}"
        elif event["kind"] == "ended":
            yield event["status"], f"{at}: {one_line(event['reason'] or '')}{after}"


def _values(event: Row) -> str:
    """Return what an order asked for after an event: ``quantity 3, limit 101``."""
    names = {"quantity": "quantity", "stop": "stop_price", "limit": "limit_price"}
    return ", ".join(f"{name} {number(event[column])}" for name, column in names.items() if event[column] is not None)


def _fill(part: Row, detail: Row) -> Iterator[Fact]:
    order, fill, currency = part["order"], detail["fill"], part["currency"] or ""
    liquidity = "" if fill["liquidity"] == "unknown" else f", as {fill['liquidity']}"
    yield f"fill {fill['fill_no']}", f"{_moment(fill['filled_at'])}{liquidity}"
    if fill["recovered"]:
        yield "recovered", settled.after_downtime(fill["filled_at"], part["settlements"])
    if fill["ambiguous"]:
        yield "ambiguous", "its data allow another order of things; the worse one was assumed"
    yield from _quote(fill, detail["spread_known"])
    yield "rule", _rule(order, fill, detail["spread_known"])
    if fill["liquidity"] == "maker":
        yield "price", f"{number(fill['price'])}, its limit: a resting order pays no slippage"
        if detail["steps"] is not None:
            yield "commission", _commission(fill, detail["steps"])
    elif detail["steps"] is None:
        rate = f"by the slippage rate {number(fill['slippage_rate'])}"
        yield "price", f"{number(fill['base_price'])}, moved {rate}: {number(fill['price'])}"
    else:
        yield from _price(order, fill, detail["steps"])
    yield from _costs(order, detail, currency)
    verb, sign = ("bought", "+") if fill["side"] == "BUY" else ("sold", "−")
    yield (
        verb,
        f"{number(fill['quantity'])} {fill['symbol']}: {number(fill['notional'])} {sign} {number(fill['commission'])}"
        f" commission = {number(absolute(fill['cash_delta']))} {currency}".rstrip(),
    )


def _quote(fill: Row, spread_known: bool) -> Iterator[Fact]:
    last = fill["last_price"] if fill["last_price"] is not None else fill["base_price"]
    of_quote = {"bid": fill["bid"], "ask": fill["ask"], "last": last}
    prices = [
        f"{name} {number(price)}{_size(fill[f'{name}_size'])}" for name, price in of_quote.items() if price is not None
    ]
    if fill["is_trade"]:  # last, because bid and ask are what was known then
        prices.insert(0, f"a trade at {prices.pop().removeprefix('last ')}")
    yield "quote", ", ".join(prices) + ("" if spread_known else "; spread unknown")
    seen = _delay(fill["filled_at"] - fill["price_seen_at"])
    real = "" if fill["real_prices"] else ", which is no real market"
    number_ = f", data {fill['data_no']}" if fill["data_no"] else ""
    yield (
        "source",
        f"{fill['price_source']}{real}{number_}; seen {seen} before the fill, {_own_time(fill)}",
    )


CLOCKS = {"exchange": "asked for", "http_date": "by its HTTP header", "own": "which is ours, as it tells none"}
"""Where the time of the exchange's clock comes from."""


def _own_time(fill: Row) -> str:
    """Return what is known of the time that the source sent with the price of a fill."""
    if fill["time_mark"] == "no exchange time":
        return "no exchange time"
    if fill["time_mark"] is not None:
        return f"its own time {utc_moment(fill['price_time'])} cannot be"
    own = f"its own time is {_delay(fill['filled_at'] - fill['price_time'])} before it"
    if fill["exchange_time"] is None:
        return own
    behind = fill["exchange_time"] - fill["price_time"]
    side = "behind" if behind >= timedelta(0) else "ahead of"
    return f"{own} and {_delay(abs(behind))} {side} the exchange's clock, {CLOCKS[fill['exchange_clock']]}"


def _size(size: Decimal | None) -> str:
    return "" if size is None else f" (size {number(size)})"


def _rule(order: Row, fill: Row, spread_known: bool) -> str:
    version = f"version {order['rules_version']} of the rules"
    if order["price_rule"] != "quote":
        return f"last, {version}: the base price is the last trade"
    if not spread_known:
        crossed = fill["bid"] is not None and fill["ask"] is not None
        why = "the bid is above the ask" if crossed else "bid and ask are not both known"
        return f"quote, {version}: {why}, so the base price is the last trade"
    side = "a BUY meets the ask" if fill["side"] == "BUY" else "a SELL meets the bid"
    side += ", or the trade where that is worse" if fill["is_trade"] else ""
    return f"quote, {version}: {side}"


def _price(order: Row, fill: Row, steps: Row) -> Iterator[Fact]:
    offered = fill["touch_size"]
    if order["price_rule"] == "last":
        touch = ", whatever quantity is offered"
    elif offered is None:
        touch = "; the quantity offered there is unknown"
    elif steps["offered"] == offered:
        touch = f", for up to {number(offered)}"
    else:
        taken = subtract(steps["offered"], offered)
        touch = f", for up to {number(offered)}: earlier orders took {number(taken)} of this quote"
    yield "base price", f"{number(fill['base_price'])}{touch}"
    random = number(_TWELVE_DIGITS.plus(steps["random_factor"]))
    size = f"surcharge on {number(steps['surcharged'])}" if steps["surcharged"] else "no surcharge"
    factors = [
        number(steps["base_rate"]),
        f"{number(steps['type_factor'])} ({order['order_type']})",
        f"{number(steps['size_factor'])} ({size})",
        f"{random} (random)",
    ]
    yield "slippage", f"{' × '.join(factors)} = {number(fill['slippage_rate'])}"
    sign, direction = ("+", "up") if fill["side"] == "BUY" else ("−", "down")
    moved = f"{number(fill['base_price'])} × (1 {sign} {number(fill['slippage_rate'])})"
    rounded = "to the nearest tick" if order["price_rule"] == "last" else f"{direction} to the tick"
    # A SELL that slippage would take to zero gets one tick: see `slippage_price`.
    least = ", but at least one" if steps["unrounded_price"] < fill["price"] == order["tick"] and sign == "−" else ""
    reached = round_price(steps["unrounded_price"], Side(fill["side"]), order["tick"], PriceRule(order["price_rule"]))
    if not least and reached != fill["price"]:
        least = f": {number(reached)}, but never worse than the limit"
    result = f"rounded {rounded} {number(order['tick'])}{least}: {number(fill['price'])}"
    yield "price", f"{moved} = {number(steps['unrounded_price'])}; {result}"
    yield "commission", _commission(fill, steps)


def _commission(fill: Row, steps: Row) -> str:
    paid, minimum, before = fill["commission"], steps["min_commission"], steps["commission_paid_before"]
    charged = add(multiply(fill["notional"], steps["commission_pct"]), steps["commission_charged_before"])
    least = f", at least {number(minimum)}" if charged < minimum else ""
    if before:
        least += f" for all fills together, less {number(before)} paid before"
    capped = ", at most the proceeds" if fill["side"] == "SELL" and paid == fill["notional"] else ""
    venue = f", the venue's rate for {fill['liquidity']}s," if steps["fees"] == "venue" else ""
    return f"{number(steps['commission_pct'])}{venue} of {number(fill['notional'])}{least}{capped}: {number(paid)}"


def _costs(order: Row, detail: Row, currency: str) -> Iterator[Fact]:
    costs, fill = detail["costs"], detail["fill"]
    if costs is None:
        stored = f"{number(order['slippage'])} slippage + {number(fill['commission'])} commission"
        yield "cost", f"{stored} {currency}".rstrip()
        return
    parts = [f"{number(costs[name])} {text}" for name, text in COST_PARTS.items()]
    yield "cost", f"{' + '.join(parts).replace('+ -', '− ')} = {number(costs['total'])} {currency}".rstrip()


def _recomputed(part: Row) -> Iterator[Fact]:
    if not part["fills"]:
        return
    if part["not_recomputed"] is not None:
        yield "recomputed", f"not possible: {part['not_recomputed']}"
        return
    if part["same"]:
        yield "recomputed", "the same to the last digit"
        return
    for one in part["differences"]:
        where = "order" if one["fill_no"] is None else f"fill {one['fill_no']}"
        values = f"stored {_value(one['stored'])}, recomputed {_value(one['computed'])}"
        yield "differs", f"{one['name']} of the {where}: {values}"


def _value(value: object) -> str:
    return number(value) if isinstance(value, Decimal) else "nothing" if value is None else str(value)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _delay(span: timedelta) -> str:
    """Format the time between two moments: ``3 ms``, ``−2 ms``, ``12 min``."""
    if abs(span) >= MAX_EXACT_DELAY:
        return f"−{format_duration(-span)}" if span < timedelta(0) else format_duration(span)
    milliseconds = span / timedelta(milliseconds=1)
    return f"{milliseconds:,.0f} ms".replace("-", "−")
