"""Splits: jumps of a price that look like one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from domain.trading.arithmetic import divide, plain

TOLERANCE = Decimal("0.005")
"""A jump within this fraction of a split's ratio looks like the split."""
ALWAYS_FROM = Decimal(10)
"""From this ratio on a jump may be a split of anything: a coin is redenominated so, and falls so far at once never."""
SHARES, COINS = "equity", "crypto"
"""Asset classes: shares are split often; coins move by every smaller ratio without one."""
_RATIOS = (
    "1.5 2 3 4 5 6 7 8 9 10 12 14 15 16 18 20 24 25 28 30 32 35 36 40 45 48 50 60 64 70 75 80 90 100 120 125 150 160"
    " 180 200 240 250 300 350 400 450 500 600 700 750 800 900 1000 1200 1500 2000 2500 3000 4000 5000 10000"
)
RATIOS = tuple(map(Decimal, _RATIOS.split()))


@dataclass(frozen=True, slots=True)
class Split:
    """The split that a jump looks like: ``new`` pieces for each ``old`` ones; 10:1 makes ten of one.

    >>> str(split_between(Decimal("1208.88"), Decimal("120.888"), "equity"))
    '10:1'
    """

    new: Decimal
    old: Decimal

    def __str__(self) -> str:
        return f"{plain(self.new)}:{plain(self.old)}"


def split_between(before: Decimal, after: Decimal, asset_class: str, *, is_new_session: bool = False) -> Split | None:
    """Return the split that a jump from one price to another looks like; None where it looks like none.

    Args:
        before: the price before the jump.
        after: the price after it.
        asset_class: of the instrument. Those below `ALWAYS_FROM` are found for shares, and between two sessions for
            everything but coins.
        is_new_session: the two prices are of two sessions of a file.
    """
    factor = divide(max(before, after), min(before, after))
    small = asset_class == SHARES or (is_new_session and asset_class != COINS)
    if factor < ALWAYS_FROM and not small:
        return None
    near = [ratio for ratio in RATIOS if abs(divide(factor, ratio) - 1) <= TOLERANCE]
    if not near:
        return None
    ratio = min(near, key=lambda ratio: abs(factor - ratio))
    many, few = (Decimal(3), Decimal(2)) if ratio == Decimal("1.5") else (ratio, Decimal(1))
    return Split(many, few) if after < before else Split(few, many)
