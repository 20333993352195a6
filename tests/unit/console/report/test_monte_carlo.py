"""The Monte Carlo of a report: in the terminal, on the page and in the JSON document, where it is asked for."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.display.format import amount, document, percent
from console.report.html.page import page
from console.report.html.section import Section
from console.report.json_document import report_to_dict
from console.report.monte_carlo import HEADING, MonteCarloRequest, band_rows, monte_carlo_request, with_monte_carlo
from console.report.terminal.page import report_lines
from docs.pictures.sample import PLANS, one
from domain.analytics.report import Report
from domain.analytics.report_parts.monte_carlo import Band, MonteCarlo
from domain.errors import InvalidRequest

MADE = datetime(2026, 5, 1, tzinfo=UTC)
DOCUMENT = (Path(__file__).parents[4] / "docs" / "report.md").read_text(encoding="utf-8")
WANTED = MonteCarloRequest(300, 7)


@pytest.fixture(scope="module")
def plain() -> Report:
    return one(PLANS[0], 4)


@pytest.fixture(scope="module")
def sample(plain: Report) -> Report:
    return with_monte_carlo(plain, WANTED)


def terminal(report: Report, width: int = 100) -> str:
    return "\n".join(line.plain for line in report_lines(report, None, width, over=False))


def test_without_the_option_there_is_none(plain: Report) -> None:
    assert plain is with_monte_carlo(plain, None)
    assert report_to_dict(plain, None)["monte_carlo"] is None
    assert HEADING not in terminal(plain)
    assert HEADING not in page([plain], {}, made_at=MADE)


def test_a_strategy_has_no_daily_returns() -> None:
    strategy = one(PLANS[0], 4, strategy="momentum")
    assert strategy is with_monte_carlo(strategy, WANTED)


def test_the_options_make_a_request() -> None:
    assert monte_carlo_request(None, None) is None
    assert MonteCarloRequest(500, 1) == monte_carlo_request(500, None)
    assert MonteCarloRequest(500, 0) == monte_carlo_request(500, 0)
    with pytest.raises(InvalidRequest, match="--seed applies to --monte-carlo N only, and there is none"):
        monte_carlo_request(None, 3)


@pytest.mark.parametrize("width", [60, 100, 140])
def test_the_terminal_shows_the_bands_and_how_they_were_made(sample: Report, width: int) -> None:
    text = terminal(sample, width)
    part = text[text.index(HEADING) : text.index("Results by group")]
    simulated = sample.monte_carlo
    assert simulated is not None
    for row in band_rows(simulated):
        assert row.label in part
    assert simulated.end_value is not None
    assert amount(simulated.end_value.low) in part
    assert amount(simulated.end_value.high) in part
    assert ("25%" in part.splitlines()[1]) == (width > 60)
    sentence = " ".join(part.split())
    assert f"300 paths of {simulated.days} days, made of blocks of the {simulated.days} daily returns," in sentence
    assert f"{percent(simulated.losing, 1, sign=False)} of them end below their beginning" in sentence
    assert "(stationary bootstrap, seed 7)" in sentence
    assert max(map(len, part.splitlines())) <= width


def test_the_page_has_table_chart_and_contents(sample: Report) -> None:
    made = page([sample], {}, made_at=MADE)
    assert '<a href="#p1-part-monte_carlo">' in made
    assert 'id="p1-resampled"' in made
    simulated = sample.monte_carlo
    assert simulated is not None
    for row in band_rows(simulated):
        for value in row.cells:
            assert f'<data value="{value.normalize():f}"' in made
    chart = Section("p1", sample, None).resampled
    assert chart is not None
    assert 5 == len(chart.spec["data"])
    assert {len(simulated.curve)} == {len(line["y"]) for line in chart.spec["data"]}
    assert chart.text.startswith("Lines of the value of 300 paths: 90 % of them end between ")
    assert 3 == len(chart.keys)


def test_the_document_has_every_value_as_a_string(sample: Report) -> None:
    values = json.loads(document(report_to_dict(sample, None)))["monte_carlo"]
    assert (300, 7) == (values["paths"], values["seed"])
    assert list(Band._fields) == list(values["end_value"]) == list(values["curve"][0]["value"])
    assert all(isinstance(value, str) for value in values["drawdown"].values())
    names = {field.name for field in fields(MonteCarlo)} | set(Band._fields)
    assert {name for name in names if f"`{name}`" not in DOCUMENT} == set()


def test_few_days_are_a_sentence() -> None:
    short = with_monte_carlo(one(PLANS[0], 4, days=6), WANTED)
    assert short.monte_carlo is not None
    assert re.search("There is no Monte Carlo: [0-9] of at least 10 daily returns", terminal(short))
    made = page([short], {}, made_at=MADE)
    assert "There is no Monte Carlo: " in made
    assert 'id="p1-resampled"' not in made


def test_the_same_seed_gives_the_same_page(plain: Report, sample: Report) -> None:
    again, other = with_monte_carlo(plain, WANTED), with_monte_carlo(plain, WANTED._replace(seed=8))
    assert sample == again
    assert sample != other
    assert plain == replace(other, monte_carlo=None)
