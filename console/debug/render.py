"""How the debug console shows what the process told: tables, trees, and times with their distances."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from console.display.format import duration
from console.display.style import STATUS_COLOURS
from console.display.table import full_table

STATES = {"busy": "yellow", "waiting": "cyan", "ended": "bold red", "suspended": "magenta"}
LONGEST = 100


def show(name: str, result: Any, out: Console) -> None:
    """Show the answer to a command."""
    shower = SHOWERS.get(name)
    if shower is not None:
        shower(result, out)
    elif isinstance(result, list):
        rows(result, out)
    else:
        _pairs(result, out)


def rows(found: Sequence[Mapping[str, Any]], out: Console, columns: Sequence[str] = ()) -> None:
    """Show rows as a table; only ``columns``, where some are named."""
    if not found:
        out.print("nothing")
        return
    names = list(columns or found[0])
    out.print(full_table(names, [[cell(row.get(name)) for name in names] for row in found]))


def cell(value: Any) -> str:
    """Return a value for a cell of a table, on one line."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = when(value) if isinstance(value, str) and _moment(value) is not None else str(value)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def when(text: str) -> str:
    """Return a moment for a person: the time of today's, else date and time; UTC."""
    moment = _moment(text)
    if moment is None:
        return text
    today = datetime.now(UTC).date() == moment.date()
    return f"{moment:%H:%M:%S.%f}"[:-3] if today else f"{moment:%Y-%m-%d %H:%M:%S}"


def _moment(text: str) -> datetime | None:
    if len(text) < 19 or text[10:11] != "T":
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _pairs(result: Any, out: Console) -> None:
    if not isinstance(result, Mapping):
        out.print(str(result))
        return
    width = max((len(str(name)) for name in result), default=0)
    for name, value in result.items():
        nested = isinstance(value, Mapping | list)
        out.print(
            f"{name!s:<{width}}  {json.dumps(value, ensure_ascii=False) if nested else cell(value)}", soft_wrap=True
        )


def processes(result: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Table:
    """Return ``ps`` as a table; with an earlier answer, messages a second between the two."""
    earlier = {each["actor"]: each["handled"] for each in before["actors"]} if before is not None else {}
    seconds = result["at"] - before["at"] if before is not None else 0.0
    columns = ["actor", "state", "doing", "mailbox", "most", "handled", "a second", "restarts"]
    lines = []
    for each in result["actors"]:
        rate = (each["handled"] - earlier.get(each["actor"], 0)) / seconds if seconds > 0 else None
        lines.append(
            [
                each["actor"], each["state"], doing(each), str(each["mailbox"]), str(each["most"]),
                f"{each['handled']:,}", "–" if rate is None else f"{rate:,.0f}", str(each["restarts"]),
            ]
        )  # fmt: skip
    shown = full_table(columns, lines, right=columns[3:])
    for row, each in enumerate(result["actors"]):
        shown.rows[row].style = STATES.get(each["state"], "")
    return shown


def doing(actor: Mapping[str, Any]) -> str:
    """Return what an actor is at, for a person."""
    if actor["waiting_since"] is not None:
        return f"database away since {when(actor['waiting_since'])}"
    if actor["doing"] is None:
        return ""
    seconds = actor["busy_for"] or 0.0
    return f"{actor['doing']} for " + (f"{seconds:.1f} s" if seconds < 60 else duration(timedelta(seconds=seconds)))


def _tree(result: Mapping[str, Any], out: Console) -> None:
    top = result["supervisor"]
    left = top.get("restarts_left", {})
    actors = {each["actor"]: each for each in result["actors"]}
    root = Tree(f"Supervisor  generation {top.get('generation')}, {left.get('tree', '?')} restarts left")
    path = root.add("decision path  rebuilt together, downstream first")
    for name in ("PositionKeeper", "ExecutionSimulator", "Sizer", "DecisionWatcher"):
        path.add(_leaf(actors[name], left))
    alone = root.add("alone")
    for name in ("PriceTracker", "Snapshotter"):
        alone.add(_leaf(actors[name], left))
    out.print(root)
    if top.get("restarting"):
        out.print(f"restarting soon: {', '.join(top['restarting'])}", style="yellow")
    if top.get("suspects"):
        out.print(f"decisions that an actor crashed on once: {', '.join(map(str, top['suspects']))}", style="yellow")


def _leaf(actor: Mapping[str, Any], left: Mapping[str, Any]) -> Text:
    restarts = "once" if actor["restarts"] == 1 else f"{actor['restarts']} times"
    told = f"{actor['actor']}  {actor['state']}, restarted {restarts}, {left.get(actor['actor'], '?')} left"
    return Text(told, style=STATES.get(actor["state"], ""))


def _state(result: Any, out: Console) -> None:
    if isinstance(result, Mapping | list):
        out.print(_branch("", result))
    else:
        out.print(cell(result))


def _branch(name: str, value: Any) -> Tree:
    tree = Tree(name or "memory")
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, each in itertools.islice(items, LONGEST):
        if isinstance(each, Mapping | list) and each:
            tree.children.append(_branch(str(key), each))
        else:
            tree.add(Text(f"{key}: {cell(each) if not isinstance(each, Mapping | list) else 'nothing'}"))
    if len(value) > LONGEST:
        tree.add(f"… and {len(value) - LONGEST} more; name a part, or take --json")
    return tree


def _inbox(result: Mapping[str, Any], out: Console) -> None:
    suspended = ", suspended" if result["suspended"] else ""
    out.print(f"{result['waiting']} wait{suspended}; as many as {result['most']} ever did")
    if result["first"]:
        rows(result["first"], out)


def passed(message: Mapping[str, Any], out: Console) -> None:
    """Show a traced message."""
    about = " ".join(f"#{id_}" for id_ in message["decisions"])
    group = f" ×{message['group']}" if message["group"] > 1 else ""
    line = f"{when(message['at'])}  {message['actor']:<18} {message['message']:<14} {message['took'] * 1000:8.2f} ms"
    out.print(Text(f"{line}{group}  " + (about or message["text"][:LONGEST])), soft_wrap=True)


def _chain(result: Mapping[str, Any], out: Console) -> None:
    decision = result["decision"]
    style = STATUS_COLOURS.get(decision["status"], "")
    sure = (
        f"{decision['decision']} {decision['symbol']}, {decision['confidence']} sure, portfolio {decision['portfolio']}"
    )
    out.print(Text(f"decision {decision['id']}: {sure}"))
    out.print(
        Text(f"  {decision['status']}: {decision['outcome_reason'] or result['now'] or ''}", style=style),
        soft_wrap=True,
    )
    out.print()
    before = 0.0
    for event in result["events"]:
        step = event["after"] - before
        before = event["after"]
        line = (
            f"{when(event['at'])}  {event['after'] * 1000:>12,.1f} ms  {step * 1000:>+11,.1f} ms  {event['what']:<15} "
        )
        out.print(Text(line + event["detail"]), soft_wrap=True)
    for title, names in (
        ("orders", ("order_id", "seq", "side", "quantity", "status", "average_fill_price", "commission", "slippage")),
        ("fills", ("fill_no", "quantity", "price", "base_price", "price_source", "commission", "cash_delta")),
        ("positions", ("position_id", "side", "quantity", "cost", "current_price", "position_value", "unrealized_pnl")),
        ("trades", ("exit_time", "quantity", "entry_price", "exit_price", "realized_pnl", "commission", "net_pnl")),
        ("failures", ("reference", "at", "kind", "actor", "message", "error")),
        ("retries", ("id", "created_at", "status")),
    ):
        if result[title]:
            out.print(f"\n{title}", style="bold")
            rows(result[title], out, names)
    if result["messages"]:
        out.print("\nmessages that a trace saw", style="bold")
        for message in result["messages"]:
            passed(message, out)


def _stack(result: Mapping[str, Any], out: Console) -> None:
    out.print(Text(result["stack"].rstrip()), soft_wrap=True)


def _prices(result: Mapping[str, Any], out: Console) -> None:
    now = datetime.fromisoformat(result["now"])
    out.print(
        f"source {result['source'].get('source', '?')}" + (", which has ended" if result["source"].get("ended") else "")
    )
    lines = [
        [symbol, quote["price"], f"{(now - datetime.fromisoformat(quote['seen_at'])).total_seconds():.1f} s"]
        for symbol, quote in sorted(result["quotes"].items())
    ]
    out.print(full_table(["symbol", "price", "age"], lines, right=["price", "age"]))


def _audit(result: Mapping[str, Any], out: Console) -> None:
    if result["memory"] is None:
        out.print("memory could not be compared: the PositionKeeper is busy, or the database is away", style="yellow")
    for difference in [*(result["memory"] or []), *result["books"]]:
        out.print(Text(difference, style="bold red"), soft_wrap=True)
    if result["sound"]:
        out.print("memory equals the database, and the books balance", style="green")


def _failures(result: Sequence[Mapping[str, Any]], out: Console) -> None:
    rows(result, out, ("reference", "at", "kind", "actor", "message", "decision_id", "error"))


def _dead(result: Mapping[str, Any], out: Console) -> None:
    out.print(f"{result['count']} dead letters")
    if result["last"]:
        rows(result["last"], out)


def _positions(result: Sequence[Mapping[str, Any]], out: Console) -> None:
    rows(result, out, ("portfolio", "symbol", "side", "quantity", "entry_price", "current_price", "unrealized_pnl"))


def _orders(result: Sequence[Mapping[str, Any]], out: Console) -> None:
    names = ("created_at", "decision_id", "portfolio", "symbol", "side", "quantity", "status", "average_fill_price")
    rows(result, out, names)


def _decisions(result: Sequence[Mapping[str, Any]], out: Console) -> None:
    rows(result, out, ("id", "created_at", "portfolio", "decision", "symbol", "confidence", "status", "outcome_reason"))


def _portfolios(result: Sequence[Mapping[str, Any]], out: Console) -> None:
    rows(result, out, ("portfolio", "currency", "cash", "total_value", "total_pnl", "num_positions"))


def _quarantine(result: Sequence[Mapping[str, Any]], out: Console) -> None:
    rows(result, out, ("reference", "at", "actor", "message", "decision_id", "error"))


SHOWERS: Mapping[str, Callable[[Any, Console], None]] = {
    "ps": lambda result, out: out.print(processes(result)),
    "tree": _tree,
    "state": _state,
    "inbox": _inbox,
    "chain": _chain,
    "stack": _stack,
    "prices": _prices,
    "audit": _audit,
    "failures": _failures,
    "dead": _dead,
    "quarantine": _quarantine,
    "positions": _positions,
    "orders": _orders,
    "decisions": _decisions,
    "portfolio": _portfolios,
}
