"""A settings file that others may write is refused, with the command that mends it."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors import Settings
from actors.configuration import file_owners
from actors.configuration.settings_sources import choose_settings_file
from console.cli import main
from domain.errors import SettingsError

ME, GROUP, STRANGER = 4_001, 4_001, 4_002


@dataclass(frozen=True)
class Account:
    pw_name: str
    pw_uid: int
    pw_gid: int


class Machine:
    """The users and groups of a machine, and this process as the user ``me``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.users = [
            Account("root", 0, 0),
            Account("sync", 5, 0),
            Account("me", ME, GROUP),
            Account("bob", STRANGER, 9),
        ]
        self.groups: dict[int, tuple[str, list[str]]] = {0: ("root", []), GROUP: ("me", []), 9: ("bob", [])}
        self.process_uid = ME
        self.read_only = False
        self.changed: dict[str, dict[str, int]] = {}
        monkeypatch.setattr(os, "geteuid", lambda: self.process_uid)
        monkeypatch.setattr(os, "getegid", lambda: GROUP)
        monkeypatch.setattr(pwd, "getpwall", lambda: self.users)
        monkeypatch.setattr(pwd, "getpwuid", self._user)
        monkeypatch.setattr(grp, "getgrgid", self._group)
        monkeypatch.setattr(os, "fstatvfs", self._file_system)
        monkeypatch.setattr(os, "statvfs", self._file_system)
        self._stat = os.fstat
        monkeypatch.setattr(file_owners.os, "fstat", self._fstat)
        self.uid, self.gid = ME, GROUP

    def _user(self, uid: int) -> Account:
        return {user.pw_uid: user for user in self.users}[uid]

    def _group(self, gid: int) -> Any:
        name, members = self.groups[gid]
        return SimpleNamespace(gr_name=name, gr_mem=members)

    def _file_system(self, _: object) -> Any:
        return SimpleNamespace(f_flag=os.ST_RDONLY if self.read_only else 0)

    def _fstat(self, descriptor: int) -> Any:
        status = self._stat(descriptor)
        return os.stat_result([*status[:4], self.uid, self.gid, *status[6:]])


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


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
    machine.uid = STRANGER
    assert (
        f"{file} belongs to the user bob, and settings are read only from a file of me or root: chown me {file}"
    ) == refusal()
    machine.uid = 77  # without a name on this machine
    assert f"{file} belongs to the user 77" in str(refusal())
    machine.uid = 0
    assert refusal() is None
    machine.uid = STRANGER
    machine.process_uid = 0
    assert "are read only from a file of root: chown root" in str(refusal())


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
    machine.gid = gid
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


def test_a_file_that_is_no_file_has_no_writers(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o666)
    descriptor = os.open(pipe, os.O_RDWR)
    try:
        file_owners.refuse_if_others_write(pipe, descriptor)
    finally:
        os.close(descriptor)
