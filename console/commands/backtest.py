"""``run.py backtest``: executes a strategy, or decisions of a file, at recorded prices, and reports what came of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.runtime.timer import SystemClock
from actors.settings import Settings
from console.cli import wrong_usage
from console.completion import portfolio_names
from console.database import opened as open_database
from console.display.format import amount, answer, size, terminal
from console.options import AsJson, with_settings
from console.report import files
from console.report.json_document import report_to_dict
from console.report.period import period
from console.report.terminal.page import print_reports
from domain.analytics.report import Report
from domain.errors import InvalidRequest
from domain.files.private_files import make_home
from domain.trading.portfolio import PortfolioRules
from domain.types import DEFAULT_PORTFOLIO
from domain.wording import counted, one_line, quoted
from persistence.queries.research.decisions import read_decisions
from research.backtest.backtest import BacktestRequest, BacktestResult, backtest, find_look_ahead
from research.backtest.report import backtest_report
from research.columns.bar_columns import EPOCH, time_of
from research.errors import LookAheadFound
from research.loading import is_strategy, load_strategy, new_strategy
from research.market_data import MarketRequest, OpenedMarket, open_market
from research.portfolio_rules import RULES, portfolio_rules, read_rules
from research.strategy import Strategy
from research.tape import DecisionTape, read_tape, tape_of_rows

FOLDER = "backtests"
"""Folder of the kept backtests in home."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MICROSECOND = timedelta(microseconds=1)
FILLS = {"open": False, "close": True}

Subject = Annotated[
    str | None,
    typer.Argument(
        metavar="STRATEGY|DECISIONS",
        help="module:Class or a file.py of a strategy; or a CSV or Parquet file of decisions.",
    ),
]
Files = Annotated[
    list[str] | None, typer.Argument(metavar="[FILE]...", help="Files of prices, as history import reads them.")
]
History = Annotated[bool, typer.Option("--history", help="Use the program's own history; so without any FILE.")]
Symbols = Annotated[
    str | None, typer.Option("--symbols", metavar="S,S", help="Only these symbols, with commas between them.")
]
TimeframeName = Annotated[
    str | None, typer.Option("--timeframe", metavar="T", help="The length of the bars, such as 1h [the shortest].")
]
Since = Annotated[
    str | None,
    typer.Option("--from", metavar="DAY", help="Start, a day or a time (UTC); earlier bars warm the strategy up."),
]
Until = Annotated[str | None, typer.Option("--to", metavar="DAY", help="End, a day (inclusive) or a time.")]
Parameter = Annotated[
    list[str] | None, typer.Option("--param", metavar="K=V", help="A parameter of the strategy; may be repeated.")
]
RulesFile = Annotated[
    str | None,
    typer.Option("--portfolio-rules", metavar="FILE", help="Capital, costs and limits (TOML) [those of the settings]."),
]
HtmlFile = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="Write the report as one self-contained page.")
]
Save = Annotated[
    str | None,
    typer.Option("--save", metavar="NAME", help="Keep page, JSON, fills, trades and values in home/backtests/NAME."),
]
FillAt = Annotated[
    str,
    typer.Option("--fill-at", metavar="open|close", help="Execute a decision at the next open [open] or its close."),
]
FromPortfolio = Annotated[
    str | None,
    typer.Option(
        "--from-portfolio",
        metavar="P",
        help="Execute the decisions of this portfolio of the database, by its rules; then all arguments are FILEs.",
        autocompletion=portfolio_names,
    ),
]
CheckLookahead = Annotated[
    bool,
    typer.Option("--check-lookahead", help="Run on truncated histories, too; exit 1 if the decisions differ."),
]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the result goes."""

    html: Path | None
    save: Path | None
    as_json: bool
    now: datetime


@with_settings
def backtest_command(
    settings: Settings,
    subject: Subject = None,
    prices: Files = None,
    history: History = False,
    symbols: Symbols = None,
    timeframe: TimeframeName = None,
    exchange: Annotated[
        str | None,
        typer.Option("--exchange", metavar="E", help="Take this one where the history has a symbol from several."),
    ] = None,
    since: Since = None,
    until: Until = None,
    parameter: Parameter = None,
    rules_file: RulesFile = None,
    html: HtmlFile = None,
    save: Save = None,
    fill_at: FillAt = "open",
    check_lookahead: CheckLookahead = False,
    from_portfolio: FromPortfolio = None,
    as_json: AsJson = False,
) -> None:
    r"""Execute a strategy, or decisions of a file, at recorded prices, by the rules of the live system.

    \b
      run.py backtest research.examples.crossover:MovingAverageCrossover \
        prices.csv --param fast=10
      run.py backtest my_strategy.py --history --symbols BTC/USDT \
        --timeframe 1h --from 2025-01-01
      run.py backtest decisions.csv prices.csv --html report.html
      run.py backtest --from-portfolio default --history

    A decision at the close of a bar is executed at the next open. The report is that of run.py report; a backtest is
    marked as such and never ready for real money by itself. docs/research.md tells how to write a strategy.
    """
    now = SystemClock().now()
    begin, end = period(since, until, now)
    outputs = _outputs(settings, html, save, as_json, now)
    if fill_at not in FILLS:
        raise InvalidRequest(f"--fill-at {quoted(fill_at)}: must be open or close")
    if from_portfolio is not None:  # then the first argument is no strategy, but the first file of prices
        subject, prices = None, [*([] if subject is None else [subject]), *(prices or [])]
    if history and prices:
        raise InvalidRequest(f"--history and {quoted(prices[0])} are two sources of prices; name one of them")
    tested, rules = _tested(settings, subject, from_portfolio, parameter or [], rules_file)
    chosen = chosen_symbols(symbols)
    read_at = time.perf_counter()
    wanted = MarketRequest(
        prices or (), settings.home, now, chosen, timeframe, exchange or settings.exchange, end, settings.quote_currency
    )
    opened = open_market(wanted)
    reading = time.perf_counter() - read_at
    request = BacktestRequest(
        tested, opened.market, rules, first_moment(opened, begin, since),
        frozenset(settings.same_currency), FILLS[fill_at],
    )  # fmt: skip
    result = backtest(request)
    if check_lookahead:
        _check(request, subject or str(from_portfolio))
        terminal(stderr=True).print("no look-ahead: on histories that end earlier it decides the same", style="dim")
    _answer(result, opened, outputs, reading)


def _tested(
    settings: Settings, subject: str | None, portfolio: str | None, parameters: Sequence[str], rules_file: str | None
) -> tuple[Callable[[], Strategy[Any]] | DecisionTape, PortfolioRules]:
    """Return what is tested, and by which rules: decisions of a portfolio by its own, unless a file has some."""
    if portfolio is None:
        if subject is None:
            raise wrong_usage("Missing argument 'STRATEGY|DECISIONS', or --from-portfolio", "backtest")
        return _subject(subject, parameters), _rules(settings, rules_file)
    if parameters:
        raise InvalidRequest(f"--param {quoted(parameters[0])}: decisions of a portfolio have none")
    with open_database(settings) as url:
        stored = read_decisions(url, portfolio)
    tape = tape_of_rows(f"decisions of portfolio {portfolio}", stored.rows)
    return tape, replace(stored.state.rules, halted=None) if rules_file is None else _rules(settings, rules_file)


def _subject(name: str, parameters: Sequence[str]) -> Callable[[], Strategy[Any]] | DecisionTape:
    """Return what is tested: what makes a strategy, or the tape of a file."""
    if not is_strategy(name):
        if parameters:
            raise InvalidRequest(f"--param {quoted(parameters[0])}: {name} is a file of decisions, which has none")
        return read_tape(Path(name).expanduser())
    kind = load_strategy(name)
    new_strategy(kind, parameters)  # what is wrong is known before the prices are read
    return lambda: new_strategy(kind, parameters)


def chosen_symbols(text: str | None) -> tuple[str, ...] | None:
    """Return the symbols that ``--symbols`` names; None: all."""
    chosen = None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())
    if chosen == ():
        raise InvalidRequest("--symbols is empty: name a symbol, such as BTC/USDT")
    return chosen


def _rules(settings: Settings, file: str | None) -> PortfolioRules:
    return portfolio_rules(DEFAULT_PORTFOLIO, rule_values(settings, file))


def rule_values(settings: Settings, file: str | None) -> dict[str, Any]:
    """Return the rules of the portfolio; what the file leaves out is that of the settings."""
    stated: Mapping[str, Any] = {} if file is None else read_rules(Path(file).expanduser())
    values = settings.new_portfolio({
        name: Decimal(value) if type(value) is int else value for name, value in stated.items()
    })  # fmt: skip
    return {name: values[name] for name in RULES if name in values}


def first_moment(opened: OpenedMarket, begin: datetime | None, text: str | None) -> int:
    """Return the first moment of the test, in microseconds since 1970."""
    market = opened.market
    first = market.origin if begin is None else max((begin - EPOCH) // MICROSECOND, market.origin)
    if first >= market.end:
        raise InvalidRequest(f"--from {text}: the prices end at {time_of(market.end):%Y-%m-%d %H:%M} UTC")
    return first


def _outputs(settings: Settings, html: str | None, name: str | None, as_json: bool, now: datetime) -> Outputs:
    """Refuse places that cannot be written before the slow part begins."""
    page = None
    if html is not None:
        if html == "":
            raise InvalidRequest("--html is empty: name a file")
        page = Path(html).expanduser()
        files.require_writable_file(page)
    folder = None
    if name is not None:
        if not NAME.fullmatch(name):
            raise InvalidRequest(f"--save {quoted(name)}: must be letters, digits, dots, - and _, such as dip-2")
        folder = settings.home / FOLDER / name
        if folder.exists():
            raise InvalidRequest(f"--save {name}: {folder} exists already; choose another name, or remove it")
        try:
            make_home(settings.home)
            folder.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise InvalidRequest(f"--save {name}: cannot create {folder.parent}: {error.strerror}") from error
    return Outputs(page, folder, as_json, now)


def _check(request: BacktestRequest, subject: str) -> None:
    """Run again without later prices.

    Raises:
        LookAheadFound: the decisions differ.
    """
    if isinstance(request.subject, DecisionTape):
        raise InvalidRequest(f"--check-lookahead is for strategies; {subject} is a file of decisions")
    difference = find_look_ahead(request)
    if difference is not None:
        raise LookAheadFound(difference.sentence)


def _answer(result: BacktestResult, opened: OpenedMarket, outputs: Outputs, reading_s: float) -> None:
    report = backtest_report(result)
    document = _document(result, report, opened, outputs.now, reading_s)
    written: list[dict[str, Any]] = []
    if outputs.html is not None:
        from console.report.html.page import page  # noqa: PLC0415 - its template engine takes time to load

        text = page([report], {}, made_at=outputs.now)
        written.append({"file": str(outputs.html), "bytes": files.write_atomically(outputs.html, text)})
    if outputs.save is not None:
        from console.report.backtest_files import save  # noqa: PLC0415

        save(outputs.save, report, document, result.records, outputs.now)
        written += [{"file": str(file), "bytes": file.stat().st_size} for file in sorted(outputs.save.iterdir())]
    if written:
        document["written"] = written
    answer(outputs.as_json, document, lambda: _print(result, report, opened, written, reading_s))


def _document(
    result: BacktestResult, report: Report, opened: OpenedMarket, now: datetime, reading_s: float
) -> dict[str, Any]:
    market = opened.market
    return {
        "made_at": now,
        "backtest": {
            "name": result.name,
            "symbols": [one.symbol for one in market.columns],
            "since": time_of(result.request.begin),
            "until": time_of(market.end),
            "fill_at": "close" if result.request.fill_at_close else "open",
            "bars": result.bars,
            "looks": result.looks,
            "decisions": len(result.records.confidences),
            "fills": len(result.records.fills),
            "seconds": result.seconds,
            "reading_seconds": reading_s,
            "notes": [*opened.notes, *result.notes],
            "refused": result.records.sentences,
        },
        "portfolios": [report_to_dict(report, None)],
    }


def _print(
    result: BacktestResult,
    report: Report,
    opened: OpenedMarket,
    written: Sequence[Mapping[str, Any]],
    reading_s: float,
) -> None:
    out, err = terminal(), terminal(stderr=True)
    for note in (*opened.notes, *result.notes):
        err.print(one_line(note), style="dim", soft_wrap=True)
    rate = result.bars / result.seconds if result.seconds else 0
    decisions, fills = len(result.records.confidences), len(result.records.fills)
    err.print(
        f"{counted(result.bars, 'bar')} in {result.seconds:.2f} s ({rate:,.0f} bars/s; reading {reading_s:.2f} s),"
        f" {counted(decisions, 'decision')}, {counted(fills, 'fill')}",
        style="dim",
        soft_wrap=True,
    )
    for reason, sentence in result.records.sentences.items():
        err.print(one_line(f"not executed, {reason}: for example {sentence}"), style="dim", soft_wrap=True)
    for entry in written:
        out.print(f"{entry['file']}: {size(entry['bytes'])}", soft_wrap=True)
    if not written:
        print_reports([report], {}, out, now=report.until, ends=None)
    else:
        value = f"{amount(report.closing, 2)} {report.currency}"
        out.print(one_line(f"{report.origin}: {result.name}, value {value}"), soft_wrap=True)
