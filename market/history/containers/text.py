"""Text of any usual encoding as blocks of UTF-8, and blocks of whole lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Protocol

from market.history.containers.raw_table import ReadLimits
from market.history.containers.refusal import Source, size

BLOCK_BYTES = 1 << 20
"""So much of a file is read at a time."""
_BOMS = (  # the longer ones first: that of UTF-32 begins as that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


class Readable(Protocol):
    """A file of bytes, perhaps one that is being unpacked."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        ...


def utf8_blocks(stream: Readable, source: Source) -> Iterator[bytes]:
    """Yield a text as UTF-8 without a byte order mark, block by block; no block is empty, none splits a character.

    The encoding is that of the byte order mark, or UTF-16 where every second byte is 0, or else UTF-8. Where the first
    character beyond ASCII is not valid UTF-8, it is Windows-1252 (which contains Latin-1's letters).

    Raises:
        RefusedFile: it is not a text.
    """
    head = stream.read(BLOCK_BYTES)
    encoding = next((name for mark, name in _BOMS if head.startswith(mark)), None) or _utf16_without_mark(head)
    decode: _Decoder | _Utf8OrWindows
    if encoding in {None, "utf-8"}:
        head = head.removeprefix(codecs.BOM_UTF8)
        decode = _Utf8OrWindows(source, is_utf8=encoding is not None)
    else:
        decode = _Decoder(source, str(encoding))
    while head:
        block = decode(head, final=False)
        if block:
            yield _without_nul(block, source)
        head = stream.read(BLOCK_BYTES)
    block = decode(b"", final=True)
    if block:
        yield _without_nul(block, source)


def _utf16_without_mark(head: bytes) -> str | None:
    start = head[:200]
    if len(start) >= 4 and b"\0" in start:
        if not any(start[1::2]) and all(start[::2]):
            return "utf-16-le"
        if not any(start[::2]) and all(start[1::2]):
            return "utf-16-be"
    return None


def _without_nul(block: bytes, source: Source) -> bytes:
    if b"\0" in block:
        source.refuse("it is binary (it holds zero bytes), not a text, Parquet or feather file")
    return block


class _Decoder:
    """A decoder of an encoding that the file itself states."""

    def __init__(self, source: Source, encoding: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._source = source
        self._encoding = encoding

    def __call__(self, data: bytes, *, final: bool) -> bytes:
        try:
            # A lone surrogate is no error to UTF-16's decoder in every version; as UTF-8 it always is one.
            return self._decoder.decode(data, final).encode().removeprefix(codecs.BOM_UTF8)
        except UnicodeError:
            self._source.refuse(f"it begins as {self._encoding.upper()} text, and is not valid as such further on")


class _Utf8OrWindows:
    """A decoder of UTF-8 that changes to Windows-1252 where the first character beyond ASCII shows that it must."""

    def __init__(self, source: Source, *, is_utf8: bool) -> None:
        self._source = source
        self._is_utf8 = is_utf8
        self._is_windows = False
        self._rest = b""

    def __call__(self, data: bytes, *, final: bool) -> bytes:
        data = self._rest + data
        self._rest = b""
        if data.isascii():
            return data
        if not self._is_windows:
            try:
                _, used = codecs.utf_8_decode(data, "strict", final)
            except UnicodeDecodeError as error:
                if self._is_utf8 or not data[: error.start].isascii():
                    self._source.refuse("it begins as UTF-8 text, and is not valid as such further on")
                self._is_windows = True
            else:
                self._rest = data[used:]
                self._is_utf8 = self._is_utf8 or not data[:used].isascii()
                return data[:used]
        try:
            return data.decode("cp1252").encode()
        except UnicodeDecodeError:  # five codes have no character there
            return data.decode("latin-1").encode()


def line_blocks(blocks: Iterator[bytes], limits: ReadLimits, source: Source) -> Iterator[bytes]:
    """Yield blocks of whole lines that end with a line feed; the last line of the file may lack it.

    Raises:
        RefusedFile: a line is too long.
    """
    rest = b""
    lines = 0
    for data in _with_line_feeds(blocks):
        rest += data
        first, cut = rest.find(b"\n"), rest.rfind(b"\n") + 1
        if first > limits.max_line_bytes or (not cut and len(rest) > limits.max_line_bytes):
            source.refuse(f"the line is longer than {size(limits.max_line_bytes)}", f"line {lines + 1}")
        if cut:
            yield rest[:cut]
            lines += rest.count(b"\n", 0, cut)
            rest = rest[cut:]
    if rest:
        yield rest


def _with_line_feeds(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks in which no carriage return ends a line by itself, as in files of old Excel for Macintosh."""
    carry = b""
    for block in blocks:
        data = carry + block
        carry = b"\r" if data.endswith(b"\r") else b""  # a line feed may follow
        data = data[: len(data) - len(carry)]
        if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if data:
            yield data
    if carry:
        yield b"\n"
