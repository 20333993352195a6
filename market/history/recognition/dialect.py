"""What a dialect is, and what all share. A new one is a class in a module of its own and a line in `registry`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from domain.types import Symbol
from market.history.dialects.reading import Kind, Reading, ReadOptions, Role, Series
from market.history.recognition.file_name import FileName
from market.history.recognition.header import Header, plain_name
from market.history.recognition.sample import Sample
from market.history.timeframe import Timeframe

PRICES = (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE)
NO_SYMBOL = (
    "neither a column nor the file's name says the symbol: give it with --symbol, or name the file for it,"
    " such as BTC-USDT.csv or BTC_USDT-1h.csv"
)


class Dialect(Protocol):
    """One way to write prices into a file.

    Attributes:
        name: as a person gives it with ``--as``.
    """

    @property
    def name(self) -> str:
        """What ``--as`` accepts."""

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Return how a file is read, from its first rows; None: it is not of this dialect."""


def positions(*roles: Role | None) -> dict[Role, int]:
    """Return the columns of a file without header: the role of each in turn, None for one that is not read."""
    return {role: index for index, role in enumerate(roles) if role is not None}


def of_one_symbol(
    dialect: str,
    kind: Kind,
    columns: Mapping[Role, int],
    sample: Sample,
    options: ReadOptions,
    *,
    symbol: Symbol | None = None,
    notes: tuple[str, ...] = (),
    questions: tuple[str, ...] = (),
) -> Reading:
    """Return the reading of a file with one column for each role.

    The symbol is the option, a column, or else ``symbol`` or what the file's name says; without any of them the reading
    has a question.
    """
    name = sample.file_name
    chosen = options.symbol
    if chosen is None and Role.SYMBOL not in columns:
        chosen = symbol or name.symbol
        if chosen is None:
            questions = (*questions, NO_SYMBOL)
        elif symbol is None and name.text:
            notes = (*notes, f"symbol {chosen} from the file's name")
    return Reading(dialect, kind, (Series(columns, chosen),), timeframe_of(name), notes=notes, questions=questions)


def timeframe_of(name: FileName) -> Timeframe | None:
    """Return the timeframe that a file's name says."""
    return None if name.timeframe is None else Timeframe.parse(name.timeframe)


def time_columns(header: Header, sample: Sample) -> tuple[dict[Role, int], str]:
    """Return the columns of the time in a header, and what is wrong with them; empty: nothing."""
    times = header.times
    names = sample.names or ()
    if not times:
        return {}, "no column is the time: it must be named time, timestamp, date or datetime"
    date = header.index("date", "day", "yyyymmdd", "dateyyyymmdd")
    for name in ("time", "timeofday", "timehhmmss", "timestamp"):
        clock = header.index(name)
        if date is not None and clock is not None and _is_a_date_and_a_clock(sample, date, clock):
            return {Role.DATE: date, Role.CLOCK: clock}, ""
    # Beside the date, a column such as ``day`` may hold the day of the week.
    times = tuple(index for index in times if sample.is_unix(index) or sample.is_dated(index)) or times
    if len(times) == 1:
        return {Role.TIME: times[0]}, ""
    unix = [index for index in times if sample.is_unix(index)]
    dated = [index for index in times if sample.is_dated(index)]
    if len(unix) + len(dated) == len(times):
        # One moment as Unix time and as text, as CryptoDataDownload has it: the number has no zone to be wrong about.
        if len(unix) == 1:
            return {Role.TIME: unix[0]}, ""
        longest = max(dated, key=lambda index: len(sample.column(index)[0]), default=None)
        if longest is not None and not unix and _begin_alike(sample, longest, dated):
            return {Role.TIME: longest}, ""
    return {}, (
        f"the header names {' and '.join(names[index] for index in times)}; it must name one of them as the time"
    )


def _begin_alike(sample: Sample, longest: int, others: list[int]) -> bool:
    """Return whether the columns hold one moment, with and without the time of day."""
    return all(row[longest].startswith(row[index]) for row in sample.rows for index in others)


def _is_a_date_and_a_clock(sample: Sample, date: int, clock: int) -> bool:
    six_digits = all(len(cell) == 6 and cell.isdigit() for cell in sample.column(date))
    return sample.is_clock(clock) and (six_digits or sample.is_dated(date))


def header_columns(header: Header, sample: Sample) -> tuple[dict[Role, int], tuple[str, ...]]:
    """Return the columns of a header by their roles, the time included, and what is wrong with the header."""
    time, problem = time_columns(header, sample)
    problems = [problem] if problem else []
    problems += [f"the header names {name} twice" for name in header.twice]
    return {**time, **header.columns}, tuple(problems)


def column_names(sample: Sample) -> tuple[str, ...]:
    """Return the plain names of the columns of a file; none where it has no header."""
    return tuple(plain_name(name) for name in sample.names or ())
