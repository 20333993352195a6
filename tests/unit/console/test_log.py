"""The log's lines for people."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from loguru import logger

from actors.settings import Settings
from console import logs
from domain.redaction.mask import KNOWN
from domain.redaction.spellings import of_text
from tests.support.screens.fixed_clock import local_zone
from tests.support.screens.rendering import FakeTerminal


@pytest.fixture
def terminal() -> Iterator[None]:
    logs.to_terminal("INFO")
    yield
    logger.remove()


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("id_", [7, UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")])
def test_a_line_about_a_decision_names_it_whatever_its_id_is(
    id_: int | UUID, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.bind(decision=id_).info("executed: {}", "<b>{x}</b>")
    assert capsys.readouterr().err.endswith(f"INFO    #{id_} executed: <b>{{x}}</b>\n")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("planted", "message", "masked"),
    [
        ("s1d=c00kie-value; b=another-c00kie", "sent c00kie-value and another-c00kie", "sent ******** and ********"),
        ("Bearer t0ken-value", "refused: t0ken-value", "refused: ********"),
        (
            "http://me:passw0rd@proxy:1",
            "no way to me:passw0rd@proxy or passw0rd",
            "no way to ********@proxy or ********",
        ),
        ("http://only-a-t0ken@proxy:1/", "of only-a-t0ken", "of ********"),
        ('with "marks" of ä', r'{"x": "with \"marks\" of \u00e4"}', '{"x": "********"}'),
        ("blank äß", "?q=blank%20%C3%A4%C3%9F", "?q=********"),
    ],
)
def test_a_text_that_may_be_a_secret_is_masked_in_whatever_is_logged(
    planted: str, message: str, masked: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KNOWN, "_texts", ())
    secrets = Settings.isolated(exchange_options={"headers": {"x": planted}}).secret_texts()
    KNOWN.remember(part for text in secrets for part in of_text(text))
    logger.info("{}", message)
    assert capsys.readouterr().err.endswith(f"INFO    {masked}\n")


def test_warnings_are_in_a_file_of_their_own(tmp_path: Path) -> None:
    try:
        logger.remove()
        path = logs.to_file(tmp_path, "INFO")
        logger.info("executed")
        logger.warning("delivery failed")
        logger.complete()
    finally:
        logger.remove()
        names = {name: (path.parent / name).read_text() for name in (logs.FILE, logs.WARNINGS_FILE)}
    messages = {name: [json.loads(line)["message"] for line in text.splitlines()] for name, text in names.items()}
    assert {logs.FILE: ["executed", "delivery failed"], logs.WARNINGS_FILE: ["delivery failed"]} == messages
    assert [0o600, 0o600] == [(path.parent / name).stat().st_mode & 0o777 for name in names]


def line_on(stream: io.StringIO, home: Path) -> str:
    """Return the line that a stream gets as stderr; the log file gets it, too."""
    with redirect_stderr(stream):
        logs.to_terminal("INFO")
        logs.to_file(home, "INFO")
        logger.info("no price since 2026-01-05 12:00:00 UTC")
        logger.remove()
    return stream.getvalue()


@pytest.mark.clock
def test_a_terminal_has_local_times_and_the_file_has_those_in_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with local_zone("Asia/Kolkata"):
        lines = [line_on(FakeTerminal(), tmp_path), line_on(io.StringIO(), tmp_path)]
    stored = [json.loads(line) for line in (tmp_path / "logs" / logs.FILE).read_text(encoding="utf-8").splitlines()]
    times = [datetime.fromisoformat(entry["time"]) for entry in stored]
    assert [timedelta()] * 2 == [time.utcoffset() for time in times]
    local, universal = times[0] + timedelta(hours=5, minutes=30), times[1]
    assert [
        f"{local:%Y-%m-%d %H:%M:%S} IST INFO    no price since 2026-01-05 17:30:00 IST\n",
        f"{universal:%Y-%m-%d %H:%M:%S} UTC INFO    no price since 2026-01-05 12:00:00 UTC\n",
    ] == lines
    assert [("no price since 2026-01-05 12:00:00 UTC", False)] * 2 == [
        (entry["message"], "shown" in entry) for entry in stored
    ]
