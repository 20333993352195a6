"""A home that another user controls is refused, whatever names it, before anything is read or written there."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import Settings
from console.cli import main
from domain.errors import SettingsError
from tests.support.users.machine import STRANGER, Machine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default home of this user, which everybody may write."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PAPER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".paper-trading"
    home.mkdir()
    home.chmod(0o777)
    return home


def refusal(**options: object) -> str:
    with pytest.raises(SettingsError) as raised:
        Settings(**options)
    return str(raised.value)


def test_the_sentence_names_where_it_comes_from_and_the_way_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = f"must be a folder of your own, and it may be written by everybody: chmod go-w {home}"
    assert f"setting home = '~/.paper-trading' (the default): {reason}" == refusal()
    assert refusal(home=home) == refusal(home=str(home))
    assert refusal(home=home).endswith(f": {reason}")
    monkeypatch.setenv("PAPER_HOME", ".paper-trading")
    assert f"setting home = '.paper-trading' (from PAPER_HOME): {reason}" == refusal()
    with pytest.raises(SettingsError, match="must be a folder of your own"):
        Settings.isolated(home=home)
    home.chmod(0o700)
    assert home == Settings().home


def test_a_folder_above_counts(home: Path) -> None:
    reason = f"{home}, on the way to it, may be written by everybody: chmod go-w {home}, or name another folder"
    assert refusal(home=home / "deep" / "home").endswith(f"must be a folder of your own, and {reason}")


@pytest.mark.parametrize("command", ["status", "check", "decide BUY BTC/USDT --confidence 1", "db url", "history list"])
def test_each_command_ends_with_2_and_leaves_nothing(
    home: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main(command.split())
    printed = capsys.readouterr()
    assert ("", 1) == (printed.out, printed.err.count("\n"))
    assert f"chmod go-w {home}" in printed.err
    assert [] == list(home.iterdir())


def test_root_does_not_work_in_the_home_of_another_user(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by `sudo` where it leaves HOME as it is."""
    home.chmod(0o700)
    machine = Machine(monkeypatch, tmp_path)
    machine.process_uid = 0
    machine.owners |= {tmp_path: 0, home: STRANGER}
    assert (
        "setting home = '~/.paper-trading' (the default): must be a folder of your own, and it belongs to the user bob:"
        " run the command as bob (sudo -u bob …), or name another folder"
    ) == refusal()


def test_a_path_that_no_socket_can_have_is_refused() -> None:
    assert Path("/x") == Settings.isolated(metrics_socket="/x").metrics_socket
    with pytest.raises(SettingsError, match="must have at most 103 bytes, as the system allows no more for a socket"):
        Settings.isolated(metrics_socket="/" + "x" * 103)
    with pytest.raises(SettingsError, match="setting metrics_socket = '': must not be empty"):
        Settings.isolated(metrics_socket="")
