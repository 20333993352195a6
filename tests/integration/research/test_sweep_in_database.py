"""``run.py sweep --database``: the trials are rows of the database, and those of its own processes."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from console.cli import main
from domain.sweeps.trial import TrialState
from persistence.stores.sweeps.database_trials import DatabaseTrials
from tests.support.database.upgraded import embedded_url
from tests.support.sweeps.price_files import PRICES, SWEEP, candles

__all__ = ["embedded_url"]  # a fixture


def test_the_trials_are_rows_of_the_database(
    embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.upper().startswith("PAPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAPER_DATABASE_URL", embedded_url)
    monkeypatch.setenv("PAPER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path(PRICES).write_text(candles())
    assert 0 == main(["sweep", *SWEEP, "--database", "--workers", "2", "--json"])
    document = json.loads(capsys.readouterr().out)
    with closing(DatabaseTrials(embedded_url)) as store:
        (sweep,) = store.sweeps()
        rows = store.trials(sweep.sweep)
    assert (str(sweep.sweep), "database") == (document["sweep"]["id"], document["sweep"]["store"])
    assert {TrialState.DONE} == {row.state for row in rows}
    assert 8 == len(rows)
    assert not (tmp_path / "home" / "sweeps" / "trials.db").exists()
