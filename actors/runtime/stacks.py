"""The stack of another thread, read without freezing the process.

Python 3.11 holds its list of threads locked while `sys._current_frames` creates the frames. If that starts a garbage
collection, and what it collects needs the list, the thread waits for itself for ever, with Python's global lock: no
thread of the process runs any more, and no signal is handled (https://github.com/python/cpython/issues/106883). Later
versions collect at other moments.
"""

from __future__ import annotations

import gc
import sys
import threading
import traceback

_LOCK = threading.Lock()
"""Two threads at once: the second to begin must not find garbage collection on again, nor leave it off."""


def stack_of(thread: threading.Thread | None) -> str | None:
    """Return the stack of a thread now, as Python prints it; None if it is gone."""
    if thread is None:
        return None
    with _LOCK:
        was_on = gc.isenabled()
        gc.disable()
        try:
            frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001
        finally:
            if was_on:
                gc.enable()
    return "".join(traceback.format_stack(frame)) if frame is not None else None
