"""An immutable map whose changed copies share what did not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

MAX_CHANGES = 32
"""A copy with more changes than this gets a base of its own, so that no lookup and no copy becomes slow."""
REMOVED: Final = object()


class ImmutableMap(Mapping[Key, Value], Generic[Key, Value]):
    """A map that never changes. A changed copy costs the few changes since the last base, not the size of the map.

    >>> one = ImmutableMap({"BTC/USDT": 1})
    >>> two = one.updated({"ETH/USDT": 2}).without("BTC/USDT")
    >>> dict(one), dict(two)
    ({'BTC/USDT': 1}, {'ETH/USDT': 2})
    """

    __slots__ = ("_base", "_changes", "_length")

    def __init__(self, values: Mapping[Key, Value] | None = None) -> None:
        self._base: dict[Key, Value] = dict(values or {})
        self._changes: dict[Key, Value | object] = {}
        self._length = len(self._base)

    def updated(self, values: Mapping[Key, Value]) -> ImmutableMap[Key, Value]:
        """Return a copy with these values."""
        return self._copy(values, self._length + sum(key not in self for key in values))

    def without(self, key: Key) -> ImmutableMap[Key, Value]:
        """Return a copy without ``key``.

        Raises:
            KeyError: there is no such key.
        """
        self[key]
        return self._copy({key: REMOVED}, self._length - 1)

    def _copy(self, changes: Mapping[Key, Value | object], length: int) -> ImmutableMap[Key, Value]:
        copy: ImmutableMap[Key, Value] = ImmutableMap()
        copy._base, copy._changes, copy._length = self._base, {**self._changes, **changes}, length
        return copy if len(copy._changes) <= MAX_CHANGES else ImmutableMap(dict(copy.items()))

    def __getitem__(self, key: Key) -> Value:
        value = self._changes.get(key, self)
        if value is self:
            return self._base[key]
        if value is REMOVED:
            raise KeyError(key)
        return value  # type: ignore[return-value]

    def __iter__(self) -> Iterator[Key]:
        yield from (key for key in self._base if self._changes.get(key) is not REMOVED)
        yield from (key for key, value in self._changes.items() if value is not REMOVED and key not in self._base)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return repr(dict(self))
