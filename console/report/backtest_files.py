"""The files of a backtest that is kept: its report as a page and as JSON, and its records as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from console.display.format import document as json_of
from console.report import files
from console.report.html.page import page
from domain.analytics.report import Report
from domain.trading.arithmetic import plain
from research.backtest.records import Records, Rows

TABLES = ("fills", "trades", "ends", "values")
IDS = frozenset({"order_id", "position_id"})


def save(folder: Path, report: Report, document: Mapping[str, Any], records: Records, made_at: datetime) -> None:
    """Write all files of a backtest, or none.

    Args:
        folder: which does not exist yet.
        report: of the backtest.
        document: the same as ``--json`` prints.
        records: of the backtest.
        made_at: the present time.

    Raises:
        PaperTradingError: they cannot be written.
    """
    with files.folder_written_atomically(folder) as create:
        _write(create("report.html"), page([report], {}, made_at=made_at))
        _write(create("report.json"), json_of(document, indent=False, stream=io.StringIO()))
        for name in TABLES:
            rows: Rows = getattr(records, name)
            with create(f"{name}.csv") as file:
                for text in _csv(rows):
                    file.write(text.encode("utf-8"))


def _write(file: BinaryIO, text: str) -> None:
    with file:
        file.write(text.encode("utf-8"))


def _csv(rows: Rows) -> Iterator[str]:
    """Yield lines as in the files of ``report --csv``."""
    names = rows.names
    yield _line(names)
    are_ids = [name in IDS for name in names]
    for row in rows.tuples():
        yield _line([_text(value, is_id) for value, is_id in zip(row, are_ids, strict=True)])


def _line(values: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _text(value: object, is_id: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bytes) and is_id:
        return str(UUID(bytes=value))
    return str(value).lower() if isinstance(value, bool) else str(value)
