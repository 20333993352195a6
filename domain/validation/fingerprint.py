"""Fingerprint of a validation run and its changes: a result holds for one set of settings, rules and strategies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.trading.arithmetic import plain

IGNORED_COLUMNS = frozenset({"revision", "created_at"})
"""Columns of a portfolio's row that show that it changed, but not what changed."""


@dataclass(frozen=True, slots=True)
class Process:
    """A row of ``paper_processes``."""

    epoch: int
    version: str
    settings: Mapping[str, Any]
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The settings, rules and strategies at the start of a run; a change of them ends it.

    Attributes:
        process: the last process at the start of the run.
        portfolios: the rules of each portfolio, that is its row without the cash.
        strategies: the strategies that may send decisions.
    """

    process: Process
    portfolios: Mapping[str, Mapping[str, Any]]
    strategies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnlistedDecision:
    """The first executed decision of a strategy that does not belong to the run."""

    strategy: str
    decision_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """A change that ends a run.

    Attributes:
        at: time of the change; None where it is unknown.
    """

    sentence: str
    at: datetime | None = None


def changes(
    bound: Fingerprint,
    processes: Sequence[Process],
    portfolios: Mapping[str, Mapping[str, Any]],
    executed: Sequence[UnlistedDecision],
) -> tuple[Change, ...]:
    """Return the changes since a run began; without any, the run continues.

    Args:
        bound: the fingerprint of the run.
        processes: the processes that started after the run began, oldest first.
        portfolios: the current rows of the portfolios.
        executed: decisions of other strategies that were executed.
    """
    return (
        *_processes(bound.process, processes),
        *(
            change
            for name, rules in bound.portfolios.items()
            for change in _portfolio(name, rules, portfolios.get(name))
        ),
        *(
            Change(f"decision {first.decision_id} of strategy {first.strategy} was executed", first.at)
            for first in executed
        ),
    )


def _processes(bound: Process, later: Sequence[Process]) -> Iterator[Change]:
    for process in later:
        since = f"since epoch {process.epoch}"
        sentences = [
            f"{name} {_text(before)} → {_text(after)} {since}"
            for name, before, after in _differences(bound.settings, process.settings)
        ]
        if _minor(bound.version) != _minor(process.version):
            sentences.append(f"program {bound.version} → {process.version} {since}")
        if sentences:
            # The first changed process ends the run; later changes do not matter.
            yield from (Change(sentence, process.started_at) for sentence in sentences)
            return


def _portfolio(name: str, bound: Mapping[str, Any], now: Mapping[str, Any] | None) -> Iterator[Change]:
    if now is None:
        yield Change(f"portfolio {name} was deleted")
    elif bound["created_at"] != now["created_at"]:
        yield Change(f"portfolio {name} was deleted and created again")
    else:
        changed_rules = [
            Change(f"{rule} of portfolio {name} {_text(before)} → {_text(after)}")
            for rule, before, after in _differences(bound, now)
            if rule not in IGNORED_COLUMNS
        ]
        if not changed_rules and bound["revision"] != now["revision"]:
            revisions = f"revision {bound['revision']} → {now['revision']}"
            changed_rules.append(Change(f"the rules of portfolio {name} were changed and changed back ({revisions})"))
        yield from changed_rules


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    # A name that only one of the two has came with another version of the program. A new minor version ends the run
    # anyway, a patch version does not.
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            yield name, before[name], after[name]


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _text(value: object) -> str:
    match value:
        case None:
            return "none"
        case Decimal():
            return plain(value)
        case str():
            return value
        case list() if all(isinstance(item, str) for item in value):
            return ", ".join(value) or "none"
    return json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)
