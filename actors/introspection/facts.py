"""What a process serves, as it found it at its start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """Description of a running system, without secrets.

    Attributes:
        database: URL of the database without its password.
        server: version of the database server.
        price_source: name of the price source.
        real_prices: whether its prices are those of a market.
        epoch: number of this process among those that have held the lease.
        price_notes: what is to be known about the prices, as sentences.
    """

    database: str
    server: str
    price_source: str
    real_prices: bool
    epoch: int
    price_notes: tuple[str, ...] = ()
