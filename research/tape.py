"""Decision tapes: what was decided when, from files of CSV or Parquet, or from the rows of a portfolio.

The columns are the fields of `domain.trading.decision.Decision` and ``created_at``, so ``decisions.csv`` of ``report
--csv`` is a tape. The id of a decision depends on the file's content and the row alone.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow
import pyarrow.parquet

from domain.errors import InvalidDecision
from domain.trading.decision import Decision
from domain.types import Action
from domain.wording import did_you_mean, quoted
from research.backtest.feeds import Wish
from research.backtest.ids import name_bytes
from research.backtest.making import namespace_of
from research.backtest.pieces import PHASES, Phase
from research.columns.bar_columns import EPOCH
from research.errors import TapeError
from research.strategy import Intent

DECISION = int(Phase.DECISION)
TIME = "created_at"
NOT_READ = frozenset({"uid", "portfolio", "asset_class", "idempotency_key", "current_price", "reasoning"})
"""Fields of a decision that a backtest does not need."""
READ = frozenset(Decision.model_fields) - NOT_READ
NAMES_OF_DECISION = ("id", "uid", "idempotency_key", "order_id")
"""Columns by which a CANCEL or AMEND may name another decision of the tape."""
MICROSECOND = timedelta(microseconds=1)
PLAIN_FIELDS = tuple(field.name for field in fields(Intent) if field.name not in {"action", "target"})


class Entry(NamedTuple):
    """A row of a tape.

    Attributes:
        micros: when it was decided, in microseconds since 1970.
        row: its number in the file, the heading being row 1.
        intent: what was decided.
        target: the row of the decision that a CANCEL or AMEND names; None where it names none of the tape.
        uid: of the decision; None: one of the row.
    """

    micros: int
    row: int
    intent: Intent
    target: int | None
    uid: UUID | None = None


@dataclass(frozen=True, slots=True)
class DecisionTape:
    """The decisions of a file, or of a portfolio, by their times.

    Attributes:
        file: the file; None where it is none.
        namespace: of the ids of its decisions.
        entries: in the order of their times, then of the rows.
        notes: what was left out; sentences.
        label: what it is called where it is no file.
    """

    file: Path | None
    namespace: UUID
    entries: Sequence[Entry]
    notes: tuple[str, ...] = ()
    label: str = ""

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return self.file.name if self.file is not None else self.label

    def wishes(self, begin: int) -> Iterator[Wish]:
        """Yield what is wanted from a time on, in microseconds since 1970."""
        entries = [entry for entry in self.entries if entry.micros >= begin]
        space = self.namespace.bytes
        # Decisions are numbered from 1 in the order in which they are made.
        named = any(entry.target is not None for entry in entries)
        numbers = {entry.row: number for number, entry in enumerate(entries, 1)} if named else {}
        for micros, row, wanted, target, uid in entries:
            intent = wanted if target is None else replace(wanted, target=numbers.get(target, wanted.target))
            moment = micros * PHASES + DECISION
            yield Wish(moment, None, intent, uid.bytes if uid is not None else name_bytes(space, b"%d" % row), row)

    def place(self, wish: Wish) -> str:
        """Return where a decision comes from."""
        return f"{self.file or self.label}, row {wish.row}"


def read_tape(file: Path) -> DecisionTape:
    """Return the decisions of a file.

    Raises:
        TapeError: it cannot be read, or a row is no decision.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise TapeError(f"decisions {file}: cannot read it: {error.strerror}") from None
    names, rows = _parquet_rows(file) if content[:4] == b"PAR1" else _csv_rows(file, content)
    notes = _check_columns(file, names)
    entries = _entries(f"decisions {file}", rows)
    return DecisionTape(file, namespace_of(hashlib.sha256(content).hexdigest()), entries, notes)


def tape_of_rows(label: str, rows: Iterable[Mapping[str, Any]]) -> DecisionTape:
    """Return decisions that are stored as rows, such as those of a portfolio; each keeps its uid.

    Args:
        label: what they are called.
        rows: columns as those of a file, and ``uid``.

    Raises:
        TapeError: there are none, or a row is no decision.
    """
    rows = list(rows)
    uids = {number: UUID(str(row["uid"])) for number, row in enumerate(rows, 1)}
    entries = [entry._replace(uid=uids[entry.row]) for entry in _entries(label, enumerate(rows, 1))]
    return DecisionTape(None, namespace_of(label), entries, label=label)


def _entries(place: str, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[Entry]:
    """Return the entries of numbered rows."""
    entries: list[tuple[int, int, Intent]] = []
    aliases: dict[str, int] = {}
    portfolios: set[str] = set()
    for number, row in rows:
        for name in NAMES_OF_DECISION:
            if row.get(name) is not None:
                aliases.setdefault(str(row[name]), number)
        portfolios.add(row.get("portfolio") or "")
        micros = (_time(place, number, row.get(TIME)) - EPOCH) // MICROSECOND
        try:
            decision = Decision(**{name: value for name, value in row.items() if name in READ and value is not None})
        except InvalidDecision as error:
            raise TapeError(f"{place}, row {number}: {error}") from None
        entries.append((micros, number, intent_of(decision)))
    if len(portfolios) > 1:
        names_of = ", ".join(sorted(quoted(name) for name in portfolios))
        raise TapeError(f"{place}: of the portfolios {names_of}; keep those of one")
    if not entries:
        raise TapeError(f"{place}: it holds none")
    entries.sort(key=lambda entry: entry[:2])
    return [Entry(*entry, aliases.get(str(entry[2].target))) for entry in entries]


def intent_of(decision: Decision) -> Intent:
    """Return what a decision wants."""
    values = {name: getattr(decision, name) for name in PLAIN_FIELDS}
    if decision.decision in {Action.CANCEL, Action.AMEND} and decision.symbol == "*":
        values["symbol"] = None
    return Intent(decision.decision, target=decision.target, **values)


def _csv_rows(file: Path, content: bytes) -> tuple[Sequence[str], Iterator[tuple[int, Mapping[str, Any]]]]:
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise TapeError(f"decisions {file}: it is neither CSV in UTF-8 nor Parquet") from None
    reader = csv.DictReader(lines, restkey="")
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names

    def rows() -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, row in enumerate(reader, 2):
            if "" in row:
                raise TapeError(f"decisions {file}, row {number}: it has more fields than the heading")
            yield number, {name: value.strip() or None for name, value in row.items() if value is not None}

    return names, rows()


def _parquet_rows(file: Path) -> tuple[Sequence[str], Iterator[tuple[int, Mapping[str, Any]]]]:
    try:
        table = pyarrow.parquet.read_table(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise TapeError(f"decisions {file}: cannot read it: {str(error).splitlines()[0]}") from None
    return table.column_names, enumerate(table.to_pylist(), 2)


def _check_columns(file: Path, names: Sequence[str]) -> tuple[str, ...]:
    for name in (TIME, "symbol", "decision"):
        if name not in names:
            has = ", ".join(names) or "none"
            raise TapeError(f"decisions {file}: the column {name} is missing; its columns are {has}")
    others = [name for name in names if name not in {*READ, *NOT_READ, *NAMES_OF_DECISION, TIME}]
    for name in others:
        if hint := did_you_mean(name, sorted(READ)):
            raise TapeError(f"decisions {file}: there is no column {quoted(name)}{hint}")
    return (f"columns without a meaning here: {', '.join(others)}",) if others else ()


def _time(place: str, number: int, value: object) -> datetime:
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        wanted = "a time such as 2026-01-31T12:00:00Z"
        raise TapeError(f"{place}, row {number}: {TIME} = {quoted(str(value))} must be {wanted}") from None
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
