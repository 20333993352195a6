"""What `make faults` prints at the end, and what it refuses."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults import __main__ as command
from tests.faults.counters import Counters
from tests.faults.jobs import PARTS, jobs
from tests.faults.report import report


def test_the_table_has_the_three_numbers_that_must_be_0() -> None:
    counters = Counters(Counter(death=100, hang=3), 20_000, Counter(executed=19_000, rejected=1_000))
    lines = [" ".join(line.split()) for line in report(counters, 90, {"seeds": "it is not there"}).splitlines()]
    assert [
        "",
        "faults 103",
        "death 100",
        "hang 3",
        "decisions sent 20000",
        "executed 19000",
        "rejected 1000",
        "lost 0",
        "doubled 0",
        "books out of balance 0",
        "took 1.5 min",
        "not run: seeds, it is not there",
    ] == lines


def test_a_failure_is_told_with_the_command_that_repeats_it() -> None:
    repeat = 'one is lost: make faults ARGS="--only deaths --seed 17"'
    assert report(Counters(lost=1, repeat=[repeat]), 1, {}).endswith(repeat)


def test_all_shares_of_a_part_together_have_every_point_once() -> None:
    shares = jobs(["deaths"], 1, quick=False, point=None, rounds=None)
    chosen = [point for job in shares for point in job.points(1)]
    assert PARTS["deaths"].shares == len(shares)
    assert len(chosen) == len(set(chosen))
    assert {*chosen} == {*jobs(["silence"], 1, quick=False, point=None, rounds=None)[0].points(1)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "deaths", "--point", "Sizer sends Nonsense"], "no point is called 'Sizer sends Nonsense'"),
        (["--point", "Sizer sends Execute"], "--point needs --only PART"),
    ],
)
def test_what_does_not_exist_is_refused(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["make faults", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert 2 == ended.value.code
    assert message in capsys.readouterr().err
