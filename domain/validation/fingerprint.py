"""What a validation run is bound to, and what has changed since: a result is one of settings, rules and strategies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.trading.arithmetic import plain

APART = frozenset({"revision", "created_at"})
"""Of a portfolio's row: they say that something changed, not what."""


@dataclass(frozen=True, slots=True)
class Process:
    """A row of ``paper_processes``."""

    epoch: int
    version: str
    settings: Mapping[str, Any]
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a run is bound to.

    Attributes:
        process: the last one when it began.
        portfolios: the rules of each, its row without the cash.
        strategies: those that may send decisions.
    """

    process: Process
    portfolios: Mapping[str, Mapping[str, Any]]
    strategies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnlistedDecision:
    """The first decision that a strategy sent which is not one of the run's."""

    strategy: str
    decision_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """Something that ends a run.

    Attributes:
        at: when it came about; None where only that it did is known.
    """

    sentence: str
    at: datetime | None = None


def changes(
    bound: Fingerprint,
    processes: Sequence[Process],
    portfolios: Mapping[str, Mapping[str, Any]],
    sent: Sequence[UnlistedDecision],
) -> tuple[Change, ...]:
    """Return all that has changed since a run began, a sentence each; nothing: the run goes on.

    Args:
        bound: the run's.
        processes: every one that began after it, oldest first.
        portfolios: the rows that exist now.
        sent: decisions of other strategies.
    """
    return (
        *_processes(bound.process, processes),
        *(
            change
            for name, rules in bound.portfolios.items()
            for change in _portfolio(name, rules, portfolios.get(name))
        ),
        *(Change(f"strategy {one.strategy} sent decision {one.decision_id}", one.at) for one in sent),
    )


def _processes(bound: Process, later: Sequence[Process]) -> Iterator[Change]:
    for process in later:
        since = f"since epoch {process.epoch}"
        found = [
            f"{name} {_text(before)} → {_text(after)} {since}"
            for name, before, after in _differences(bound.settings, process.settings)
        ]
        if _minor(bound.version) != _minor(process.version):
            found.append(f"program {bound.version} → {process.version} {since}")
        if found:
            # What later ones changed, perhaps back again, is no news any more.
            yield from (Change(sentence, process.started_at) for sentence in found)
            return


def _portfolio(name: str, bound: Mapping[str, Any], now: Mapping[str, Any] | None) -> Iterator[Change]:
    if now is None:
        yield Change(f"portfolio {name} was deleted")
    elif bound["created_at"] != now["created_at"]:
        yield Change(f"portfolio {name} was deleted and made anew")
    else:
        found = [
            Change(f"{rule} of portfolio {name} {_text(before)} → {_text(after)}")
            for rule, before, after in _differences(bound, now)
            if rule not in APART
        ]
        if not found and bound["revision"] != now["revision"]:
            counts = f"revision {bound['revision']} → {now['revision']}"
            found.append(Change(f"the rules of portfolio {name} were changed, and back again ({counts})"))
        yield from found


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    # What only one of the two has came with a version of the program; a minor one ends the run, a patch does not.
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
        case list() if all(isinstance(each, str) for each in value):
            return ", ".join(value) or "none"
    return json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)
