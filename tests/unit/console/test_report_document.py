"""docs/report.md names every field of the JSON document, and what each file of CSV is made of."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from console.report.json_document import KEYS
from domain.analytics.equity_curve import CurvePoint, TradeMarker
from domain.analytics.funnel import DropOff, Funnel
from domain.analytics.histogram import Bin
from domain.analytics.metric_definitions import METRICS
from domain.analytics.performance import Performance
from domain.analytics.period_returns import PeriodReturn
from domain.analytics.report import OpenPosition, Report
from domain.analytics.report_parts.buy_and_hold import BuyAndHold
from domain.analytics.report_parts.reconciliation import Reconciliation
from domain.analytics.report_parts.trip_notes import TripNote
from domain.analytics.returns import Drawdown
from domain.analytics.round_trips import RoundTrip
from persistence.queries.export import FILES, TABLES, Table
from persistence.queries.report_parts.result_files import HOLDING_COLUMNS

pytestmark = pytest.mark.clock

PAGE = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "kind",
    [
        Report,
        Drawdown,
        PeriodReturn,
        TradeMarker,
        Bin,
        Funnel,
        DropOff,
        OpenPosition,
        RoundTrip,
        TripNote,
        BuyAndHold,
        Reconciliation,
    ],
)
def test_every_field_of_the_document_is_named(kind: type) -> None:
    names = {KEYS.get(field.name, field.name) for field in fields(kind)}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_every_metric_of_the_document_is_named() -> None:
    names = {field.name for field in fields(Performance)} - METRICS.keys() - {"trade_stats"}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_points_of_the_curve_are_described() -> None:
    assert "`time`, `value`, `peak`, `drawdown`" in PAGE
    assert ("time", "value", "peak") == CurvePoint._fields


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.file)
def test_every_file_is_described(table: Table) -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{table.file}.csv`"))
    assert f"`{table.relation}`" in line
    assert f"`{table.at}`" in line
    assert table.includes_end == ("at the very end" in line)


def test_every_file_of_results_is_described() -> None:
    for name in FILES:
        assert f"| `{name}.csv`" in PAGE
    line = next(line for line in PAGE.splitlines() if line.startswith("| `buy_and_hold.csv`"))
    assert {column for column in HOLDING_COLUMNS if f"`{column}`" not in line} == set()
