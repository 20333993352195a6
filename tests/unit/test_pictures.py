"""The pictures of the documentation: small, made of text, and nothing in them is fetched from anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.text import Text

from docs.pictures.__main__ import PICTURES, main
from docs.pictures.svg import svg

ROOT = Path(__file__).parents[2]
KEPT = sorted((ROOT / "docs" / "pictures").glob("*.svg"))


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
    assert set(PICTURES) == {path.stem for path in KEPT}
    assert [] == [name for name in PICTURES if f"docs/pictures/{name}.svg" not in readme]


def test_an_unknown_picture_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["nonsense"])
    assert "there is no picture nonsense" in capsys.readouterr().err
