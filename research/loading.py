"""Strategies by name: ``module:Class``, or a file that holds one."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from domain.wording import did_you_mean, quoted, requirement
from research.errors import StrategyError
from research.strategy import Strategy

SUFFIX = ".py"


def is_strategy(name: str) -> bool:
    """Return whether a name is that of a strategy, and not of a tape."""
    path, _, _ = name.rpartition(":")
    return name.endswith(SUFFIX) or (bool(path) and not Path(name).exists())


def load_strategy(name: str) -> type[Strategy[Any]]:
    """Return the class of a strategy.

    Args:
        name: ``package.module:Class``, ``file.py`` or ``file.py:Class``.

    Raises:
        StrategyError: there is no such class, or its module cannot be imported.
    """
    place, _, class_name = name.rpartition(":") if not name.endswith(SUFFIX) else (name, "", "")
    module = _module(place)
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Strategy) and value.__module__ == module.__name__
    ]
    names = [one.__name__ for one in classes]
    if not class_name:
        if len(classes) != 1:
            which = f"; name one, such as {place}:{names[0]}" if names else "; a strategy is a subclass of Strategy"
            raise StrategyError(f"{place} holds {len(names)} strategies{which}")
        return classes[0]
    value = getattr(module, class_name, None)
    if not (inspect.isclass(value) and issubclass(value, Strategy)):
        hint = did_you_mean(class_name, names) or (f"; it has {', '.join(names)}" if names else "")
        raise StrategyError(f"{place} has no strategy {quoted(class_name)}{hint}")
    return value


def _module(place: str) -> ModuleType:
    try:
        if not place.endswith(SUFFIX):
            if str(Path.cwd()) not in sys.path:
                sys.path.insert(0, str(Path.cwd()))
            return importlib.import_module(place)
        file = Path(place).expanduser()
        if not file.is_file():
            raise StrategyError(f"there is no file {file}")
        spec = importlib.util.spec_from_file_location(f"_strategy_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pydantic look for their module there
        spec.loader.exec_module(module)
    except StrategyError:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{place}.".startswith(f"{error.name}."):
            msg = f"{place}: {error.msg}; a strategy is module:Class or a file, such as dip.py"
            raise StrategyError(msg) from None
        text = f"{type(error).__name__}: {error}"
        raise StrategyError(f"{place} cannot be imported: {text}{_line_of(error)}") from error
    else:
        return module


def _line_of(error: Exception) -> str:
    """Return the place of an error in a file, in brackets; that of a wrong syntax is in its own text."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith("<frozen ")]
    return "" if isinstance(error, SyntaxError) else f" ({frames[-1].filename}, line {frames[-1].lineno})"


def new_strategy(kind: type[Strategy[Any]], texts: Sequence[str] | Mapping[str, Any]) -> Strategy[Any]:
    """Return a strategy with its parameters.

    Args:
        kind: its class.
        texts: ``name=value`` for each parameter that is not to have its default; or the values by name.

    Raises:
        StrategyError: there is no such parameter, or a value is not valid.
    """
    values = dict(texts) if isinstance(texts, Mapping) else dict(map(_pair, texts))
    names = list(kind.parameters_type.model_fields)
    if unknown := [name for name in values if name not in names]:
        hint = did_you_mean(unknown[0], names) or (f"; it has {', '.join(names)}" if names else "; it has none")
        raise StrategyError(f"{kind.name} has no parameter {quoted(unknown[0])}{hint}")
    try:
        parameters = kind.parameters_type.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        value = f"{name} = {first['input']!r}: " if name else ""
        raise StrategyError(f"{kind.name}: {value}{requirement(first)}") from None
    try:
        return kind(parameters)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error}"
        raise StrategyError(f"{kind.name} cannot be made: {text} ({frame.filename}, line {frame.lineno})") from error


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise StrategyError(f"--param {quoted(text)}: must be name=value, such as fast=10")
    return name.strip(), value.strip()
