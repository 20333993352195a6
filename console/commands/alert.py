"""``run.py alert``: sends an alarm over what the settings name, and says what came of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from actors.introspection.settings_sources import SETTINGS_FILE
from console import logs
from console.alerts.channels import Channel, channels
from console.alerts.outbox import Letter
from console.alerts.sender import LIMIT
from console.cli import complain
from console.display.format import answer
from console.options import AsJson, LogLevel, quiet_settings
from domain.alarms import Alarm, AlarmKind, one_line
from domain.errors import AlertFailed, InvalidRequest, SettingsError
from domain.wording import quoted

TEXT = "a test: alarms arrive here"


def alert(
    text: Annotated[str, typer.Argument(help="What is told.")] = TEXT,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="What it pretends to be about.")] = "test",
    as_json: AsJson = False,
    log_level: LogLevel = None,
) -> None:
    r"""Tell whoever alert_command and alert_url name, once each, and wait for what they say.

    \b
      run.py alert
      run.py alert --kind database_away "the database is away, says the test"

    Exits 0 if each was told, 1 if one was not, 2 if the settings name none. Nothing needs to run.
    """
    if kind not in {each.value for each in AlarmKind}:
        msg = f"there is no alarm of kind {quoted(kind)}; there are {', '.join(AlarmKind)}"
        raise InvalidRequest(msg)
    settings = quiet_settings(log_level=log_level)
    found = channels(settings)
    if not found:
        msg = (
            "nobody is told of alarms: set alert_command or alert_url,"
            f" in {SETTINGS_FILE} or as PAPER_ALERT_COMMAND or PAPER_ALERT_URL"
        )
        raise SettingsError(msg)
    letter = Letter(Alarm(datetime.now(UTC), AlarmKind(kind), logs.secrets_hidden(one_line(text))))
    results = [_told(channel, letter) for channel in found]
    document = {"kind": kind, "text": letter.text, "told": results}
    answer(as_json, document, lambda: _tell(results))
    for each in results:
        if each["error"] is not None:
            complain(f"{each['setting']}: not told, {each['error']}")
    if not all(each["delivered"] for each in results):
        raise typer.Exit(AlertFailed.exit_code)


def _told(channel: Channel, letter: Letter) -> dict[str, Any]:
    begun = time.monotonic()
    error: str | None = None
    try:
        channel.deliver(letter, LIMIT)
    except AlertFailed as failed:
        error = logs.secrets_hidden(str(failed))
    return {
        "setting": channel.setting,
        "target": channel.target,
        "delivered": error is None,
        "seconds": round(time.monotonic() - begun, 3),
        "error": error,
    }


def _tell(results: list[dict[str, Any]]) -> None:
    for each in results:
        if each["delivered"]:
            print(f"{each['setting']}: told {each['target']} in {each['seconds']:.2f} s")  # noqa: T201
