"""Workers on many machines, by Ray.

A task is sent as names and values (see `research.sweeps.evaluation.Task`): each machine of the cluster has this
program, the strategy and the history of its own. This process stores the results; a task whose worker or machine is
lost is sent again, and where the head of the cluster is lost, the sweep ends with a sentence and goes on with
``--resume``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from domain.errors import InvalidRequest, PaperTradingError
from domain.wording import one_line
from research.sweeps.evaluation import Failed, Finished, Lost, Task, run_task

AHEAD = 2
"""Tasks sent for each processor, so that none waits for the way to this process and back."""
WAIT_S = 5.0
"""After so long without a result it looks again which processors the cluster has."""


class ClusterLost(PaperTradingError):
    """The connection to the Ray cluster is lost; what was running is run again when the sweep goes on."""


class RayWorkers:
    """The processors of a Ray cluster; see `research.sweeps.workers.Workers`."""

    def __init__(self, address: str) -> None:
        """Connect to a cluster.

        Args:
            address: ``auto`` for the cluster of this machine, ``host:port`` of its head, or ``ray://host:port``.

        Raises:
            InvalidRequest: Ray is not installed, or no cluster answers there.
        """
        try:
            import ray  # noqa: PLC0415 - an extra that only a cluster needs
        except ModuleNotFoundError as error:
            raise InvalidRequest(
                "--ray needs the package ray, which is not installed; install the extra cluster, or choose --workers N"
            ) from error
        self._ray: Any = ray
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", ignore_reinit_error=False)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise InvalidRequest(
                f"no Ray cluster answers at {address}: {one_line(error)}; start one with `ray start --head`"
            ) from error
        # The runner decides how often a task is repeated: Ray must not do so on its own.
        self._run = ray.remote(num_cpus=1, max_retries=0)(run_task)
        self._under_way: dict[Any, Task] = {}

    @property
    def free(self) -> int:
        """How many more tasks it takes now; machines come and go."""
        processors = int(self._answer(self._ray.cluster_resources).get("CPU", 0))
        return max(processors * AHEAD - len(self._under_way), 0)

    def submit(self, task: Task) -> None:
        """Begin a task; `free` must be above 0."""
        self._under_way[self._answer(self._run.remote, task)] = task

    def results(self) -> Sequence[Finished | Failed | Lost]:
        """Wait for at least one of the tasks under way, or some seconds; return what has ended."""
        under_way = list(self._under_way)
        if not under_way:  # no machine is there at the moment
            time.sleep(WAIT_S)
            return ()
        ready, _ = self._answer(self._ray.wait, under_way, num_returns=1, timeout=WAIT_S)
        more, _ = self._answer(self._ray.wait, under_way, num_returns=len(under_way), timeout=0)
        return [self._result(reference) for reference in dict.fromkeys([*ready, *more])]

    def close(self) -> None:
        """Cancel what is under way and leave the cluster."""
        for reference in self._under_way:
            self._ray.cancel(reference, force=True)
        self._under_way.clear()
        self._ray.shutdown()

    def _result(self, reference: Any) -> Finished | Failed | Lost:
        task = self._under_way.pop(reference)
        exceptions = self._ray.exceptions
        try:
            result: Finished | Failed = self._ray.get(reference)
        except (exceptions.NodeDiedError, exceptions.ObjectLostError) as error:
            return Lost(task.key, f"its machine was lost: {_first_line(error)}", of_machine=True)
        except exceptions.RayError as error:
            return Lost(task.key, f"its process was lost: {_first_line(error)}")
        return result

    def _answer(self, call: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return call(*arguments, **options)
        except (ConnectionError, self._ray.exceptions.RaySystemError) as error:
            raise ClusterLost(
                f"the Ray cluster is lost: {_first_line(error)}; go on with --resume when it is there again"
            ) from error


def _first_line(error: Exception) -> str:
    return one_line((str(error).strip() or type(error).__name__).splitlines()[0])
