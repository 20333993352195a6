"""The ids of orders and positions, and the draws of slippage, as bytes and integers."""

from __future__ import annotations

from binascii import hexlify
from hashlib import sha1, sha256
from struct import Struct

VERSION = tuple(bytes([byte & 0x0F | 0x50]) for byte in range(256))
VARIANT = tuple(bytes([byte & 0x3F | 0x80]) for byte in range(256))
"""The two bytes of a UUID that are not of the hash alone (RFC 9562, section 5.5)."""
HALF = 2**63
_parts = Struct("8s4s4s4s12s").unpack
_first = Struct(">Q24x").unpack


def name_bytes(namespace: bytes, name: bytes) -> bytes:
    """Return the bytes of `uuid.uuid5` of the two."""
    digest = sha1(namespace + name, usedforsecurity=False).digest()
    return digest[:6] + VERSION[digest[6]] + digest[7:8] + VARIANT[digest[8]] + digest[9:16]


def draw(order_id: bytes) -> int:
    """Return `domain.trading.execution.slippage_draw` of an order × 2^64."""
    name = b"%b-%b-%b-%b-%b" % _parts(hexlify(order_id))
    drawn: int = _first(sha256(name).digest())[0]
    return HALF + drawn
