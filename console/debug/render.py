"""Rendering of the debug console's answers: tables, trees, and events with the time between them."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from actors.runtime.timer import SystemClock
from console.display.format import duration, print_fact, size
from console.display.process_status import print_process, restarts_of
from console.display.quotes import QUOTE_COLUMNS, quote_cells
from console.display.style import STATUS_COLOURS
from console.display.table import full_table
from console.display.terms import FILL, ROUND_TRIP, TRADE, glossary
from console.display.times import in_zone, local_times, zone_of
from console.service.problems import problems_of_process
from domain.wording import escape_control, one_line, shortened

STATES = {"busy": "yellow", "waiting": "cyan", "ended": "bold red", "suspended": "magenta"}
MAX_TEXT_LENGTH = 100
GIVES_WAY = (
    "order_expires_at", "filled_quantity", "reserved", "order_id", "position_id", "portfolio", "confidence", "slippage",
    "commission", "kind", "message",
)  # fmt: skip
"""Columns that a narrow terminal leaves out, in this order."""
GIVES_WAY_OF: Mapping[str, Sequence[str]] = {
    # What a person looks for are the levels and what they hold back, and stops.
    "open-orders": (
        "order_expires_at", "created_at", "filled_quantity", "portfolio", "leg", "order_type", "side", "limit_price",
        "reserved", "stop_price",
    ),
    "positions": ("entry_price", "current_price", "unrealized_pnl"),
    "orders": ("portfolio", "average_fill_price", "created_at", "side"),
}  # fmt: skip
"""The same for single lists, in place of `GIVES_WAY`."""
MAX_BRANCHES = 100


COLUMNS: Mapping[str, Sequence[str]] = {
    "failures": ("reference", "at", "kind", "actor", "message", "decision_id", "error"),
    "quarantine": ("reference", "at", "actor", "message", "decision_id", "error"),
    "positions": (
        "portfolio", "symbol", "side", "quantity", "entry_price", "current_price", "unrealized_pnl", "stop_price",
    ),
    "orders": (
        "created_at", "decision_id", "portfolio", "symbol", "side", "order_type", "quantity", "status",
        "average_fill_price",
    ),
    "open-orders": (
        "decision_id", "leg", "portfolio", "symbol", "side", "order_type", "quantity", "filled_quantity", "limit_price",
        "stop_price", "reserved", "created_at", "order_expires_at",
    ),
    "decisions": ("id", "created_at", "portfolio", "decision", "symbol", "confidence", "status", "outcome_reason"),
    "portfolio": ("portfolio", "currency", "cash", "total_value", "total_pnl", "num_positions"),
}  # fmt: skip
"""The columns of the answers that are lists of rows, by command; any other list is printed with all of its columns."""


def render(name: str, result: Any, out: Console) -> None:
    """Print the answer to a command."""
    renderer = RENDERERS.get(name)
    if renderer is not None:
        renderer(result, out)
    elif isinstance(result, list):
        print_rows(result, out, COLUMNS.get(name, ()), GIVES_WAY_OF.get(name, GIVES_WAY))
    else:
        _print_pairs(result, out)


def print_rows(
    rows: Sequence[Mapping[str, Any]], out: Console, columns: Sequence[str] = (), gives_way: Sequence[str] = GIVES_WAY
) -> None:
    """Print rows as a table, of ``columns`` or of all columns; those of ``gives_way`` may be left out."""
    if not rows:
        out.print("nothing")
        return
    names = list(columns or rows[0])
    cells = [[cell(row.get(name)) for name in names] for row in rows]
    out.print(full_table(out, names, cells, gives_way=[name for name in gives_way if name in names]))


def cell(value: Any) -> str:
    """Return a value as the text of a table's cell, on one line."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = when(value) if isinstance(value, str) and _timestamp(value) is not None else str(value)
    return shortened(one_line(text), MAX_TEXT_LENGTH)


def when(text: str) -> str:
    """Return a timestamp for a person, with its zone: the time if it is of today, else date and time."""
    at = _timestamp(text)
    if at is None:
        return text
    at = in_zone(at, zone_of(sys.stdout))
    today = SystemClock().now().astimezone(at.tzinfo).date() == at.date()
    time = f"{at:%H:%M:%S.%f}"[:-3] if today else f"{at:%Y-%m-%d %H:%M:%S}"
    return f"{time} {at:%Z}"


def _timestamp(text: str) -> datetime | None:
    if len(text) < 19 or text[10:11] != "T":
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _print_pairs(result: Any, out: Console) -> None:
    if not isinstance(result, Mapping):
        out.print(one_line(result))
        return
    width = max((len(str(name)) for name in result), default=0)
    for name, value in result.items():
        nested = isinstance(value, Mapping | list)
        text = json.dumps(value, ensure_ascii=False) if nested else cell(value)
        print_fact(out, str(name), text, label_width=width + 1)


def actor_table(out: Console, result: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Text:
    """Return the answer to ``ps`` as a table; with an earlier answer, it has the messages per second since then."""
    handled_before = {actor["actor"]: actor["handled"] for actor in before["actors"]} if before is not None else {}
    seconds = result["at"] - before["at"] if before is not None else 0.0
    columns = ["actor", "state", "doing", "mailbox", "max", "handled", "per second", "restarts"]
    lines = []
    for actor in result["actors"]:
        rate = (actor["handled"] - handled_before.get(actor["actor"], 0)) / seconds if seconds > 0 else None
        cells = [
            actor["actor"], actor["state"], doing(actor), str(actor["mailbox"]), str(actor["most"]),
            f"{actor['handled']:,}", "–" if rate is None else f"{rate:,.0f}", restarts_of(actor),
        ]  # fmt: skip
        lines.append([(text, STATES.get(actor["state"], "")) for text in cells])
    return full_table(out, columns, lines, right=columns[3:], gives_way=["max", "handled", "restarts", "per second"])


def doing(actor: Mapping[str, Any]) -> str:
    """Return the message that an actor handles, and for how long."""
    if actor["waiting_since"] is not None:
        return f"database unreachable since {when(actor['waiting_since'])}"
    if actor["doing"] is None:
        return ""
    seconds = actor["busy_for"] or 0.0
    return f"{actor['doing']} for " + (f"{seconds:.1f} s" if seconds < 60 else duration(timedelta(seconds=seconds)))


def _tree(result: Mapping[str, Any], out: Console) -> None:
    supervisor = result["supervisor"]
    restarts_left = supervisor.get("restarts_left", {})
    actors = {actor["actor"]: actor for actor in result["actors"]}
    root = Tree(
        f"Supervisor  generation {supervisor.get('generation')}, {restarts_left.get('tree', '?')} restarts left"
    )
    path = root.add("decision path  restarted together, downstream first")
    for name in ("PositionKeeper", "ExecutionSimulator", "Sizer", "DecisionWatcher"):
        path.add(_leaf(actors[name], restarts_left))
    alone = root.add("alone")
    for name in ("PriceTracker", "Snapshotter"):
        alone.add(_leaf(actors[name], restarts_left))
    out.print(root)
    if supervisor.get("restarting"):
        out.print(f"restarting soon: {', '.join(supervisor['restarting'])}", style="yellow")
    if supervisor.get("suspects"):
        suspects = ", ".join(map(str, supervisor["suspects"]))
        out.print(f"decisions on which an actor crashed once: {suspects}", style="yellow")


def _leaf(actor: Mapping[str, Any], restarts_left: Mapping[str, Any]) -> Text:
    restarts = "once" if actor["restarts"] == 1 else f"{actor['restarts']} times"
    left = restarts_left.get(actor["actor"], "?")
    by_hand = f", by hand {actor['restarted_by_hand']}" if actor.get("restarted_by_hand") else ""
    text = f"{actor['actor']}  {actor['state']}, restarted {restarts}{by_hand}, {left} left"
    return Text(text, style=STATES.get(actor["state"], ""))


def _state(result: Any, out: Console) -> None:
    if isinstance(result, Mapping | list):
        out.print(_branch("", result))
    else:
        out.print(cell(result))


def _branch(name: str, value: Any) -> Tree:
    tree = Tree(Text(name or "memory"))
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, child in itertools.islice(items, MAX_BRANCHES):
        if isinstance(child, Mapping | list) and child:
            tree.children.append(_branch(one_line(key), child))
        else:
            tree.add(Text(f"{one_line(key)}: {cell(child) if not isinstance(child, Mapping | list) else 'nothing'}"))
    if len(value) > MAX_BRANCHES:
        tree.add(f"… and {len(value) - MAX_BRANCHES} more; name a part, or use --json")
    return tree


def _inbox(result: Mapping[str, Any], out: Console) -> None:
    suspended = ", suspended" if result["suspended"] else ""
    out.print(f"{result['waiting']} waiting{suspended}; at most {result['most']} so far")
    if result["first"]:
        print_rows(result["first"], out)


def render_message(message: Mapping[str, Any], out: Console) -> None:
    """Print a traced message."""
    decisions = one_line(" ".join(f"#{id_}" for id_ in message["decisions"]))
    group = f" ×{message['group']}" if message["group"] > 1 else ""
    line = f"{when(message['at'])}  {message['actor']:<18} {message['message']:<14} {message['took'] * 1000:8.2f} ms"
    out.print(Text(f"{line}{group}  " + (decisions or one_line(message["text"])[:MAX_TEXT_LENGTH])), soft_wrap=True)


def _chain(result: Mapping[str, Any], out: Console) -> None:
    decision = result["decision"]
    style = STATUS_COLOURS.get(decision["status"], "")
    request = (
        f"{decision['decision']} {decision['symbol']}, confidence {decision['confidence']}, "
        f"portfolio {decision['portfolio']}"
    )
    out.print(Text(one_line(f"decision {decision['id']}: {request}")))
    outcome = one_line(f"{decision['status']}: {decision['outcome_reason'] or result['now'] or ''}")
    out.print(Text(f"  {outcome}", style=style), soft_wrap=True)
    out.print()
    headings = ["time", "after", "step", "event", "detail"]
    lines, before = [], 0.0
    for event in result["events"]:
        step, before = event["after"] - before, event["after"]
        times = when(event["at"]), f"{event['after'] * 1000:,.1f} ms", f"{step * 1000:+,.1f} ms"
        lines.append([*times, event["what"], event["detail"]])
    out.print(full_table(out, headings, lines, right=["after", "step"], gives_way=["after", "step"]))
    for title, names in (
        ("orders", ("order_id", "leg", "side", "order_type", "quantity", "status", "average_fill_price", "commission")),
        ("fills", ("fill_no", "quantity", "price", "base_price", "price_source", "commission", "cash_delta")),
        ("positions", ("position_id", "side", "quantity", "cost", "current_price", "position_value", "unrealized_pnl")),
        ("trades", ("exit_time", "quantity", "entry_price", "exit_price", "realized_pnl", "commission", "net_pnl")),
        ("failures", ("reference", "at", "kind", "actor", "message", "error")),
        ("retries", ("id", "created_at", "status")),
    ):
        if result[title]:
            out.print(f"\n{title}", style="bold")
            print_rows(result[title], out, names)
    if result["fills"] and result["trades"]:
        out.print(f"\n{glossary(FILL, TRADE, ROUND_TRIP)}", style="dim", soft_wrap=True)
    if result["messages"]:
        out.print("\ntraced messages", style="bold")
        for message in result["messages"]:
            render_message(message, out)


def _explain(result: Mapping[str, Any], out: Console) -> None:
    for line in result["lines"]:
        out.print(Text(escape_control(local_times(line))), soft_wrap=True)


def _status(result: Mapping[str, Any], out: Console) -> None:
    problems = [one_line(problem.text) for problem in problems_of_process(result, prices_needed=False)]
    for text in problems:
        out.print(text, style="bold red", soft_wrap=True)
    if not problems:
        out.print("nothing is wrong with this process", style="green")
    if result["quarantined"]:
        print_fact(out, "quarantine", f"{result['quarantined']}; quarantine lists them", "yellow")
    if (free := result.get("free_bytes")) is not None:  # missing in the answer of an earlier version
        print_fact(out, "disk", f"{size(free)} free under home")
    print_process(result, out)


def _prices(result: Mapping[str, Any], out: Console) -> None:
    now = datetime.fromisoformat(result["now"])
    source = result["source"]
    out.print(one_line(f"source {source.get('source', '?')}") + (", which has ended" if source.get("ended") else ""))
    described, nothing = result["source"].get("quotes") or {}, ("–", "–", "", "")
    lines = [
        [
            symbol,
            quote["price"],
            f"{(now - datetime.fromisoformat(quote['seen_at'])).total_seconds():.1f} s",
            *(quote_cells(described[symbol])[1:] if symbol in described else nothing),
        ]
        for symbol, quote in sorted(result["quotes"].items())
    ]
    out.print(full_table(out, ["symbol", "price", *QUOTE_COLUMNS], lines, right=["price", *QUOTE_COLUMNS[:3]]))


def _audit(result: Mapping[str, Any], out: Console) -> None:
    if result["memory"] is None:
        out.print("cannot compare memory: the PositionKeeper is busy, or the database is unreachable", style="yellow")
    for difference in [*(result["memory"] or []), *result["books"]]:
        out.print(Text(one_line(difference), style="bold red"), soft_wrap=True)
    if result["sound"]:
        out.print("memory equals the database, and the books balance", style="green")


def _dead(result: Mapping[str, Any], out: Console) -> None:
    out.print(f"{result['count']} dead letters")
    if result["last"]:
        print_rows(result["last"], out)


RENDERERS: Mapping[str, Callable[[Any, Console], None]] = {
    "ps": lambda result, out: out.print(actor_table(out, result)),
    "tree": _tree,
    "state": _state,
    "inbox": _inbox,
    "chain": _chain,
    "explain": _explain,
    "status": _status,
    "stack": lambda result, out: out.print(Text(result["stack"].rstrip()), soft_wrap=True),
    "prices": _prices,
    "audit": _audit,
    "dead": _dead,
}
