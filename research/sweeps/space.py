"""The space of a sweep: which values each parameter may take, as ``--param`` writes them.

=====================  =================================================================================
``fast=5:50:5``        5, 10, … 50: from, to and step, the end included where a step meets it
``fast=5:50``          5, 6, … 50: whole numbers go up by 1
``ratio=0.1:0.5:0.1``  0.1, 0.2, … 0.5, as exact decimals
``ratio=0.1:0.5``      1 001 values at equal distances, for samplers that draw
``fast=5,10,20``       these numbers
``side=long,both``     these words
``slow=200``           one value, so that it is part of every trial
=====================  =================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from domain.errors import InvalidRequest
from domain.sweeps.parameters import Parameters, ParameterValue, parse_value
from domain.trading.arithmetic import ONE, add, divide, multiply, subtract
from domain.wording import quoted

MAX_VALUES = 100_000
"""Of one parameter: more is a mistake in the step."""
EQUAL_STEPS = 1_000
"""Steps of a range of decimals without a step."""
FORMS = "write it as 5:50:5 (from:to:step), 5,10,20 or long,both"
Number = int | Decimal


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and the values that it may take.

    Attributes:
        name: as the strategy calls it.
        values: in the order of the option; a range goes up.
        is_span: whether they stand for all numbers between two that are not both whole: a range without a step.
    """

    name: str
    values: tuple[ParameterValue, ...]
    is_span: bool = False

    @property
    def is_ordered(self) -> bool:
        """Whether its values are numbers, so that one lies between two others."""
        return not any(isinstance(value, str) for value in self.values)


@dataclass(frozen=True, slots=True)
class Space:
    """The parameters of a sweep. A point has a number: that of the last parameter changes fastest."""

    parameters: tuple[Parameter, ...]

    @classmethod
    def parse(cls, options: Iterable[str]) -> Space:
        """Return the space that the values of ``--param`` describe.

        Raises:
            InvalidRequest: one of them has another form, or a name stands in two of them.
        """
        parameters: dict[str, Parameter] = {}
        for option in options:
            parameter = parse_parameter(option)
            if parameter.name in parameters:
                raise InvalidRequest(
                    f"--param {parameter.name} stands there twice: write all its values into one option"
                )
            parameters[parameter.name] = parameter
        return cls(tuple(parameters.values()))

    @property
    def size(self) -> int:
        """The number of points."""
        return math.prod(len(parameter.values) for parameter in self.parameters)

    def indices(self, number: int) -> tuple[int, ...]:
        """Return the index of each parameter's value at a point, counted from 0."""
        places = []
        for parameter in reversed(self.parameters):
            number, place = divmod(number, len(parameter.values))
            places.append(place)
        return tuple(reversed(places))

    def number(self, indices: Sequence[int]) -> int:
        """Return the number of the point at these indices."""
        number = 0
        for parameter, index in zip(self.parameters, indices, strict=True):
            number = number * len(parameter.values) + index
        return number

    def point(self, number: int) -> Parameters:
        """Return the parameters of a point, counted from 0."""
        pairs = zip(self.parameters, self.indices(number), strict=True)
        return {parameter.name: parameter.values[index] for parameter, index in pairs}


def parse_parameter(option: str) -> Parameter:
    """Return the parameter that one ``--param`` describes; see this module's table.

    Raises:
        InvalidRequest: it has another form.
    """
    name, separator, text = option.partition("=")
    name = name.strip()
    if not separator or not name.isidentifier():
        raise InvalidRequest(f"--param {quoted(option)} must be a name, = and values; {FORMS}")
    parts = [part.strip() for part in text.split(":" if ":" in text else ",")]
    if "" in parts:
        raise InvalidRequest(f"--param {name}: a value is missing in {quoted(text)}; {FORMS}")
    values = _range(name, text, parts) if ":" in text else _list(name, parts)
    return Parameter(name, values, is_span=text.count(":") == 1 and not isinstance(values[0], int))


def _list(name: str, parts: Sequence[str]) -> tuple[ParameterValue, ...]:
    values = [parse_value(part) for part in parts]
    if any(isinstance(value, str) for value in values):
        values = list(parts)
    if len(set(values)) < len(values):
        twice = next(part for part, value in zip(parts, values, strict=True) if values.count(value) > 1)
        raise InvalidRequest(f"--param {name}: the value {quoted(twice)} stands there twice")
    return tuple(values)


def _range(name: str, text: str, parts: Sequence[str]) -> tuple[ParameterValue, ...]:
    numbers = [value for value in map(parse_value, parts) if not isinstance(value, str)]
    if len(numbers) != len(parts) or len(parts) not in {2, 3}:
        raise InvalidRequest(f"--param {name}: {quoted(text)} is no range of numbers; {FORMS}")
    begin, end = numbers[0], numbers[1]
    if begin > end:
        raise InvalidRequest(
            f"--param {name}: the range {quoted(text)} begins above its end; write the lower one first"
        )
    is_whole = all(isinstance(value, int) for value in numbers)
    if len(numbers) == 3:
        step: Number = numbers[2]
    else:
        width = subtract(Decimal(end), Decimal(begin))
        step = 1 if is_whole else divide(width, Decimal(EQUAL_STEPS)) or ONE
    if step <= 0:
        raise InvalidRequest(f"--param {name}: the step of {quoted(text)} must be above 0")
    count = int((Decimal(end) - Decimal(begin)) // Decimal(step)) + 1
    if count > MAX_VALUES:
        raise InvalidRequest(
            f"--param {name}: {quoted(text)} has {count:,} values, {MAX_VALUES:,} at most; raise the step"
        )
    if is_whole:
        return tuple(int(begin + index * step) for index in range(count))
    first, distance = Decimal(begin), Decimal(step)
    return tuple(add(first, multiply(Decimal(index), distance)) for index in range(count))
