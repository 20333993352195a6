"""What is fixed before the first trial: values, warm-up, folds, and the hash of the code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from domain.errors import InvalidRequest
from domain.sweeps.trial import Sweep
from research.backtest.pieces import Market
from research.errors import StrategyError
from research.loading import load_strategy
from research.sweeps.preparation import (
    FoldOptions,
    SweepRequest,
    Variants,
    code_hash,
    days_per_year,
    fold_days,
    label,
    prepared,
)
from research.sweeps.samplers import Permitted
from research.sweeps.space import Space
from tests.support.research.markets import START, flat_bars, market, micros
from tests.support.sweeps.plans import BEGUN

CROSSOVER = "research.examples.crossover:MovingAverageCrossover"
HOURS = timedelta(hours=6)
STRATEGY = """
from research.strategy import Parameters, Strategy
import helper_of_mine

class Mine(Strategy[Parameters]):
    warm_up = helper_of_mine.BARS
"""


def prices(count: int = 160) -> Market:
    return market(flat_bars([100 + place % 7 for place in range(count)], length=HOURS))


def request(**changes: object) -> SweepRequest:
    usual = SweepRequest(
        CROSSOVER, ("fast=2,6", "slow=5,20"), "grid", None, 1, "sharpe", FoldOptions(2), 0,
        {"rules": {}, "same_currency": [], "fill_at_close": False},
    )  # fmt: skip
    return replace(usual, **changes)  # type: ignore[arg-type]


def sweep(market: Market | None = None, **changes: object) -> Sweep:
    wanted = request(**changes)
    return prepared(wanted, Variants.of(CROSSOVER, wanted.space), market or prices(), "1.0", BEGUN)


def test_the_first_training_begins_where_the_longest_warm_up_ends() -> None:
    # Bar 20 of six hours closes at the end of the fifth day.
    first = sweep().plan.folds[0]
    assert START + timedelta(days=4) == first.train.begin
    assert START + timedelta(days=40) == sweep().plan.folds[-1].test.end
    longer = sweep(space=("fast=2", "slow=21")).plan.folds[0]
    assert START + timedelta(days=5) == longer.train.begin


def test_no_fold_begins_before_a_moment_but_its_warm_up_does() -> None:
    begin = START + timedelta(days=3, hours=1)
    assert date(2026, 1, 9) == fold_days(prices(), micros(begin), 1)[0]
    assert date(2026, 1, 9) == fold_days(prices(), micros(begin), 20)[0]
    assert date(2026, 1, 5) == fold_days(prices(), micros(START), 1)[0]


def test_the_id_is_that_of_the_content() -> None:
    one = sweep()
    assert one == sweep()
    others = [
        sweep(seed=2), sweep(prices(161)), sweep(folds=FoldOptions(2, train_days=10)), sweep(objective="calmar"),
        sweep(space=("fast=2,6", "slow=5,21")), sweep(portfolio={**request().portfolio, "fill_at_close": True}),
    ]  # fmt: skip
    assert 7 == len({other.sweep for other in (one, *others)})


def test_days_of_a_week_without_weekends_make_a_year_of_252() -> None:
    week = [date(2026, 1, 5) + timedelta(days=day) for day in range(7)]
    assert (365, 252) == (days_per_year(week), days_per_year(week[:5]))


def test_a_strategy_is_called_by_its_name_without_folders() -> None:
    assert [CROSSOVER, "dip.py", "dip.py:Dip"] == [label(one) for one in (CROSSOVER, "/a/b/dip.py", "b/dip.py:Dip")]


def test_points_that_are_refused_are_left_out_and_counted() -> None:
    variants = Variants.of(CROSSOVER, ("fast=2,6", "slow=5,20"))
    permitted = variants.sampler(sweep().plan)
    assert [0, 1, 3] == list(permitted.batch())
    assert [] == list(permitted.batch())
    assert (1, "MovingAverageCrossover: fast = 6 must be below slow = 5") == (permitted.refused, permitted.reason)


def test_a_batch_of_which_all_points_are_refused_is_passed_over() -> None:
    heard: list[dict[int, float | None]] = []
    replaced: list[int] = []

    class Two:
        def __init__(self) -> None:
            self._batches: list[list[int]] = [[0, 1], [2, 3], []]

        def batch(self) -> list[int]:
            return self._batches.pop(0)

        def tell(self, scores: Mapping[int, float | None]) -> None:
            heard.append(dict(scores))

        def replace(self, points: int) -> None:
            replaced.append(points)

    permitted = Permitted(Two(), lambda point: None if point == 3 else f"not {point}", replaces=True)
    assert [3] == list(permitted.batch())
    permitted.tell({3: 1.5})
    assert [] == list(permitted.batch())
    assert [{0: None, 1: None}, {2: None, 3: 1.5}] == heard
    assert (3, "not 0", [2, 1]) == (permitted.refused, permitted.reason, replaced)


def test_values_of_which_none_can_be_tried_are_a_sentence() -> None:
    variants = Variants.of(CROSSOVER, ("fast=40:60", "slow=5"))
    with pytest.raises(StrategyError, match=r"^none of the values can be tried; of fast=40, slow=5: MovingAverage"):
        variants.longest_warm_up()
    with pytest.raises(InvalidRequest, match=r"^--param is missing: name a parameter .*, such as --param fast=5:50:5$"):
        Variants.of(CROSSOVER, ())
    assert 2 == Space.parse(("fast=1,2",)).size


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a strategy and a module beside it, from which modules are imported."""
    (tmp_path / "mine_strategy.py").write_text(STRATEGY)
    (tmp_path / "helper_of_mine.py").write_text("BARS = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("helper_of_mine", "mine_strategy", "_strategy_mine_strategy"):
        sys.modules.pop(name, None)


def test_the_hash_is_that_of_strategy_and_what_lies_beside_it(folder: Path) -> None:
    kind = load_strategy(str(folder / "mine_strategy.py"))
    first = code_hash(kind, "1.0")
    assert first == code_hash(kind, "1.0")
    assert first != code_hash(kind, "1.1")
    (folder / "other.py").write_text("x = 1\n")
    assert first == code_hash(kind, "1.0")
    (folder / "helper_of_mine.py").write_text("BARS = 4\n")
    second = code_hash(kind, "1.0")
    assert first != second
    (folder / "mine_strategy.py").write_text(f"{STRATEGY}\n")
    assert len({first, second, code_hash(kind, "1.0")}) == 3
