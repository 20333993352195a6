"""Stop signals: one that comes late, in a process of its own; one that comes within a query."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from console.signals import Stop, is_of_a_stop
from domain.errors import DatabaseUnavailable, PaperTradingError

TWICE = """
import os, signal
from console.signals import stoppable
with stoppable():
    os.kill(os.getpid(), signal.SIGINT)
os.kill(os.getpid(), signal.SIGINT)
print("the summary")
"""

IN_A_FINALIZER = """
import gc, os, signal, sys
from console.signals import stoppable

class Stopping:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

sys.unraisablehook = lambda lost: print("lost:", lost.exc_type.__name__)
with stoppable() as signals:
    one = Stopping()
    one.itself = one
    del one
    gc.collect()
    print("still running")
    signals.until(lambda seconds: None)
    print("not reached")
"""

IN_ANOTHER_THREAD = """
import signal, threading, time
from console.signals import stoppable

def stop():
    while not waits.is_set():
        pass
    time.sleep(0.2)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

def wait(seconds):
    waits.set()
    never.wait(seconds)

waits, never = threading.Event(), threading.Event()
thread = threading.Thread(target=stop, daemon=True)
with stoppable() as signals:
    thread.start()
    signals.until(wait)
    print("not reached")
print("stopped")
"""


def run(program: str) -> tuple[int, str, str]:
    """Run a program in a process of its own; return its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_second_interrupt_after_the_stop_does_not_interrupt_the_summary() -> None:
    assert (0, "the summary\n", "") == run(TWICE)


def test_a_stop_that_comes_within_a_finalizer_is_not_lost() -> None:
    assert (0, "lost: Stop\nstill running\n", "") == run(IN_A_FINALIZER)


def test_a_stop_that_another_thread_gets_is_noticed() -> None:
    assert (0, "stopped\n", "") == run(IN_ANOTHER_THREAD)


def test_a_query_that_a_stop_cancelled_counts_as_a_stop() -> None:
    def cancelled(cause: BaseException) -> PaperTradingError:
        try:
            try:
                raise cause
            except BaseException as error:
                raise DatabaseUnavailable("the connection was lost") from error
        except PaperTradingError as error:
            return error

    assert [True, False] == [is_of_a_stop(cancelled(cause)) for cause in (Stop(), OSError("reset"))]
