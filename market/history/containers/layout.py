"""How a text is laid out as a table: separator, number of columns, header, lines above it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from market.history.containers.raw_table import ReadLimits
from market.history.containers.refusal import Source, grouped, quoted

SEPARATORS = ("\t", ";", "|", ",")
"""Possible separators; of two that fit equally well the first counts, because a comma may be a decimal comma."""
SAMPLE_LINES = 100
MAX_PREAMBLE_LINES = 20
MAX_HEADER_LINES = 4

_CURRENCY = "[$€£¥₿]?"
_NUMBER = re.compile(
    rf"[(]?[+\-−]?{_CURRENCY}[+\-−]?(\d[\d.,' \u00a0\u202f]*|[.,]\d+)([eE][+-]?\d+)?[)]?(\s?[%KMBT€$£])?", re.ASCII
)
_TIMES = (
    re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([ T,].*)?", re.ASCII),
    re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?", re.ASCII),
    re.compile(r"\d{8}[ T_-]?\d{2,6}.*", re.ASCII),
    re.compile(r"\d{4}-\d{2}|\d{4}-W\d{2}(-\d)?", re.ASCII),
    # 31 Jan 2026, 31-Jan-26, Jan 31, 2026, Sat Jan 31 2026
    re.compile(r"(\w{3,9},? )?(\d{1,2}[ -]?[^\W\d]{3,9}\.?|[^\W\d]{3,9}\.? \d{1,2}),?[ -]\d{2,4}.*"),
)


def is_value(cell: str) -> bool:
    """Return whether a cell is a number or a time, so that its line is no header.

    >>> is_value("42,850.1"), is_value("2024.01.02 04:00"), is_value("1. open"), is_value("Volume 24h"), is_value("NaN")
    (True, True, False, False, False)
    """
    cell = cell.strip()
    return bool(_NUMBER.fullmatch(cell)) or any(pattern.fullmatch(cell) for pattern in _TIMES)


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a text.

    Attributes:
        separator: one character.
        width: number of columns.
        names: those of the header; None without one.
        more_headers: further lines of names.
        preamble: lines above the header.
        header_lines: number of lines, empty ones included, above the first row.
    """

    separator: str
    width: int
    names: tuple[str, ...] | None
    more_headers: tuple[tuple[str, ...], ...]
    preamble: tuple[str, ...]
    header_lines: int


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    cells: tuple[str, ...]


def layout_of(block: bytes, source: Source, limits: ReadLimits) -> Layout:
    """Return the layout of the text that begins with ``block``, from its first lines.

    Raises:
        RefusedFile: it is empty or no table, or exceeds a limit.
    """
    texts = _sample(block, source, limits)
    if not texts:
        source.refuse("it is empty")
    separator = _stated_separator(texts[0][1])
    stated = 1 if separator else 0
    separator = separator or _separator([text for _, text in texts], source)
    lines = [_Line(number, text, _cells(text, separator)) for number, text in texts]
    width = _width(lines[stated:] or lines)
    _require_limits(lines, source, limits)
    start = next((i for i, line in enumerate(lines) if i >= stated and _belongs(lines, i, width)), stated)
    if start > MAX_PREAMBLE_LINES:
        source.refuse(
            f"its lines have different numbers of columns: most have {width}, separated by {_NAMES[separator]}, and the"
            f" first {start} have others"
        )
    count = _header_count(lines[start:])
    header = [_fitted(line.cells, width) for line in lines[start : start + count]]
    names = header[0] if header else None
    preamble = [line.text for line in lines[:start]]
    if names is not None and _are_positions(names):
        names = None  # pandas numbers columns that have no names
        preamble.append(lines[start].text)
    following = lines[start + count :]
    last_header = lines[start + count - 1].number if start + count else 0
    return Layout(
        separator,
        width,
        names,
        tuple(header[1:]),
        tuple(preamble),
        following[0].number - 1 if following else last_header,
    )


_NAMES = {"\t": "tabs", ";": "semicolons", "|": "|", ",": "commas"}


def _sample(block: bytes, source: Source, limits: ReadLimits) -> list[tuple[int, str]]:
    """Return the first lines that are not empty, each with its number."""
    # More than any line within the limits can have; so nothing long is searched for quotes and separators.
    longest = limits.max_columns * (4 * limits.max_cell_characters + 3)
    lines = []
    for number, line in enumerate(block.split(b"\n", SAMPLE_LINES)[:SAMPLE_LINES], 1):
        if len(line) > longest:
            _refuse_long(line.decode(), f"line {number}", source, limits)
        text = line.decode().rstrip("\r")
        if text.strip():
            lines.append((number, text))
    return lines


def _refuse_long(text: str, place: str, source: Source, limits: ReadLimits) -> None:
    cells = re.split(r"[\t;|,]", text)
    if len(cells) > limits.max_columns:
        source.refuse(f"there are {grouped(len(cells))} columns; at most {limits.max_columns} are possible", place)
    refuse_cell(max(cells, key=len), place, source, limits)


def refuse_cell(cell: str, place: str, source: Source, limits: ReadLimits) -> None:
    """Refuse a cell that is too long.

    Raises:
        RefusedFile: always.
    """
    source.refuse(
        f"a cell has {grouped(len(cell))} characters; at most {grouped(limits.max_cell_characters)} are possible:"
        f" {quoted(cell)}",
        place,
    )


def _require_limits(lines: Sequence[_Line], source: Source, limits: ReadLimits) -> None:
    for line in lines:
        if len(line.cells) > limits.max_columns:
            source.refuse(
                f"there are {grouped(len(line.cells))} columns; at most {limits.max_columns} are possible",
                f"line {line.number}",
            )
        cell = max(line.cells, key=len, default="")
        if len(cell) > limits.max_cell_characters:
            refuse_cell(cell, f"line {line.number}", source, limits)


def _stated_separator(text: str) -> str | None:
    """Return the separator that Excel writes into the first line, ``sep=;``."""
    match = re.fullmatch(r'"?sep=(.)"?', text.strip("\r\n "), re.IGNORECASE)
    return match[1] if match and match[1] in SEPARATORS else None


def _separator(texts: Sequence[str], source: Source) -> str:
    """Return the separator that gives the most lines the same number of cells."""
    scores = {}
    for separator in SEPARATORS:
        counts = Counter(len(_cells(text, separator)) for text in texts)
        del counts[1]
        scores[separator] = max(counts.values(), default=0)
    best = max(SEPARATORS, key=lambda separator: scores[separator])  # the first of equal ones
    if not scores[best]:
        source.refuse(
            "it is no table: its lines are not separated into columns by commas, semicolons, tabs or |"
            f" (the first is {quoted(texts[0])})"
        )
    return best


def _cells(text: str, separator: str) -> tuple[str, ...]:
    try:
        cells = next(csv.reader([text], delimiter=separator, skipinitialspace=separator != "\t"), [])
    except csv.Error:  # a cell of more than 128 kB
        cells = text.split(separator)
    return tuple(cell.strip() for cell in cells)


def _width(lines: Sequence[_Line]) -> int:
    """Return the number of columns that most lines have; of equally frequent ones that of the later lines."""
    counts = Counter(len(line.cells) for line in reversed(lines) if len(line.cells) > 1)
    return counts.most_common(1)[0][0] if counts else 1


def _belongs(lines: Sequence[_Line], index: int, width: int) -> bool:
    """Return whether a line has as many cells as the table, or is its header but for a separator at its end."""
    if len(lines[index].cells) == width:
        return True
    return (
        index + 1 < len(lines)
        and len(lines[index + 1].cells) == width
        and _fits(lines[index].cells, lines[index + 1].cells, width)
        and not _is_row(lines[index].cells)
    )


def _fits(names: tuple[str, ...], row: tuple[str, ...], width: int) -> bool:
    return (len(names) == width + 1 and not names[-1]) or (len(names) == width - 1 > 1 and not row[-1])


def _fitted(names: tuple[str, ...], width: int) -> tuple[str, ...]:
    return (*names, "")[:width] if len(names) < width else names[:width]


def _header_count(lines: Sequence[_Line]) -> int:
    """Return how many of the first lines are names, because none of their cells is a number or a time."""
    count = next((i for i, line in enumerate(lines) if _is_row(line.cells)), None)
    if count is None:  # no line has a value: a header without rows, or a table of text
        return 1
    return count if count <= MAX_HEADER_LINES else 1


def _are_positions(names: tuple[str, ...]) -> bool:
    numbers = names[1:] if names[0] == "" else names
    return len(numbers) > 1 and numbers == tuple(map(str, range(len(numbers))))


def _is_row(cells: tuple[str, ...]) -> bool:
    return any(map(is_value, cells)) and not _are_positions(cells)
