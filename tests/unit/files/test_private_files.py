"""Files of this user alone: what another user may have prepared is neither followed, waited for nor changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import PaperTradingError
from domain.files.private_files import (
    locked,
    make_home,
    make_private_folder,
    open_own_file,
    read_own_file,
    written_atomically,
)
from tests.support.users.machine import STRANGER, Machine

APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


@pytest.fixture
def open_to_all() -> Iterator[None]:
    """Set a umask that hides nothing, so that each mode is the program's own choice."""
    before = os.umask(0)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(path: Path, flags: int = APPEND) -> str:
    """Return why a file is not opened."""
    with pytest.raises(OSError) as raised:
        os.close(open_own_file(path, flags))
    assert str(path) == raised.value.filename
    return raised.value.strerror


@pytest.mark.usefixtures("open_to_all")
def test_a_missing_file_is_created_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    os.close(open_own_file(path, APPEND))
    assert 0o600 == mode(path)
    path.chmod(0o666)  # as an earlier version, or a restored copy, may have left it
    os.close(open_own_file(path, APPEND))
    assert 0o600 == mode(path)


def test_a_link_is_not_followed_and_its_target_is_neither_made_nor_changed(tmp_path: Path) -> None:
    victim = tmp_path / "authorized_keys"
    victim.write_text("mine\n")
    (tmp_path / "log").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "made")
    for name in ("log", "dangling"):
        for flags in (APPEND, os.O_RDWR | os.O_CREAT, os.O_RDONLY):
            assert "it is a link: remove it" == refusal(tmp_path / name, flags)
    assert ("mine\n", False) == (victim.read_text(), (tmp_path / "made").exists())


def test_a_second_name_of_another_file_is_not_written(tmp_path: Path) -> None:
    victim = tmp_path / "authorized_keys"
    victim.write_text("mine\n")
    os.link(victim, tmp_path / "log")
    assert "it has a second name, a hard link: remove one of them" == refusal(tmp_path / "log")
    assert b"mine\n" == read_own_file(tmp_path / "log")  # to read it shows nothing to anybody else


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    for flags in (APPEND, os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        assert "it is no regular file: remove it" == refusal(pipe, flags)
    assert "Is a directory" == refusal(tmp_path, os.O_RDONLY)


def test_a_file_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.touch(mode=0o600)
    machine = Machine(monkeypatch, tmp_path)
    machine.opened_uid = STRANGER
    assert "it belongs to the user bob: remove it" == refusal(path)
    os.close(open_own_file(path, APPEND, owners={STRANGER}))
    machine.opened_uid = 0
    os.close(open_own_file(path, APPEND))


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_own_file(tmp_path / "log")


@pytest.mark.usefixtures("open_to_all")
def test_a_new_folder_and_all_that_are_missing_above_it_are_private(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a" / "b")
    assert [0o700, 0o700] == [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")]
    make_home(tmp_path / "home")
    assert (0o711 if os.geteuid() == 0 else 0o700) == mode(tmp_path / "home")


def test_a_prepared_folder_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    machine = Machine(monkeypatch, tmp_path)
    machine.owners[folder] = STRANGER
    with pytest.raises(PermissionError, match="belongs to the user bob: run the command as bob"):
        make_home(folder)
    folder.chmod(0o777)
    machine.owners.clear()
    with pytest.raises(PermissionError, match=f"it may be written by everybody: chmod go-w {folder}"):
        make_private_folder(folder)
    with pytest.raises(PaperTradingError, match=r"cannot write .*\.lock: it may be written by everybody"):
        locked(folder / ".lock", 0.0, waiting_for="tests").__enter__()


@pytest.mark.usefixtures("open_to_all")
def test_a_written_file_is_private_whatever_it_replaces(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    path = tmp_path / "report.html"
    path.symlink_to(victim)
    for _ in range(2):
        with written_atomically(path) as stream:
            stream.write(b"new")
        assert (b"new", 0o600, False) == (path.read_bytes(), mode(path), path.is_symlink())
        path.chmod(0o644)
    assert "mine\n" == victim.read_text()
    assert [path, victim] == sorted(tmp_path.iterdir())


def test_a_folder_that_is_exchanged_during_the_writing_gets_nothing(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "shared", tmp_path / "elsewhere"
    for place in (folder, elsewhere):
        place.mkdir()
    with written_atomically(folder / "report.html") as stream:
        folder.rename(tmp_path / "away")
        folder.symlink_to(elsewhere)
        stream.write(b"new")
    assert ([], ["report.html"]) == (names(elsewhere), names(tmp_path / "away"))


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PaperTradingError, match="No space left on device"), written_atomically(path) as stream:
        stream.write(b"new")
    assert (["report.html"], "old") == (names(tmp_path), path.read_text())


def test_a_file_system_that_cannot_sync_a_folder_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def refuse_folders(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(22, "Invalid argument")
        sync(file)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    with written_atomically(tmp_path / "report.html") as stream:
        stream.write(b"new")
    assert "new" == (tmp_path / "report.html").read_text()
