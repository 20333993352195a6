"""Reading another thread's stack never freezes the process."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

from actors.runtime.stacks import stack_of

ROOT = Path(__file__).parents[3]
# A collection that needs Python's list of threads. It is asked for at every few new objects, and a frame is one.
PROGRAM = """
import _thread, gc, threading
from actors.runtime.stacks import stack_of

released = threading.Event()

def wait(depth):
    released.wait() if depth == 0 else wait(depth - 1)

threads = [threading.Thread(target=wait, args=[depth], daemon=True) for depth in range(20)]
for thread in threads:
    thread.start()
gc.callbacks.append(lambda *_: _thread.start_new_thread(int, ()))
for often in (1, 2, 3, 5, 8):
    gc.set_threshold(often)
    assert all("in wait" in stack_of(thread) for thread in threads)
gc.set_threshold(0)
print("read")
"""


def test_a_collection_that_needs_the_threads_does_not_begin_meanwhile() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert ("read\n", "") == (ended.stdout, ended.stderr)


def test_garbage_is_collected_afterwards_if_it_was_before() -> None:
    assert "test_garbage_is_collected" in (stack_of(threading.current_thread()) or "")
    assert gc.isenabled()
    gc.disable()
    try:
        stack_of(threading.current_thread())
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_thread_that_has_ended_has_none() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    assert stack_of(thread) is None
    assert stack_of(None) is None
