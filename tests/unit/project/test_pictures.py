"""The pictures of the documentation: small, made of text, and nothing in them is fetched from anywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from docs.pictures.__main__ import PICTURES, main
from docs.pictures.svg import svg

ROOT = Path(__file__).parents[3]
KEPT = sorted((ROOT / "docs" / "pictures").glob("*.svg"))
PHOTOGRAPHED = sorted((ROOT / "docs" / "pictures").glob("*.png"))


def test_columns_stand_where_they_stood_whatever_the_font() -> None:
    drawn = svg([Text("one     <two>"), Text("   ⡠⠊ three", style="red")], 20, "a test")
    places = {text: float(x) for x, text in re.findall(r' x="([\d.]+)"[^>]*>([^<]+)</text>', drawn)}
    cell = places["&lt;two&gt;"] / 8
    assert (0.0, 3.0) == (places["one"], round(places["⡠⠊&#160;three"] / cell, 2))
    assert drawn == svg([Text("one     <two>"), Text("   ⡠⠊ three", style="red")], 20, "a test")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_picture_is_small_and_fetches_nothing(path: Path) -> None:
    drawn = path.read_text(encoding="utf-8")
    assert len(drawn.encode()) < 150_000
    assert "@font-face" not in drawn
    assert "url(http" not in drawn
    assert not re.search(r"(?:href|src)=", drawn)


def test_each_picture_that_can_be_drawn_is_there_and_shown_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(PICTURES) == {path.stem for path in (*KEPT, *PHOTOGRAPHED)}
    assert [] == [path.name for path in (*KEPT, *PHOTOGRAPHED) if f"](docs/pictures/{path.name})" not in readme]


def test_what_a_browser_drew_is_small() -> None:
    assert ["report.png"] == [path.name for path in PHOTOGRAPHED]
    assert b"\x89PNG" == PHOTOGRAPHED[0].read_bytes()[:4]
    assert PHOTOGRAPHED[0].stat().st_size < 400_000


def test_without_a_browser_one_sentence_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    assert 1 == main(["report"])
    message = capsys.readouterr().err
    assert message.startswith(
        "the picture report cannot be drawn: CHROMIUM=/nowhere/chromium is not a program; install"
    )
    assert 1 == message.count("\n")


def test_an_unknown_picture_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["nonsense"])
    assert "there is no picture nonsense" in capsys.readouterr().err
