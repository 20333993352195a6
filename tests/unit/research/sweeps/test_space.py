"""The space of a sweep: what ``--param`` may say, and the sentence for what it may not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.errors import InvalidRequest
from domain.sweeps.parameters import from_texts, parameters_text, parse_value, to_texts
from research.sweeps.space import Space, parse_parameter


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("fast=5:50:15", (5, 20, 35, 50)),
        ("fast=5:49:15", (5, 20, 35)),
        ("fast=-1:2", (-1, 0, 1, 2)),
        ("fast=7", (7,)),
        ("fast=5, 10,20", (5, 10, 20)),
        ("ratio=0.1:0.3:0.1", (Decimal("0.1"), Decimal("0.2"), Decimal("0.3"))),
        ("ratio=1:2:0.5", (Decimal(1), Decimal("1.5"), Decimal(2))),
        ("ratio=0.50,2", (Decimal("0.5"), 2)),
        ("side=long,both", ("long", "both")),
        ("kind=1,two", ("1", "two")),
        ("ratio=0.5:0.5", (Decimal("0.5"),)),
    ],
)
def test_ranges_lists_and_words(option: str, values: tuple[object, ...]) -> None:
    parameter = parse_parameter(option)
    assert values == parameter.values
    assert [type(value) for value in values] == [type(value) for value in parameter.values]
    assert parameter.is_ordered == (not isinstance(values[0], str))


def test_a_range_of_decimals_without_a_step_has_a_thousand_steps() -> None:
    values = parse_parameter("ratio=0.1:0.5").values
    assert (1_001, Decimal("0.1"), Decimal("0.1004"), Decimal("0.5")) == (len(values), values[0], values[1], values[-1])


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            "fast",
            "--param 'fast' must be a name, = and values; write it as 5:50:5 (from:to:step), 5,10,20 or long,both",
        ),
        ("=5", "--param '=5' must be a name"),
        ("fa st=5", "--param 'fa st=5' must be a name"),
        ("fast=", "--param fast: a value is missing in ''"),
        ("fast=5,,6", "--param fast: a value is missing in '5,,6'"),
        ("fast=5:", "--param fast: a value is missing in '5:'"),
        ("fast=5:x", "--param fast: '5:x' is no range of numbers; write it as"),
        ("fast=5:6:1:1", "--param fast: '5:6:1:1' is no range of numbers"),
        ("fast=50:5:5", "--param fast: the range '50:5:5' begins above its end; write the lower one first"),
        ("fast=5:50:0", "--param fast: the step of '5:50:0' must be above 0"),
        ("fast=5:50:-5", "--param fast: the step of '5:50:-5' must be above 0"),
        ("fast=1:1000000", "--param fast: '1:1000000' has 1,000,000 values, 100,000 at most; raise the step"),
        ("fast=5,6,5", "--param fast: the value '5' stands there twice"),
        ("side=a,b,a", "--param side: the value 'a' stands there twice"),
    ],
)
def test_anything_else_is_one_sentence(option: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        parse_parameter(option)
    assert str(error.value).startswith(sentence)


def test_a_name_stands_in_one_option() -> None:
    with pytest.raises(InvalidRequest, match="--param fast stands there twice: write all its values into one option"):
        Space.parse(["fast=5", "slow=1,2", "fast=6"])


def test_the_last_parameter_changes_fastest_and_numbers_lead_back() -> None:
    space = Space.parse(["a=1:2", "side=long,both", "b=1:3"])
    assert 12 == space.size
    assert [{"a": 1, "side": "long", "b": 1}, {"a": 1, "side": "long", "b": 2}] == [space.point(0), space.point(1)]
    assert {"a": 2, "side": "both", "b": 3} == space.point(11)
    assert list(range(12)) == [space.number(space.indices(number)) for number in range(12)]
    assert ({}, 1) == (Space.parse([]).point(0), Space.parse([]).size)


@pytest.mark.parametrize("value", [5, -3, Decimal("0.5"), Decimal(2), Decimal("-0.001"), "long", "1e5", ""])
def test_stored_parameters_are_read_back_as_they_were(value: int | Decimal | str) -> None:
    (read,) = from_texts(to_texts({"n": value})).values()
    assert (value, type(value)) == (read, type(read))


def test_parameters_are_written_as_they_are_typed() -> None:
    assert "fast=5, ratio=0.5, side=long" == parameters_text({"fast": 5, "ratio": Decimal("0.50"), "side": "long"})
    assert "no parameters" == parameters_text({})
    assert Decimal("0.5") == parse_value("0.50")
