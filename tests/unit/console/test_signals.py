"""Stop signals: one that comes late, in a process of its own; one that comes within a query."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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

class Failing:
    def __del__(self):
        raise ValueError("a fault")

sys.unraisablehook = lambda lost: print("lost:", lost.exc_type.__name__)
with stoppable() as signals:
    Failing()
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

WITHIN_A_LOG_CALL = """
import os, signal, sys
from loguru import logger
from console.signals import stoppable

def sink(line):
    if "first" in line:
        os.kill(os.getpid(), signal.SIGTERM)
    print(line.strip())

logger.remove()
logger.add(sink, format="{message}")
with stoppable() as signals:
    logger.info("first")
    signals.until(lambda seconds: None)
    print("not reached")
logger.info("stopped")
"""

AT_ANY_LINE_OF_A_LOG_CALL = """
import signal, sys
from loguru import logger
from console.signals import stoppable

logger.remove()
logger.add(lambda line: None, format="{message}")
lines = 0

def interrupt_at(number):
    def trace(frame, event, arg):
        global lines
        if event == "line" and frame.f_globals["__name__"].startswith("loguru."):
            lines += 1
            if lines == number:
                signal.raise_signal(signal.SIGTERM)
        return trace
    return trace

number = 0
while lines >= number:
    number, lines = number + 1, 0
    with stoppable() as signals:
        sys.settrace(interrupt_at(number))
        logger.info("one")
        sys.settrace(None)
        if lines >= number:
            signals.until(lambda seconds: None)
            print("not reached")
    logger.info("two")
print(number > 30)
"""

TO_A_LOG_THAT_NOBODY_READS = """
import os, signal, threading
from loguru import logger
from console.signals import stoppable

reading, writing = os.pipe()
logger.remove()
logger.add(os.fdopen(writing, "w", buffering=1), format="{message}")
with stoppable() as signals:
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    while True:
        logger.info("x" * 10_000)
print("stopped", flush=True)
os._exit(0)
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


def test_a_stop_that_comes_within_a_finalizer_is_neither_lost_nor_printed() -> None:
    assert (0, "lost: ValueError\nstill running\n", "") == run(IN_A_FINALIZER)


def test_a_stop_that_another_thread_gets_is_noticed() -> None:
    assert (0, "stopped\n", "") == run(IN_ANOTHER_THREAD)


def test_a_stop_that_comes_within_a_log_call_waits_for_its_end() -> None:
    assert (0, "first\nstopped\n", "") == run(WITHIN_A_LOG_CALL)


@pytest.mark.slow
def test_a_stop_at_any_line_of_a_log_call_leaves_the_log_usable() -> None:
    assert (0, "True\n", "") == run(AT_ANY_LINE_OF_A_LOG_CALL)


def test_a_log_that_nobody_reads_delays_a_stop_by_a_second_only() -> None:
    assert (0, "stopped\n", "") == run(TO_A_LOG_THAT_NOBODY_READS)


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
