"""The manifest of a stored series: where its rows come from, what was changed, and its instrument's values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from domain.trading.arithmetic import plain
from domain.wording import ASSET_CLASS, requirement

VERSION = 1
MAX_GAPS = 100
"""A manifest names at most so many gaps, the longest ones."""
Amount = Annotated[
    Decimal, Field(ge=0, lt=Decimal("1e20"), max_digits=38, decimal_places=18), PlainSerializer(plain, when_used="json")
]
PositiveAmount = Annotated[Amount, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float")


class Input(_Record):
    """One source of rows: a file, or the answers of an exchange.

    Attributes:
        name: of the file, and of the member in an archive; or a sentence, such as ``fetched from kraken``.
        sha256: hash of the file; None where the rows come from no file.
        dialect: by which it was read.
        rows: bars that it gave.
        changes: how many rows were sorted, skipped, rounded and so on, by the change's name.
        notes: what was assumed, a sentence each.
        imported_at: when.
    """

    name: str
    sha256: Sha256 | None
    dialect: str
    rows: Annotated[int, Field(ge=0)]
    changes: Mapping[str, int] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    imported_at: AwareDatetime


class Gap(_Record):
    """A span without bars.

    Attributes:
        begin: where the first missing bar would begin.
        end: where the next bar begins.
        bars: number of missing bars.
    """

    begin: AwareDatetime
    end: AwareDatetime
    bars: Annotated[int, Field(ge=1)]


class InstrumentValues(_Record):
    """Values of an instrument that its prices do not hold; None where they are not known.

    Attributes:
        quote: the currency of its prices.
        tick: prices are multiples of it.
        step: quantities are multiples of it.
        min_notional: smallest value of an order, in the quote currency.
        asset_class: ``crypto``, ``equity``, ``fx``, …
    """

    quote: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")] | None = None
    tick: PositiveAmount | None = None
    step: PositiveAmount | None = None
    min_notional: Amount | None = None
    asset_class: Annotated[str, Field(pattern=ASSET_CLASS)] | None = None

    def updated(self, new: InstrumentValues) -> InstrumentValues:
        """Return these values, with those of ``new`` where it has one."""
        return self.model_copy(update={name: value for name, value in new if value is not None})


NOTHING_STATED = InstrumentValues()
"""No value of an instrument."""


class Manifest(_Record):
    """What is known of a stored series.

    Attributes:
        version: of this document.
        exchange: such as ``kraken``; ``files`` where nobody named one.
        symbol: such as ``BTC/USDT``.
        timeframe: such as ``1h``.
        rows: number of bars.
        first: begin of the first bar.
        last: begin of the last bar.
        gaps: number of spans without bars.
        missing_bars: number of bars that are missing in them.
        longest_gaps: the longest of them, in the order of their begins.
        inputs: the sources of its rows, in the order in which they came.
        instrument: values that prices do not hold.
        content_sha256: hash of the rows.
    """

    version: Literal[1] = 1
    exchange: str
    symbol: str
    timeframe: str
    rows: Annotated[int, Field(ge=1)]
    first: AwareDatetime
    last: AwareDatetime
    gaps: Annotated[int, Field(ge=0)]
    missing_bars: Annotated[int, Field(ge=0)]
    longest_gaps: tuple[Gap, ...] = Field(max_length=MAX_GAPS)
    inputs: tuple[Input, ...]
    instrument: InstrumentValues = NOTHING_STATED
    content_sha256: Sha256

    def to_json(self) -> bytes:
        """Return the document that is stored."""
        return self.model_dump_json().encode("utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Return the document for programs; amounts are strings, times are ISO 8601 in UTC."""
        return self.model_dump(mode="json")

    def describes_same_rows(self, other: Manifest) -> bool:
        """Return whether both describe the same rows with the same values of the instrument."""
        return (self.content_sha256, self.instrument) == (other.content_sha256, other.instrument)


class InvalidManifest(Exception):
    """A manifest that cannot be used; the message is a clause that says why."""


def parse_manifest(document: bytes, sha256: bytes) -> Manifest:
    """Return the manifest of a stored document.

    Args:
        document: as `Manifest.to_json` wrote it.
        sha256: `seal` of that document.

    Raises:
        InvalidManifest: it was changed, or this version of the program cannot read it.
    """
    if seal(document) != sha256:
        raise InvalidManifest("its manifest was changed by another program, or is damaged")
    try:
        return Manifest.model_validate_json(document)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("version",):
            raise InvalidManifest(
                f"its manifest has version {first['input']!r}, and this program reads version {VERSION}"
            ) from None
        place = ".".join(map(str, first["loc"]))
        raise InvalidManifest(f"its manifest is not valid: {place} {requirement(first)}") from None


def seal(document: bytes) -> bytes:
    """Return the hash that is stored beside a document, as text."""
    return hashlib.sha256(document).hexdigest().encode("ascii")


def merged_inputs(before: tuple[Input, ...], new: tuple[Input, ...]) -> tuple[Input, ...]:
    """Return the inputs of a series after further ones; one that is named again replaces the earlier one."""
    names = {(one.name, one.sha256) for one in new}
    return (*(one for one in before if (one.name, one.sha256) not in names), *new)
