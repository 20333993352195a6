"""Records with the fast constructor are the dataclasses that they would be without it."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import FrozenInstanceError, dataclass, field
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import domain.trading
from domain.immutable.records import fast_frozen, replace


@dataclass(frozen=True, slots=True)
class Plain:
    """A dataclass with each kind of field."""

    first: int
    second: str = "two"
    parts: list[int] = field(default_factory=list)
    ignored: int = field(default=0, compare=False)
    named: object = field(default=None, kw_only=True)


@fast_frozen
@dataclass(frozen=True, slots=True)
class Fast:
    """The same with the fast constructor."""

    first: int
    second: str = "two"
    parts: list[int] = field(default_factory=list)
    ignored: int = field(default=0, compare=False)
    named: object = field(default=None, kw_only=True)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "first": st.integers(),
    "second": st.text(),
    "parts": st.lists(st.integers()),
    "ignored": st.integers(),
    "named": st.one_of(st.none(), st.integers()),
}
SOME_FIELDS = st.fixed_dictionaries({}, optional=VALUES)
ANY_FIELDS = SOME_FIELDS.map(lambda fields: {"first": 1, **fields})


def text(record: object) -> str:
    return repr(record).removeprefix(type(record).__name__)


@given(ANY_FIELDS, ANY_FIELDS, SOME_FIELDS)
def test_a_record_is_the_dataclass(fields: dict[str, Any], others: dict[str, Any], changes: dict[str, Any]) -> None:
    plain, fast = Plain(**fields), Fast(**fields)
    assert type(fast) is Fast
    assert text(plain) == text(fast)
    assert (plain == Plain(**others)) is (fast == Fast(**others))
    assert fast == Fast(**fields)
    assert text(dataclasses.replace(plain, **changes)) == text(replace(fast, **changes))
    assert text(dataclasses.replace(plain, **changes)) == text(dataclasses.replace(fast, **changes))
    assert type(replace(fast, **changes)) is Fast
    assert dataclasses.asdict(plain) == dataclasses.asdict(fast)
    for again in (copy(fast), deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        assert (type(again), text(fast)) == (Fast, text(again))


def test_its_default_values_are_its_own() -> None:
    one, other = Fast(1), Fast(1)
    assert one.parts == other.parts == []
    assert one.parts is not other.parts


@pytest.mark.parametrize("make", [lambda: Fast(1), lambda: replace(Fast(2), first=1)])
def test_it_is_frozen(make: Callable[[], Fast]) -> None:
    record = make()
    with pytest.raises(FrozenInstanceError):
        record.first = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del record.first
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        record.other = 2  # type: ignore[attr-defined]
    assert Fast(1) == record


def test_what_the_dataclass_refuses_it_refuses() -> None:
    for made in (Plain, Fast):
        for arguments, keywords in (((), {}), ((1, "", [], 0, None), {}), ((1,), {"third": 3}), ((1,), {"first": 1})):
            with pytest.raises(TypeError):
                made(*arguments, **keywords)
    for refusing in (replace, dataclasses.replace):
        with pytest.raises(TypeError):
            refusing(Fast(1), third=3)  # type: ignore[call-arg]


def test_a_dataclass_that_is_no_record_is_replaced_as_usual() -> None:
    assert Plain(1, "one") == replace(Plain(2, "one"), first=1)


def test_what_is_no_record_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Checks:
        value: int

        def __post_init__(self) -> None:
            raise ValueError

    @dataclass(frozen=True, slots=True)
    class Computes:
        value: int = field(init=False, default=0)

    @dataclass(slots=True)
    class Changes:
        value: int

    @dataclass(frozen=True)
    class HasDict:
        value: int

    for refused in (Checks, Computes, Changes, HasDict, int):
        with pytest.raises(TypeError, match=refused.__name__):
            fast_frozen(refused)


def test_it_has_no_subclass() -> None:
    with pytest.raises(TypeError, match="Fast has a constructor that makes no Faster"):

        class Faster(Fast):  # type: ignore[misc]
            """It would be made as a Fast."""


def records() -> list[type]:
    """Return the records of trading that have the fast constructor."""
    modules = [import_module(one.name) for one in walk_packages(domain.trading.__path__, "domain.trading.")]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return [one for one in classes if "draft" in getattr(one.__init__, "__globals__", ())]


def test_each_record_of_trading_keeps_its_signature() -> None:
    assert {"Order", "Quote", "PendingDecision", "PortfolioState"} <= {one.__name__ for one in records()}
    for record in records():
        parameters = inspect.signature(record).parameters
        fields = sorted(dataclasses.fields(record), key=lambda one: bool(one.kw_only))
        assert [one.name for one in fields] == list(parameters)
        for one in dataclasses.fields(record):
            present = parameters[one.name]
            assert one.kw_only is (present.kind is inspect.Parameter.KEYWORD_ONLY)
            if one.default is not dataclasses.MISSING:
                assert one.default is present.default
