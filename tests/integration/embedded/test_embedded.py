"""The embedded server, for real: it starts, is shared, outlives its program, and refuses in one sentence."""

from __future__ import annotations

import fcntl
import os
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

from domain.errors import EmbeddedServerError, SettingsError
from persistence.embedded import server as server_module
from persistence.embedded import wheel
from persistence.embedded.server import EmbeddedServer, running
from tests.support.database.postmaster import postmaster_pid
from tests.support.system.running_system import next_line

ROOT = Path(__file__).parents[3]

# A process of its own: attaches, says so, and lets go when its stdin ends.
ATTACHED = """
import signal
import sys
from pathlib import Path
from persistence.embedded.server import EmbeddedServer
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
server = EmbeddedServer.attach(Path(sys.argv[1]))
print((Path(sys.argv[1]) / "postgres" / "postmaster.pid").read_text().split()[0], server.url, flush=True)
sys.stdin.read()
if len(sys.argv) == 2:
    server.release()
"""


def another(home: Path, *arguments: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", ATTACHED, str(home), *arguments]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{"cwd": ROOT, **streams, **options})  # type: ignore[call-overload,no-any-return]


def told(process: subprocess.Popen[str]) -> tuple[int, str]:
    pid, url = next_line(process).split()
    return int(pid), url


def let_go(process: subprocess.Popen[str]) -> str:
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


def test_the_last_one_out_stops_it(home: Path) -> None:
    server = EmbeddedServer.attach(home)
    second = another(home)
    assert told(second) == (postmaster_pid(home), server.url)
    server.release()
    assert running(home)
    with psycopg.connect(server.url):
        pass
    with pytest.raises(EmbeddedServerError, match="released"):
        server.ensure_running()
    let_go(second)
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


def test_one_that_exits_without_release_stops_it_only_as_the_last(home: Path) -> None:
    careless = another(home, "careless")
    pid, _ = told(careless)
    server = EmbeddedServer.attach(home)
    let_go(careless)
    assert postmaster_pid(home) == pid
    careless = another(home, "careless")
    told(careless)
    server.release()
    assert running(home)
    let_go(careless)
    assert not running(home)


def test_it_survives_kill_9_of_the_program_and_is_found_again(home: Path) -> None:
    victim = another(home)
    pid, url = told(victim)
    victim.kill()
    victim.communicate(timeout=30)
    assert running(home)
    server = EmbeddedServer.attach(home)
    assert (postmaster_pid(home), server.url) == (pid, url)
    server.release()
    assert not running(home)


def test_ctrl_c_in_the_terminal_does_not_reach_it(home: Path) -> None:
    program = another(home, start_new_session=True)
    pid, _ = told(program)
    assert os.getsid(pid) not in {os.getsid(0), program.pid}
    os.killpg(program.pid, signal.SIGINT)  # what the terminal does to the foreground group
    _, errors = program.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert not running(home)  # stopped by the exit of the program, the last one, and not by the signal:
    assert "received fast shutdown request" in (home / "postgres" / "log").read_text()
    assert "FATAL" not in (home / "postgres" / "log").read_text()


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


@pytest.mark.parametrize(
    "first_line", ["", "rubbish", str(os.getpid()), "999999999"], ids=["empty", "rubbish", "alive", "nobody"]
)
def test_a_stale_pid_file_is_no_obstacle(home: Path, first_line: str) -> None:
    pid_file = home / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{first_line}\n" if first_line else "")
    if os.geteuid() == 0:
        shutil.chown(pid_file, "pgserver")
    assert not running(home)
    server = EmbeddedServer.attach(home)
    assert running(home)
    server.release()


@pytest.mark.parametrize("prepared", [True, False])
def test_two_at_once_get_one_server(folder: Path, home: Path, prepared: bool) -> None:
    place = home if prepared else folder / "new"
    both = [another(place), another(place)]
    assert len({told(process) for process in both}) == 1
    for process in both:
        let_go(process)
    assert not running(place)


def test_a_half_made_database_is_made_anew(folder: Path) -> None:
    half = folder / "home" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedServer.attach(folder / "home")
    assert whoami(server.url) is not None
    server.release()
    assert not half.exists()


def test_a_path_too_long_for_a_socket_works(folder: Path) -> None:
    home = folder / ("long" * 25) / ("ö,'" * 5) / "home"
    server = EmbeddedServer.attach(home)
    socket_folder = Path(server.url.partition("host=")[2])
    try:
        assert whoami(server.url) == ("paper", "paper", False, "paper")
        second = another(home, env={**os.environ, "TMPDIR": str(folder)})
        assert told(second) == (postmaster_pid(home), server.url)
        let_go(second)
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    finally:
        server.release()
    assert not socket_folder.exists()


def sentence(error: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_white_space_in_home_is_refused(folder: Path) -> None:
    with pytest.raises(SettingsError) as error:
        EmbeddedServer.attach(folder / "my home")
    assert f'home is "{folder}/my home"' in sentence(error)
    assert "database_url" in sentence(error)
    assert not (folder / "my home").exists()


@pytest.mark.parametrize("below", [".", "home"])
def test_home_that_is_a_file_is_refused(folder: Path, below: str) -> None:
    (folder / "file").touch()
    with pytest.raises(SettingsError) as error:
        EmbeddedServer.attach(folder / "file" / below)
    assert f"home is {folder / 'file' / below}" in sentence(error)
    assert not running(folder / "file" / below)


def test_data_of_another_major_version_is_refused(folder: Path) -> None:
    data = folder / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 12 and this program brings 1") as error:
        EmbeddedServer.attach(folder)
    assert "database_url" in sentence(error)
    assert str(data) in sentence(error)


def test_a_folder_with_something_else_is_left_alone(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "letter").write_text("mine")
    with pytest.raises(EmbeddedServerError, match="move it away") as error:
        EmbeddedServer.attach(folder)
    assert sentence(error)
    assert (folder / "postgres" / "letter").read_text() == "mine"


def test_a_server_that_does_not_start_says_why(home: Path) -> None:
    with (home / "postgres" / "postgresql.conf").open("a") as file:
        file.write("\nno_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match=r"could not be started: .*errors") as error:
        EmbeddedServer.attach(home)
    assert sentence(error)
    assert not running(home)


def test_a_program_that_does_not_end_is_killed_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "program", shutil.which)
    monkeypatch.setattr(wheel, "PROGRAM_TIMEOUT_S", 0.1)
    with pytest.raises(
        EmbeddedServerError, match=r"PostgreSQL's sleep did not end within 0\.1 s and was killed"
    ) as error:
        wheel.run("sleep", "60")
    assert sentence(error)


def test_a_lock_that_somebody_keeps_is_not_waited_for_without_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_SERVER_TIMEOUT_S", 0.1)
    with (home / "postgres.attached").open("w") as somebody:
        fcntl.flock(somebody, fcntl.LOCK_EX)
        with pytest.raises(
            EmbeddedServerError, match=f"Another process keeps {home}/postgres.attached locked"
        ) as error:
            EmbeddedServer.attach(home)
    assert sentence(error)
    assert not running(home)


def test_folders_above_home_stay_unreadable(folder: Path) -> None:
    shut, listed = folder / "shut", folder / "shut" / "listed"
    listed.mkdir(parents=True)
    shut.chmod(0o700)
    listed.chmod(0o750)
    EmbeddedServer.attach(listed / "home").release()
    passing = 0o001 if os.geteuid() == 0 else 0  # the server of root is another user, and must pass
    assert stat.S_IMODE(shut.stat().st_mode) == 0o700 | passing
    assert stat.S_IMODE(listed.stat().st_mode) == 0o750 | passing
    assert stat.S_IMODE((listed / "home").stat().st_mode) == (0o711 if passing else 0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere; the ordinary user's test covers it")
def test_home_that_cannot_be_written_is_refused(folder: Path) -> None:
    (folder / "shut").mkdir(mode=0o500)
    for home in (folder / "shut", folder / "shut" / "home"):
        with pytest.raises(SettingsError, match=f"home is {home}") as error:
            EmbeddedServer.attach(home)
        assert "database_url" in sentence(error)


@pytest.fixture
def ordinary_user() -> Iterator[str]:
    if os.geteuid() != 0 or shutil.which("useradd") is None or shutil.which("runuser") is None:
        pytest.skip("needs root, useradd and runuser to become an ordinary user")
    name = f"paper{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", name], check=True, capture_output=True)
    yield name
    subprocess.run(["userdel", name], check=True, capture_output=True)


def test_an_ordinary_user_needs_nothing_and_changes_nothing_above(folder: Path, ordinary_user: str) -> None:
    try:
        as_user = ["runuser", "-u", ordinary_user, "--", sys.executable]
        if subprocess.run([*as_user, "-c", ""], check=False, capture_output=True).returncode != 0:
            pytest.skip(f"an ordinary user may not run {sys.executable}")
        for room in ("domain", "persistence"):
            shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
        own = folder / "own"
        own.mkdir(mode=0o700)
        folder.chmod(0o755)
        shutil.chown(own, ordinary_user)
        run = [*as_user, "-B", "-W", "error", "-c", ATTACHED]
        options = {"cwd": folder, "input": "", "capture_output": True, "text": True}
        done = subprocess.run([*run, str(own / "home")], check=False, **options)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr
        assert f"host={own}/home/postgres" in done.stdout
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
        assert stat.S_IMODE((own / "home").stat().st_mode) == 0o700
        assert (own / "home" / "postgres").owner() == ordinary_user
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        refused = subprocess.run([*run, str(folder)], check=False, **options)  # type: ignore[call-overload]
        assert f"SettingsError: home is {folder}, where this user cannot write" in refused.stderr
        # Root finds the user's home in the user's hands and leaves it there.
        server = EmbeddedServer.attach(own / "home")
        assert psutil.Process(postmaster_pid(own / "home")).username() == ordinary_user
        server.release()
        assert (own / "home" / "postgres").owner() == ordinary_user
        done = subprocess.run([*run, str(own / "home")], check=False, **options)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr
    finally:
        for process in psutil.process_iter(["username"]):
            if process.info["username"] == ordinary_user:
                process.kill()
