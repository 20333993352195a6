"""The setting `fees`: it is that of a new default portfolio, and `run.py check` says whose rates count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.cli import main
from domain.errors import SettingsError
from domain.types import FeeRule
from persistence.queries.row_lists import LedgerReader
from persistence.stores import portfolios
from tests.support.system.running_system import isolated_settings, running_system


def check(url: str, home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert 0 == main(["check", "--database-url", url, "--home", str(home), "--prices", "simulated", *words])
    return capsys.readouterr().out


@pytest.mark.slow
def test_a_new_default_portfolio_has_the_fees_of_the_setting_and_check_says_so(
    empty_embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAPER_FEES", "venue")
    unknown = "the venue's maker and taker rates are not both known for all markets: commission_pct counts there"
    before = json.loads(check(empty_embedded_url, tmp_path, capsys, "--json"))["fees"]
    assert {"portfolios": {"default": {"fees": "venue", "commission_pct": "0.001"}}, "notes": [unknown]} == before
    with running_system(empty_embedded_url, fees="venue"):
        pass
    reader = LedgerReader(empty_embedded_url)
    assert FeeRule.VENUE == reader.portfolio("default")["fees"]
    reader.close()
    own = {**isolated_settings(empty_embedded_url).portfolio_values(), "commission_pct": "0.002"}
    assert "own" == own["fees"]
    portfolios.create(empty_embedded_url, "other", own)
    facts = [
        line.strip() for line in check(empty_embedded_url, tmp_path, capsys).splitlines() if line.startswith("fees")
    ]
    assert [
        "fees       default: the venue, else commission_pct 0.001",
        "fees       other: commission_pct 0.002",
        f"fees       {unknown}",
    ] == facts[-3:]  # before them the setting itself


def test_a_word_that_is_no_rule_of_fees_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^setting fees = 'theirs': must be own or venue$"):
        isolated_settings("postgresql://x/y", fees="theirs")
