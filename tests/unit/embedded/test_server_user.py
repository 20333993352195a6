"""Root's server runs as a user of its own, which two first starts at once may both try to make."""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from types import SimpleNamespace
from typing import Any

import pytest

from domain.files.private_files import locked
from persistence.embedded import server_user
from persistence.embedded.errors import EmbeddedServerError

PASSWD_LOCKED = b"useradd: cannot lock /etc/passwd; try again later.\n"


@pytest.fixture(autouse=True)
def users_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock in a folder of the test's own."""
    monkeypatch.setattr(server_user, "USERS_LOCK", tmp_path / "lock")
    return tmp_path / "lock"


@pytest.fixture
def useradd(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], bool]], list[str]]:
    """Take the place of useradd and of the list of users; return a function that says when the user is there."""
    calls: list[str] = []

    def make(is_there: Callable[[int], bool]) -> list[str]:
        def find(name: str) -> Any:
            calls.append("find")
            if not is_there(calls.count("useradd")):
                raise KeyError(name)
            return SimpleNamespace(pw_uid=995, pw_gid=994)

        def run(command: tuple[str, ...], **_: object) -> None:
            calls.append(command[0])
            raise subprocess.CalledProcessError(1, command, stderr=PASSWD_LOCKED)

        monkeypatch.setattr(pwd, "getpwnam", find)
        monkeypatch.setattr(subprocess, "run", run)
        return calls

    return make


def test_the_user_that_another_start_has_just_made_is_used(
    useradd: Callable[[Callable[[int], bool]], list[str]],
) -> None:
    calls = useradd(lambda attempts: attempts == 1)
    assert (995, 994) == server_user.user_of_roots_server()
    assert ["find", "find", "useradd", "find"] == calls


def test_one_that_another_start_is_still_making_is_waited_for(
    useradd: Callable[[Callable[[int], bool]], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_user, "RETRY_INTERVAL_S", 0.001)
    calls = useradd(lambda attempts: attempts == 3)
    assert (995, 994) == server_user.user_of_roots_server()
    assert 3 == calls.count("useradd")


def test_a_user_that_cannot_be_made_is_one_sentence(
    useradd: Callable[[Callable[[int], bool]], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_user, "USERADD_WAIT_S", 0.0)
    useradd(lambda _: False)
    with pytest.raises(EmbeddedServerError) as error:
        server_user.user_of_roots_server()
    assert (
        "PostgreSQL refuses to run as root, and a user pgserver for it cannot be made (useradd: cannot lock"
        " /etc/passwd; try again later.): run the program as another user, or set database_url."
    ) == str(error.value)


def test_two_first_starts_get_one_user(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    both_look = Barrier(2)

    def find(name: str) -> Any:
        if not made:
            raise KeyError(name)
        return SimpleNamespace(pw_uid=made[-1], pw_gid=made[-1])

    def run(_command: tuple[str, ...], **_: object) -> None:
        """Like useradd: look for the name first, and write the user with the next number then."""
        with suppress(BrokenBarrierError):
            both_look.wait(0.2)
        made.append(999 - len(made))

    monkeypatch.setattr(pwd, "getpwnam", find)
    monkeypatch.setattr(subprocess, "run", run)
    with ThreadPoolExecutor(2) as starts:
        users = [start.result() for start in [starts.submit(server_user.user_of_roots_server) for _ in range(2)]]
    assert ([(999, 999)] * 2, [999]) == (users, made)


def test_a_lock_that_stays_is_one_sentence(
    useradd: Callable[[Callable[[int], bool]], list[str]], users_lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    useradd(lambda _: False)
    monkeypatch.setattr(server_user, "USERS_LOCK_WAIT_S", 0.0)
    with locked(users_lock, 1.0, waiting_for="makes it"), pytest.raises(EmbeddedServerError) as error:
        server_user.user_of_roots_server()
    assert "cannot be made (another process makes it; try again when it has ended)" in str(error.value)
