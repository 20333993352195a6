"""``run.py sweep``: its result, its going on after a kill and a stop, and one sentence for each mistake."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from console.commands import sweep as command
from domain.sweeps.trial import Sweep, Trial, TrialState
from persistence.stores.sweeps.file_trials import FileTrials
from research.sweeps import samplers
from research.sweeps.backtest_trial import Workplace
from research.sweeps.preparation import prepared
from research.sweeps.workers import LocatedWorkers, Workers
from tests.support.sweeps.in_place import InPlaceWorkers
from tests.support.sweeps.price_files import CROSSOVER, PRICES, SWEEP, candles

ROOT = Path(__file__).parents[4]
Run = Callable[..., tuple[int, str, str]]
GRID = SWEEP[2:]
RAISING = """
from research.strategy import Intent, Parameters, Strategy

class RaisingParameters(Parameters):
    n: int = 1

class Raising(Strategy[RaisingParameters]):
    def on_bar(self, bar, view):
        if self.parameters.n < LIMIT:
            raise ZeroDivisionError("no volume")
        return None if view.position() else Intent.buy()
"""
KILLING = """
import multiprocessing
import os
from pathlib import Path

from research.strategy import Intent, Parameters, Strategy

class KillingParameters(Parameters):
    n: int = 1

class Killing(Strategy[KillingParameters]):
    def __init__(self, parameters):
        super().__init__(parameters)
        sweep, armed = multiprocessing.parent_process(), Path(__file__).with_name("armed")
        if sweep is not None and parameters.n == 3 and armed.exists():
            armed.unlink()
            os.kill(sweep.pid, 9)

    def on_bar(self, bar, view):
        if bar.index % (self.parameters.n + 2) == 0:
            return Intent.sell() if view.position() else Intent.buy()
"""


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The working folder, with a file of prices; the program's home does not exist yet."""
    for name in [name for name in os.environ if name.upper().startswith("PAPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAPER_HOME", str(tmp_path / "home"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / PRICES).write_text(candles())
    return folder


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[InPlaceWorkers]:
    """The workers of all runs, in this process; what is added to it before a run takes part in that."""
    made: list[InPlaceWorkers] = []

    def in_place(place: Workplace, count: int | None, ray: str | None) -> Workers:
        if not made or made[-1].ran:
            made.append(InPlaceWorkers())
        return LocatedWorkers(made[-1], {"workplace": place})

    monkeypatch.setattr(command, "_workers", in_place)
    return made


@pytest.fixture
def run(work: Path, workers: list[InPlaceWorkers], capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``sweep`` with arguments; return the exit code, and what was printed on stdout and stderr."""

    def run_sweep(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["sweep", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_sweep


def document(run: Run, *arguments: str) -> dict[str, Any]:
    code, out, err = run(*arguments, "--json")
    assert 0 == code, err
    value: dict[str, Any] = json.loads(out)
    return value


def stored(work: Path) -> tuple[Sweep, list[Trial]]:
    with closing(FileTrials(work.parent / "home" / "sweeps" / "trials.db")) as store:
        (sweep,) = store.sweeps()
        return sweep, store.trials(sweep.sweep)


def test_a_sweep_is_a_table_a_verdict_and_stored_trials(run: Run, work: Path) -> None:
    code, out, err = run(*SWEEP)
    assert 0 == code, err
    assert "Sweep: research.examples.crossover:MovingAverageCrossover" in out
    assert "sweep over recorded prices: results prove nothing about real markets" in out
    assert "4 trials (grid) over fast, slow; 2 folds of BTC/USDT; objective sharpe, seed 1" in out
    titles = ("Verdict", "In-sample against out-of-sample", "Best trials", "Neighbourhood of the best")
    assert [True] * 4 == [f"\n{title}\n" in out for title in titles]
    assert "Median sharpe out-of-sample over" in out
    assert "2 folds, the first trained from 2025-01-02 and tested from " in err
    assert "8 runs in " in err
    sweep, rows = stored(work)
    assert 8 == len(rows)
    assert {(TrialState.DONE, 1, sweep.code_hash, sweep.data_manifest)} == {
        (row.state, row.attempts, row.code_hash, row.data_manifest) for row in rows
    }
    assert [] == list((work.parent / "home" / "sweeps" / "prices").iterdir())


def test_the_document_has_these_keys(run: Run) -> None:
    made = document(run, *SWEEP)
    keys = {name: sorted(value) if isinstance(value, dict) else type(value).__name__ for name, value in made.items()}
    assert {
        "made_at": "str",
        "sweep": [
            "bars", "code_hash", "created_at", "data_manifest", "days_per_year", "fill_at", "folds", "id", "objective",
            "sampler", "seed", "since", "space", "store", "strategy", "symbols", "until",
        ],
        "run": ["failed", "ran", "reading_seconds", "refused", "rows", "seconds", "trials"],
        "verdict": ["criteria", "passed", "sentences"],
        "best": ["parameters", "score", "trial"],
        "deflated_sharpe": ["by_clusters", "by_trials", "sharpe", "undeflated"],
        "overfitting": ["probability", "reason"],
        "folds": "list",
        "neighbourhood": ["by_steps", "mean", "neighbours", "share"],
        "heat_maps": "list",
        "trials": "list",
        "failures": "list",
        "notes": "list",
    } == keys  # fmt: skip
    assert (170, 365, 4, 8, 0) == (
        made["sweep"]["bars"], made["sweep"]["days_per_year"], made["run"]["trials"], made["run"]["rows"],
        made["run"]["failed"],
    )  # fmt: skip
    best = made["trials"][0]
    assert (made["best"]["trial"], made["best"]["score"]) == (best["trial"], best["score"])
    assert ["cluster", "in_sample", "out_of_sample", "parameters", "score", "trial"] == sorted(best)
    (drawn,) = made["heat_maps"]
    assert {best["parameters"]["slow"], best["parameters"]["fast"]} == {
        drawn["columns"][drawn["best"][1]], drawn["rows"][drawn["best"][0]],
    }  # fmt: skip
    assert 4 == sum(cell is not None for row in drawn["cells"] for cell in row)


def test_a_sweep_that_was_stopped_goes_on_and_ends_the_same(
    run: Run, work: Path, workers: list[InPlaceWorkers]
) -> None:
    def interrupt(count: int) -> None:
        if count == 3:
            signal.raise_signal(signal.SIGINT)

    workers.append(InPlaceWorkers(interrupt))
    code, out, err = run(*SWEEP)
    assert (130, "") == (code, out)
    assert "3 of 8 runs have ended and are kept: the same command with --resume goes on from here." in err
    states = [row.state for row in stored(work)[1]]
    assert (3, 1, 4) == tuple(map(states.count, (TrialState.DONE, TrialState.RUNNING, TrialState.PENDING)))
    code, out, err = run(*SWEEP)
    assert (2, "") == (code, out)
    assert "this sweep was begun at " in err
    assert "5 of its 8 runs have not ended; go on with --resume" in err
    resumed = document(run, *SWEEP, "--resume")
    assert (5, 8) == (resumed["run"]["ran"], resumed["run"]["rows"])
    again = document(run, *SWEEP)
    assert (0, resumed["trials"]) == (again["run"]["ran"], again["trials"])
    uninterrupted = document(run, *SWEEP, "--home", str(work / "other"))
    assert 8 == uninterrupted["run"]["ran"]
    assert [uninterrupted[name] for name in ("trials", "verdict", "folds")] == [
        resumed[name] for name in ("trials", "verdict", "folds")
    ]


def test_a_sweep_of_processes_that_is_killed_goes_on_and_ends_the_same(run: Run, work: Path) -> None:
    (work / "killing.py").write_text(KILLING)
    arguments = ("killing.py", PRICES, "--param", "n=1:4", "--folds", "2")
    (work / "armed").touch()
    ended = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "sweep", *arguments, "--workers", "1"],
        cwd=work, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert -signal.SIGKILL == ended.returncode, ended.stderr
    states = [row.state for row in stored(work)[1]]
    assert (4, 1, 3) == tuple(map(states.count, (TrialState.DONE, TrialState.RUNNING, TrialState.PENDING)))
    resumed = document(run, *arguments, "--resume")
    assert 4 == resumed["run"]["ran"]
    uninterrupted = document(run, *arguments, "--home", str(work / "other"))
    assert uninterrupted["trials"] == resumed["trials"]


def test_resuming_names_what_is_other(run: Run, work: Path) -> None:
    code, _, err = run(*SWEEP, "--resume")
    assert 2 == code
    assert f"--resume: this sweep is not stored, nor any other of {CROSSOVER}; omit --resume" in err
    document(run, *SWEEP)
    assert "UTC, other: the seed; omit --resume" in run(*SWEEP, "--seed", "2", "--resume")[2]
    (work / PRICES).write_text(candles(171))
    assert "UTC, other: the prices; omit --resume" in run(*SWEEP, "--resume")[2]


def test_what_raises_is_counted_and_named_with_trial_and_bar(run: Run, work: Path) -> None:
    (work / "raising.py").write_text(RAISING.replace("LIMIT", "2"))
    made = document(run, "raising.py", PRICES, "--param", "n=1:3", "--folds", "2")
    assert (3, 2, [2, 3]) == (
        made["run"]["trials"], made["run"]["failed"], sorted(row["trial"] for row in made["trials"])
    )  # fmt: skip
    error = made["failures"][0]["error"]
    assert re.fullmatch(
        r"n=1: Raising raised ZeroDivisionError: no volume at bar 0 of BTC/USDT, 2025-01-01 06:00:00 UTC "
        r"\(.*raising\.py, line 10\)",
        error,
    )
    assert f"2 runs failed; the first, trial 1 on fold 1: {error}" in made["notes"]


def test_a_strategy_that_always_raises_ends_the_sweep_with_its_sentence(run: Run, work: Path) -> None:
    (work / "raising.py").write_text(RAISING.replace("LIMIT", "99"))
    code, out, err = run("raising.py", PRICES, "--param", "n=1:3", "--folds", "2")
    assert (2, "") == (code, out)
    assert "none of 3 trials has a result in every fold; the first error, of trial 1 on fold 1: n=1: Raising" in err
    code, _, err = run("raising.py", PRICES, "--param", "n=1:50", "--folds", "2")
    assert 2 == code
    assert "the first 20 runs all failed, so the sweep was ended; trial 1, fold 1: n=1: Raising raised" in err


def test_values_that_the_strategy_refuses_are_no_attempts(run: Run) -> None:
    made = document(run, CROSSOVER, PRICES, "--param", "fast=2,6", "--param", "slow=5,8", "--folds", "2")
    assert (3, 1) == (made["run"]["trials"], made["run"]["refused"])
    assert (
        "1 combination of values left out, which the strategy refuses; the first: MovingAverageCrossover: "
        "fast = 6 must be below slow = 5"
    ) in made["notes"]


def test_a_sweep_of_before_points_were_replaced_is_shown_again(
    run: Run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = (
        CROSSOVER, PRICES, "--param", "fast=2:7", "--param", "slow=5,8", "--trials", "8", "--seed", "3", "--folds", "2"
    )  # fmt: skip
    with monkeypatch.context() as before:
        before.setattr(command, "prepared", lambda *parts: prepared(*parts).without_replacement())
        first = document(run, *request)
    assert (8, True) == (first["run"]["trials"] + first["run"]["refused"], first["run"]["refused"] > 0)
    again = document(run, *request)
    assert (0, first["trials"], first["verdict"]) == (again["run"]["ran"], again["trials"], again["verdict"])
    assert first["run"]["rows"] == len(stored(work)[1])
    anew = document(run, *request, "--home", str(work / "other"))
    assert (8, True) == (anew["run"]["trials"], anew["run"]["refused"] > 0)


def test_a_grid_over_a_range_without_a_step_goes_on_if_it_was_begun_before(
    run: Run, work: Path, workers: list[InPlaceWorkers], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = (CROSSOVER, PRICES, "--param", "fast=2.0:6.0", "--param", "slow=20", "--folds", "2")

    def interrupt(count: int) -> None:
        if count == 3:
            signal.raise_signal(signal.SIGINT)

    workers.append(InPlaceWorkers(interrupt))
    with monkeypatch.context() as before:
        before.setattr(samplers, "refuse_spans", lambda *_: None)
        assert 130 == run(*request)[0]
    code, _, err = run(*request)
    assert (2, True) == (code, "--param fast is a range of 1,001 values without a step: add one as in" in err)
    sweep, rows = stored(work)
    assert (3, False) == (sum(row.state is TrialState.DONE for row in rows), sweep.plan.replaces_refused)
    workers.append(InPlaceWorkers(interrupt))
    code, _, err = run(*request, "--resume")
    assert (130, True) == (code, "goes on from here" in err)
    assert 6 == sum(row.state is TrialState.DONE for row in stored(work)[1])


def test_the_page_has_the_map_and_the_tables_and_asks_for_nothing(run: Run, work: Path) -> None:
    code, out, _ = run(*SWEEP, "--html", "page.html")
    assert 0 == code
    assert "page.html: " in out
    page = (work / "page.html").read_text(encoding="utf-8")
    assert 1 == page.count('<table class="heat">')
    assert 1 == len(re.findall(r'<td class="number best" style="background:rgba\(var\(--', page))
    assert 4 == len(re.findall(r"rgb\),\d\.\d\d\)\"", page))
    assert "Sweep over recorded prices: results prove nothing about real markets" in page
    assert "default-src &#39;none&#39;" in page
    assert [] == re.findall(r"(?:src|href)=\"(?!#|data:)", page)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((CROSSOVER, PRICES), "--param is missing: name a parameter with its values, such as --param fast=5:50:5"),
        ((CROSSOVER, PRICES, "--param", "fsat=1:2"), "has no parameter 'fsat'; did you mean fast?"),
        ((CROSSOVER, PRICES, "--param", "fast=5:2"), "the range '5:2' begins above its end"),
        ((CROSSOVER, PRICES, "--param", "fast="), "--param"),
        ((CROSSOVER, PRICES, "--param", "fast=2.0:6.0"), "--param fast is a range of 1,001 values without a step"),
        ((CROSSOVER, PRICES, "--param", "fast=40:50", "--param", "slow=5"), "none of the values can be tried"),
        ((CROSSOVER, PRICES, "--param", "slow=900"), "the strategy needs 900 bars before its first call, and BTC/USDT"),
        ((CROSSOVER, PRICES, "--param", "fast=2:4"), "5 folds need at least 61: 10 for each test"),
        ((*SWEEP, "--from", "2025-02-01", "--to", "2025-01-01"), "--from 2025-02-01 must be before --to 2025-01-01"),
        ((*SWEEP, "--from", "2025-03-01"), "--from 2025-03-01: the prices end at 2025-02-12 12:00"),
        ((*SWEEP, "--sampler", "gird"), "there is no sampler 'gird'; did you mean grid?"),
        ((*SWEEP, "--sampler", "random"), "--sampler random needs a number of trials"),
        ((*SWEEP, "--sampler", "grid", "--trials", "3"), "the grid has 4 points, more than --trials 3"),
        ((*SWEEP, "--objective", "sharp"), "there is no objective 'sharp'; did you mean sharpe?"),
        ((*SWEEP, "--embargo", "soon"), "--embargo 'soon': must be a duration"),
        ((*SWEEP, "--embargo", "20d"), "2 folds need at least 50"),
        ((*SWEEP, "--workers", "2", "--ray", "auto"), "--workers 2 and --ray auto are two places to run"),
        ((*SWEEP, "--fill-at", "noon"), "--fill-at 'noon': must be open or close"),
        ((*SWEEP, "--history"), f"--history and '{PRICES}' are two sources of prices"),
        ((*SWEEP, "--html", ""), "--html is empty"),
        ((PRICES, PRICES, *GRID), f"{PRICES} is no strategy"),
        (("research.examples.crossover:Crossing", PRICES, *GRID), "has no strategy 'Crossing'"),
        ((CROSSOVER, "none.csv", *GRID), "none.csv"),
        ((CROSSOVER, *GRID), "nothing is stored yet"),
    ],
)
def test_a_mistake_gets_one_sentence(arguments: tuple[str, ...], sentence: str, run: Run, work: Path) -> None:
    code, out, err = run(*arguments)
    assert (2, "") == (code, out)
    assert 1 == len(err.splitlines()), err
    assert sentence in err
    assert not (work.parent / "home" / "sweeps").exists()
