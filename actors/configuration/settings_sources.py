"""Where settings come from, and the message about one that is wrong: it names the setting, its value and its source."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actors.configuration.file_owners import open_settings_file
from actors.configuration.settings_redaction import MASK
from actors.configuration.settings_reference import VARIABLE_PREFIX
from domain.errors import SettingsError
from domain.wording import did_you_mean, quoted, requirement

SETTINGS_FILE = Path("paper.toml")
DEFAULT_HOME = Path("~/.paper-trading")
USER_FOLDER = Path("~/.config/paper-trading")
ALERT_VARIABLES = frozenset({"PAPER_ALERT_KIND", "PAPER_ALERT_TEXT"})
"""Variables that the program sets for `alert_command`. They are not settings; the command may call this program."""
SECRET_SETTINGS = frozenset({"database_url", "alert_command", "alert_url", "alert_services"})
UNQUOTED_SETTINGS = SECRET_SETTINGS | {"exchange_options"}
"""Settings whose value is not repeated in a message, because it may hold a password."""


_chosen: list[Path] = []
"""The file that an option names; at most one."""


def choose_settings_file(path: str | None) -> None:
    """Set the settings file of this process.

    Args:
        path: of the file; None: the one that `settings_file` finds.

    Raises:
        SettingsError: there is no such file.
    """
    _chosen.clear()
    if path is not None:
        if not os.path.lexists(path):
            msg = f"--config {path}: there is no such file"
            raise SettingsError(msg)
        _chosen.append(Path(path))


def settings_file(home: object = None) -> Path | None:
    """Return the settings file in use: the chosen one, else ``paper.toml`` here, in home, or in the user's folder.

    Args:
        home: the setting, where an option sets it; None: that of the variable, or the default.
    """
    if _chosen:
        return _chosen[0]
    variable = f"{VARIABLE_PREFIX}home".upper()
    home = home or next((value for name, value in os.environ.items() if name.upper() == variable and value), None)
    folders = (Path(), Path(str(home or DEFAULT_HOME)), USER_FOLDER)
    for folder in folders:
        with suppress(RuntimeError):  # this user has no home folder
            if os.path.lexists(path := folder.expanduser() / SETTINGS_FILE):
                return path
    return None


def file_in_use(home: object = None) -> str | None:
    """Return the path of the settings file as text, for people and JSON; None without one."""
    path = settings_file(home)
    return None if path is None else str(path)


def read_settings_file(home: object = None) -> dict[str, Any]:
    """Return the content of the settings file; empty if there is none.

    Args:
        home: see `settings_file`.

    Raises:
        SettingsError: it cannot be read, or is not TOML, or others may write it.
    """
    if (path := settings_file(home)) is None:
        return {}
    try:
        with open_settings_file(path, is_named=bool(_chosen)) as file:
            content = file.read()
        return tomllib.loads(content.decode("utf-8-sig"))  # some editors write a byte order mark first
    except FileNotFoundError:
        return {}
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        line, column = content.count(b"\n", 0, error.start) + 1, error.start - content.rfind(b"\n", 0, error.start)
        msg = f"{path} cannot be read as TOML: it is not UTF-8 (at line {line}, column {column})"
    except ValueError as error:  # also an integer of thousands of digits
        msg = f"{path} cannot be read as TOML: {error}"
    except RecursionError:
        msg = f"{path} cannot be read as TOML: it is nested too deeply"
    raise SettingsError(msg)


def setting_origins(names: Collection[str], options: Collection[str], home: object = None) -> dict[str, str]:
    """Return the source of each setting: ``option``, the name of a variable or of the file, or ``default``.

    Args:
        names: the names of all settings.
        options: the names of those that an option sets.
        home: see `settings_file`.
    """
    variables = {name.upper() for name, value in os.environ.items() if value}
    path, in_file = settings_file(home), read_settings_file(home)
    origins = {}
    for name in names:
        variable = f"{VARIABLE_PREFIX}{name}".upper()
        if name in options:
            origins[name] = "option"
        elif variable in variables:
            origins[name] = variable
        else:
            origins[name] = str(path) if name in in_file else "default"
    return origins


def refuse_unknown_variables(names: Collection[str]) -> None:
    """Check that each ``PAPER_*`` variable is a setting.

    Raises:
        SettingsError: one is not.
    """
    variables = {f"{VARIABLE_PREFIX}{name}".upper() for name in names}
    for variable in os.environ:
        if variable.upper().startswith(VARIABLE_PREFIX) and variable.upper() not in variables | ALERT_VARIABLES:
            suggestion = did_you_mean(variable.upper(), variables)
            msg = f"the environment variable {variable} is not a setting{suggestion}"
            raise SettingsError(msg)


def settings_message(error: ValidationError, options: Mapping[str, object], names: Collection[str]) -> str:
    """Return one sentence on the first thing that is wrong.

    Args:
        error: what pydantic raised.
        options: the values that were passed to the constructor.
        names: the names of all settings.
    """
    first = error.errors()[0]
    path = settings_file(options.get("home")) or SETTINGS_FILE
    if not first["loc"]:
        return requirement(first)
    name = str(first["loc"][0]).lower().removeprefix(VARIABLE_PREFIX.lower())
    if first["type"] == "extra_forbidden":
        source = "" if name in options else f" in {path}"
        return f"{name!r}{source} is not a setting{did_you_mean(name, names)}"
    variable = f"{VARIABLE_PREFIX}{name}".upper()
    value = first["input"]
    source = "" if name in options else f" (from {variable if variable in os.environ else path})"
    if isinstance(value, Path):  # not from a file or variable: there it is text
        value, source = str(value), "" if name in options else " (the default)"
    value = MASK if name in UNQUOTED_SETTINGS else quoted(value)
    return f"setting {name} = {value}{source}: {requirement(first)}"
