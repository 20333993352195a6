"""The heap of a process that runs for weeks."""

from __future__ import annotations

import gc
import threading

YOUNG_OBJECTS = 10_000
"""New objects after which the youngest of them are collected; a decision makes some hundred, nearly none in a cycle."""


def leave_start_uncollected() -> None:
    """Take everything that the start has made out of all later garbage collections.

    A full collection looks at each object with Python's global lock held, so that no actor runs: 60 ms for the 90 000
    objects of a service that has just started, and nearly all of them stay as long as the process.
    """

    def collect() -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)

    # Signals are handled in the main thread; in the middle of a collection Python would only print their `Stop`.
    thread = threading.Thread(target=collect, name="heap", daemon=True)
    thread.start()
    thread.join()
