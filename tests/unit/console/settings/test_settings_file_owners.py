"""A settings file that others may write is refused, with the command that mends it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import Settings
from actors.configuration.settings_sources import choose_settings_file
from console.cli import main
from domain.errors import SettingsError
from tests.support.users.machine import GROUP, STRANGER, Account, Machine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "settings"
    folder.mkdir(mode=0o700)
    path = folder / "paper.toml"
    path.write_text("seed = 2\n")
    path.chmod(0o644)
    choose_settings_file(str(path))
    yield path
    choose_settings_file(None)


def refusal() -> str | None:
    try:
        return None if Settings().seed == 2 else "another file was read"
    except SettingsError as error:
        return str(error)


def test_a_file_that_everybody_may_write_is_refused_with_the_command_that_mends_it(file: Path) -> None:
    file.chmod(0o646)
    sentence = f"{file} may be written by everybody, and so is not read: chmod go-w {file}"
    assert sentence == refusal()
    file.chmod(0o644)
    assert refusal() is None


def test_a_command_ends_with_the_sentence_and_with_2(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.chmod(0o666)
    assert 2 == main(["status", "--config", str(file)])
    printed = capsys.readouterr()
    assert ("", 1) == (printed.out, printed.err.count("\n"))
    assert f"chmod go-w {file}" in printed.err


def test_a_folder_that_everybody_may_write_is_refused_unless_it_is_sticky(file: Path) -> None:
    file.parent.chmod(0o777)
    assert (
        f"{file} is not read, because its folder may be written by everybody, who can replace the file:"
        f" chmod go-w {file.parent}"
    ) == refusal()
    file.parent.chmod(0o1777)
    assert refusal() is None


def test_the_folder_of_a_link_counts_and_that_of_its_file(file: Path, tmp_path: Path) -> None:
    links = tmp_path / "a folder"
    links.mkdir(mode=0o700)
    link = links / "paper.toml"
    link.symlink_to(file)
    choose_settings_file(str(link))
    assert refusal() is None
    links.chmod(0o777)
    assert f"chmod go-w '{links}'" in str(refusal())
    links.chmod(0o700)
    file.parent.chmod(0o777)
    assert f"chmod go-w {file.parent}" in str(refusal())


def test_a_file_of_another_user_is_refused_and_one_of_root_is_read(file: Path, machine: Machine) -> None:
    machine.opened_uid = STRANGER
    assert (
        f"{file} belongs to the user bob, and settings are read only from a file of me or root: remove it, or copy it"
        " if you want what it says"
    ) == refusal()
    machine.opened_uid = 77  # without a name on this machine
    assert f"{file} belongs to the user 77" in str(refusal())
    machine.opened_uid = 0
    assert refusal() is None
    machine.opened_uid = STRANGER
    machine.process_uid = 0
    assert "are read only from a file of root: remove it, or copy it" in str(refusal())


@pytest.mark.parametrize(
    ("gid", "members", "others", "expected"),
    [
        (GROUP, [], [], None),  # umask 002: each user has a group of their own
        (GROUP, ["me", "root"], [], None),
        (GROUP, ["bob"], [], "the group me"),
        (GROUP, [], [Account("eve", 4_003, GROUP)], "the group me"),
        (0, [], [], None),  # in a container of any uid
        (0, ["bob"], [], "the group root"),
        (0, [], [Account("eve", 4_003, 0)], "the group root"),
        (9, [], [], "the group bob"),
        (10, [], [], "the group 10"),
    ],
)
def test_a_group_may_write_only_if_nobody_else_is_in_it(
    file: Path, machine: Machine, gid: int, members: list[str], others: list[Account], expected: str | None
) -> None:
    file.chmod(0o664)
    machine.opened_gid = gid
    machine.users += others
    if gid in machine.groups:
        machine.groups[gid] = machine.groups[gid][0], members
    sentence = (
        None if expected is None else f"{file} may be written by {expected}, and so is not read: chmod go-w {file}"
    )
    assert sentence == refusal()


def test_what_lies_on_a_read_only_file_system_is_read(file: Path, machine: Machine) -> None:
    file.chmod(0o666)
    file.parent.chmod(0o777)
    assert refusal() is not None
    machine.read_only = True
    assert refusal() is None


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A pipe in the place of the settings file of the working folder; nobody writes it."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "paper.toml"
    os.mkfifo(path, 0o600)
    yield path
    choose_settings_file(None)


def test_a_pipe_where_the_file_is_looked_for_is_refused_at_once(pipe: Path) -> None:
    assert "paper.toml is no regular file, so that it is not read: remove it" == refusal()


def test_a_pipe_that_an_option_names_is_refused_at_once_if_others_may_write_it(pipe: Path, machine: Machine) -> None:
    choose_settings_file(str(pipe))
    machine.opened_uid = STRANGER
    assert f"{pipe} belongs to the user bob" in str(refusal())
    machine.read_only = True  # a pipe may be written there all the same
    assert f"{pipe} belongs to the user bob" in str(refusal())
    machine.opened_uid = 0
    pipe.chmod(0o606)
    assert f"{pipe} may be written by everybody, and so is not read: chmod go-w {pipe}" == refusal()


def test_a_pipe_of_this_user_that_an_option_names_is_read_when_its_writer_comes(pipe: Path, machine: Machine) -> None:
    choose_settings_file(str(pipe))
    writer = threading.Thread(target=lambda: pipe.write_text("seed = 2\n"), daemon=True)
    writer.start()
    assert refusal() is None
    writer.join(10)
    assert not writer.is_alive()


def test_a_device_that_an_option_names_is_read() -> None:
    choose_settings_file(os.devnull)
    try:
        assert 1 == Settings().seed
    finally:
        choose_settings_file(None)
