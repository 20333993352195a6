"""The parts of the live view: each is a few lines of text out of what is known, for the room that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from console.display import chart
from console.display.format import COLOURS, amount, duration, moment, number, percent, price, signed
from console.display.style import ALARM, DOUBT, GOOD, gain
from console.display.table import BAR, Column, cut, flow, printable, table
from console.live.state import ViewState
from domain.trading.arithmetic import ZERO, divide, subtract, total

FOUR_DIGITS = Context(prec=4)
OLD = timedelta(seconds=30)
"""A price of this age serves no decision any more, by default."""
TRAIL = 12
LEAST_CURVE = 8
"""Characters below which a curve says nothing."""


def portfolios(glimpse: ViewState, width: int, rows: int) -> list[Text]:
    """Return what each portfolio is worth; together, too, where they share a currency."""
    assert glimpse.glance is not None
    shown: list[Mapping[str, Any]] = list(glimpse.glance.portfolios)
    together = glimpse.together
    if len(together) > 1:
        shown.append(_together(together))
        if rows - 1 < len(shown):
            shown = [shown[-1], *shown[:-1]]
    columns = [
        Column("portfolio", [printable(row["portfolio"])[:24] for row in shown]),
        Column("worth", [amount(row["worth"]) for row in shown], least=10, right=True),
        Column("", [row["currency"] for row in shown], gives_way=2),
        Column("result", [(signed(row["result"]), gain(row["result"])) for row in shown], least=8, right=True),
        Column(
            "", [(percent(row["result_pct"]), gain(row["result"])) for row in shown], least=8, right=True, gives_way=1
        ),
        Column("cash", [amount(row["cash"]) for row in shown], least=10, right=True, gives_way=4),
        Column("held", [str(row["held"]) for row in shown], right=True, gives_way=3),
    ]
    return table(columns, width, rows)


def _together(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    capital, worth = total(row["initial_capital"] for row in rows), total(row["worth"] for row in rows)
    result = subtract(worth, capital)
    return {
        "portfolio": "together",
        "currency": rows[0]["currency"],
        "worth": worth,
        "result": result,
        "result_pct": divide(result, capital) if capital > ZERO else None,
        "cash": total(row["cash"] for row in rows),
        "held": sum(row["held"] for row in rows),
    }


def equity(glimpse: ViewState, width: int, rows: int) -> list[Text]:
    """Return the curve of what the portfolios are worth together, with its least, its most and its times."""
    points, capital = glimpse.curve, glimpse.capital
    if not points or rows < 3:
        return []
    worths = [worth for _, worth in points]
    low, high, last = min(worths), max(worths), worths[-1]
    colour = gain(subtract(last, capital)) or ""
    labels = {0: amount(high), rows - 3: amount(low)} if low < high else {(rows - 2) // 2: amount(low)}
    base = chart.row_of(float(capital), float(low), float(high), rows - 2) if low <= capital <= high else None
    if base in labels:
        base = None  # the line would seem to stand at the label's worth
    elif base is not None:
        labels[base] = amount(capital)
    room = max(cell_len(label) for label in labels.values())
    if width - room - 2 < LEAST_CURVE:
        return []
    drawn = chart.curve([(at.timestamp(), float(worth)) for at, worth in points], width - room - 2, rows - 2)
    heading = Text("equity", style=BAR, no_wrap=True, end="")
    currency = glimpse.together[0]["currency"] if glimpse.together else ""
    told = f"{amount(last)} {currency}  {signed(subtract(last, capital))}"
    heading.append(" " * max(width - len("equity") - cell_len(told), 2) + told)
    lines = [cut(heading, width)]
    for index, drawn_line in enumerate(drawn):
        line = Text.assemble((f"{labels.get(index, ''):>{room}} ┤", "dim"), no_wrap=True, end="")
        for sign in drawn_line:
            empty = sign == chart.BLANK
            line.append("┄" if empty and index == base else " " if empty else sign, style="dim" if empty else colour)
        lines.append(line)
    return [*lines, _times(points[0][0], points[-1][0], room + 1, width)]


def _times(first: datetime, last: datetime, before: int, width: int) -> Text:
    form = "%H:%M:%S" if last - first < timedelta(minutes=10) else "%H:%M"
    begin, end = (at.astimezone(UTC).strftime(form) for at in (first, last))
    middle = f"── {duration(last - first)} ──"
    gap = width - before - len(begin) - len(end)
    line = Text(" " * before + begin + middle.center(gap)[:gap] + end, style="dim", no_wrap=True, end="")
    return cut(line, width)


def positions(glimpse: ViewState, width: int, rows: int) -> list[Text]:
    """Return what is held, with its result as of now and the age of the price that says so."""
    assert glimpse.glance is not None
    held = glimpse.glance.positions
    several = len(glimpse.glance.portfolios) > 1
    if not held:
        return table([Column("position", ["nothing held"])], width, rows)
    names = [(row["symbol"] if row["side"] == "LONG" else f"{row['symbol']} short") for row in held]
    columns = [
        Column("position", [printable(name)[:24] for name in names]),
        Column("portfolio", [printable(row["portfolio"])[:16] for row in held], gives_way=3 if several else 9),
        Column("quantity", [number(FOUR_DIGITS.plus(row["quantity"])) for row in held], least=8, right=True,
               gives_way=4),
        Column("entry", [price(row["entry_price"]) for row in held], least=10, right=True, gives_way=6),
        Column("last", [price(row["current_price"]) for row in held], least=10, right=True),
        Column("age", [_age(glimpse, row["price_time"]) for row in held], least=6, right=True, gives_way=2),
        Column("value", [amount(row["position_value"]) for row in held], least=8, right=True, gives_way=5),
        Column("result", [(signed(row["unrealized_pnl"]), gain(row["unrealized_pnl"])) for row in held], least=8,
               right=True),
        Column("", [(percent(row["unrealized_pnl_pct"]), gain(row["unrealized_pnl"])) for row in held], least=8,
               right=True, gives_way=1),
    ]  # fmt: skip
    return table(columns, width, rows)


def decisions(glimpse: ViewState, width: int, rows: int) -> list[Text]:
    """Return the last decisions, the newest first, with outcome and reason, or fill and result."""
    assert glimpse.glance is not None
    shown = glimpse.glance.decisions[: max(rows - 1, 0)]
    if not shown:
        return table([Column("decision", ["none yet"])], width, rows)
    columns = [
        Column("decision", [_id(row["id"]) for row in shown]),
        Column("time", [moment(row["created_at"])[11:] for row in shown], gives_way=4),
        Column("portfolio", [printable(row["portfolio"])[:16] for row in shown], gives_way=3),
        Column("what", [printable(row["decision"]).upper()[:4] for row in shown], least=4),
        Column("symbol", [printable(row["symbol"])[:12] for row in shown], least=9),
        Column("sure", [f"{row['confidence'] * 100:.0f}%" for row in shown], least=4, right=True, gives_way=5),
        Column("outcome", [(row["status"], COLOURS.get(row["status"], "")) for row in shown], least=9),
        Column("why, or fill", [_why(row) for row in shown], flexible=True),
    ]
    return table(columns, width, rows, counted=False)


def _id(value: object) -> str:
    """Return an id; an adopted table may have long ones, of which the beginning tells enough here."""
    told = printable(value)
    return f"#{told}" if len(told) <= 12 else f"#{told[:8]}…"


def _why(row: Mapping[str, Any]) -> str:
    if row["side"] is None:
        return printable(row["outcome_reason"] or "")
    told = f"{number(FOUR_DIGITS.plus(row['quantity']))} @ {price(row['price'])}"
    return told if row["net_pnl"] is None else f"{told} net {signed(row['net_pnl'])}"


def prices(glimpse: ViewState, width: int, rows: int) -> list[Text]:
    """Return the last price of each symbol and its age; as it went while this looked on, where there is room."""
    assert glimpse.glance is not None
    shown = recent(glimpse)
    if not shown:
        return table([Column("price", ["none yet"])], width, rows)
    trails = [glimpse.trails.get(row["symbol"], ()) for row in shown]
    moves = [Decimal(trail[-1] / trail[0] - 1) if len(trail) > 1 else None for trail in trails]
    columns = [
        Column("price", [printable(row["symbol"])[:16] for row in shown]),
        Column("last", [price(row["price"]) for row in shown], least=10, right=True),
        Column("age", [_age(glimpse, row["time"]) for row in shown], least=6, right=True),
        Column("lately", [(percent(move), gain(move)) for move in moves], least=8, right=True, gives_way=1),
        Column(" " * TRAIL, [(chart.blocks(trail, TRAIL), "cyan") for trail in trails], gives_way=2),
    ]
    return table(columns, width, rows)


def prices_line(glimpse: ViewState, width: int, rows: int) -> list[Text]:
    """Return last prices and ages, one after another."""
    assert glimpse.glance is not None
    shown = recent(glimpse)
    items = [("prices", "bold")] if shown else [("prices", "bold"), ("none yet", "dim")]
    for row in shown:
        age, style = _age(glimpse, row["time"])
        items.append((f"{printable(row['symbol'])[:16]} {price(row['price'])} ({age})", style))
    return flow(items, width, rows, "  ")


def recent(glimpse: ViewState) -> list[Mapping[str, Any]]:
    """Return the prices of what is held or was seen in the hour before the newest price."""
    assert glimpse.glance is not None
    rows = glimpse.glance.prices
    held = {row["symbol"] for row in glimpse.glance.positions}
    newest = max((row["time"] for row in rows), default=glimpse.at)
    return [row for row in rows if row["symbol"] in held or newest - row["time"] < timedelta(hours=1)]


def actors(glimpse: ViewState, width: int, rows: int) -> list[Text]:
    """Return what each actor does: state, mailbox, restarts, messages a second."""
    if glimpse.process is None:
        return table([Column("actor", [_unseen(glimpse)], flexible=True)], width, rows)
    shown = glimpse.process["actors"]
    columns = [
        Column("actor", [each["actor"] for each in shown]),
        Column("state", [(_doing(each), _mood(each)) for each in shown], least=7),
        Column("mailbox", [f"{each['mailbox']:,}" for each in shown], least=7, right=True, gives_way=1),
        Column("restarts", [(str(each["restarts"]), DOUBT if each["restarts"] else "") for each in shown], right=True,
               gives_way=2),
        Column("msg/s", [f"{glimpse.speeds.get(each['actor'], 0):,.0f}" for each in shown], least=6, right=True,
               gives_way=3),
        Column("handled", [f"{each['handled']:,}" for each in shown], least=9, right=True, gives_way=4),
    ]  # fmt: skip
    return table(columns, width, rows)


def actors_line(glimpse: ViewState, width: int, rows: int) -> list[Text]:
    """Return the same on a line: who is in trouble by name, the rest counted."""
    if glimpse.process is None:
        return flow([("actors", "bold"), (_unseen(glimpse), "dim")], width, rows, "  ")
    shown = glimpse.process["actors"]
    odd = [(f"{each['actor']} {_doing(each)}", _mood(each)) for each in shown if _mood(each)]
    items = [("actors", "bold"), *odd, (f"{len(shown) - len(odd)} well", GOOD)]
    deepest = max(shown, key=lambda each: int(each["mailbox"]))
    waiting = "mailboxes empty" if not deepest["mailbox"] else f"{deepest['mailbox']} wait for {deepest['actor']}"
    restarts = sum(each["restarts"] for each in shown)
    items += [(waiting, ""), (f"{restarts} restarts", DOUBT if restarts else "")]
    return flow(items, width, rows, "  ")


def _unseen(glimpse: ViewState) -> str:
    return "not seen: the process is not of this user, home and machine" if glimpse.running else "none seen"


def _mood(actor: Mapping[str, Any]) -> str:
    if actor["state"] in {"idle", "busy"}:
        return DOUBT if (actor["busy_for"] or 0) >= 1 else ""
    return ALARM


def _doing(actor: Mapping[str, Any]) -> str:
    if (actor["busy_for"] or 0) >= 1:
        return f"{actor['state']} {duration(timedelta(seconds=actor['busy_for']))}"
    return str(actor["state"])


def _age(glimpse: ViewState, at: datetime | None) -> tuple[str, str]:
    assert glimpse.glance is not None
    if at is None:
        return "–", "dim"
    age = max(glimpse.glance.at - at, timedelta())
    told = f"{age.total_seconds():.1f} s" if age < timedelta(seconds=10) else duration(age)
    return told, DOUBT if age > OLD and glimpse.running else ""
