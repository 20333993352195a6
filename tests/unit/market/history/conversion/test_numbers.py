"""Texts as exact numbers."""

from __future__ import annotations

from decimal import Decimal

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.trading.arithmetic import storable
from market.history.conversion.numbers import NumberColumn, decimals_of, has_decimal_comma, read_numbers


def read(*texts: str, decimal_comma: bool = False) -> NumberColumn:
    return read_numbers(pyarrow.array(texts, pyarrow.string()), decimal_comma=decimal_comma)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("110485.85", "110485.85"), ("+25e-1", "2.5"), (".5", "0.5"), ("5.", "5"), ("-3", "-3"),
        ("1.03e-05", "0.0000103"), ("1E3", "1000"), ("42,850.1", "42850.1"), ("1,234,567", "1234567"),
        ("117.65K", "117650"), ("1.5M", "1500000"),
        ("2.25B", "2250000000"), ("1T", "1000000000000"), ("$185.64", "185.64"), ("-$1.5", "-1.5"), ("€ 7", "7"),
        ("1 234.5", "1234.5"), ("0.0016200000000000001", "0.00162"), ("5e-19", "1e-18"), ("4e-19", "0"),
        ("1e-50", "0"), ("0." + "1" * 60, "0." + "1" * 18), ("9" * 20 + "." + "9" * 18, "9" * 20 + "." + "9" * 18),
    ],
)  # fmt: skip
def test_every_form_of_a_number(text: str, number: str) -> None:
    column = read(text, "x")
    assert [Decimal(number), None] == column.values.to_pylist()
    assert [False, True] == column.is_invalid.tolist()
    assert [Decimal(number)] == read(text).values.to_pylist()


@pytest.mark.parametrize(
    "text",
    ["x", "1_000", "１", "0x10", "1e", "--1", "inf", "-inf", "1.2.3", "1e20", "1e9999", "1e99999", "12,34.5", "1,5",
     "5%", "K", "9" * 21, "9" * 400, "1e999999999999999999"],
)  # fmt: skip
def test_what_is_no_number(text: str) -> None:
    column = read("1.5", text)
    assert [Decimal("1.5"), None] == column.values.to_pylist()
    assert [False, True] == column.is_invalid.tolist()


@pytest.mark.parametrize("text", ["", "null", "NULL", "NaN", "nan", "None", "N/A", "#N/A", "-", "<NA>"])
def test_what_stands_for_no_value(text: str) -> None:
    column = read("1.5", text, "x")
    assert [Decimal("1.5"), None, None] == column.values.to_pylist()
    assert [False, False, True] == column.is_invalid.tolist()


@pytest.mark.parametrize(
    ("text", "number"),
    [("110485,85", "110485.85"), ("1.234,5", "1234.5"), ("1.234", "1234"), ("7", "7"), ("1,5e-3", "0.0015")],
)
def test_decimal_commas(text: str, number: str) -> None:
    assert [Decimal(number)] == read(text, decimal_comma=True).values.to_pylist()


def test_a_decimal_point_among_decimal_commas_is_no_number() -> None:
    assert [False, True] == read("1,5", "1.5", decimal_comma=True).is_invalid.tolist()


@pytest.mark.parametrize(
    ("columns", "is_decimal"),
    [
        ([["110485,85"]], True), ([["42,850.1"]], False), ([["1,234,567"]], False), ([["1.5", "2"]], False),
        ([["1,234"]], None), ([["1,234", "1,2"]], True), ([["1,234"], ["1.5"]], False), ([["1,234", "1.234"]], None),
        ([["1,234"], ["1,2"]], True),
        ([["1 234,5"]], True), ([["1.234.567", "1,234"]], None), ([["1,2"], ["1,234.5"]], False),
    ],
)  # fmt: skip
def test_what_a_comma_is(columns: list[list[str]], is_decimal: bool | None) -> None:
    assert is_decimal is has_decimal_comma(pyarrow.array(column) for column in columns)


@pytest.mark.parametrize(
    ("texts", "decimals"),
    [(("1", "1.25", "0.0853"), 4), (("1",), 0), (("1e-5",), 18), (("1,25",), 2), (("0." + "1" * 30,), 18), (("",), 0)],
)
def test_the_decimals_of_a_column(texts: tuple[str, ...], decimals: int) -> None:
    assert decimals == decimals_of(pyarrow.array(texts))


@given(
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70), st.integers(-60, 60)), min_size=1, max_size=4), st.data()
)
def test_a_number_of_any_length_is_read_exactly_or_not_at_all(
    shapes: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    texts = []
    for whole_digits, decimals, exponent in shapes:
        digits = data.draw(st.text("0123456789", min_size=whole_digits + decimals, max_size=whole_digits + decimals))
        power = f"e{exponent}" if data.draw(st.booleans()) else ""
        texts.append(f"{digits[:whole_digits] or '0'}.{digits[whole_digits:]}{power}")
    exact = [Decimal(text) for text in texts]
    numbers = [storable(number) if number < Decimal("1e20") else None for number in exact]
    assert numbers == read(*texts).values.to_pylist()


@given(st.lists(st.floats(min_value=1e-12, max_value=9e19), min_size=1, max_size=5))
def test_floats_are_read_as_their_shortest_text_and_rounded_once(values: list[float]) -> None:
    column = read(*map(repr, values))
    exact = [storable(Decimal(repr(value))) for value in values]
    assert exact == column.values.to_pylist()
    assert [
        Decimal(repr(value)) != number for value, number in zip(values, exact, strict=True)
    ] == column.is_rounded.tolist()
