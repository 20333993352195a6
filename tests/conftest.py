"""What every test may ask for: servers, databases and Hypothesis' profile.

A test that takes ``server`` or ``database_url`` runs twice, on the embedded PostgreSQL and on TimescaleDB; one that
takes ``embedded_server``, ``embedded_url`` or ``timescale_url`` runs once; one that takes ``every_server`` or
``every_url`` runs on each supported version. A server starts when the first test asks for it. One that is missing skips
its tests, and pytest lists them with the reason; with ``TIMESCALEDB_REQUIRED=1`` (as in CI) TimescaleDB missing is a
failure.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from hypothesis import settings
from loguru import logger

from tests.support.captured_log import captured_log
from tests.support.database.servers import TIMESCALEDB, Server, ServerPool, Unavailable
from tests.support.database.upgraded import until_the_end
from tests.support.hanging_tests import processes_listed
from tests.support.made_once import make_once
from tests.support.memory_folder import memory_folder
from tests.support.shared_imports import import_share
from tests.support.system.program import FORKS

# The same examples each time: a red build is red because of a change, and prints how to repeat it.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("ci")

POOL = pytest.StashKey[ServerPool]()
FOLDER = pytest.StashKey[Path]()
IGNORED_SIGNALS = pytest.StashKey[list[int]]()
SENT_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""Signals that tests send to programs, or the terminal to all of a job."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Have tests not depend on how they were started, and give each run of root a folder of its own.

    Root's embedded servers run as another user, who must pass every folder above them. The default is one folder of all
    runs, and pytest closes it to others whenever a run begins. The run's folder is in memory where there is enough.
    """
    no_ignored_signal_is_inherited(config)
    if os.geteuid() == 0 and not hasattr(config, "workerinput") and config.option.basetemp is None:
        config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="paper-tests-", dir=memory_folder()))
        config.option.basetemp = str(config.stash[FOLDER] / "run")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Have a worker process of pytest-xdist ignore the same signals."""
    node.workerinput["ignored_signals"] = node.config.stash[IGNORED_SIGNALS]


def no_ignored_signal_is_inherited(config: pytest.Config) -> None:
    """Have programs that tests start find each signal at its default.

    `nohup` ignores SIGHUP, and the background jobs of a script ignore SIGINT and SIGQUIT. A program inherits that, and
    would not react to the signals that a test sends it. It does not inherit a handler: with one that does nothing,
    pytest itself still ignores these signals, as its caller wanted.
    """
    ignored = [int(number) for number in SENT_SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    ignored = getattr(config, "workerinput", {}).get("ignored_signals", ignored)
    for number in ignored:
        signal.signal(number, lambda *_: None)
    config.stash[IGNORED_SIGNALS] = ignored


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Have the garbage collector leave out what the collection of tests makes: it stays as long as the process."""
    gc.disable()
    try:
        import_share(session.config)
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remove the run's folder, which is kept where a test failed."""
    if exitstatus == pytest.ExitCode.OK and (folder := session.config.stash.get(FOLDER, None)) is not None:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def commands_are_made_once() -> None:
    make_once()


@pytest.fixture(scope="session")
def pool(pytestconfig: pytest.Config) -> Iterator[ServerPool]:
    """The session's servers; all of them end with it."""
    servers = pytestconfig.stash[POOL] = ServerPool()
    # By default SIGTERM ends pytest on the spot, and its servers would stay for ever.
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("ended by SIGTERM", returncode=143))
    try:
        yield servers
    finally:
        servers.close()
        signal.signal(signal.SIGTERM, before)


def running(servers: ServerPool, name: str) -> Server:
    """The server of that name, or the end of the test that asked for it."""
    with contextlib.suppress(Unavailable):
        return servers.get(name)
    if name == TIMESCALEDB and os.environ.get("TIMESCALEDB_REQUIRED") == "1":
        pytest.fail(f"TIMESCALEDB_REQUIRED=1, but {servers.missing[name]}", pytrace=False)
    pytest.skip(f"{name} is missing; the summary says why")


@pytest.fixture(
    scope="session", params=[pytest.param("embedded-18", id="embedded"), pytest.param(TIMESCALEDB, id="timescaledb")]
)
def server(request: pytest.FixtureRequest, pool: ServerPool) -> Server:
    """The embedded PostgreSQL, then TimescaleDB."""
    return running(pool, request.param)


@pytest.fixture(scope="session")
def embedded_server(pool: ServerPool) -> Server:
    """The embedded PostgreSQL, for tests that need one server only."""
    return running(pool, "embedded-18")


@pytest.fixture(scope="session", params=["embedded-16", "embedded-18", "debian-15", TIMESCALEDB])
def every_server(request: pytest.FixtureRequest, pool: ServerPool) -> Server:
    """Each version of PostgreSQL that is supported."""
    return running(pool, request.param)


def fresh_database(server: Server) -> Iterator[str]:
    """An empty database, dropped after the test."""
    yield from until_the_end(server, server.create_database())


@pytest.fixture
def database_url(server: Server) -> Iterator[str]:
    """A fresh database on `server`, owned by the plain role that the URL names."""
    yield from fresh_database(server)


@pytest.fixture
def embedded_url(embedded_server: Server) -> Iterator[str]:
    """A fresh database on `embedded_server`."""
    yield from fresh_database(embedded_server)


@pytest.fixture
def empty_url(server: Server) -> Iterator[str]:
    """An empty database on `server`, where `database_url` has the newest schema: `tests.support.database.upgraded`."""
    yield from fresh_database(server)


@pytest.fixture
def empty_embedded_url(embedded_server: Server) -> Iterator[str]:
    """An empty database on `embedded_server`, likewise."""
    yield from fresh_database(embedded_server)


@pytest.fixture
def timescale_url(pool: ServerPool) -> Iterator[str]:
    """A fresh database on TimescaleDB alone."""
    yield from fresh_database(running(pool, TIMESCALEDB))


@pytest.fixture
def every_url(every_server: Server) -> Iterator[str]:
    """A fresh database on `every_server`."""
    yield from fresh_database(every_server)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that hangs says what it has started, before the time limit ends it."""
    # pytest's own copy of stderr: the test's is captured, and lost with a process that ends on the spot.
    stderr = item.config.stash[fault_handler_stderr_fd_key]
    with processes_listed(item.nodeid, float(item.config.getini("faulthandler_timeout") or 0), stderr):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """A test that failed keeps a time limit: pytest has just dropped it, and its teardown may hang as well."""
    config = node.config
    if isinstance(node, pytest.Item) and (limit := float(config.getini("faulthandler_timeout") or 0)):
        faulthandler.dump_traceback_later(limit, file=config.stash[fault_handler_stderr_fd_key], exit=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """A test that stops a server which is not ours to stop is skipped."""
    try:
        return (yield)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """A test that stopped a server and failed leaves it running for the next one."""
    if (servers := item.config.stash.get(POOL, None)) is not None:
        servers.restart_stopped()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print which servers were missing: a green run without them shows less than it seems to."""
    if (servers := config.stash.get(POOL, None)) is not None:
        for name, reason in servers.missing.items():
            terminalreporter.write_line(f"NOT TESTED on {name}: {reason}", red=True, bold=True)


@pytest.fixture(autouse=True, scope="session")
def _starts_shared(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> None:
    """The processes that run the tests start each of the program's commands from scratch once, together."""
    folder = tmp_path_factory.getbasetemp()
    FORKS.share_starts(folder.parent if hasattr(pytestconfig, "workerinput") else folder)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    """What the program logs is for people; tests read what they assert.

    For each module: a command that a test runs in its own process leaves the log of that command behind, and which
    modules follow in the same process is chance.
    """
    logger.remove()


@pytest.fixture
def log_lines(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The log lines, as level and message: those that the mark ``logged`` of the test or its module names."""
    mark = request.node.get_closest_marker("logged")
    chosen = mark if mark is not None else pytest.mark.logged(level="WARNING").mark
    with captured_log(*chosen.args, **chosen.kwargs) as lines:
        yield lines
