"""Frozen dataclasses that cost a fifth to make.

The constructor of a frozen dataclass stores each field by `object.__setattr__`, because an assignment to its own
attributes raises. That takes ten times as long as an assignment, and `dataclasses.replace` twice as long again. An
order has 27 fields, and each decision makes about a dozen records.

`fast_frozen` gives a frozen dataclass another constructor, and the ``__replace__`` that Python 3.13 has. While they
run, the new object is of a subclass whose attributes can be set; what they return is frozen, and the same in all else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["fast_frozen", "replace"]

Record = TypeVar("Record")

if TYPE_CHECKING:
    from dataclasses import replace  # so that the names and types of the changes are checked
else:

    def replace(record, /, **changes):
        """Return a copy of a record with these values, as `dataclasses.replace` does."""
        try:
            make = record.__replace__
        except AttributeError:  # before Python 3.13 other dataclasses have none
            return dataclasses.replace(record, **changes)
        return make(**changes)


def fast_frozen(record_class: type[Record]) -> type[Record]:
    """Give a frozen dataclass a faster constructor and ``__replace__``; it can have no subclass then.

    Raises:
        TypeError: it is no frozen dataclass with slots, or its constructor does more than to store all fields.

    >>> @fast_frozen
    ... @dataclasses.dataclass(frozen=True, slots=True)
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> replace(Point(1), y=2).y
    2
    """
    parameters = getattr(record_class, "__dataclass_params__", None)
    own = vars(record_class)
    if parameters is None or not parameters.frozen or not {"__dataclass_fields__", "__slots__"} <= own.keys():
        raise TypeError(f"{record_class.__name__} is no frozen dataclass with slots")
    fields = dataclasses.fields(record_class)  # type: ignore[arg-type]
    if hasattr(record_class, "__post_init__") or not all(field.init for field in fields):
        raise TypeError(f"the constructor of {record_class.__name__} does more than to store all fields")
    # With one of the two alone Python would still ask methods of the frozen class at each assignment.
    settable = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    values: dict[str, Any] = {
        "draft": type(record_class.__name__, (record_class,), settable),
        "frozen": record_class,
        "new": object.__new__,
        "set_attribute": object.__setattr__,
        "MISSING": MISSING,
        **{f"default_{field.name}": field.default for field in fields},
        **{f"make_{field.name}": field.default_factory for field in fields},
    }
    source = "\n".join((*_constructor(fields), *_replacement(fields)))
    exec(source, values)  # nosec B102  # noqa: S102 - names of fields alone, as `dataclasses` does it
    methods = {name: values[name] for name in ("__init__", "__replace__")}
    for name, method in methods.items():
        method.__module__, method.__qualname__ = record_class.__module__, f"{record_class.__qualname__}.{name}"
    methods["__init__"].__annotations__ = record_class.__init__.__annotations__
    for name, method in {**methods, "__init_subclass__": classmethod(_refuse_subclass)}.items():
        setattr(record_class, name, method)
    return record_class


def _refuse_subclass(record_class: Any, /, **_: Any) -> None:
    """Refuse a subclass: its objects would be made as those of the record."""
    raise TypeError(f"{record_class.__mro__[1].__name__} has a constructor that makes no {record_class.__name__}")


def _constructor(fields: Sequence[dataclasses.Field[Any]]) -> Iterator[str]:
    """Yield the lines of ``__init__``."""
    positional = [_parameter(field) for field in fields if not field.kw_only]
    keywords = [_parameter(field) for field in fields if field.kw_only]
    parameters = ["self", *positional, *(["*"] if keywords else []), *keywords]
    yield f"def __init__({', '.join(parameters)}):"
    yield "    set_attribute(self, '__class__', draft)"
    for field in fields:
        made = field.default_factory is not MISSING
        value = f"make_{field.name}() if {field.name} is MISSING else {field.name}" if made else field.name
        yield f"    self.{field.name} = {value}"
    yield "    self.__class__ = frozen"


def _parameter(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return f"{field.name}=MISSING"
    return field.name if field.default is MISSING else f"{field.name}=default_{field.name}"


def _replacement(fields: Sequence[dataclasses.Field[Any]]) -> Iterator[str]:
    """Yield the lines of ``__replace__``."""
    yield f"def __replace__(self, /, *, {', '.join(f'{field.name}=MISSING' for field in fields)}):"
    yield "    copy = new(draft)"
    for field in fields:
        yield f"    copy.{field.name} = self.{field.name} if {field.name} is MISSING else {field.name}"
    yield "    copy.__class__ = frozen"
    yield "    return copy"
