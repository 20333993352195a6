"""Text by which a sender of decisions attacks the terminals of others, and what such a terminal got of it."""

from __future__ import annotations

import re

CONCEALED = "\x1b[5;8m"
"""Blinking and concealed: codes of colours that this program never writes."""
FORGED = "FORGED"
PLANTED = "".join((
    CONCEALED, "\x1b[2J\x1b[H", "\x1b]0;t\x07", "\x1b]52;c;eA==\x07", "\x1bP+q\x1b\\",
    "\x9b2J", "\x9d0;t\x9c", "\x90+q\x9c",
    "\b\b", "\a", "\x0e", "\x7f", "\v\f", "\u202e", "\u2066", "\u200f", "\u061c", "\u200b", "\ufeff", "\u2028",
    "\U000e0041", f"\r{FORGED}", f"\n{FORGED}", f"\x85{FORGED}",
))  # fmt: skip
"""Codes of ECMA-48 in their two forms, single characters, characters of direction, invisible ones, new lines."""
PLANTED_NAME = "".join(character for character in PLANTED if not character < " ")
"""The same for names, which have no control characters of ASCII. Both fit where 100 characters are possible."""
PLANTED_DIRECTIONS = "\u202e\u2066\u200f\u061c\u200b\ufeff\U000e0041"
"""Those of them that PostgreSQL does not count among the control characters."""
COLOURS = r"\x1b\[[0-9;]*m"
PROGRESS = COLOURS + r"|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A|\r"
"""What a progress bar writes."""
TOP = COLOURS + r"|\x1b\[[0-9]*;1H|\x1b\[\?(?:1049|25|7)[hl]|\x1b\[2J|\x1b\[H"
"""What the live view writes: positions, and the modes that it takes and gives back."""


def obeyed(output: str, own: str = COLOURS) -> list[str]:
    """Return what a terminal would obey, or would not show, in an output.

    Args:
        output: of the program; a pseudo-terminal has a carriage return before each line end.
        own: regular expression of what the program itself writes.
    """
    characters = ["a concealed text"] if CONCEALED in output else []
    rest = re.sub(own, "", output.replace("\r\n", "\n"))
    characters += sorted({repr(one) for one in rest if not one.isprintable() and one not in "\n\xa0"})
    return characters + [line for line in rest.splitlines() if line.startswith(FORGED)]
