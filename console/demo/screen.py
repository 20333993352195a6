"""Output of the demo: a line for each decision, equity at intervals, and a progress bar in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from actors.system import TradingSystem
from console.display.format import NO_PROOF, amount, fill, percent, price, signed, terminal
from console.display.style import STATUS_COLOURS
from console.display.table import cut, full_table
from console.display.terms import FILL, ROUND_TRIP, TRADE, glossary
from domain.program import command_name
from domain.types import OrderStatus, OrderType, OutcomeStatus

_LINE = "{:>5} {:>4} {:<9} {:<4} {:<9} {:>10} {:<8} "


class Screen:
    """A screen of scrolling lines; in a terminal, a progress bar stays below them.

    Args:
        seconds: duration of the demo.
        stderr: whether to print to stderr, because stdout is for a document.
    """

    def __init__(self, seconds: float, *, stderr: bool) -> None:
        self._out = terminal(stderr=stderr)
        self._progress = Progress(
            BarColumn(None),
            TextColumn("{task.completed:>2.0f} of {task.total:.0f} s  {task.fields[message]}", markup=False),
            console=self._out,
            transient=True,
            disable=not self._out.is_terminal,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=max(seconds, 0.001), message="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def title(self, seed: int) -> None:
        """Print what the demo is."""
        self.line(f"Paper trading demo: five simulated markets, seed {seed}, an hour a second.")
        self.line(f"Simulated prices: {NO_PROOF}.")
        self.line("")

    def heading(self, system: TradingSystem) -> None:
        """Print the database and the heading of the lines of decisions."""
        self.line(f"Embedded {system.facts.server}.")
        self.line("An agent inserts decisions by SQL; Ctrl-C ends it early.")
        self.line("")
        names = "time", "id", "portfolio", "side", "symbol", "confidence", "status"
        self._print(Text(_LINE.format(*names) + "reason", style="bold"))

    def ended(self, elapsed: float, row: Mapping[str, Any]) -> None:
        """Print a decision and its outcome."""
        confidence, status = f"{row['confidence'] * 100:.0f}%", row["status"]
        facts = row["portfolio"], row["decision"], row["symbol"], confidence, status
        head = _LINE.format(f"{elapsed:.1f}", f"#{row['id']}", *facts)
        texts = _texts(row)
        text = Text(head + self._fitting(texts, len(head)))
        begin = head.rindex(status)
        text.stylize(STATUS_COLOURS.get(status, ""), begin, begin + len(status))
        self._print(text)

    def exit_filled(self, elapsed: float, row: Mapping[str, Any]) -> None:
        """Print a stop or a target that was filled; it belongs to the decision whose BUY it protected."""
        facts = row["portfolio"], row["side"], row["symbol"], exit_name(row), OrderStatus.FILLED
        head = _LINE.format(f"{elapsed:.1f}", f"#{row['id']}", *facts)
        self._print(Text(head + self._fitting(_fill_texts(row), len(head))))

    def equity(self, elapsed: float, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print the current value of each portfolio."""
        values = "   ".join(
            f"{row['portfolio']} {amount(row['total_value'])} {percent(row['total_pnl_pct'])}" for row in rows
        )
        self._print(Text(f"{elapsed:>5.1f}      equity   {values}", style="bold"))

    def progress(self, elapsed: float, message: str) -> None:
        """Move the progress bar.

        Raises:
            Stop: the user ends the demo.
        """
        self._progress.update(self._task, completed=elapsed, message=message, refresh=True)

    def summary(self, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], place: str) -> None:
        """Print the table of portfolios and the ledger check."""
        counted = result["decisions"]
        self.line("")
        outcomes = ", ".join(f"{number_of} {status}" for status, number_of in counted.items())
        self.line(f"{sum(counted.values())} decisions: {outcomes}; {result['fills']} fills, {result['trades']} trades.")
        self.line("")
        columns = ["portfolio", "cash", "positions", "value", "result", "result %", "round trips", "won", "commission"]
        cells = [
            (
                row["portfolio"], amount(row["cash"]), str(row["num_positions"]), amount(row["total_value"]),
                signed(row["total_pnl"]), percent(row["total_pnl_pct"]), str(row["total_trades"]),
                str(row["winning_trades"]), amount(row["total_commission"]),
            )
            for row in rows
        ]  # fmt: skip
        gives_way = ["commission", "won", "round trips", "cash"]
        self._out.print(full_table(self._out, columns, cells, right=columns[1:], gives_way=gives_way))
        self.line("")
        self.line(glossary(FILL, TRADE, ROUND_TRIP), "dim", soft=True)
        if result["ledger_ok"]:
            self.line(
                "Ledger check: the books balance; each decision has one outcome, or an order that rests.", "green"
            )
        else:
            self.line(f"Ledger check: {'; '.join(result['ledger_differences']) or 'decisions without outcome'}", "red")
        self.line(f"Simulated prices: {NO_PROOF}.")
        self.line(f"The database stays: {command_name()} trades --home {place} lists its trades.", soft=True)

    def line(self, text: str, style: str = "", *, soft: bool = False) -> None:
        """Print a line."""
        self._out.print(Text(text, style=style), soft_wrap=soft)

    def _fitting(self, texts: Sequence[str], before: int) -> str:
        """Return the first text that fits the line; where none does, the last one up to its colon."""
        free = self._out.width - before
        return next((text for text in texts if len(text) <= free), texts[-1].partition(":")[0])

    def _print(self, text: Text) -> None:
        text.no_wrap = True
        self._out.print(cut(text, self._out.width))


def exit_name(row: Mapping[str, Any]) -> str:
    """Return what an exit is: ``stop`` or ``target``."""
    return "target" if row["order_type"] == OrderType.LIMIT else "stop"


def _texts(row: Mapping[str, Any]) -> list[str]:
    """Return what became of a decision as text, and as a shorter text."""
    reason = row["outcome_reason"] or ""
    if row["status"] == OutcomeStatus.OPEN:
        order = reason.removeprefix("open: ")
        return [order, order.rpartition(", ")[2]]  # the shorter one is its price
    if row["side"] is None:
        return [reason]
    exits = [f"{name} {price(row[name])}" for name in ("stop", "target") if row[name] is not None]
    texts = _fill_texts(row)
    return [", ".join([texts[0], *exits]), *texts]


def _fill_texts(row: Mapping[str, Any]) -> list[str]:
    """Return a fill as text, and as a shorter text."""
    text = fill(row["quantity"], row["price"])
    if row["net_pnl"] is None:
        return [text]
    net = signed(row["net_pnl"])
    return [f"{text} net {net}", f"{text} {net}"]
