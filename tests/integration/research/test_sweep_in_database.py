"""``run.py sweep --database``: the trials are rows of the database, and those of its own processes."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from domain.sweeps.trial import TrialState
from persistence.connections import pool, transaction
from persistence.stores import validation_runs
from persistence.stores.sweeps.database_trials import DatabaseTrials
from tests.support.database.upgraded import embedded_url
from tests.support.sweeps.price_files import PRICES, SWEEP, candles
from tests.support.system.validation_runs import url

__all__ = ["embedded_url", "url"]  # fixtures


@pytest.fixture
def work(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a folder with prices, with the database of the test as the configured one."""
    for name in [name for name in os.environ if name.upper().startswith("PAPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAPER_DATABASE_URL", url)
    monkeypatch.setenv("PAPER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path(PRICES).write_text(candles())


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert 0 == main([*arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_trials_are_rows_of_the_database(
    url: str, tmp_path: Path, work: None, capsys: pytest.CaptureFixture[str]
) -> None:
    document = answer(capsys, "sweep", *SWEEP, "--database", "--workers", "2")
    with closing(DatabaseTrials(url)) as store:
        (sweep,) = store.sweeps()
        rows = store.trials(sweep.sweep)
    assert (str(sweep.sweep), "database") == (document["sweep"]["id"], document["sweep"]["store"])
    assert {TrialState.DONE} == {row.state for row in rows}
    assert 8 == len(rows)
    assert not (tmp_path / "home" / "sweeps" / "trials.db").exists()


@pytest.mark.slow
def test_a_validation_knows_the_trials_of_its_strategy_in_home_and_database(
    url: str, work: None, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(capsys, "sweep", *SWEEP, "--database", "--workers", "1")
    answer(capsys, "sweep", *SWEEP, "--seed", "2", "--workers", "1")
    answer(capsys, "validate", "start", "first", "--portfolio", "default", "--strategy", "Other")
    assert 0 == main(["validate", "start", "second", "--portfolio", "other", "--strategy", "MovingAverageCrossover"])
    assert "Sweeps of MovingAverageCrossover had 8 trials, so the deflated" in capsys.readouterr().out
    with pool(url, "test") as engine, transaction(engine) as cursor:
        first, second = (validation_runs.run_named(cursor, name).criteria.swept for name in ("first", "second"))
    assert first is None
    assert second is not None
    assert 8 == second.trials
    assert second.deviation > 0
