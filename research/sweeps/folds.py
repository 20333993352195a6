"""The folds of a sweep, fixed before its first trial, on the time of the market's data.

The days with data are divided into one part more than there are folds. Each fold is tested on a part, and trained on
the days before it: on all of them, or on the last ones. Days right before the test are left out of the training, so
that nothing that reaches over the border is known on both sides (M. López de Prado, *Advances in Financial Machine
Learning*, 2018, chapter 7): as long as the longest holding time (*purged*), and the embargo on top of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from domain.analytics.returns import DAY, MIN_RETURNS
from domain.errors import InvalidRequest
from domain.sweeps.folds import Fold, Span
from domain.wording import counted

MAX_FOLDS = 100
NO_TIME = timedelta(0)


def walk_forward(
    days: Sequence[date],
    folds: int,
    *,
    embargo: timedelta = NO_TIME,
    purge: timedelta = NO_TIME,
    train_days: int | None = None,
) -> tuple[Fold, ...]:
    """Return the folds of a history, the oldest first.

    The test spans follow each other without a gap and end with the history; parts that are a day longer come last. A
    purge of part of a day counts as a whole day.

    Args:
        days: the UTC days with market data, in order; days without any, such as weekends, are not among them.
        folds: their number.
        embargo: market time between training and test.
        purge: the longest time for which a position of the training may go on.
        train_days: the length of each training at most; None: all days before.

    Raises:
        InvalidRequest: there are too few days for so many folds.
    """
    if not 1 <= folds <= MAX_FOLDS:
        raise InvalidRequest(f"--folds {folds} must be 1 to {MAX_FOLDS}")
    for name, duration in (("--embargo", embargo), ("--purge", purge)):
        if duration < NO_TIME:
            raise InvalidRequest(f"{name} must not be negative")
    if train_days is not None and train_days < MIN_RETURNS:
        raise InvalidRequest(f"--train-days {train_days} must be at least {MIN_RETURNS}")
    gap = -(-(embargo + purge) // DAY)
    least = (folds + 1) * MIN_RETURNS + gap
    if len(days) < least:
        between = f" after a gap of {counted(gap, 'day')}" if gap else ""
        need = "1 fold needs" if folds == 1 else f"{folds} folds need"
        raise InvalidRequest(
            f"the history has {counted(len(days), 'day')} with data; {need} at least {least}: "
            f"{MIN_RETURNS} for each test, and as many to train the first one{between}"
        )
    length = (len(days) - gap) // (folds + 1)
    more = (len(days) - gap) % (folds + 1)
    # The training of the first fold has the gap on top, and the last parts the days that are left.
    borders = [gap + length * part + max(0, part - (folds + 1 - more)) for part in range(1, folds + 2)]
    made = []
    for number in range(1, folds + 1):
        first, after = borders[number - 1], borders[number]
        trained = first - gap
        begin = 0 if train_days is None else max(0, trained - train_days)
        end = days[after] if after < len(days) else days[-1] + DAY
        made.append(Fold(number, _span(days[begin], days[trained - 1] + DAY), _span(days[first], end)))
    return tuple(made)


def _span(begin: date, end: date) -> Span:
    return Span(*(datetime.combine(day, time(), UTC) for day in (begin, end)))
