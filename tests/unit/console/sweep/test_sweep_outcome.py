"""The result of a sweep on screens of several widths, its heat maps, and its progress."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from console.sweep.document import sweep_document
from console.sweep.outcome import PricesUsed, SweepOutcome
from console.sweep.page import sweep_page
from console.sweep.progress import Bar, Lines
from console.sweep.running import EndedRun
from console.sweep.terminal import outcome_lines
from domain.sweeps.trial import Sweep, Trial, TrialScores, TrialState
from research.sweeps.runner import Progress
from tests.support.sweeps.evaluations import coin
from tests.support.sweeps.plans import BEGUN, rows_of, sweep_of

GRID = ("n=1:6", "m=10:100:10")


def done(sweep: Sweep, row: Trial) -> Trial:
    result = coin(row.parameters, sweep.plan.folds[row.fold - 1], row.seed)
    mean = sum(result.in_sample) / len(result.in_sample)
    scores = TrialScores(mean, mean / 2, tuple(result.out_of_sample))
    return replace(row, state=TrialState.DONE, scores=scores)


def outcome(space: Sequence[str] = GRID, *, failing: bool = False, **options: Any) -> SweepOutcome:
    sweep = sweep_of(space=space, strategy="dip.py:Dip", fill_at_close=False, folds=3, history=160, **options)
    rows = [done(sweep, row) for row in rows_of(sweep)]
    if failing:
        rows[0] = replace(rows[0], state=TrialState.FAILED, scores=None, error="n=1: Dip raised")
    used = PricesUsed(["BTC/USDT"], 3_840, ["a note on prices"], 0.1)
    return SweepOutcome.of(sweep, used, EndedRun(rows, len(rows), 1.5, 0, None), BEGUN)


def text(one: SweepOutcome, width: int) -> list[str]:
    return [line.plain for line in outcome_lines(one, width)]


@pytest.mark.parametrize("width", [45, 80, 120])
@pytest.mark.parametrize("space", [GRID, ("n=1:3",), ("side=long,both", "n=1:3", "ratio=0.1:0.3:0.1"), ("n=1",)])
def test_the_result_fits_the_terminal(space: Sequence[str], width: int) -> None:
    lines = text(outcome(space), width)
    assert [] == [line for line in lines if len(line) > width]
    assert "Sweep: dip.py:Dip" in lines[0]
    assert any(line.startswith("The sweep ") for line in lines)


def test_the_verdict_is_in_sentences_with_a_mark() -> None:
    lines = text(outcome(), 120)
    at = lines.index("Verdict")
    assert "The sweep does not pass." == lines[at + 1]
    marks = [line[0] for line in lines[at + 2 :] if re.match(r"[✓✗–] [A-Z]", line)]
    assert 3 == len(marks)
    assert any("60 trials, in " in line for line in lines)


def test_the_heat_map_has_each_value_where_it_fits_and_groups_of_them_where_not() -> None:
    wide, narrow = ("\n".join(text(outcome(), width)) for width in (120, 80))
    assert re.search(r"^n +10 +20 +30 +40 +50 +60 +70 +80 +90 +100$", wide, re.MULTILINE)
    assert re.search(r"^n +10…20 +30…40 +50…60 +70…80 +90…100$", narrow, re.MULTILINE)
    assert 1 == wide.count("*")


def test_maps_are_those_of_the_pairs_that_vary() -> None:
    one = outcome(("side=long,both", "n=1:3", "ratio=0.1:0.3:0.1", "fixed=7"))
    maps = one.maps(10, 10, 9)
    assert [("n", "side"), ("ratio", "side"), ("ratio", "n")] == [(one.x, one.y) for one in maps]
    assert 2 == len(one.maps(10, 10, 2))
    (single,) = outcome(("n=1:9", "fixed=7")).maps(3, 10, 9)
    assert ("n", "", ("1…3", "4…6", "7…9"), ("",)) == (single.x, single.y, single.columns, single.rows)
    assert [] == outcome(("n=1",)).maps(3, 3, 3)


def test_the_best_trial_is_in_the_marked_cell() -> None:
    one = outcome()
    (drawn,) = one.maps(20, 20, 1)
    row, column = drawn.best
    parameters = one.verdict.parameters
    assert (str(parameters["m"]), str(parameters["n"])) == (drawn.columns[column], drawn.rows[row])
    assert one.verdict.score == pytest.approx(drawn.cells[row][column])
    assert drawn.largest == max(abs(cell) for cells in drawn.cells for cell in cells if cell is not None)


def test_what_failed_is_a_note_and_an_attempt() -> None:
    one = outcome(failing=True)
    assert ["a note on prices", "1 run failed; the first, trial 1 on fold 1: n=1: Dip raised"] == one.notes
    made: Mapping[str, Any] = sweep_document(one, None)
    assert (60, 59, "database") == (made["run"]["trials"], len(made["trials"]), made["sweep"]["store"])
    assert [{"trial": 1, "fold": 1, "parameters": {"n": "1", "m": "10"}, "error": "n=1: Dip raised"}] == made[
        "failures"
    ]
    assert made["overfitting"]["splits"] > 0


def test_the_page_escapes_names_and_has_all_trials() -> None:
    hostile = replace(outcome(), prices=PricesUsed(["<script>alert(1)</script>"], 1, [], 0.0))
    page = sweep_page(hostile)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert 60 + 6 + 10 <= page.count("<tr>")
    assert ">40</data> more trials" in page


def test_progress_is_a_line_at_each_tenth() -> None:
    stream = StringIO()
    times = iter([0.0, 20.0, 30.0, 40.0])
    lines = Lines(Console(file=stream, width=200), lambda: next(times))
    for ended in (2, 3, 4, 5, 5, 19, 20):
        lines.show(Progress(ended, 20, 1))
    lines.close()
    assert 2 == len(stream.getvalue().splitlines()), stream.getvalue()
    assert stream.getvalue().startswith("4 of 20 runs, 1 of them failed, about 2 min 40 s left")


def test_progress_is_a_bar_on_a_terminal_that_disappears() -> None:
    stream = StringIO()
    view = Bar(Console(file=stream, width=80, force_terminal=True))
    view.show(Progress(3, 20, 0))
    view.show(Progress(5, 20, 1))
    view.close()
    assert "5 of 20 (1 failed)" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")
