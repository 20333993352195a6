"""Root's server runs as a user of its own, which two first starts at once may both try to make."""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from persistence.embedded import server_user
from persistence.embedded.errors import EmbeddedServerError

PASSWD_LOCKED = b"useradd: cannot lock /etc/passwd; try again later.\n"


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
    assert ["find", "useradd", "find"] == calls


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
