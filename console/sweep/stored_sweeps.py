"""The sweeps from which the strategies of a validation came."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from console.sweep.running import file_of
from domain.validation.criteria import Swept
from persistence.stores.sweeps.database_trials import DatabaseTrials
from persistence.stores.sweeps.file_trials import FileTrials
from research.sweeps.attempt_count import swept_of
from research.sweeps.trials import TrialStore


def swept_before(home: Path, url: str, strategies: Sequence[str]) -> Swept | None:
    """Return the sweeps of strategies that a home and a database hold.

    Args:
        home: the program's folder.
        url: of the database, which has this program's schema.
        strategies: names by which decisions name them.
    """
    with ExitStack() as stack:
        stores: list[TrialStore] = [stack.enter_context(closing(DatabaseTrials(url)))]
        if (file := file_of(home)).is_file():
            stores.append(stack.enter_context(closing(FileTrials(file))))
        return swept_of(stores, strategies)
