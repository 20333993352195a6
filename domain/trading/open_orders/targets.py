"""Several take-profits of one entry: how they are written, and how much each of them sells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal

from domain.trading.arithmetic import ONE, ZERO, divide, exact_number, floor_to, multiply, plain, subtract, total
from domain.trading.orders import Level, Target

MOST_TARGETS = 10
REQUIREMENT = f"must be 1 to {MOST_TARGETS} of price or pct, each with a share"
LARGEST_LEVEL = Decimal("1e20")
SHARE = "share"
HUNDRED = Decimal(100)
DECIMALS = -18
"""As many as the database keeps."""


def parse_targets(value: object) -> tuple[Target, ...]:
    """Return the take-profits that a list or a text stands for.

    >>> [plain(target.share) for target in parse_targets([{"price": 110, "share": "0.5"}, {"pct": 0.2, "share": 0.25}])]
    ['0.5', '0.25']
    >>> targets_text(parse_targets('[{"price": 110, "share": 0.5}, {"pct": 0.2, "share": 0.25}]'))
    '110:0.5,20%:0.25'

    Args:
        value: a list of objects, its JSON, or a text such as ``110:0.5,20%:0.5``.

    Raises:
        ValueError: it is none of these, or a number in it cannot be; the message is a clause.
    """
    if isinstance(value, str):
        value = _of_json(value) if value.lstrip().startswith("[") else [_of_text(part) for part in value.split(",")]
    if isinstance(value, tuple) and all(isinstance(one, Target) for one in value):
        return value
    if not isinstance(value, Sequence) or not 0 < len(value) <= MOST_TARGETS:
        raise ValueError(REQUIREMENT)
    return tuple(_target(one) for one in value)


def _of_json(text: str) -> object:
    try:
        parsed: object = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except ValueError:
        raise ValueError(REQUIREMENT) from None
    return parsed


def _of_text(text: str) -> dict[str, object]:
    level, colon, share = text.strip().partition(":")
    if not level.endswith("%"):
        return {"price": level, SHARE: share if colon else ONE}
    fraction = exact_number(level[:-1])
    return {"pct": divide(fraction, HUNDRED) if isinstance(fraction, Decimal) else None, SHARE: share if colon else ONE}


def _target(one: object) -> Target:
    if isinstance(one, Target):
        return one
    if not isinstance(one, Mapping) or one.keys() not in ({"price", SHARE}, {"pct", SHARE}):
        raise ValueError(REQUIREMENT)
    is_fraction = "pct" in one
    level, share = exact_number(one["pct" if is_fraction else "price"]), exact_number(one[SHARE])
    if not isinstance(level, Decimal) or not isinstance(share, Decimal):
        raise ValueError(REQUIREMENT)
    if not (_fits(level) and level < LARGEST_LEVEL and _fits(share) and share <= ONE):
        raise ValueError(f"{REQUIREMENT} of at most 1; numbers are above 0, with at most 18 decimals")
    return Target(Level(level, is_fraction), share)


def _fits(number: Decimal) -> bool:
    return number > ZERO and int(number.as_tuple().exponent) >= DECIMALS


def targets_json(targets: Sequence[Target]) -> str:
    """Return take-profits as JSON; its numbers are exact."""
    parts = []
    for one in targets:
        name = "pct" if one.level.is_fraction else "price"
        parts.append(f'{{"{name}": {plain(one.level.value)}, "share": {plain(one.share)}}}')
    return f"[{', '.join(parts)}]"


def targets_text(targets: Sequence[Target]) -> str:
    """Return take-profits as a person types them: ``110:0.5,20%:0.5``."""
    parts = []
    for one in targets:
        level = f"{plain(multiply(one.level.value, HUNDRED))}%" if one.level.is_fraction else plain(one.level.value)
        parts.append(f"{level}:{plain(one.share)}")
    return ",".join(parts)


def target_quantities(targets: Sequence[Target], bought: Decimal, step: Decimal) -> list[Decimal]:
    """Return what each target sells of a quantity: its share, down to the step.

    Where the shares add up to 1 the last target sells the rest.

    >>> shares = parse_targets("110:0.4,120:0.4,130:0.2")
    >>> [plain(one) for one in target_quantities(shares, Decimal(3), Decimal(1))]
    ['1', '1', '1']
    """
    quantities = [floor_to(multiply(one.share, bought), step) for one in targets]
    if targets and total(one.share for one in targets) == ONE:
        quantities[-1] = subtract(bought, total(quantities[:-1]))
    return quantities


def too_small_targets(targets: Sequence[Target], quantity: Decimal, step: Decimal) -> list[str]:
    """Return a clause for each target that gets no order, because its share of the quantity is less than a step.

    >>> too_small_targets(parse_targets("110:0.5,120:0.1"), Decimal(2), Decimal(1))
    ['no order for take_profit 120: its share, 0.1 of 2, is less than one step of 1']
    """
    return [
        f"no order for take_profit {targets_text([one]).partition(':')[0]}: its share, {plain(one.share)} of"
        f" {plain(quantity)}, is less than one step of {plain(step)}"
        for one, size in zip(targets, target_quantities(targets, quantity, step), strict=True)
        if not size
    ]
