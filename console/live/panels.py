"""The panels of the live view: each draws one part of the state into the given width and number of lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from console.display import chart
from console.display.format import currency_places, duration, fill, money, price, sentence, short_number, signed_money
from console.display.process_status import restarts_of
from console.display.quotes import age, spread
from console.display.style import ALARM, DOUBT, GOOD, STATUS_COLOURS, gain
from console.display.table import BAR, Cell, Column, change_column, cut, fitted_table, flow, result_column
from console.display.times import time_of_day
from console.live.scroll import Scroll
from console.live.state import ViewState
from domain.trading.arithmetic import ZERO, divide, subtract, total
from domain.types import OutcomeStatus
from domain.wording import one_line

STALE_PRICE_AGE = timedelta(seconds=30)
NOTABLE_LAG_S = 10
"""A price that is older by the exchange's clock than by ours by more than this has both ages in the compact line."""
"""Default of `max_price_age`: no decision is executed at an older price."""
TREND_COLUMNS = 12
MIN_CURVE_COLUMNS = 8
"""A narrower curve is not drawn."""


def portfolios(state: ViewState, width: int, rows: int, scroll: Scroll) -> list[Text]:
    """Return value, result, cash and positions of each portfolio, with a sum where they share a currency."""
    portfolio_rows: list[Mapping[str, Any]] = list(state.portfolios)
    together = state.together
    if len(together) > 1:
        portfolio_rows.append(_together(together))
        if rows - 1 < len(portfolio_rows):
            portfolio_rows = [portfolio_rows[-1], *portfolio_rows[:-1]]
    currencies = [row["currency"] for row in portfolio_rows]
    columns = [
        Column("portfolio", [one_line(row["portfolio"])[:24] for row in portfolio_rows]),
        Column("value", [money(row["worth"], row["currency"]) for row in portfolio_rows], least=10, right=True),
        Column("currency", currencies, gives_way=2 if len(set(currencies)) > 1 else 5),
        result_column("result", [row["result"] for row in portfolio_rows], [row["currency"] for row in portfolio_rows]),
        change_column("result %", [row["result_pct"] for row in portfolio_rows], gives_way=1),
        Column(
            "cash", [money(row["cash"], row["currency"]) for row in portfolio_rows], least=10, right=True, gives_way=4
        ),
        Column("positions", [str(row["held"]) for row in portfolio_rows], right=True, gives_way=3),
    ]
    first = scroll.window("portfolios", [row["portfolio"] for row in portfolio_rows], rows - 1)
    return fitted_table(columns, width, rows, first=first)


def _together(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    paid_in, value = total(row["paid_in"] for row in rows), total(row["worth"] for row in rows)
    result = total(row["result"] for row in rows)
    return {
        "portfolio": "together",
        "currency": rows[0]["currency"],
        "worth": value,
        "result": result,
        "result_pct": divide(result, paid_in) if paid_in > ZERO else None,
        "cash": total(row["cash"] for row in rows),
        "held": sum(row["held"] for row in rows),
    }


def equity(state: ViewState, width: int, rows: int) -> list[Text]:
    """Return the curve of the total value, labelled with its minimum, its maximum and its times."""
    points, capital = state.equity_curve, state.capital
    if not points or rows < 3:
        return []
    values = [value for _, value in points]
    last = values[-1]
    currency = state.together[0]["currency"] if state.together else ""
    labels, base = chart.value_labels(values, capital, rows - 2, currency_places(currency))
    label_width = max(cell_len(label) for label in labels.values())
    if width - label_width - 2 < MIN_CURVE_COLUMNS:
        return []
    curve_lines = chart.curve(
        [(at.timestamp(), float(value)) for at, value in points], width - label_width - 2, rows - 2
    )
    heading = Text("equity", style=BAR, no_wrap=True, end="")
    summary = f"{money(last, currency)} {currency}  {signed_money(subtract(last, capital), currency)}"
    heading.append(" " * max(width - len("equity") - cell_len(summary), 2) + summary)
    lines = chart.with_axis(curve_lines, labels, label_width, gain(subtract(last, capital)), base, label_style="dim")
    return [cut(heading, width), *lines, _times(points[0][0], points[-1][0], label_width + 1, width)]


def _times(first: datetime, last: datetime, before: int, width: int) -> Text:
    form = "%H:%M:%S" if last - first < timedelta(minutes=10) else "%H:%M"
    begin, end = (time_of_day(at, form) for at in (first, last))
    middle = f"── {duration(last - first)} ──"
    gap = width - before - len(begin) - len(end)
    line = Text(" " * before + begin + middle.center(gap)[:gap] + end, style="dim", no_wrap=True, end="")
    return cut(line, width)


def positions(state: ViewState, width: int, rows: int, scroll: Scroll) -> list[Text]:
    """Return the open positions, with result, last price and its age."""
    position_rows = state.positions
    several = len(state.portfolios) > 1
    if not position_rows:
        return fitted_table([Column("position", ["none open"])], width, rows)
    currencies = [_currency(state, row) for row in position_rows]
    values = [money(row["position_value"], one) for row, one in zip(position_rows, currencies, strict=True)]
    names = [(row["symbol"] if row["side"] == "LONG" else f"{row['symbol']} short") for row in position_rows]
    columns = [
        Column("position", [one_line(name)[:24] for name in names]),
        Column("portfolio", [one_line(row["portfolio"])[:16] for row in position_rows], gives_way=3 if several else 9),
        Column("quantity", [short_number(row["quantity"]) for row in position_rows], least=8, right=True, gives_way=4),
        Column("entry", [price(row["entry_price"]) for row in position_rows], least=10, right=True, gives_way=6),
        Column("last", [price(row["current_price"]) for row in position_rows], least=10, right=True),
        Column("stop", [_stop(row) for row in position_rows], least=7, right=True, gives_way=2),
        Column("age", [_age(state, row["price_time"]) for row in position_rows], least=6, right=True, gives_way=2),
        Column("value", values, least=8, right=True, gives_way=5),
        result_column("result", [row["unrealized_pnl"] for row in position_rows], currencies),
        change_column("result %", [row["unrealized_pnl_pct"] for row in position_rows], gives_way=1),
    ]
    first = scroll.window("positions", [(row["portfolio"], row["symbol"]) for row in position_rows], rows - 1)
    return fitted_table(columns, width, rows, first=first)


def _stop(position: Mapping[str, Any]) -> Cell:
    return (price(position["stop_price"]), "") if position["stop_price"] is not None else ("none", "dim")


def decisions(state: ViewState, width: int, rows: int, scroll: Scroll) -> list[Text]:
    """Return the last decisions, the newest first, with outcome, and reason or fill and net result."""
    first = scroll.window("decisions", [row["id"] for row in state.decisions], rows - 1)
    decision_rows = state.decisions[first : first + max(rows - 1, 0)]
    if not decision_rows:
        return fitted_table([Column("decision", ["none yet"])], width, rows)
    columns = [
        Column("decision", [_id(row["id"]) for row in decision_rows]),
        Column("time", [time_of_day(row["created_at"]) for row in decision_rows], gives_way=4),
        Column("portfolio", [one_line(row["portfolio"])[:16] for row in decision_rows], gives_way=3),
        Column("side", [one_line(row["decision"]).upper()[:7] for row in decision_rows], least=4),
        Column("symbol", [one_line(row["symbol"])[:12] for row in decision_rows], least=9),
        Column("confidence", [f"{row['confidence'] * 100:.0f}%" for row in decision_rows], right=True, gives_way=5),
        Column("status", [(row["status"], STATUS_COLOURS.get(row["status"], "")) for row in decision_rows], least=9),
        Column("reason", [_reason_or_fill(row, _currency(state, row)) for row in decision_rows], flexible=True),
    ]
    return fitted_table(columns, width, rows, counted=False)


def _id(value: object) -> str:
    """Return an id. An adopted table may have long ones, which are shortened."""
    text = one_line(value)
    return f"#{text}" if len(text) <= 12 else f"#{text[:8]}…"


def _currency(state: ViewState, row: Mapping[str, Any]) -> str:
    """Return the currency of a row's portfolio."""
    assert state.database is not None
    rows = state.database.portfolios
    return next((one["currency"] for one in rows if one["portfolio"] == row["portfolio"]), "")


def _reason_or_fill(row: Mapping[str, Any], currency: str) -> str:
    if row["side"] is None:
        reason = sentence(one_line(row["outcome_reason"] or ""))
        if row["status"] != OutcomeStatus.OPEN:
            return reason
        # Side and symbol have columns of their own, and on a narrow screen the price would be cut off.
        order = reason.removeprefix("open: ").removeprefix(f"{row['decision']} ")
        return order.replace(f" {row['symbol']},", ",", 1)
    text = fill(row["quantity"], row["price"])
    return text if row["net_pnl"] is None else f"{text} net {signed_money(row['net_pnl'], currency)}"


def prices(state: ViewState, width: int, rows: int, scroll: Scroll) -> list[Text]:
    """Return the last price of each symbol, its ages, its spread, and its change since the view began."""
    assert state.database is not None
    price_rows = recent_prices(state)
    if not price_rows:
        return fitted_table([Column("price", ["none yet"])], width, rows)
    trends = [state.price_history.get(row["symbol"], ()) for row in price_rows]
    blocks = [(chart.blocks(trend, TREND_COLUMNS), "cyan") for trend in trends]
    changes = [Decimal(trend[-1] / trend[0] - 1) if len(trend) > 1 else None for trend in trends]
    by_symbol = _quotes(state)
    quotes = [by_symbol.get(row["symbol"]) for row in price_rows]
    exchange_ages = [_exchange_age(quote) for quote in quotes]
    spreads = [spread(quote) if quote else "–" for quote in quotes]
    sources = [one_line(row["source"])[:16] for row in price_rows]
    # What nothing is known of, and what is the same in every row, gives way first.
    columns = [
        Column("price", [one_line(row["symbol"])[:16] for row in price_rows]),
        Column("last", [price(row["price"]) for row in price_rows], least=10, right=True),
        Column("age", [_age(state, row["time"]) for row in price_rows], least=6, right=True),
        Column(
            "by exchange", exchange_ages, right=True, gives_way=1 if {age for age, _ in exchange_ages} - {"–"} else 8
        ),
        Column("spread", spreads, right=True, gives_way=2 if set(spreads) - {"–"} else 7),
        Column("source", sources, gives_way=3 if len(set(sources)) > 1 else 6),
        change_column("change", changes, gives_way=4),
        Column("trend", blocks, least=TREND_COLUMNS, gives_way=5),
    ]
    first = scroll.window("prices", [row["symbol"] for row in price_rows], rows - 1)
    return fitted_table(columns, width, rows, first=first)


def prices_line(state: ViewState, width: int, rows: int) -> list[Text]:
    """Return the last prices and their ages on as few lines as they take; by the exchange's clock if it says more."""
    assert state.database is not None
    price_rows = recent_prices(state)
    sources, quotes = {one_line(row["source"])[:16] for row in price_rows}, _quotes(state)
    items = [(f"prices of {sources.pop()}" if len(sources) == 1 else "prices", "bold")]
    if not price_rows:
        items.append(("none yet", "dim"))
    for row in price_rows:
        ages, style = _age(state, row["time"])
        quote = quotes.get(row["symbol"])
        if quote is not None and (quote["exchange_age_s"] or 0) - quote["age_s"] > NOTABLE_LAG_S:
            by_exchange, lag_style = _exchange_age(quote)
            ages, style = f"{ages}, by exchange {by_exchange}", lag_style or style
        items.append((f"{one_line(row['symbol'])[:16]} {price(row['price'])} ({ages})", style))
    return flow(items, width, rows, "  ")


def _quotes(state: ViewState) -> Mapping[str, Any]:
    """Return the newest quotes of the process by symbol, as far as it tells them."""
    return ((state.process or {}).get("prices") or {}).get("quotes") or {}


def recent_prices(state: ViewState) -> list[Mapping[str, Any]]:
    """Return the prices of open positions, and those from the last hour before the newest price."""
    assert state.database is not None
    rows = state.database.prices
    held = {row["symbol"] for row in state.database.positions}
    newest = max((row["time"] for row in rows), default=state.at)
    return [row for row in rows if row["symbol"] in held or newest - row["time"] < timedelta(hours=1)]


def actors(state: ViewState, width: int, rows: int) -> list[Text]:
    """Return state, mailbox, restarts and messages a second of each actor."""
    if state.process is None:
        return fitted_table([Column("actor", [_no_process(state)], flexible=True)], width, rows)
    statuses = state.process["actors"]
    restarts = [(restarts_of(actor), DOUBT if actor["restarts"] else "") for actor in statuses]
    rates = [state.messages_per_s.get(actor["actor"], 0) for actor in statuses]
    columns = [
        Column("actor", [actor["actor"] for actor in statuses]),
        Column("state", [(_activity(actor), _state_style(actor)) for actor in statuses], least=7),
        Column("mailbox", [f"{actor['mailbox']:,}" for actor in statuses], least=7, right=True, gives_way=1),
        Column("restarts", restarts, right=True, gives_way=2),
        Column("per second", [f"{rate:,.0f}" for rate in rates], least=6, right=True, gives_way=3),
        Column("handled", [f"{actor['handled']:,}" for actor in statuses], least=9, right=True, gives_way=4),
    ]
    return fitted_table(columns, width, rows)


def actors_line(state: ViewState, width: int, rows: int) -> list[Text]:
    """Return the actors on one line: those with a problem by name, the others as a number."""
    if state.process is None:
        return flow([("actors", "bold"), (_no_process(state), "dim")], width, rows, "  ")
    statuses = state.process["actors"]
    problems = [
        (f"{actor['actor']} {_activity(actor)}", _state_style(actor)) for actor in statuses if _state_style(actor)
    ]
    items = [("actors", "bold"), *problems, (f"{len(statuses) - len(problems)} healthy", GOOD)]
    longest = max(statuses, key=lambda actor: int(actor["mailbox"]))
    waiting = "mailboxes empty" if not longest["mailbox"] else f"{longest['mailbox']} wait for {longest['actor']}"
    restarts = sum(actor["restarts"] for actor in statuses)
    items += [(waiting, ""), (f"{restarts} restarts", DOUBT if restarts else "")]
    return flow(items, width, rows, "  ")


def _no_process(state: ViewState) -> str:
    return "not visible: the process is not of this user, home and machine" if state.running else "none"


def _state_style(actor: Mapping[str, Any]) -> str:
    if actor["state"] in {"idle", "busy"}:
        return DOUBT if (actor["busy_for"] or 0) >= 1 else ""
    return ALARM


def _activity(actor: Mapping[str, Any]) -> str:
    if (actor["busy_for"] or 0) >= 1:
        return f"{actor['state']} {duration(timedelta(seconds=actor['busy_for']))}"
    return str(actor["state"])


def _age(state: ViewState, at: datetime | None) -> tuple[str, str]:
    assert state.database is not None
    if at is None:
        return "–", "dim"
    age = max(state.database.at - at, timedelta())
    text = f"{age.total_seconds():.1f} s" if age < timedelta(seconds=10) else duration(age)
    return text, DOUBT if age > STALE_PRICE_AGE and state.running else ""


def _exchange_age(quote: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the age of a quote by the exchange's clock, coloured where it is too old to fill."""
    if quote is None:
        return "–", "dim"
    return age(quote["exchange_age_s"]), DOUBT if quote["fresh"] == "nothing" else ""
