"""Settings of the database, of the folder and of prices."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from actors.configuration.settings_reference import VARIABLE_PREFIX, Form, Unit
from actors.configuration.settings_types import (
    CalendarTable,
    DatabaseUrl,
    Folder,
    Fraction,
    HostList,
    Moment,
    ProgramFolder,
    SchemaName,
    Seconds,
    Speed,
    SymbolList,
    Table,
    TextList,
)
from domain.wording import CURRENCY, EXCHANGE


class PriceSettings(BaseSettings):
    """The settings of the database, of the folder and of prices; `actors.settings.Settings` has all of them."""

    model_config = SettingsConfigDict(env_prefix=VARIABLE_PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    home: Folder = Field(
        Path("~/.paper-trading"),
        description="Folder of the embedded database, the log files and waiting alerts.",
        examples=["/var/lib/paper-trading"],
    )
    database_url: DatabaseUrl = Field(
        None,
        description="PostgreSQL or TimescaleDB server. Without it, the program runs an embedded PostgreSQL in `home`. "
        "An @ in user or password is written as %40.",
        examples=["postgresql://paper@localhost:5432/paper"],
    )
    postgres_bin: ProgramFolder = Field(
        None,
        description="Folder of the PostgreSQL programs that run the embedded database. Without it, those that are "
        "installed with this program, or newer fixes of the same version on this machine.",
        examples=["/usr/lib/postgresql/18/bin"],
    )
    database_schema: SchemaName = Field(
        "public", description="Schema of the program's tables and views.", examples=["paper"]
    )

    prices: Annotated[str, Form("ccxt, simulated, history, or a path")] = Field(
        "ccxt",
        description="Price source: an exchange by ccxt, a simulated market, the program's own history, or recorded "
        "prices: a file, a folder or a pattern.",
        examples=["simulated"],
    )
    exchange: Annotated[str, Field(pattern=EXCHANGE)] = Field(
        "kraken",
        description='With `prices = "ccxt"`: the exchange. With `prices = "history"`: the one of several exchanges '
        "from which a symbol is stored.",
        examples=["binance"],
    )
    exchange_options: Table = Field(
        default_factory=dict,
        repr=False,
        description="Options for ccxt's exchange, such as a timeout or proxies. API keys are refused. Values that may "
        "be secret are masked wherever settings are shown.",
        examples=[{"timeout": 5000}],
    )
    exchange_trusted_hosts: HostList = Field(
        (),
        description="Hosts that count as the exchange's own, where `exchange_options` send requests elsewhere than to "
        "the addresses that ccxt knows, or turn the check of certificates off. Prices from any other such host are "
        "marked, and prove nothing.",
        examples=["mirror.example.com"],
    )
    symbols: Annotated[SymbolList | None, Form("list, or text with commas")] = Field(
        None,
        description='With `prices = "ccxt"`: symbols that are watched from the start; any other one from its first '
        'decision. With `prices = "simulated"`: the symbols of the market; without it, five usual ones. With `prices = '
        '"history"`: those that are played; without it, all that are stored.',
        examples=["BTC/USDT, ETH/USDT"],
    )
    seed: int = Field(1, description="Seed of the simulated market.", examples=[7])
    price_interval: Seconds = Field(
        1.0, description="Time between two prices of a symbol in the simulated market.", examples=[0.5]
    )
    price_speed: Speed = Field(
        1.0,
        description="Speed of market time in relation to real time, for simulated and recorded prices. `max`: recorded "
        "prices as fast as they can be handled.",
        examples=[60],
    )
    price_from: Moment = Field(
        None,
        description="Recorded prices are played from here on; a bar that begins earlier is left out. Without a zone, "
        "it is in UTC.",
        examples=["2025-01-01"],
    )
    price_to: Moment = Field(
        None,
        description="Recorded prices are played up to here; a bar that ends later is left out. Without a zone, it is "
        "in UTC.",
        examples=["2026-01-01"],
    )
    price_spread: Fraction = Field(
        Decimal(0),
        description="Distance of bid and ask in the simulated market, as a fraction of the price. 0: it has neither.",
        examples=[Decimal("0.001")],
    )
    split_hold: Seconds = Field(
        600.0,
        description="How long a price that looks like a split is held back, unless it is confirmed or refused; then "
        "it is taken as real.",
        examples=[60],
    )
    price_retention_days: Annotated[int, Field(gt=0, le=36_500), Unit("days")] = Field(
        30, description="Age at which rows of `market_prices` are deleted.", examples=[90]
    )
    price_thinning_days: Annotated[int, Field(ge=0, le=36_500), Unit("days")] = Field(
        1,
        description="Age at which prices of symbols that no decision, order or position ever named are thinned to one "
        "a minute. 0: never.",
        examples=[0],
    )
    same_currency: TextList = Field(
        ("USD", "USDT", "USDC"),
        description="Currencies that count as equal in value, 1:1.",
        examples=["USD, USDT, USDC, DAI"],
    )
    quote_currency: Annotated[str | None, Field(pattern=CURRENCY)] = Field(
        None,
        description="Currency of the recorded prices of symbols whose names do not tell it, such as AAPL. Without it, "
        "they are not bought.",
        examples=["USD"],
    )
    calendars: CalendarTable = Field(
        default_factory=dict,
        description="Exchanges whose trading sessions symbols have, for `time_in_force = 'DAY'`. A symbol that is not "
        "named has none.",
        examples=[{"AAPL": "XNYS"}],
    )

    @property
    def price_thinning_age(self) -> timedelta | None:
        """`price_thinning_days` as a duration; None: prices are not thinned."""
        return timedelta(days=self.price_thinning_days) or None

    @model_validator(mode="after")
    def _check_the_part_that_is_played(self) -> Self:
        if self.price_from is not None and self.price_to is not None and self.price_from >= self.price_to:
            msg = (
                f"settings contradict each other: price_from = {self.price_from.isoformat()} must be before"
                f" price_to = {self.price_to.isoformat()}"
            )
            raise ValueError(msg)
        return self
