"""The result of a sweep in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from console.display.format import NO_PROOF
from console.display.style import BAD, DOUBT, GOOD, gain
from console.display.table import Cell, Column, line, table_lines
from console.display.wrapping import wrap
from console.report.terminal.charts import wrapped
from console.report.terminal.page import width_of
from console.sweep.heat import SweepMap
from console.sweep.outcome import ORIGIN, SweepOutcome
from domain.analytics.returns import DAY
from domain.sweeps.parameters import Parameters, parameters_text, value_text
from domain.wording import counted, escape_control
from research.statistics.samples import FoldRow

MARKS = {True: ("✓", GOOD), False: ("✗", BAD), None: ("–", DOUBT)}
CELL_COLUMNS = 8
"""Width of a cell of a heat map, with the gap before it."""
MAX_ROWS = 16
MAX_MAPS = 3
MAX_TRIALS = 8


def print_outcome(outcome: SweepOutcome, out: Console) -> None:
    """Print the result of a sweep."""
    width = width_of(out)
    for text in outcome_lines(outcome, width):
        for part in wrap(text, width):
            part.no_wrap = True
            out.print(part)


def outcome_lines(outcome: SweepOutcome, width: int) -> Iterator[Text]:
    """Yield the lines of a result.

    Args:
        outcome: of the sweep.
        width: characters.
    """
    yield from _head(outcome, width)
    yield from _section("Verdict", _verdict(outcome, width), width)
    yield from _section("In-sample against out-of-sample", table_lines(_folds(outcome), width, "dim"), width)
    yield from _section("Best trials", table_lines(_best(outcome), width, "dim"), width)
    yield from _section("Neighbourhood of the best", _neighbours(outcome, width), width)
    for one in _maps(outcome, width):
        over = f"{one.x} (across) and {one.y} (down)" if one.y else one.x
        title = f"Median {outcome.table.objective} out-of-sample over {escape_control(over)}"
        yield from _section(title, map_lines(one), width)


def _maps(outcome: SweepOutcome, width: int) -> list[SweepMap]:
    """Return the heat maps, with so few columns that they fit."""
    for most in range(max(width // CELL_COLUMNS, 1), 0, -1):
        maps = outcome.maps(most, MAX_ROWS, MAX_MAPS)
        if all(text.cell_len <= width for one in maps for text in map_lines(one)):
            return maps
    return []


def _section(title: str, lines: Sequence[Text], width: int) -> Iterator[Text]:
    yield line()
    yield from wrapped(title, width, "bold")
    yield from lines


def _head(outcome: SweepOutcome, width: int) -> Iterator[Text]:
    name = f"Sweep: {escape_control(outcome.strategy)}"
    span = f"{outcome.span.begin:%Y-%m-%d} to {outcome.span.end:%Y-%m-%d} UTC"
    gap = width - cell_len(name) - cell_len(span)
    if gap >= 2:
        yield line((name, "bold"), " " * gap, span)
    else:
        yield line((name, "bold"))
        yield line(span)
    yield line("━" * width)
    yield from wrapped(f"{ORIGIN}: {NO_PROOF}, and by themselves they are never ready for real money", width, DOUBT)
    plan = outcome.sweep.plan
    symbols = escape_control(", ".join(outcome.prices.symbols))
    yield from wrapped(
        f"{counted(outcome.verdict.attempts, 'trial')} ({plan.sampler}) over "
        f"{escape_control(', '.join(outcome.parameters))}; {counted(len(plan.folds), 'fold')} of {symbols}; objective "
        f"{plan.objective}, seed {plan.seed}",
        width,
        "dim",
    )


def _verdict(outcome: SweepOutcome, width: int) -> list[Text]:
    verdict = outcome.verdict
    text, style = ("The sweep passes.", GOOD) if verdict.passed else ("The sweep does not pass.", BAD)
    lines = [line((text, f"bold {style}"))]
    for one in verdict.criteria:
        sign, colour = MARKS[one.passed]
        first, *others = wrap(Text(f"  {sentence(one.sentence)}"), width)
        lines += [line((sign, colour), first.plain[1:]), *others]
    for note in verdict.notes:
        lines += wrapped(sentence(note), width, "dim")
    return lines


def sentence(text: str) -> str:
    """Return a clause as a sentence of its own."""
    clean = escape_control(text)
    return f"{clean[:1].upper()}{clean[1:]}."


def _folds(outcome: SweepOutcome) -> list[Column]:
    rows, folds = outcome.verdict.folds, outcome.sweep.plan.folds

    def numbers(name: str, cells: Sequence[Cell], gives_way: int = 0) -> Column:
        return Column(name, cells, right=True, gives_way=gives_way)

    def correlation(row: FoldRow) -> str:
        return "–" if row.correlation is None else f"{row.correlation:+.2f}"

    return [
        numbers("fold", [str(row.fold) for row in rows]),
        Column(
            "test days", [f"{one.test.begin:%Y-%m-%d} to {one.test.end - DAY:%Y-%m-%d}" for one in folds], gives_way=2
        ),
        numbers("best trial", [str(row.trial) for row in rows]),
        numbers("in-sample", [score_cell(row.in_sample) for row in rows]),
        numbers("out-of-sample", [score_cell(row.out_of_sample) for row in rows]),
        numbers("rank", [f"{row.rank:g} of {row.trials}" for row in rows]),
        numbers("median", [score_cell(row.median) for row in rows], 1),
        numbers("correlation", [correlation(row) for row in rows], 3),
    ]


def _best(outcome: SweepOutcome) -> list[Column]:
    rows = outcome.trial_rows()[:MAX_TRIALS]
    return [
        Column("trial", [str(row["trial"]) for row in rows], right=True),
        *_parameter_columns(outcome.parameters, [row["parameters"] for row in rows]),
        Column(outcome.table.objective, [score_cell(row["score"]) for row in rows], right=True),
        Column("cluster", [str(row["cluster"]) for row in rows], right=True, gives_way=1),
    ]


def _parameter_columns(names: Sequence[str], several: Sequence[Parameters]) -> list[Column]:
    if len(names) > MAX_TRIALS:
        return [Column("parameters", [parameters_text(one) for one in several])]
    return [Column(name, [value_text(one[name]) for one in several], right=True) for name in names]


def _neighbours(outcome: SweepOutcome, width: int) -> list[Text]:
    beside, objective = outcome.verdict.neighbourhood, outcome.table.objective
    if beside.mean is None:
        return wrapped("No other trial has a result.", width, "dim")
    kind = "one step of one parameter away" if beside.by_steps else "nearest to it"
    share = "" if beside.share is None or beside.share < 0 else f", {beside.share * 100:.0f} % of it"
    lines = wrapped(
        f"The best has a {objective} of {beside.score:.2f}; the {counted(len(beside.neighbours), 'trial')} {kind} have "
        f"{beside.mean:.2f} on average{share}.",
        width,
    )
    columns = [
        Column("trial", [str(one.trial) for one in beside.neighbours], right=True),
        *_parameter_columns(outcome.parameters, [one.parameters for one in beside.neighbours]),
        Column(objective, [score_cell(one.score) for one in beside.neighbours], right=True),
    ]
    return [*lines, *table_lines(columns, width, "dim")]


def score_cell(value: float) -> Cell:
    """Return an objective as a cell of a table."""
    return f"{value:.2f}", gain(Decimal(value))


def map_lines(drawn: SweepMap) -> list[Text]:
    """Return a heat map as numbers; that of the best trial's cell has an asterisk."""
    wide = max(CELL_COLUMNS, *(cell_len(name) + 1 for name in drawn.columns))
    label = max(*(cell_len(name) for name in drawn.rows), cell_len(drawn.y), 1)
    heading = line((f"{escape_control(drawn.y):>{label}}", "dim"))
    for name in drawn.columns:
        heading.append(f"{escape_control(name):>{wide}}", style="dim")
    lines = [heading]
    for number, (name, cells) in enumerate(zip(drawn.rows, drawn.cells, strict=True)):
        row = line((f"{escape_control(name):>{label}}", "dim"))
        for column, cell in enumerate(cells):
            is_best = (number, column) == drawn.best
            text = "·" if cell is None else f"{'*' if is_best else ''}{cell:.2f}"
            style = "dim" if cell is None else f"{'bold ' if is_best else ''}{gain(Decimal(cell))}".strip()
            row.append(f"{text:>{wide}}", style=style)
        lines.append(row)
    return lines
