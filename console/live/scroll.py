"""How far the lists of the live view are scrolled, and which portfolio it shows; a person's keys change both."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

LISTS = ("positions", "decisions", "portfolios", "prices")
"""The lists that scroll; the keys move the first that does not fit, until another is chosen."""


class Scroll:
    """Place in each list. For use by one thread.

    A list scrolls while it has more rows than fit. The first visible row stays first when rows are added above it, as
    long as it exists; only at the very beginning of a list the newest rows are shown.
    """

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._anchors: dict[str, Hashable] = {}
        self._sizes: dict[str, tuple[int, int]] = {}  # of those that do not fit: rows, and how many are visible
        self._chosen: str | None = None

    def begin_frame(self) -> None:
        """Forget which lists do not fit; the frame that is drawn next says it anew."""
        self._sizes.clear()

    def window(self, name: str, rows: Sequence[Hashable], visible: int) -> int:
        """Return the index of the first row to show.

        Args:
            name: of the list.
            rows: what identifies each of its rows.
            visible: number of rows for which there is space.
        """
        if visible <= 0 or len(rows) <= visible:
            self._first.pop(name, None)
            return 0
        self._sizes[name] = len(rows), visible
        first = self._first.get(name, 0)
        if first and (anchor := self._anchors.get(name)) in rows:
            first = rows.index(anchor)
        first = min(first, len(rows) - visible)
        self._first[name], self._anchors[name] = first, rows[first]
        return first

    @property
    def active(self) -> str | None:
        """The list that the keys move; None if all rows fit."""
        names = self.scrollable
        return self._chosen if self._chosen in names else next(iter(names), None)

    @property
    def scrollable(self) -> list[str]:
        """The lists with more rows than fit, as of the last frame."""
        return [name for name in LISTS if name in self._sizes]

    @property
    def range(self) -> str:
        """The visible rows of the active list: ``4–9 of 17``; empty without one."""
        if (name := self.active) is None:
            return ""
        (number, visible), first = self._sizes[name], self._first.get(name, 0)
        return f"{first + 1}–{first + visible} of {number}"

    def press(self, key: str) -> bool:
        """Handle a key of `console.live.keys`; return whether it is one that scrolls."""
        if (name := self.active) is None:
            return False
        number, visible = self._sizes[name]
        page = max(visible - 1, 1)  # one row stays, so that the eye finds its place
        steps = {"up": -1, "down": 1, "page up": -page, "page down": page, "home": -number, "end": number}
        if key in {"left", "right"}:
            names = self.scrollable
            self._chosen = names[(names.index(name) + (1 if key == "right" else -1)) % len(names)]
        elif key in steps:
            self._first[name] = min(max(self._first.get(name, 0) + steps[key], 0), number - visible)
            self._anchors.pop(name, None)
        else:
            return False
        return True


def next_portfolio(key: str, names: Sequence[str], chosen: str | None) -> str | None:
    """Return the portfolio that a key chooses; None: all of them.

    Args:
        key: Tab and Shift-Tab go through all and each, a digit chooses by place, ``a`` and ``0`` choose all.
        names: of the portfolios, as the view lists them.
        chosen: the present choice.
    """
    choices = [None, *names]
    if key in {"tab", "shift tab"}:
        place = choices.index(chosen) if chosen in choices else 0
        return choices[(place + (1 if key == "tab" else -1)) % len(choices)]
    if key in {"a", "0"}:
        return None
    if key.isascii() and key.isdigit() and int(key) <= len(names):
        return names[int(key) - 1]
    return chosen
