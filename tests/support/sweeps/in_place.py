"""Workers that run each task in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from research.sweeps.evaluation import Failed, Finished, Lost, Task, run_task


class InPlaceWorkers:
    """Workers that take one task at a time; see `research.sweeps.workers.Workers`.

    Args:
        before: called before each task with the number of those that were run.

    Attributes:
        ran: trial and fold of each task that was run.
    """

    def __init__(self, before: Callable[[int], None] = lambda _count: None) -> None:
        self.ran: list[tuple[int, int]] = []
        self._before = before
        self._tasks: list[Task] = []

    @property
    def free(self) -> int:
        return 1 - len(self._tasks)

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def results(self) -> Sequence[Finished | Failed | Lost]:
        self._before(len(self.ran))
        task = self._tasks.pop()
        self.ran.append(task.key[1:])
        return [run_task(task)]

    def close(self) -> None:
        self._tasks.clear()
