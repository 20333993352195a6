"""What the garbage collector need not look at: when a command starts, when it ends, and while it runs for weeks."""

from __future__ import annotations

import gc
import threading

YOUNG_OBJECTS = 10_000
"""New objects after which the youngest of them are collected; a decision makes some hundred, nearly none in a cycle."""


def collect_from_now_on() -> None:
    """Begin to collect garbage if that is off: what the imports have made stays as long as the process.

    `paper_trading_actors.main` switches the collector off before it imports the command line: it would look at all
    those objects again and again, for an eighth of the start.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def leave_end_uncollected() -> None:
    """Have Python not look for garbage before it ends: the system takes the memory back anyway.

    Its last collections look at each object, for a quarter of the time of a short command. What must happen at the end,
    such as writing a file, is therefore left to no finalizer.
    """
    gc.freeze()


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
