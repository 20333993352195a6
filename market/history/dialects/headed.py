"""Files with a header of common names: the program's own, and those of pandas, spreadsheets and backtrader."""

from __future__ import annotations

import re
from dataclasses import replace

from market.history.dialects.reading import Kind, Reading, ReadOptions, Role
from market.history.recognition.dialect import header_columns, of_one_symbol
from market.history.recognition.header import UNNAMED, Header
from market.history.recognition.sample import Sample

_COMMA = re.compile(r"\d[\d. '\u00a0\u202f]*,(\d{1,2}|\d{4,})", re.ASCII)
_DOTTED_DATE = re.compile(r"\d{1,2}\.\d{1,2}\.\d{2,4}\b.*", re.ASCII)
_NUMBERS = (
    Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE, Role.VOLUME, Role.PRICE, Role.BID, Role.ASK, Role.BID_SIZE,
    Role.ASK_SIZE,
)  # fmt: skip


class Headed:
    """Any file whose header names the time, and close (bars), or price, or bid and ask (single prices).

    It is named for the tool that writes such files: backtrader has Date and Time, a spreadsheet decimal commas or dates
    such as 31.01.2026, pandas an index without a name; all others are this program's own ``bars`` and ``prices``.
    """

    name = "by-header"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by its header."""
        if sample.names is None:
            return None
        header = Header.of(sample)
        columns, questions = header_columns(header, sample)
        quoted = header.has(Role.PRICE) or header.has(Role.BID, Role.ASK)
        if not quoted and not header.has(Role.CLOSE):
            return None
        kind = Kind.BARS if header.has(Role.CLOSE) else Kind.TICKS
        if quoted and header.has(Role.CLOSE):
            other = "price" if header.has(Role.PRICE) else "bid and ask"
            questions = (
                *questions,
                f"the header names {other} and close; it must name {other} for prices or close for bars",
            )
        name = _tool(header, columns, sample) or kind.value
        if Role.VOLUME not in columns:
            columns |= _volume_of_the_base(header, sample, options) or _amount_of_a_trade(header, kind)
        reading = of_one_symbol(name, kind, columns, sample, options, questions=questions)
        # A symbol in the program's own files is the one that decisions name; nothing is changed.
        return replace(reading, renames_symbols=name not in set(Kind))


def _volume_of_the_base(header: Header, sample: Sample, options: ReadOptions) -> dict[Role, int]:
    """Return the column of a volume that names the currency that is traded: ``Volume_(BTC)`` of BTC/USD."""
    base = (options.symbol or sample.file_name.symbol or "").partition("/")[0].lower()
    index = header.index(f"volume{base}", f"{base}volume") if base else None
    return {} if index is None else {Role.VOLUME: index}


def _amount_of_a_trade(header: Header, kind: Kind) -> dict[Role, int]:
    """Return the column of what was traded at a price, beside which there is neither bid nor ask."""
    index = header.index("amount", "qty", "quantity", "size")
    if index is None or kind is Kind.BARS or header.has(Role.BID) or header.has(Role.ASK):
        return {}
    return {Role.VOLUME: index}


def _tool(header: Header, columns: dict[Role, int], sample: Sample) -> str:
    times = [columns[role] for role in (Role.TIME, Role.DATE) if role in columns]
    numbers = [columns[role] for role in _NUMBERS if role in columns]
    if any(_DOTTED_DATE.fullmatch(cell) for index in times for cell in sample.column(index)) or any(
        _COMMA.fullmatch(cell) for index in numbers for cell in sample.column(index)
    ):
        return "excel"
    if Role.CLOCK in columns:
        return "backtrader"
    return "pandas" if any(name in UNNAMED for name in header.names) else ""
