"""A random series, written in a dialect and read back, is the same series or is refused; it is never another one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import SettingsError
from market.history.conversion.rows import Rows
from market.history.dialects.reading import ReadOptions
from tests.support.history.dialect_files import read_file
from tests.support.history.dialect_writers import WRITERS, Bar, Writer

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_DAY = datetime(2001, 9, 10, tzinfo=UTC)  # from here on Unix times have ten digits
DAYS = 9_000


@st.composite
def series(draw: st.DrawFn, step: timedelta) -> list[Bar]:
    """Draw bars with gaps, and with as many decimals as people have."""
    unit = Decimal(1).scaleb(-draw(st.integers(1, 8)))
    prices = st.integers(1, 10**9).map(lambda count: count * unit)
    time = FIRST_DAY + draw(st.integers(0, DAYS)) * timedelta(days=1) + draw(st.integers(0, 23)) * step
    bars = []
    for _ in range(draw(st.integers(2, 6))):
        cells = sorted(draw(st.tuples(prices, prices, prices, prices)))
        open_, close = draw(st.permutations(cells[1:3]))
        bars.append(Bar(time, open_, cells[3], cells[0], close, draw(prices)))
        time += draw(st.integers(1, 3)) * step
    return bars


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as path:
        yield Path(path)


def read_back(rows: Rows, writer: Writer) -> list[tuple[object, ...]]:
    [bars] = [bars.load() for bars in rows.bars if bars.symbol == writer.symbol]
    times = [EPOCH + timedelta(microseconds=int(time)) for time in np.asarray(bars.begin)]
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return list(zip(times, *(column.to_pylist() for column in columns), strict=True))


def expected(bars: list[Bar], writer: Writer) -> list[tuple[object, ...]]:
    return [(*bar[:5], bar.volume if writer.has_volume else None) for bar in bars]


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_series_is_read_as_it_was_written(name: str, data: st.DataObject, folder: Path) -> None:
    writer = WRITERS[name]
    bars = data.draw(series(writer.step))
    path = folder / writer.file_name
    path.write_text(writer.write(bars), encoding="utf-8")
    assert expected(bars, writer) == read_back(read_file(path, writer.options)[1], writer)
    if writer.options != ReadOptions():
        try:
            rows = read_file(path, ReadOptions(symbol=writer.options.symbol))[1]
        except SettingsError as refused:
            assert "--" in str(refused)  # it asks for an option
        else:
            assert expected(bars, writer) == read_back(rows, writer)
