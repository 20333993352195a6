"""An immutable map whose changed copies share what did not change."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from enum import Enum
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

MAX_CHANGES = 32
"""A copy with more changes than this gets a base of its own, so that no lookup and no copy becomes slow."""


class _Marker(Enum):
    """Values that stay themselves in every copy and in another process."""

    ABSENT = 0
    REMOVED = 1


# Names of the module, because in Python 3.11 `_Marker.ABSENT` takes longer than all else that `get` does.
_ABSENT, _REMOVED = _Marker.ABSENT, _Marker.REMOVED
_new = object.__new__


class ImmutableMap(Mapping[Key, Value], Generic[Key, Value]):
    """A map that never changes. A changed copy costs the few changes since the last base, not the size of the map.

    >>> one = ImmutableMap({"BTC/USDT": 1})
    >>> two = one.updated({"ETH/USDT": 2}).without("BTC/USDT")
    >>> one, two
    ({'BTC/USDT': 1}, {'ETH/USDT': 2})
    """

    __slots__ = ("_base", "_changes")

    def __init__(self, values: Mapping[Key, Value] | None = None) -> None:
        self._base: Mapping[Key, Value] = {} if values is None else dict(values)
        self._changes: Mapping[Key, Any] = {}

    def updated(self, values: Mapping[Key, Value]) -> ImmutableMap[Key, Value]:
        """Return a copy with these values."""
        return self._copy({**self._changes, **values})

    def without(self, key: Key) -> ImmutableMap[Key, Value]:
        """Return a copy without ``key``.

        Raises:
            KeyError: there is no such key.
        """
        if key not in self:
            raise KeyError(key)
        return self._copy({**self._changes, key: _REMOVED})

    def moved_last(self, key: Key) -> ImmutableMap[Key, Value]:
        """Return a copy in which ``key`` comes last; it costs the size of the map.

        Raises:
            KeyError: there is no such key.
        """
        values = self._flat()
        values[key] = values.pop(key)
        return ImmutableMap(values)

    def _copy(self, changes: Mapping[Key, Any]) -> ImmutableMap[Key, Value]:
        copy: ImmutableMap[Key, Value] = _new(ImmutableMap)
        copy._base, copy._changes = self._base, changes
        if len(changes) > MAX_CHANGES:
            copy._base, copy._changes = copy._flat(), {}
        return copy

    def _flat(self) -> dict[Key, Value]:
        flat: dict[Key, Any] = {**self._base, **self._changes}
        for key, value in self._changes.items():
            if value is _REMOVED:
                del flat[key]
        return flat

    def __getitem__(self, key: Key) -> Value:
        value: Any = self.get(key, _ABSENT)
        if value is _ABSENT:
            raise KeyError(key)
        return value  # type: ignore[no-any-return]

    def get(self, key: Key, default: Any = None) -> Any:
        """Return the value of ``key``, else ``default``."""
        value = self._changes.get(key, _ABSENT)
        if value is _ABSENT:
            return self._base.get(key, default)
        return default if value is _REMOVED else value

    def __contains__(self, key: object) -> bool:
        value = self._changes.get(key, _ABSENT)  # type: ignore[arg-type]
        return key in self._base if value is _ABSENT else value is not _REMOVED

    def __iter__(self) -> Iterator[Key]:
        return iter(self._flat())

    def __len__(self) -> int:
        size = len(self._base)
        for key, value in self._changes.items():
            size += (value is not _REMOVED) - (key in self._base)
        return size

    def items(self) -> ItemsView[Key, Value]:
        """Return all keys with their values."""
        return self._flat().items()

    def values(self) -> ValuesView[Value]:
        """Return all values."""
        return self._flat().values()

    def __repr__(self) -> str:
        return repr(self._flat())
