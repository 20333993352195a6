"""The program, run as another user of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.system.fork_server import ROOT
from tests.support.system.program import TIMEOUT_S, Ended

INTERPRETERS = (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
"""The Python of the tests, and that of the machine: the first may lie in a folder that others cannot enter."""


@dataclass(frozen=True)
class OtherUser:
    """An ordinary user of this machine."""

    name: str
    uid: int
    gid: int
    python: str

    def run(self, *arguments: str, **settings: str) -> Ended:
        """Run a command of the program as this user.

        Args:
            arguments: of ``run.py``.
            settings: by their names in small letters.
        """
        words = [self.python, "-B", str(ROOT / "run.py"), *arguments]
        done = as_user(self.uid, self.gid, words, {f"PAPER_{name}".upper(): value for name, value in settings.items()})
        return Ended(done.returncode, done.stdout, done.stderr)


def as_user(uid: int, gid: int, words: list[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program as a user who has no home; the packages are those of the tests."""
    path = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    options: dict[str, Any] = {"user": uid, "group": gid, "extra_groups": [], "cwd": "/", "input": ""}
    env = {
        "PATH": os.defpath,
        "PYTHONPATH": path,
        "HOME": "/nonexistent",
        "PAPER_HOME": "/nonexistent/home",
        **variables,
    }
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, **options)


@pytest.fixture(scope="module")
def other_user() -> Iterator[OtherUser]:
    """An ordinary user of this machine, made for the tests and removed after them."""
    if os.geteuid() != 0 or shutil.which("useradd") is None:
        pytest.skip("needs root and useradd to make another user of this machine")
    name = f"papertest{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", name], check=True, capture_output=True, timeout=60)
    try:
        entry = pwd.getpwnam(name)
        yield OtherUser(name, entry.pw_uid, entry.pw_gid, _interpreter(entry))
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True, timeout=60)


def _interpreter(entry: pwd.struct_passwd) -> str:
    for python in INTERPRETERS:
        try:
            words = [python, "-B", str(ROOT / "run.py"), "status", "--help"]
            if as_user(entry.pw_uid, entry.pw_gid, words, {}).returncode == 0:
                return python
        except OSError:
            continue
    pytest.skip(f"another user may run neither {' nor '.join(INTERPRETERS)} with the program's packages")
