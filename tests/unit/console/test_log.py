"""The log's lines for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from loguru import logger

from actors.settings import Settings
from console import logs


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
    monkeypatch.setattr(logs, "_secrets", set())
    for text in Settings.isolated(exchange_options={"headers": {"x": planted}}).secret_texts():
        logs.hide_text(text)
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
