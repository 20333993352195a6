"""The one function that masks secrets in texts.

Two things lead to a mask. A secret of the settings is known: it is masked wherever it appears, in each of its
spellings. Any other one, such as a password in the message of a library, is recognised by what stands around it; see
`domain.redaction.shapes`.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.redaction.shapes import MASK as MASK  # noqa: PLC0414 - others take it from here
from domain.redaction.shapes import mask_shapes


class KnownSecrets:
    """Texts that are masked wherever they appear."""

    def __init__(self) -> None:
        self._texts: tuple[str, ...] = ()

    def remember(self, texts: Iterable[str]) -> None:
        """Mask these texts from now on; see `domain.redaction.spellings`."""
        wanted = {text for text in texts if text.strip("*")}
        # The longest first, because one may be a part of another.
        self._texts = tuple(sorted({*self._texts, *wanted}, key=len, reverse=True))

    def masked(self, text: str) -> str:
        """Return a text with the known secrets masked."""
        for secret in self._texts:
            text = text.replace(secret, MASK)
        return text


KNOWN = KnownSecrets()
"""Those of this process."""


def mask(text: str) -> str:
    """Return a text without secrets: ``postgresql://********@host/db``."""
    return mask_shapes(KNOWN.masked(text))
