"""Rows as CSV."""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from console.listing.csv_rows import csv_cell, print_csv
from persistence.queries.listing.row_filter import Listing

TOKYO = timezone(timedelta(hours=9))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (Decimal("0.010000000000000000"), "0.01"),
        (Decimal("1E+19"), "10000000000000000000"),
        (Decimal("-8892.722428600000"), "-8892.7224286"),
        (datetime(2026, 1, 31, 21, 0, 0, 5, tzinfo=TOKYO), "2026-01-31T12:00:00.000005Z"),
        (datetime(26, 1, 31, tzinfo=UTC), "0026-01-31T00:00:00.000000Z"),
        (date(2026, 1, 31), "2026-01-31"),
        (timedelta(0), "PT0S"),
        (timedelta(days=2), "P2D"),
        (timedelta(hours=26, minutes=3, seconds=4, microseconds=500_000), "P1DT2H3M4.5S"),
        (timedelta(seconds=-90), "PT-1M-30S"),
        (UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"), "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        ([{"price": Decimal("1.50"), "share": Decimal("0.5")}], '[{"price": "1.5", "share": "0.5"}]'),
        ("a text", "a text"),
    ],
)
def test_a_value_is_exact(value: object, text: str) -> None:
    assert text == csv_cell(value)


def test_it_is_as_rfc_4180_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a": 'he said "buy", then left', "b": "two\nlines"}, {"a": None, "b": Decimal("1.10")}]
    print_csv(Listing(("a", "b"), rows))
    out, err = capsys.readouterr()
    assert 'a,b\r\n"he said ""buy"", then left","two\nlines"\r\n,1.1\r\n' == out
    assert "" == err
    assert [["a", "b"], ['he said "buy", then left', "two\nlines"], ["", "1.1"]] == list(
        csv.reader(io.StringIO(out, newline=""))
    )


def test_without_rows_it_is_the_heading(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(Listing(("id", "symbol"), []))
    assert ("id,symbol\r\n", "") == tuple(capsys.readouterr())


def test_texts_that_a_spreadsheet_would_run_are_counted_as_the_report_counts_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "fine", "a=b"]
    print_csv(Listing(("reasoning", "quantity"), [{"reasoning": text, "quantity": Decimal(-1)} for text in texts]))
    out, err = capsys.readouterr()
    assert [[text, "-1"] for text in texts] == list(csv.reader(io.StringIO(out, newline="")))[1:]
    assert "5 rows have a text that a spreadsheet would run as a formula: import these columns as text\n" == err


def test_it_is_utf_8_whatever_the_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii", newline=""))
    print_csv(Listing(("reasoning",), [{"reasoning": "Kurs fällt ↓"}]))
    sys.stdout.flush()
    assert "reasoning\r\nKurs fällt ↓\r\n".encode() == written.getvalue()
