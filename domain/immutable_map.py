"""An immutable map whose changed copies share what did not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

MAX_CHANGES = 32
"""A copy with more changes than this gets a base of its own, so that no lookup and no copy becomes slow."""
ABSENT: Final = object()
REMOVED: Final = object()


class ImmutableMap(Mapping[Key, Value], Generic[Key, Value]):
    """A map that never changes. A changed copy costs the few changes since the last base, not the size of the map.

    >>> one = ImmutableMap({"BTC/USDT": 1})
    >>> two = one.updated({"ETH/USDT": 2}).without("BTC/USDT")
    >>> one, two
    ({'BTC/USDT': 1}, {'ETH/USDT': 2})
    """

    __slots__ = ("_base", "_changes")

    def __init__(self, values: Mapping[Key, Value] | None = None, _changes: Mapping[Key, Any] | None = None) -> None:
        self._base: Mapping[Key, Value] = {**(values or {})} if _changes is None else values or {}
        self._changes: Mapping[Key, Any] = _changes or {}

    def updated(self, values: Mapping[Key, Value]) -> ImmutableMap[Key, Value]:
        """Return a copy with these values."""
        return self._copy({**self._changes, **values})

    def without(self, key: Key) -> ImmutableMap[Key, Value]:
        """Return a copy without ``key``.

        Raises:
            KeyError: there is no such key.
        """
        self[key]
        return self._copy({**self._changes, key: REMOVED})

    def _copy(self, changes: Mapping[Key, Any]) -> ImmutableMap[Key, Value]:
        copy = ImmutableMap(self._base, changes)
        return copy if len(changes) <= MAX_CHANGES else ImmutableMap(copy)

    def __getitem__(self, key: Key) -> Value:
        value: Any = self.get(key, ABSENT)
        if value is ABSENT:
            raise KeyError(key)
        return value  # type: ignore[no-any-return]

    def get(self, key: Key, default: Any = None) -> Any:
        """Return the value of ``key``, else ``default``."""
        value = self._changes.get(key, ABSENT)
        if value is ABSENT:
            return self._base.get(key, default)
        return default if value is REMOVED else value

    def __contains__(self, key: object) -> bool:
        return self.get(key, ABSENT) is not ABSENT  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Key]:
        yield from (key for key in self._base if self._changes.get(key) is not REMOVED)
        yield from (key for key, value in self._changes.items() if value is not REMOVED and key not in self._base)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
