"""``run.py alert``: sends a test alarm to every configured receiver, and prints the results."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from actors.configuration.settings_sources import SETTINGS_FILE
from actors.runtime.timer import SystemClock
from console.alerts.channels import Channel, channels
from console.alerts.outbox import Notification
from console.alerts.sender import ATTEMPT_TIMEOUT_S
from console.cli import print_error, wrong_usage
from console.display.format import answer, terminal
from console.errors import FAILURE, AlertFailed
from console.options import AsJson, LogLevel, Utc, quiet_settings
from domain.alarms import Alarm, AlarmKind, alarm_text
from domain.errors import InvalidRequest, SettingsError
from domain.redaction.mask import mask
from domain.wording import quoted

TEXT = "a test: alarms arrive here"


def alert(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[test] [TEXT]", help="The text of the alarm.", show_default=False),
    ] = None,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="The kind of the alarm, such as halt.")] = "test",
    as_json: AsJson = False,
    log_level: LogLevel = None,
    _utc: Utc = False,
) -> None:
    r"""Send a test alarm to the receivers of alert_command, alert_url and alert_services; wait for the results.

    \b
      run.py alert test
      run.py alert test --kind database_away "test: the database is unreachable"

    Each receiver gets one attempt. Exits 0 if all attempts succeeded, 1 if one failed, 2 if no receiver is set. The
    service need not run.
    """
    text = _text(words or [])
    if kind not in {alarm_kind.value for alarm_kind in AlarmKind}:
        raise InvalidRequest(f"there is no alarm of kind {quoted(kind)}; there are {', '.join(AlarmKind)}")
    settings = quiet_settings(log_level=log_level)
    configured = channels(settings)
    if not configured:
        raise SettingsError(
            f"no receiver of alarms is set; set alert_services, alert_command or alert_url in {SETTINGS_FILE},"
            " or the variable PAPER_ALERT_SERVICES, PAPER_ALERT_COMMAND or PAPER_ALERT_URL"
        )
    notification = Notification(Alarm(SystemClock().now(), AlarmKind(kind), alarm_text(text)))
    results = [_deliver(channel, notification) for channel in configured]
    document = {"kind": kind, "text": notification.text, "told": results}
    answer(as_json, document, lambda: _print_deliveries(results))
    for result in results:
        if result["error"] is not None:
            print_error(f"{result['setting']}: not delivered: {result['error']}")
    if not all(result["delivered"] for result in results):
        raise typer.Exit(FAILURE)


def _text(words: Sequence[str]) -> str:
    """Return the text of the alarm. The word ``test`` in front says what the command does; it is no text."""
    texts = words[1:] if words and words[0] == "test" else words
    if len(texts) > 1:
        raise wrong_usage("the text of the alarm is one argument: put it in quotation marks", "alert")
    return texts[0] if texts else TEXT


def _deliver(channel: Channel, notification: Notification) -> dict[str, Any]:
    begun = time.monotonic()
    error: str | None = None
    try:
        channel.deliver(notification, ATTEMPT_TIMEOUT_S)
    except AlertFailed as failed:
        error = mask(str(failed))
    return {
        "setting": channel.setting,
        "target": channel.target,
        "delivered": error is None,
        "seconds": round(time.monotonic() - begun, 3),
        "error": error,
    }


def _print_deliveries(results: list[dict[str, Any]]) -> None:
    for result in results:
        if result["delivered"]:
            terminal().print(f"{result['setting']}: delivered to {result['target']} in {result['seconds']:.2f} s")
