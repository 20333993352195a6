"""What is wrong with a file, gathered until all of it is known, and then said in one message."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np

from market.history.containers.raw_table import RawTable
from market.history.containers.refusal import RefusedFile, grouped
from market.history.conversion.numbers import Mask

MAX_EXAMPLES = 10
"""So many bad rows are described one by one."""


class Problems:
    """The bad rows of a file and what else is wrong with it.

    Args:
        max_bad_rows: the fraction of bad rows that the file may have.
    """

    def __init__(self, max_bad_rows: Decimal) -> None:
        self._max_bad_rows = max_bad_rows
        self._sentences: list[str] = []
        self._examples: list[tuple[int, str, str]] = []
        self.has_mixed_symbols = False
        """Whether rows of several symbols would have to be those of one: then none contradicts another."""
        self.rows = 0
        self.bad_rows = 0

    def add(self, sentence: str) -> None:
        """Add something that refuses the file."""
        if sentence not in self._sentences:
            self._sentences.append(sentence)

    def add_bad(self, raw: RawTable, first_row: int, mask: Mask, describe: Callable[[int], str]) -> None:
        """Describe the first bad rows of a part of the file; `count` counts them.

        Args:
            raw: the part.
            first_row: the row of it that is the first of the mask.
            mask: which rows are bad.
            describe: returns what is wrong with a row of the mask.
        """
        for row in np.flatnonzero(mask)[:MAX_EXAMPLES]:
            index = int(row)
            self._examples.append((raw.line(first_row + index), raw.place(first_row + index), describe(index)))

    def add_left_out(self, raw: RawTable) -> None:
        """Add the lines of a part that are no rows of its table."""
        for line, reason in raw.left_out[:MAX_EXAMPLES]:
            self._examples.append((line, f"line {line}", reason))
        self.count(len(raw.left_out), len(raw.left_out))

    def count(self, rows: int, bad_rows: int) -> None:
        """Count rows, and the bad ones among them."""
        self.rows += rows
        self.bad_rows += bad_rows

    def _bad_examples(self) -> list[tuple[str, str]]:
        """Return the first bad rows in the order of the file, each with the first thing that is wrong with it."""
        by_line: dict[int, tuple[str, str]] = {}
        for line, place, reason in sorted(self._examples, key=lambda example: example[0]):
            by_line.setdefault(line, (place, reason))
        return list(by_line.values())[:MAX_EXAMPLES]

    def notes(self) -> list[str]:
        """Return a sentence about the bad rows that were left out; none where there are none."""
        if not self.bad_rows:
            return []
        place, reason = self._bad_examples()[0]
        rows = "1 bad row was" if self.bad_rows == 1 else f"{grouped(self.bad_rows)} bad rows were"
        return [f"{rows} left out, the first in {place}: {reason}"]

    def refuse_if_any(self, raw: RawTable) -> None:
        """Refuse the file if it has too many bad rows, or anything else is wrong.

        Raises:
            RefusedFile: with all that is wrong.
        """
        sentences = list(self._sentences)
        if self.bad_rows > self._max_bad_rows * self.rows:
            examples = self._bad_examples()
            if not sentences and self.bad_rows == 1:
                raise RefusedFile(raw.path, examples[0][1], raw.member, examples[0][0])
            described = "; ".join(f"{place}: {reason}" for place, reason in examples)
            more = f"; and {grouped(self.bad_rows - len(examples))} more" if self.bad_rows > len(examples) else ""
            sentences.append(f"{grouped(self.bad_rows)} of {grouped(self.rows)} rows are bad: {described}{more}")
        if sentences:
            count = "" if len(sentences) == 1 else f"{len(sentences)} things are wrong: "
            raise RefusedFile(raw.path, count + "; ".join(sentences), raw.member)
