"""CryptoDataDownload: a line with its address, a header with the currencies of two volumes, the newest row first."""

from __future__ import annotations

from market.history.dialects.reading import Kind, Reading, ReadOptions, Role
from market.history.recognition.dialect import PRICES, header_columns, of_one_symbol
from market.history.recognition.header import Header
from market.history.recognition.sample import Sample
from market.history.recognition.symbols import market_symbol


class CryptoDataDownload:
    """Unix time, date, symbol, open, high, low, close, the volume in the coin, the volume in money."""

    name = "cryptodatadownload"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by its first line, or by a symbol and volumes that name their currencies."""
        header = Header.of(sample)
        volumes = [index for index, name in enumerate(sample.names or ()) if name.startswith("volume ")]
        if not header.has(*PRICES, Role.SYMBOL):
            return None
        if "cryptodatadownload" not in sample.preamble and len(volumes) != 2:
            return None
        columns, questions = header_columns(header, sample)
        if volumes:
            columns[Role.VOLUME] = _of_the_coin(sample, columns[Role.SYMBOL], volumes)
        return of_one_symbol(self.name, Kind.BARS, columns, sample, options, questions=questions)


def _of_the_coin(sample: Sample, symbol: int, volumes: list[int]) -> int:
    """Return the column of the volume in the coin that is traded; some files have it second."""
    bases = {market_symbol(cell).partition("/")[0] for cell in sample.column(symbol)}
    names = sample.names or ()
    for index in volumes:
        if {names[index].removeprefix("volume ").strip().upper()} == bases:
            return index
    return volumes[0]
