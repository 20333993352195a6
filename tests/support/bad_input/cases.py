"""Bad input of people and programs: each case changes one field of a decision that would be executed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GOOD: dict[str, Any] = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": "0.75"}
MISSING = object()
"""In place of a value: the field is missing."""
SIXTY = "123456789012345678901234567890123456789012345678901234567890"


@dataclass(frozen=True, slots=True)
class Case:
    """Decision with one changed field.

    Attributes:
        field: the changed field.
        value: its value in Python; SQL and the command line get it as text.
        description: of a value that is too long or invisible.
        twice: whether the decision is sent twice; the second result counts.
    """

    field: str
    value: Any
    description: str | None = None
    twice: bool = False

    @property
    def name(self) -> str:
        """Unique name of the case, on one line."""
        if self.value is MISSING:
            value = "left out"
        else:
            literal = f"`{self.value}`" if self.value and self.value.strip() else f"`{self.value!r}`"
            value = self.description or literal
        return f"{self.field}: {value}" + (", sent twice" if self.twice else "")


def _cases(field: str, *values: str) -> list[Case]:
    return [Case(field, value) for value in values]


NUMBERS = [
    *_cases(
        "confidence", "NaN", "sNaN", "Infinity", "-Infinity", "-0", "-0.1", "1.5", "1e30", "1e-30", "1e400", "-1e400"
    ),
    *_cases("confidence", "0,75", "0x1", "75%", "1_0", "", "   ", " 0.75 ", "+.75", "7.5e-1", "high", "null"),
    Case("confidence", "٠.٧٥", "Arabic digits"),
    Case("confidence", "true", "`true`"),
    Case("confidence", f"0.{SIXTY}", "60 digits behind the point"),
    Case("confidence", MISSING),
    *_cases("risk_score", "NaN", "1.01", "-0.1", "", "low"),
    *_cases(
        "quantity", "NaN", "Infinity", "-Infinity", "0", "-0", "-1", "1e20", "1e30", "1e-18", "1e-19", "1e-30", "1e400"
    ),
    *_cases("quantity", "1,5", "0x10", "", "   ", "true", "99999999999999999999", "0.00000001"),
    Case("quantity", SIXTY, "60 digits"),
    Case("quantity", f"0.{SIXTY}", "60 digits behind the point"),
    *_cases("current_price", "NaN", "0", "-1", "1e30", "1e-30", "market"),
]
DECISIONS = [
    *_cases("decision", "buy", " Buy ", "hold", "SELL", "LONG", "BUYY", "BUY SELL", "KAUFEN", "acheter", "买", "", "1"),
    Case("decision", "BUУ", "`BUY` with a Cyrillic У"),
    Case("decision", "ＢＵＹ", "`BUY` in full width"),
    Case("decision", MISSING),
]
SYMBOLS = [
    *_cases("symbol", "btc/usdt", "BTC-USDT", "btcusdt", "BTC", "BTC/EUR", "BTC/USDT:USDT", "BCT/USDT", "/", "", "   "),
    *_cases("symbol", "'; DROP TABLE paper_orders; --", "BTC/USDT' OR '1'='1", "$(reboot)", "; reboot"),
    *_cases("symbol", "%s %(x)s {0} {symbol} :name", "../../etc/passwd", "<script>alert(1)</script>", "😀", "null"),
    Case("symbol", "BTC/USDT\n", "`BTC/USDT` and a newline"),
    Case("symbol", "BTC/USDT\nETH/USDT", "two on two lines"),
    Case("symbol", "BTC\x07/USDT", "a bell within"),
    Case("symbol", "BTC\x00/USDT", "a NUL within"),
    Case("symbol", "\u202eTDSU/CTB", "written from right to left"),
    Case("symbol", "BTC\u200b/USDT", "a blank of no width within"),
    Case("symbol", "ＢＴＣ/ＵＳＤＴ", "`BTC/USDT` in full width"),
    Case("symbol", "B" * 101, "101 characters"),
    Case("symbol", "B" * 10_240, "10 kB"),
    Case("symbol", MISSING),
]
TEXTS = [
    Case("reasoning", "", "empty"),
    Case("reasoning", "😀 \u202eabc\u202c é", "emoji, from right to left, accents"),
    Case("reasoning", "bell \x07, escape \x1b[31m, tab \t", "control characters"),
    Case("reasoning", "'); DELETE FROM trading_decisions; --", "SQL"),
    Case("reasoning", "{0} %s %(x)s {decision.symbol} ${HOME}", "format strings"),
    Case("reasoning", "x" * 10_000, "10 000 characters"),
    Case("reasoning", "x" * 10_001, "10 001 characters"),
    Case("reasoning", "a\x00b", "a NUL within"),
    Case("strategy", "", "empty"),
    Case("strategy", "😀", "emoji"),
    Case("strategy", "a\x00b", "a NUL within"),
    Case("strategy", "x" * 101, "101 characters"),
]
TIMES = [
    *_cases(
        "expires_at", "2020-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
    ),
    *_cases(
        "expires_at", "2999-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "infinity", "-infinity"
    ),
    *_cases("expires_at", "2025-03-30T02:30:00+01:00", "2025-10-26T02:30:00+02:00", "2025-02-30T00:00:00Z", "25:00"),
    *_cases("expires_at", "tomorrow evening", "", "NaN", "1e400", "2020-01-01T00:00:00+99:00"),
    Case("expires_at", "2020-01-01T00:00:00", "`2020-01-01T00:00:00`, without a zone"),
]
NAMES = [
    *_cases("portfolio", "nobody", "DEFAULT", "", "   ", "'; DROP TABLE paper_orders; --", "../default", "😀"),
    Case("portfolio", "default\x00", "a NUL within"),
    Case("portfolio", "x" * 101, "101 characters"),
    Case("idempotency_key", "again", twice=True),
    Case("idempotency_key", "", "empty"),
    Case("idempotency_key", "x" * 101, "101 characters"),
    Case("uid", "not-a-uuid"),
    Case("uid", "6f9619ff-8b86-d011-b42d-00c04fc964ff", twice=True),
    *_cases("id", "7"),
    *_cases("status", "executed"),
    *_cases("leverage", "10"),
]
TERMS = [
    *_cases("order_type", "limit", "stop", "trailing_stop", "MARKET", "", "iceberg"),
    *_cases("limit_price", "100", "0", "NaN", "market"),
    *_cases("stop_price", "100", "-1", "1e20"),
    *_cases("time_in_force", "GTC", "day", "", "GTX"),
    *_cases("order_expires_at", "2999-01-01T00:00:00Z", "infinity", "tomorrow"),
    *_cases("stop_loss", "0", "NaN", "5%"),
    *_cases("stop_loss_pct", "1", "0", "-0.05", "5%"),
    *_cases("take_profit", "-1", "1e400"),
    *_cases("take_profit_pct", "0", "NaN"),
]
GROUPS: dict[str, list[Case]] = {
    "Numbers": NUMBERS,
    "Decisions": DECISIONS,
    "Symbols": SYMBOLS,
    "Texts": TEXTS,
    "Times": TIMES,
    "Terms of orders": TERMS,
    "Names and ids": NAMES,
}
CASES = [case for cases in GROUPS.values() for case in cases]
