"""Where the settings file is looked for, and which one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import Settings
from actors.configuration.settings_sources import choose_settings_file, settings_file
from console.cli import main
from domain.errors import SettingsError


def test_the_file_is_looked_for_here_then_in_home_then_in_the_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, home, user = tmp_path / "here", tmp_path / "home", tmp_path / "user"
    config = user / ".config" / "paper-trading"
    for number, folder in enumerate((here, home, config), 1):
        folder.mkdir(parents=True)
        (folder / "paper.toml").write_text(f"max_restarts = {number}\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("PAPER_HOME", str(home))
    assert (1, Path("paper.toml")) == (Settings().max_restarts, settings_file())
    (here / "paper.toml").unlink()
    assert (2, home / "paper.toml") == (Settings().max_restarts, settings_file())
    assert 3 == Settings(home=here).max_restarts  # an option is stronger than the variable
    monkeypatch.delenv("PAPER_HOME")
    assert (3, config / "paper.toml") == (Settings().max_restarts, settings_file())
    assert 2 == Settings(home=home).max_restarts
    other = tmp_path / "other.toml"
    other.write_text("max_restarts = 4\n")
    try:
        choose_settings_file(str(other))
        assert (4, other) == (Settings(home=home).max_restarts, settings_file(home))
        other.write_text("max_restarts = x\n")
        with pytest.raises(SettingsError, match=f"^{other} cannot be read as TOML"):
            Settings()
        other.write_text("max_restarts = -1\n")
        with pytest.raises(SettingsError, match=f"from {other}"):
            Settings()
    finally:
        choose_settings_file(None)
    (config / "paper.toml").unlink()
    assert (5, None) == (Settings().max_restarts, settings_file())
    assert 2 == main(["status", "--config", str(tmp_path / "none.toml")])
    assert f"--config {tmp_path / 'none.toml'}: there is no such file" in capsys.readouterr().err
