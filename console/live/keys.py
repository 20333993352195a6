"""Keys of a terminal: the characters and escape sequences that it sends, by name."""

from __future__ import annotations

import re

SEQUENCES = {
    "[A": "up", "OA": "up", "[B": "down", "OB": "down", "[C": "right", "OC": "right", "[D": "left", "OD": "left",
    "[5~": "page up", "[6~": "page down", "[H": "home", "OH": "home", "[1~": "home", "[7~": "home",
    "[F": "end", "OF": "end", "[4~": "end", "[8~": "end", "[Z": "shift tab",
}  # fmt: skip
"""What follows ESC, in xterm's normal and application mode, in tmux, screen and rxvt."""
CHARACTERS = {
    "\t": "tab", "k": "up", "j": "down", "h": "left", "l": "right", "g": "home", "G": "end", "Q": "q", "A": "a",
}  # fmt: skip
"""Those with a name of their own, the letters as in vi and less."""
ESCAPE = "\x1b"
_COMPLETE = re.compile(r"O.|\[[0-?]*[ -/]*[@-~]")
"""An SS3 or CSI sequence, without its ESC (ECMA-48, 5.4)."""
_BEGUN = re.compile(r"O?|\[[0-?]*[ -/]*")


class KeyDecoder:
    r"""Decoder of what a terminal sends; over a slow connection a sequence may arrive in parts.

    >>> decoder = KeyDecoder()
    >>> decoder.feed("j\x1b[")
    ['down']
    >>> decoder.feed("6~q")
    ['page down', 'q']
    """

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, typed: str) -> list[str]:
        """Return the names of the keys that are complete; an unknown sequence is no key, any other character is."""
        text, self._rest = self._rest + typed, ""
        keys: list[str] = []
        while text:
            if text[0] != ESCAPE:
                keys.append(CHARACTERS.get(text[0], text[0]))
                text = text[1:]
                continue
            sequence = _COMPLETE.match(text, 1)
            if sequence is not None:
                keys += filter(None, [SEQUENCES.get(sequence[0])])
                text = text[sequence.end() :]
            elif _BEGUN.fullmatch(text, 1) is not None:
                self._rest = text
                break
            else:
                text = text[1:]  # the key ESC itself
        return keys
