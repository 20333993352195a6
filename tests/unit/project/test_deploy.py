"""The units of deploy/ are what systemd takes, and start what this program knows."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actors.configuration.settings_reference import VARIABLE_PREFIX
from actors.settings import Settings
from console.cli import _command_line
from console.errors import EXIT_CODES
from domain.errors import LeaseHeld, SettingsError

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
SERVICES = ("paper-trading.service", "paper-trading-health.service")
UNITS = (*SERVICES, "paper-trading-health.timer")
INSTALLED = "/opt/paper-trading"
MOST_EXPOSED = 1.5
"""Highest exposure of a service by systemd's own measure, from 0 (confined) to 10 (may do everything)."""


def options(unit: str) -> list[tuple[str, str]]:
    """Each option of a unit in its order; one may stand there more than once."""
    lines = (DEPLOY / unit).read_text(encoding="utf-8").splitlines()
    stated = [line for line in lines if line and not line.startswith(("#", "["))]
    return [(name, value) for name, _, value in (line.partition("=") for line in stated)]


def values(unit: str, name: str) -> list[str]:
    return [value for option, value in options(unit) if option == name]


def complaints(folder: Path, change: tuple[str, str] = ("", "")) -> str:
    """What systemd itself has to say about the units, as they would be if the program were installed here."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    installed = folder / "installed"
    (installed / ".venv" / "bin").mkdir(parents=True)
    (installed / ".venv" / "bin" / "python").symlink_to(sys.executable)
    for unit in UNITS:
        text = (DEPLOY / unit).read_text(encoding="utf-8").replace(*change)
        (folder / unit).write_text(text.replace(INSTALLED, str(installed)), encoding="utf-8")
    command = [analyze, "verify", "--man=no", *(str(folder / unit) for unit in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    assert complaints(tmp_path) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("ProtectClock=yes", "ProtectClocks=yes", "ProtectClocks"),
        ("Type=notify", "Type=notified", "notified"),
        ("OnCalendar=minutely", "OnCalendar=minutly", "minutly"),
        ("~@privileged", "~@privilege", "@privilege"),
    ],
)
def test_a_misspelt_option_is_found(right: str, wrong: str, complaint: str, tmp_path: Path) -> None:
    assert complaint in complaints(tmp_path, (right, wrong))


def exposure(folder: Path, unit: str, change: tuple[str, str] = ("", "")) -> float:
    """Return how much a service may do, by systemd's own measure."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    file = folder / unit
    file.write_text((DEPLOY / unit).read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    command = [analyze, "security", "--offline=true", "--no-pager", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    level = re.search(r"exposure level for \S+: (\d+\.\d)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    return float(level[1])


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_may_do_no_more_than_before(unit: str, tmp_path: Path) -> None:
    assert exposure(tmp_path, unit) <= MOST_EXPOSED


def test_a_restriction_that_is_missing_is_measured(tmp_path: Path) -> None:
    assert exposure(tmp_path, SERVICES[0], ("NoNewPrivileges=yes", "")) > MOST_EXPOSED


@pytest.mark.parametrize(("unit", "command"), [(SERVICES[0], "start"), (SERVICES[1], "status")])
def test_what_they_start_is_a_command_of_this_program(unit: str, command: str) -> None:
    (line,) = values(unit, "ExecStart")
    python, script, *words = shlex.split(line)
    assert (python, script) == (f"{INSTALLED}/.venv/bin/python", f"{INSTALLED}/run.py")
    assert (ROOT / "run.py").is_file()
    assert command == words[0]
    group = _command_line(command)
    with group.make_context("run.py", list(words)) as context:
        name, command, rest = group.resolve_command(context, list(words))
        assert command is not None
        with command.make_context(name, rest, parent=context):
            pass  # each option is known, and its value is of the right kind


@pytest.mark.parametrize("unit", SERVICES)
def test_what_they_set_are_settings_of_this_program(unit: str) -> None:
    names = [value.partition("=")[0] for value in values(unit, "Environment")]
    assert names == ["PAPER_HOME"]
    assert {name.removeprefix(VARIABLE_PREFIX).lower() for name in names} <= set(Settings.model_fields)


def test_only_what_would_end_the_same_is_not_tried_again() -> None:
    assert values(SERVICES[0], "RestartPreventExitStatus") == [f"{EXIT_CODES[SettingsError]} {EXIT_CODES[LeaseHeld]}"]
    assert values(SERVICES[0], "Restart") == ["on-failure"]


def test_the_health_check_may_do_no_more_than_the_service() -> None:
    own = {
        "Type",
        "NotifyAccess",
        "ExecStart",
        "ExecCondition",
        "KillMode",
        "Description",
        "After",
        "Wants",
        "WantedBy",
    }
    limits = ("StartLimit", "Timeout", "Restart", "RuntimeDirectory")

    def shared(unit: str) -> list[tuple[str, str]]:
        return [option for option in options(unit) if option[0] not in own and not option[0].startswith(limits)]

    assert shared(SERVICES[0]) == shared(SERVICES[1])
    assert ("NoNewPrivileges", "yes") in shared(SERVICES[1])


@pytest.mark.parametrize("unit", UNITS)
def test_the_page_beside_them_names_each(unit: str) -> None:
    assert unit in (DEPLOY / "README.md").read_text(encoding="utf-8")
