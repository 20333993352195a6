"""The log's lines for people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
from loguru import logger

from console import logs


@pytest.fixture
def terminal() -> Iterator[None]:
    logs.to_terminal("INFO")
    yield
    logger.remove()
    logger.add(sys.__stderr__ or sys.stderr)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("id_", [7, UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")])
def test_a_line_about_a_decision_names_it_whatever_its_id_is(
    id_: int | UUID, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.bind(decision=id_).info("executed: {}", "<b>{x}</b>")
    assert capsys.readouterr().err.endswith(f"INFO    #{id_} executed: <b>{{x}}</b>\n")
