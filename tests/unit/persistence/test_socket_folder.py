"""The folder of the embedded server's socket in /tmp, where every user can prepare something."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from persistence.embedded import orphans, socket_folder
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.server import EmbeddedServer
from persistence.embedded.socket_folder import (
    disarm_stale_lock,
    make_socket_folder,
    require_own_socket_folder,
    socket_lock,
)

PORT = 5432


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose path is too long for a socket."""
    folder = tmp_path / ("x" * 110) / "postgres"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def folder(data: Path) -> Iterator[Path]:
    """The folder for its socket, which does not exist."""
    folder = socket_folder.socket_folder(data, PORT)
    assert Path("/tmp") == folder.parent
    yield folder
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def refusal(data: Path) -> str:
    """Return why the server of a home is not used."""
    with pytest.raises(EmbeddedServerError) as raised:
        EmbeddedServer(data.parent)
    return str(raised.value)


def test_a_new_one_is_private(data: Path, folder: Path) -> None:
    before = os.umask(0)
    try:
        make_socket_folder(folder, data, None)
    finally:
        os.umask(before)
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert f"host={folder}" in EmbeddedServer(data.parent).url


def test_one_of_another_user_is_never_used(data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(socket_folder, "server_owners", lambda _: {os.geteuid() + 1})
    monkeypatch.setattr(socket_folder, "user_name", lambda _: "bob")
    sentence = (
        f"{folder}, the folder for the socket of {data}, belongs to the user bob: have it removed, or choose a home"
        " with a shorter path, whose socket is in that home."
    )
    assert sentence == refusal(data)
    with pytest.raises(EmbeddedServerError, match="belongs to the user bob"):
        make_socket_folder(folder, data, None)


def test_a_link_a_file_and_an_open_folder_are_not_used(data: Path, folder: Path, tmp_path: Path) -> None:
    folder.symlink_to(tmp_path)
    assert refusal(data).endswith("is no folder: remove it.")
    folder.unlink()
    folder.touch()
    assert refusal(data).endswith("is no folder: remove it.")
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o755)
    assert refusal(data).endswith(f"is open to others: chmod 700 {folder}.")


def test_the_data_folder_itself_is_left_to_postgresql(data: Path) -> None:
    data.chmod(0o755)
    require_own_socket_folder(data, data)


def in_time(action: threading.Thread) -> bool:
    action.start()
    action.join(10)
    return not action.is_alive()


@pytest.mark.parametrize("planted", ["pipe", "link", "second name"])
def test_a_prepared_lock_is_neither_waited_for_nor_followed(data: Path, folder: Path, planted: str) -> None:
    folder.mkdir(mode=0o700)
    victim = folder / "postmaster.pid"  # in the same file system, for the second name
    victim.write_text(f"{os.getpid()}\nof another server\n")
    lock = socket_lock(folder)
    if planted == "pipe":
        os.mkfifo(lock)
    elif planted == "link":
        lock.symlink_to(victim)
    else:
        os.link(victim, lock)
    errors: list[OSError] = []

    def disarm() -> None:
        try:
            disarm_stale_lock(lock, data)
        except OSError as error:
            errors.append(error)

    assert in_time(threading.Thread(target=disarm, daemon=True))
    assert [str(lock)] == [error.filename for error in errors]
    assert f"{os.getpid()}\nof another server\n" == victim.read_text()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"{os.getpid()}\n/data\n5432\n", f"{2**31 - 1}\n/data\n5432\n"),
        ("999999999\n/data\n", f"{2**31 - 1}\n/data\n"),
        ("rubbish\n", None),
        ("", None),
    ],
    ids=["alive", "nobody", "rubbish", "empty"],  # the same in each process of the test run
)
def test_a_stale_lock_is_disarmed(data: Path, folder: Path, content: str, expected: str | None) -> None:
    folder.mkdir(mode=0o700)
    for lock in (data / "postmaster.pid", socket_lock(folder)):
        lock.write_text(content)
        disarm_stale_lock(lock, data)
        assert expected == (lock.read_text() if lock.exists() else None)


class Foreign:
    """A process of another user that names the folder, to be taken for a server's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def uids(self) -> SimpleNamespace:
        return SimpleNamespace(effective=4_002)

    def status(self) -> str:
        return psutil.STATUS_SLEEPING

    def cmdline(self) -> list[str]:
        return ["postgres", "-D", str(self._folder)]

    def terminate(self) -> None:
        raise psutil.AccessDenied


def test_processes_of_another_user_neither_stop_nor_delay_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "process_iter", lambda: [Foreign(tmp_path)])
    monkeypatch.setattr(orphans, "END_TIMEOUT_S", 60.0)
    assert 0 == orphans.end_processes_in(tmp_path, {4_001})
    assert in_time(threading.Thread(target=orphans.await_starters, args=(tmp_path, {4_001}, lambda: False)))
