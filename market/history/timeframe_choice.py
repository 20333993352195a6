"""The timeframe of a symbol's bars: as declared, or by the distances between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from market.history.containers.refusal import grouped
from market.history.grid import Counts, Micros, ends, months_and_phases, most_frequent
from market.history.timeframe import MICROSECOND, Timeframe

MIN_PERCENT_AGREEING = 10
"""The most frequent distance has at least this share. Otherwise the bars have no common length."""
MIN_PERCENT_NAMED = 1
"""The distance that a file's name states has at least this share. Otherwise the name does not count."""
MIN_CONTRADICTING = 10
"""So often the most frequent distance occurs before it contradicts a file's name that states a longer one."""
SHORTEST_MONTH_US = 28 * 86_400_000_000
_BY_OPTION = "state it by --timeframe, as in --timeframe 1h"


class UnknownTimeframe(ValueError):
    """Bars whose length is unknown; the message is a sentence for a person that does not name their symbol."""


class TimeframeFrom(StrEnum):
    """The origin of a timeframe."""

    COLUMN = "a column"
    OPTION = "the option"
    FILE_NAME = "the file's name"
    DISTANCE = "the most frequent distance"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredTimeframe:
    """What is declared of the timeframe of a symbol's bars; the first that is not None counts.

    Attributes:
        column: by a column of the file.
        option: by the option ``--timeframe``.
        file_name: by the file's name, where the distances between the bars do not contradict it.
    """

    column: Timeframe | None = None
    option: Timeframe | None = None
    file_name: Timeframe | None = None


NOT_DECLARED = DeclaredTimeframe()


@dataclass(frozen=True, slots=True)
class ChosenTimeframe:
    """The timeframe of bars.

    Attributes:
        origin: where it comes from.
        notes: sentences about it, for a person.
    """

    timeframe: Timeframe
    origin: TimeframeFrom
    notes: tuple[str, ...] = ()


def choose(begins: Micros, declared: DeclaredTimeframe) -> ChosenTimeframe:
    """Return the timeframe of one symbol's bars, by their begins in rising order.

    Raises:
        UnknownTimeframe: nothing declares it, and the distances between the bars do not show it.
    """
    return choose_by(Counts.of(np.diff(begins)), lambda: begins, declared)


def choose_by(distances: Counts, begins: Callable[[], Micros], declared: DeclaredTimeframe) -> ChosenTimeframe:
    """Return the timeframe of one symbol's bars, by the distances between their begins.

    Args:
        distances: between bars that follow each other.
        begins: returns the begins in rising order; it is called only where bars may be as long as months.
        declared: what is declared of the timeframe.

    Raises:
        UnknownTimeframe: nothing declares it, and the distances between the bars do not show it.
    """
    if declared.column is not None:
        return ChosenTimeframe(declared.column, TimeframeFrom.COLUMN)
    name, distances = declared.file_name, distances.above(0)
    if declared.option is not None:
        return ChosenTimeframe(declared.option, TimeframeFrom.OPTION, _too_short(declared.option, distances))
    if not distances.total:
        if name is None:
            raise UnknownTimeframe(f"there is only one bar, so its length is unknown; {_BY_OPTION}")
        return ChosenTimeframe(name, TimeframeFrom.FILE_NAME)
    if name is not None and _fits(name, distances, begins):
        return ChosenTimeframe(name, TimeframeFrom.FILE_NAME)
    timeframe = _most_frequent_distance(distances, begins)
    if name is None:
        return ChosenTimeframe(timeframe, TimeframeFrom.DISTANCE)
    note = (
        f"the file's name says {name.label}, but the most frequent distance between its bars is {timeframe.label},"
        f" so they are taken for bars of {timeframe.label}"
    )
    return ChosenTimeframe(timeframe, TimeframeFrom.DISTANCE, (note,))


def _too_short(option: Timeframe, distances: Counts) -> tuple[str, ...]:
    """Return a note if no two bars follow each other as closely as the option says: they may be longer."""
    if not distances.total or option.length is None or distances.values[0] <= option.length // MICROSECOND:
        return ()
    shortest = int(distances.values[0]) * MICROSECOND
    note = (
        f"--timeframe says {option.label}, but no bar begins less than {shortest} after another one: if they are"
        " longer, their closes are known too soon"
    )
    return (note,)


def _fits(timeframe: Timeframe, distances: Counts, begins: Callable[[], Micros]) -> bool:
    """Return whether the distances between bars do not contradict the timeframe that a file's name states.

    A single pair of bars at that distance does not confirm it: one odd row would make all closes known too soon. For
    the same reason a few distances do not contradict a longer one: they may be those of odd rows.
    """
    distance, count = distances.most_frequent()
    if timeframe.length is not None:
        longest = timeframe.length // MICROSECOND
        following = distances.count(longest)
    else:
        different = _different(begins())
        lengths = ends(timeframe, different[:-1]) - different[:-1]
        longest = int(lengths.max())
        following = int(np.count_nonzero(lengths == np.diff(different)))
    if longest > distance and count < MIN_CONTRADICTING:
        return True
    if following * 100 < MIN_PERCENT_NAMED * distances.total:
        return False
    return following >= count or bool(following and longest <= distance)


def _different(begins: Micros) -> Micros:
    different: Micros = begins[np.append(True, begins[1:] > begins[:-1])]
    return different


def _most_frequent_distance(distances: Counts, begins: Callable[[], Micros]) -> Timeframe:
    distance, count = distances.most_frequent()
    if distance >= SHORTEST_MONTH_US:
        # Months differ in length, but bars of months begin at the same time of the month.
        months, since = months_and_phases(_different(begins()))
        passed = np.diff(months)[np.diff(since) == 0]
        if len(passed := passed[passed > 0]):
            number, number_count = most_frequent(passed)
            if number_count >= count:
                return Timeframe(number, "M")
    if count * 100 < MIN_PERCENT_AGREEING * distances.total:
        raise UnknownTimeframe(
            f"the bars have no common length, as only {grouped(count)} of {grouped(distances.total)} distances between"
            f" them are equal; {_BY_OPTION}"
        )
    try:
        return Timeframe.of_length(distance * MICROSECOND)
    except ValueError as error:
        raise UnknownTimeframe(f"{error}; {_BY_OPTION}") from None
