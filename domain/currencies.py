"""Currencies: those that are known, their decimals and small amounts, and the currencies in the name of a market."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from domain.trading.arithmetic import ONE, ZERO, multiply

UNKNOWN_DECIMALS = 2
"""Decimals of an amount in a currency that is not known."""
COIN_DECIMALS = 8
CASH = {
    "1": "USD EUR GBP CHF AUD CAD NZD SGD BGN KWD BHD OMR JOD TND",
    "10": "SEK NOK DKK PLN CZK RON CNY CNH HKD ZAR MXN BRL ILS MYR AED SAR QAR",
    "100": "JPY TRY INR THB PHP TWD RUB UAH HUF EGP KES GBX ISK",
    "1000": "KRW ARS COP CLP NGN KZT",
    "10000": "IDR VND",
}
"""Currencies of countries by ISO 4217, and GBX, the penny in which London states prices of shares, by a round amount
that is worth about a dollar."""
STABLE_COINS = (
    "USDT", "USDC", "BUSD", "TUSD", "FDUSD", "DAI", "USDP", "PYUSD", "GUSD", "USDE", "USDS", "EURC", "EURT",
    "EURI",
)  # fmt: skip
"""Coins that stand for a dollar or a euro."""
QUOTE_COINS = {
    "BTC": "0.00001", "ETH": "0.0005", "BNB": "0.001", "SOL": "0.005", "XRP": "0.5", "DOGE": "5", "TRX": "5"
}  # fmt: skip
"""Coins in which exchanges state prices of others, each with an amount that was worth about a dollar."""
_OTHER_BASES = """
ADA ALGO APE APT AR ARB ATOM AVAX AXS BAT BCH BNT BONK CHZ COMP CRV DASH DOT DYDX EGLD ENJ ENS EOS ETC FET FIL
FLOKI FLOW FTM GALA GRT HBAR ICP IMX INJ IOTA JUP KAVA KSM LDO LINK LTC LUNA MANA MATIC MINA MKR NEAR NEO ONDO
OP PAXG PEPE POL QTUM RENDER RUNE SAND SEI SHIB SNX STX SUI SUSHI TAO THETA TIA TON TRUMP UNI VET WIF WLD XAG
XAU XLM XMR XPD XPT XTZ YFI ZEC ZIL
"""
OTHER_BASES = frozenset(_OTHER_BASES.split())
"""Coins and metals that are often traded, beside those in which prices are stated."""
METALS = frozenset({"XAG", "XAU", "XPD", "XPT"})
"""Ounces of silver, gold, palladium and platinum."""
CASH_CODES = frozenset(code for codes in CASH.values() for code in codes.split())
ALIASES = {"XBT": "BTC", "XDG": "DOGE"}
"""Names at some exchanges, each with the usual one."""
DECIMALS = {
    **{code: UNKNOWN_DECIMALS for codes in CASH.values() for code in codes.split()},
    **dict.fromkeys(STABLE_COINS, UNKNOWN_DECIMALS),
    **dict.fromkeys(QUOTE_COINS, COIN_DECIMALS),
    **dict.fromkeys(("JPY", "KRW", "VND", "CLP", "ISK"), 0),
    **dict.fromkeys(("KWD", "BHD", "OMR", "JOD", "TND"), 3),
}
"""Every currency in which prices may be stated, with the decimals of its amounts."""
ABOUT_ONE_DOLLAR = {
    **{code: Decimal(amount) for amount, codes in CASH.items() for code in codes.split()},
    **dict.fromkeys(STABLE_COINS, Decimal(1)),
    **{code: Decimal(amount) for code, amount in QUOTE_COINS.items()},
}
"""The same currencies, with a round amount worth roughly a dollar; defaults of portfolios follow from it."""
PLAIN_QUOTES = frozenset({"USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB", *STABLE_COINS})
"""In a name without a separator they are recognised after a base that is not known, too."""
MIN_UNKNOWN_BASE = 3
"""Letters of such a base at least, where the quote is no stable coin: shares have names such as AAPL and PAUD."""
LISTINGS = {
    "AS": "EUR", "AX": "AUD", "BO": "INR", "BR": "EUR", "CO": "DKK", "DE": "EUR", "HE": "EUR", "HK": "HKD",
    "IR": "EUR", "KQ": "KRW", "KS": "KRW", "L": "GBX", "LS": "EUR", "MC": "EUR", "MI": "EUR", "MX": "MXN", "NS": "INR",
    "OL": "NOK", "PA": "EUR", "SA": "BRL", "SI": "SGD", "SS": "CNY", "ST": "SEK", "SW": "CHF", "SZ": "CNY", "T": "JPY",
    "TO": "CAD", "TW": "TWD", "VI": "EUR", "WA": "PLN",
}  # fmt: skip
"""Endings of the names of shares at Yahoo, each with the currency of that exchange."""
_SHARE = re.compile(r"[A-Z]{1,5}([.-][A-Z]{1,2})?", re.ASCII)
_SEPARATED = re.compile(r"([A-Z0-9]+)[-_]([A-Z0-9]+)", re.ASCII)


class Pair(NamedTuple):
    """The currencies of a market."""

    base: str
    quote: str


def quote_currency(symbol: str) -> str | None:
    """Return the currency of a market's prices, as far as its name tells it; None where that is unknown.

    >>> [quote_currency(name) for name in ("BTC/USDT", "BTCEUR", "EURUSD=X", "SAP.DE", "BRK-B", "AAPL")]
    ['USDT', 'EUR', 'USD', 'EUR', None, None]
    """
    pair = split_name(symbol)
    return pair.quote if pair is not None else LISTINGS.get(symbol.upper().rpartition(".")[2] if "." in symbol else "")


def split_name(name: str) -> Pair | None:
    """Return the currencies in a market's name; None where it names none, or could mean two different pairs.

    After a slash any currency is possible. In other spellings the quote must be known, because ``BRK-B`` is a share.

    >>> split_name("ETH-BTC"), split_name("usdjpy"), split_name("XBTUSD"), split_name("BRK-B")
    (Pair(base='ETH', quote='BTC'), Pair(base='USD', quote='JPY'), Pair(base='BTC', quote='USD'), None)
    """
    base, slash, rest = name.upper().partition("/")
    if slash:
        # BTC/USDT:USDT is a swap: prices are in the currency before the colon, settlement is in the one after it.
        return _pair(base, rest.partition(":")[0])
    if base.endswith("=X"):  # Yahoo's currencies; JPY=X is the dollar in yen
        base = base.removesuffix("=X")
        base = f"USD{base}" if base in DECIMALS else base
    if match := _SEPARATED.fullmatch(base):
        return _pair(match[1], match[2]) if _usual(match[2]) in DECIMALS else None
    pairs = [_pair(base[:end], base[end:]) for end in range(1, len(base) - 1) if _is_split(base[:end], base[end:])]
    usual = [pair for pair in pairs if pair is not None and _is_known(pair.base)]
    candidates = usual or pairs
    return candidates[0] if len(candidates) == 1 else None  # DOTUSD is DOT/USD; FOOTUSD may be FOO/TUSD or FOOT/USD


def _pair(base: str, quote: str) -> Pair | None:
    return Pair(_usual(base), _usual(quote)) if base and quote else None


def _usual(code: str) -> str:
    return ALIASES.get(code, code)


def _is_known(code: str) -> bool:
    return code in DECIMALS or code in OTHER_BASES


def _is_split(base: str, quote: str) -> bool:
    base, quote = _usual(base), _usual(quote)
    if quote not in DECIMALS or base == quote or not base.isalnum() or not base.isascii():
        return False
    if base == "USD" and quote in {*STABLE_COINS, *QUOTE_COINS}:  # USDTUSD is no price of the dollar
        return False
    if _is_known(base):
        return True
    return quote in PLAIN_QUOTES and (quote in STABLE_COINS or len(base) >= MIN_UNKNOWN_BASE)


def asset_class(symbol: str) -> str:
    """Return what a market trades, as far as its name tells it: equity, fx, commodity, crypto, future or index.

    A name without currencies, and a short word with the currency of a country, is a share.

    >>> [asset_class(name) for name in ("AAPL", "SAP/EUR", "EURUSD", "XAUUSD", "BTCEUR", "ES=F", "^GSPC")]
    ['equity', 'equity', 'fx', 'commodity', 'crypto', 'future', 'index']
    """
    pair = split_name(symbol)
    if pair is None:
        return "future" if symbol.endswith("=F") else "index" if symbol.startswith("^") else "equity"
    if pair.base in METALS:
        return "commodity"
    if {pair.base, pair.quote} <= CASH_CODES:
        return "fx"
    is_coin = _is_known(pair.base) or pair.quote not in CASH_CODES
    return "equity" if not is_coin and _SHARE.fullmatch(pair.base) else "crypto"


def decimals(currency: str) -> int:
    """Return the decimals with which people write amounts of a currency: 8 of BTC, 2 of USD, none of JPY."""
    return DECIMALS.get(_usual(currency), UNKNOWN_DECIMALS)


def about_one_dollar(currency: str) -> Decimal:
    """Return a round amount of a currency that is worth roughly a dollar; 1 of one that is not known."""
    return ABOUT_ONE_DOLLAR.get(_usual(currency), ONE)


class SmallestAmounts(NamedTuple):
    """The smallest commission and the smallest order of a portfolio, in its currency."""

    min_commission: Decimal
    min_notional: Decimal


def smallest_amounts(currency: str) -> SmallestAmounts:
    """Return the defaults of a new portfolio: worth roughly 1 and 10 dollars; 0 in a currency that is not known.

    The trigger ``paper_config_amounts`` of ``paper_trading_config`` sets the same.
    """
    dollar = ABOUT_ONE_DOLLAR.get(_usual(currency), ZERO)
    return SmallestAmounts(dollar, multiply(Decimal(10), dollar))
