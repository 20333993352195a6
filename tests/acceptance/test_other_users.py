"""Other users of the machine, with real ones: root is the tests' user, `daemon` attacks, `nobody` runs the program."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.system.fork_server import ROOT
from tests.support.system.program import environment, run_all

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
ATTACKER, VICTIM = "daemon", "nobody"
COMMANDS = ("status", "db url", "history list", "demo --seconds 1", "start")
VICTIMS_PROGRAM = """
import json, os, sys
from pathlib import Path
from console.report.files import folder_written_atomically, write_atomically
from domain.files.owners import exposure
from domain.files.private_files import make_home, open_own_file

place = Path(sys.argv[1])
LOG = os.O_WRONLY | os.O_APPEND | os.O_CREAT
results = {}

def attempt(name, action):
    try:
        results[name] = action()
    except OSError as error:
        results[name] = f"{error.filename}: {error.strerror}"

for name in ("own", "theirs", "theirs/own", "open", "open/own"):
    attempt(f"home {name}", lambda: exposure(place / name))
attempt("new home", lambda: make_home(place / "new"))
for name in ("link", "pipe", "file", "second"):
    attempt(name, lambda: os.close(open_own_file(place / "own" / name, LOG)))
write_atomically(place / "theirs" / "page.html", "page")
with folder_written_atomically(place / "theirs") as create:
    create("fills.csv").close()
print(json.dumps(results))
"""


def owned_by(name: str, path: Path, mode: int) -> Path:
    user = pwd.getpwnam(name)
    os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    if not path.is_symlink():
        path.chmod(mode)
    return path


def made(name: str, path: Path, mode: int) -> Path:
    """Make a folder of a user."""
    path.mkdir()
    return owned_by(name, path, mode)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in which every user can make something, as in /tmp."""
    folder = Path(tempfile.mkdtemp(prefix="paper-users-", dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


def test_root_works_in_no_home_of_another_user(place: Path) -> None:
    home = made(VICTIM, place / "home", 0o700)
    for command, ended in zip(COMMANDS, run_all(*COMMANDS, env=environment(home)), strict=True):
        assert (2, 1) == (ended.code, len(ended.err.splitlines())), command
        assert f"belongs to the user {VICTIM}: run the command as {VICTIM} (sudo -u {VICTIM} …)" in ended.err, command
    assert [] == list(home.iterdir())


def test_root_does_not_believe_a_folder_that_another_user_can_exchange(place: Path) -> None:
    theirs = made(ATTACKER, place / "theirs", 0o755)
    (theirs / "home").mkdir(mode=0o700)
    (ended,) = run_all("status", env=environment(theirs / "home"))
    assert 2 == ended.code
    assert f"{theirs}, on the way to it, belongs to the user {ATTACKER}" in ended.err


def of_the_victim(place: Path) -> dict[str, Any]:
    """Return what the victim's program reports; another Python than that of the tests, whose folder may be closed."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    options: dict[str, Any] = {"user": VICTIM, "group": pwd.getpwnam(VICTIM).pw_gid, "extra_groups": []}
    options |= {"cwd": "/", "env": {"PYTHONPATH": str(ROOT)}, "capture_output": True, "text": True, "timeout": 60}
    check = "import sys, domain.files.owners; sys.exit(sys.version_info < (3, 11))"
    if python is None or subprocess.run([python, "-B", "-c", check], check=False, **options).returncode != 0:
        pytest.skip("there is no Python of at least 3.11 that another user may run on these files")
    done = subprocess.run([python, "-B", "-c", VICTIMS_PROGRAM, str(place)], check=False, **options)
    assert (0, "") == (done.returncode, done.stderr)
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def test_what_an_attacker_has_prepared_is_not_used(place: Path) -> None:
    own = made(VICTIM, place / "own", 0o700)
    theirs = made(ATTACKER, place / "theirs", 0o777)
    made(VICTIM, theirs / "own", 0o700)
    made(VICTIM, made("root", place / "open", 0o777) / "own", 0o700)
    made(ATTACKER, place / "new", 0o777)
    victims_file = place / "authorized_keys"
    victims_file.write_text("mine\n")
    owned_by(VICTIM, victims_file, 0o600)
    (own / "link").symlink_to(victims_file)
    owned_by(ATTACKER, own / "link", 0)
    os.mkfifo(own / "pipe", 0o666)
    (own / "file").touch()
    owned_by(ATTACKER, own / "file", 0o666)
    os.link(victims_file, own / "second")
    results = of_the_victim(place)
    sticky = f"{theirs}, on the way to it, belongs to the user {ATTACKER}"
    assert {
        "home own": None,
        "home theirs": f"it belongs to the user {ATTACKER}",
        "home theirs/own": sticky,
        "home open": "it may be written by everybody",
        "home open/own": f"{place}/open, on the way to it, may be written by everybody",
        "new home": f"{place}/new: it belongs to the user {ATTACKER}",
        "link": f"{own}/link: it is a link",
        "pipe": f"{own}/pipe: it is no regular file",
        "file": f"{own}/file: it belongs to the user {ATTACKER}",
        "second": f"{own}/second: it has a second name, a hard link",
    } == {
        name: result and result.partition(": run")[0].partition(": chmod")[0].partition(": remove")[0]
        for name, result in results.items()
    }
    assert "mine\n" == victims_file.read_text()
    written = {name: (theirs / name).stat() for name in ("page.html", "fills.csv")}
    assert dict.fromkeys(written, (VICTIM, 0o600)) == {
        name: (pwd.getpwuid(status.st_uid).pw_name, stat.S_IMODE(status.st_mode)) for name, status in written.items()
    }
