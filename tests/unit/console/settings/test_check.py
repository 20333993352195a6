"""``run.py check --explain NAME``: the reference of one setting, without a database and without valid settings."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from actors.configuration.settings_reference import SettingReference, setting_references
from actors.settings import Settings
from console.cli import main
from console.commands.check import venue_notes
from domain.trading.instruments import InstrumentCatalog
from tests.support.values.builders import ETH, instrument

REFERENCES = setting_references(Settings.model_fields)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder, and only one variable of the program: its home, which does not exist."""
    for name in [name for name in os.environ if name.upper().startswith("PAPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAPER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_each_setting_has_a_meaning_allowed_values_and_an_example_that_is_valid(reference: SettingReference) -> None:
    assert reference.meaning.endswith(".")
    assert reference.allowed
    example = tomllib.loads(reference.example)
    assert [reference.name] == list(example)
    changed = getattr(Settings.isolated(**example), reference.name)
    assert changed != getattr(Settings.isolated(), reference.name)


def test_a_number_has_its_bounds_and_unit_and_a_large_one_is_a_power_of_ten() -> None:
    by_name = {reference.name: reference for reference in REFERENCES}
    capital, port = by_name["initial_capital"], by_name["metrics_port"]
    assert ("money", "10000", "number, above 0, below 1e20") == (capital.unit, capital.default, capital.allowed)
    assert ("", None, "whole number, at least 1, at most 65535") == (port.unit, port.default, port.allowed)


def test_the_notes_say_for_which_markets_the_rates_of_the_venue_are_not_known() -> None:
    with_rates = replace(instrument(), maker_fee=Decimal("0.0016"), taker_fee=Decimal("0.0026"))
    half = replace(instrument(ETH), maker_fee=Decimal("0.0016"))
    assert ["the venue's rates are known after the first start, which loads its markets"] == venue_notes(None)
    assert [] == venue_notes(InstrumentCatalog([with_rates]))
    assert [] == venue_notes(InstrumentCatalog([with_rates, replace(half, not_traded="delisted")]))
    unknown = "the venue's maker and taker rates are not both known for {} markets{}: commission_pct counts there"
    assert [unknown.format("1 of 2", ", such as ETH/USDT")] == venue_notes(InstrumentCatalog([with_rates, half]))
    assert [unknown.format("all", "")] == venue_notes(InstrumentCatalog([half]))


def test_explain_prints_the_reference_and_makes_no_database(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "paper.toml").write_text("seed = 'wrong'")  # no obstacle
    assert main(["check", "--explain", "max_price_age"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "max_price_age: Longest wait for a price; then the decision is rejected: no price in time.",
        "",
        "unit       s",
        "default    30",
        "allowed    number, above 0, at most 86400",
        "paper.toml max_price_age = 60",
        "variable   PAPER_MAX_PRICE_AGE",
    ]
    assert ["paper.toml"] == [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("name", ["seed", "SEED", "PAPER_SEED"])
def test_explain_takes_the_variable_and_any_case_and_prints_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--explain", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": "seed",
        "variable": "PAPER_SEED",
        "unit": "",
        "default": "1",
        "allowed": "whole number",
        "meaning": "Seed of the simulated market.",
        "example": "seed = 7",
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sead", "'sead' is not a setting; did you mean seed?"),
        ("xyzzy", "'xyzzy' is not a setting; run.py check lists them"),
        ("", "'' is not a setting; run.py check lists them"),
    ],
)
def test_an_unknown_name_ends_with_one_sentence(name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--explain", name]) == 2
    assert capsys.readouterr().err == f"run.py: {message}\n"
    assert main(["check", "--explain", name, "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"error": message, "code": "settings_error", "exit_code": 2}
