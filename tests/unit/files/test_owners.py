"""Whether another user can change what lies in a folder, by its owner, its mode, and what lies on the way to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.files.owners import exposure
from tests.support.users.machine import ME, STRANGER, Account, Machine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


@pytest.fixture
def home(machine: Machine, tmp_path: Path) -> Path:
    """A folder of this user in one of root."""
    folder = tmp_path / "srv"
    folder.mkdir(mode=0o755)
    machine.owners |= {tmp_path: 0, folder: 0}
    home = folder / "paper"
    home.mkdir(mode=0o700)
    return home


def test_a_folder_of_this_user_or_of_root_is_closed(machine: Machine, home: Path) -> None:
    assert exposure(home) is None
    machine.owners[home] = 0
    assert exposure(home) is None
    assert exposure(home / "missing" / "too") is None


def test_a_folder_of_another_user_is_not(machine: Machine, home: Path) -> None:
    machine.owners[home] = STRANGER
    way_out = "run the command as bob (sudo -u bob …), or name another folder"
    assert f"it belongs to the user bob: {way_out}" == exposure(home)
    machine.owners[home] = ME
    machine.process_uid = 0
    assert "it belongs to the user me: run the command as me (sudo -u me …), or name another folder" == exposure(home)


def test_a_folder_that_others_may_write_is_not(home: Path) -> None:
    home.chmod(0o757)
    assert f"it may be written by everybody: chmod go-w {home}" == exposure(home)
    home.chmod(0o1777)  # there another user could make what is not there yet
    assert "it may be written by everybody: name another folder, such as one in it" == exposure(home)


@pytest.mark.parametrize(
    ("owner", "group", "members", "expected"),
    [
        (ME, ME, [], None),
        (ME, ME, ["bob"], "the group me"),
        (ME, 9, [], "the group bob"),
        (ME, 77, [], "the group 77"),
        (0, 0, [], None),
        (0, 0, ["bob"], "the group root"),
    ],
)
def test_a_group_may_write_it_if_nobody_else_is_in_it(
    machine: Machine, home: Path, owner: int, group: int, members: list[str], expected: str | None
) -> None:
    home.chmod(0o770)
    machine.owners[home], machine.group_owners[home] = owner, group
    if group in machine.groups:
        machine.groups[group] = machine.groups[group][0], members
    assert (None if expected is None else f"it may be written by {expected}: chmod go-w {home}") == exposure(home)


def test_a_group_that_comes_from_a_container_is_this_process_s_own(machine: Machine, home: Path) -> None:
    """Such as that of a volume in Kubernetes; no account of the container is in it, and it has no name there."""
    home.chmod(0o2770)
    machine.owners[home], machine.group_owners[home] = 0, 2_000
    assert f"it may be written by the group 2000: chmod go-w {home}" == exposure(home)
    machine.supplementary.append(2_000)
    assert exposure(home) is None
    machine.groups[2_000] = "team", []
    assert f"it may be written by the group team: chmod go-w {home}" == exposure(home)


def test_a_folder_above_that_others_may_write_counts(home: Path) -> None:
    home.parent.chmod(0o777)
    reason = f"{home.parent}, on the way to it, may be written by everybody"
    assert f"{reason}: chmod go-w {home.parent}, or name another folder" == exposure(home)
    assert exposure(home / "logs" / "missing") == exposure(home)
    home.parent.chmod(0o1777)  # only their owners rename entries of a folder such as /tmp
    assert exposure(home) is None


def test_another_users_entry_in_a_folder_for_all_counts(machine: Machine, home: Path) -> None:
    inner = home / "inner"
    inner.mkdir()
    machine.owners[home] = STRANGER
    assert exposure(inner) is None  # root has left it to bob
    home.parent.chmod(0o1777)
    assert f"{home}, on the way to it, belongs to the user bob" in str(exposure(inner))


def test_root_trusts_no_folder_of_another_user_on_the_way(machine: Machine, home: Path) -> None:
    inner = home / "inner"
    inner.mkdir()
    machine.owners[inner] = 0
    machine.process_uid = 0
    assert f"{home}, on the way to it, belongs to the user me" in str(exposure(inner))


def test_the_group_of_a_third_users_own_folder_does_not_count(machine: Machine, home: Path) -> None:
    """With umask 002, folders of that user are written by a group in which nobody else is."""
    inner = home / "inner"
    inner.mkdir()
    home.chmod(0o775)
    machine.owners[home], machine.group_owners[home] = STRANGER, 9
    assert exposure(inner) is None
    machine.users.append(Account("eve", 4_003, 9))
    assert f"{home}, on the way to it, may be written by the group bob" in str(exposure(inner))


def test_links_are_followed_and_their_owners_and_folders_count(machine: Machine, home: Path, tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.mkdir()
    public.chmod(0o1777)
    machine.owners[public] = 0
    link = public / "link"
    link.symlink_to("../srv/paper")
    assert exposure(link) is None
    machine.owners[link] = STRANGER
    assert f"{link}, on the way to it, belongs to the user bob" in str(exposure(link))
    assert f"{link}, on the way to it, belongs to the user bob" in str(exposure(link / "logs"))
    machine.owners[link] = ME
    home.chmod(0o777)
    assert f"it may be written by everybody: chmod go-w {home}" == exposure(link)
    home.chmod(0o700)
    public.chmod(0o777)
    assert f"{public}, on the way to it, may be written by everybody" in str(exposure(link))


def test_a_circle_of_links_is_an_error(home: Path) -> None:
    (home / "one").symlink_to("two")
    (home / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        exposure(home / "one")


def test_what_is_mounted_read_only_cannot_be_changed(machine: Machine, home: Path) -> None:
    home.chmod(0o777)
    machine.owners[home] = STRANGER
    assert exposure(home) is not None
    machine.read_only = True
    assert exposure(home) is None
