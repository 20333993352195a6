"""Processes of this machine that run trials.

Each worker has a pipe of its own, so that one that is killed loses its own task and nothing else; another process takes
its place. The processes begin empty (not as copies of this one): they import what a task names.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Literal, Protocol

from research.sweeps.evaluation import Failed, Finished, Lost, Task, run_task

StartMethod = Literal["forkserver", "spawn"]
START_METHODS: tuple[StartMethod, ...] = ("forkserver", "spawn")
STOP_TIMEOUT_S = 5.0


class Workers(Protocol):
    """Something that runs tasks, in any order."""

    @property
    def free(self) -> int:
        """How many more tasks it takes now."""

    def submit(self, task: Task) -> None:
        """Begin a task; `free` must be above 0."""

    def results(self) -> Sequence[Finished | Failed | Lost]:
        """Wait for at least one of the tasks under way; return what has ended, which may be none after a while."""

    def close(self) -> None:
        """End the workers, also those that have a task."""


class _Worker:
    """One process and this side of its pipe."""

    def __init__(self, method: StartMethod) -> None:
        context: SpawnContext | ForkServerContext
        context = get_context("spawn") if method == "spawn" else get_context("forkserver")
        self.connection, theirs = context.Pipe()
        # Daemonic, so that the interpreter ends it where `close` could not.
        self.process: BaseProcess = context.Process(target=serve, args=(theirs,), daemon=True, name="sweep worker")
        self.process.start()
        theirs.close()
        self.task: Task | None = None

    def end(self) -> str:
        """Wait for the process, which has lost its pipe; return how it ended."""
        self.connection.close()
        self.process.join(STOP_TIMEOUT_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


class LocalWorkers:
    """A number of processes of this machine; see `Workers`."""

    def __init__(self, count: int, method: StartMethod = START_METHODS[0]) -> None:
        self._method = method
        self._workers: list[_Worker] = []
        try:
            for _ in range(count):
                self._workers.append(_Worker(method))
        except BaseException:
            self.close()
            raise

    @property
    def free(self) -> int:
        """How many more tasks it takes now."""
        return sum(worker.task is None for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """The ids of its processes."""
        return [worker.process.pid or 0 for worker in self._workers]

    def submit(self, task: Task) -> None:
        """Begin a task; `free` must be above 0."""
        worker = next(one for one in self._workers if one.task is None)
        worker.task = task
        with suppress(OSError):  # it was killed while it had no task; `results` reports that
            worker.connection.send(task)

    def results(self) -> Sequence[Finished | Failed | Lost]:
        """Wait for at least one of the tasks under way; return what has ended."""
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        return [
            self._receive(busy[connection]) for connection in wait(list(busy)) if isinstance(connection, Connection)
        ]

    def close(self) -> None:
        """End the workers, also those that have a task."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def _receive(self, worker: _Worker) -> Finished | Failed | Lost:
        task, worker.task = worker.task, None
        assert task is not None
        try:
            result: Finished | Failed = worker.connection.recv()
        except (EOFError, OSError):
            ended = worker.end()
            self._workers[self._workers.index(worker)] = _Worker(self._method)
            return Lost(task.key, f"its process {ended}")
        return result


class LocatedWorkers:
    """Workers whose tasks get further options: what holds for a machine and is no part of the sweep.

    Args:
        inner: run the tasks.
        options: by the names of the evaluation's parameters.
    """

    def __init__(self, inner: Workers, options: Mapping[str, Any]) -> None:
        self._inner = inner
        self._options = options

    @property
    def free(self) -> int:
        """How many more tasks they take now."""
        return self._inner.free

    def submit(self, task: Task) -> None:
        """Begin a task; `free` must be above 0."""
        self._inner.submit(replace(task, options={**task.options, **self._options}))

    def results(self) -> Sequence[Finished | Failed | Lost]:
        """Wait for at least one of the tasks under way; return what has ended, which may be none after a while."""
        return self._inner.results()

    def close(self) -> None:
        """End the workers, also those that have a task."""
        self._inner.close()


def serve(connection: Connection) -> None:
    """Run the tasks that come through a pipe until it is closed; the main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the group; the sweep itself ends its workers
    # A broken pipe: the sweep has ended. What this task would have sent is run again.
    with suppress(EOFError, OSError):
        while True:
            connection.send(run_task(connection.recv()))
