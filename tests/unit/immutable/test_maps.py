"""The immutable map against a dict."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.immutable.maps import MAX_CHANGES, ImmutableMap

CHANGES = st.lists(st.tuples(st.integers(0, 100), st.none() | st.integers()), max_size=4 * MAX_CHANGES)


@given(st.dictionaries(st.integers(0, 100), st.integers()), CHANGES)
def test_it_equals_a_dict_and_every_earlier_copy_stays_as_it_was(
    start: dict[int, int], changes: list[tuple[int, int | None]]
) -> None:
    expected, present = dict(start), ImmutableMap(start)
    copies = [(dict(expected), present)]
    for key, value in changes:
        if value is not None:
            expected[key], present = value, present.updated({key: value})
        elif key in expected:
            del expected[key]
            present = present.without(key)
        copies.append((dict(expected), present))
    for values, copy in copies:
        assert values == copy
        assert (len(values), values.items()) == (len(copy), copy.items())
        assert sorted(values.values()) == sorted(copy.values())
        assert {key: copy.get(key) for key in range(101)} == {key: values.get(key) for key in range(101)}


def test_a_pickled_or_deeply_copied_map_is_the_same() -> None:
    once = ImmutableMap({"BTC/USDT": 1, "ETH/USDT": 2}).without("BTC/USDT").updated({"SOL/USDT": 3})
    assert {"ETH/USDT": 2, "SOL/USDT": 3} == pickle.loads(pickle.dumps(once)) == deepcopy(once) == once


def test_a_copy_without_a_missing_key_is_refused() -> None:
    once = ImmutableMap({"BTC/USDT": 1}).without("BTC/USDT")
    with pytest.raises(KeyError, match="BTC/USDT"):
        once.without("BTC/USDT")
