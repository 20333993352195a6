"""Names and phrases that this project does not use, each with what to write instead.

`tests/unit/project/test_language.py` looks for them in all code and documents.
"""

from __future__ import annotations

import re

NAMES = dict.fromkeys(
    ("told", "told_", "_told", "found", "shown", "given", "said", "word", "each", "whole", "known", "asked"),
    "what the value is: reason, message, rows, option, order",
) | {
    "me": "self_address, or what it is",
    "tally": "counters",
    "slipped": "slippage_price",
    "outlived": "expire_if_stale",
    "successor": "replacement",
    "given_up": "abandoned",
    "breathe": "backoff",
    "glimpse": "view_state",
    "looker": "poller",
    "telling": "what it builds",
    "talking": "what it builds",
    "reported": "what it builds",
    "Terms": "PortfolioRules",
    "Received": "PendingDecision",
    "SymbolBook": "InstrumentCatalog",
    "BookKnown": "InstrumentsLoaded",
    "Books": "LedgerReader",
    "Figure": "PerformanceMetric",
    "Dealings": "TradeHistory",
    "Glimpse": "ViewState",
    "Tally": "Counters",
    "Bell": "AlarmNotifier",
    "Patience": "DatabaseRetry",
    "Trouble": "LogOnce",
    "PATIENCE": "the quantity with its unit: CONNECT_TIMEOUT_S",
    "AGAIN": "the quantity with its unit: RETRY_INTERVAL_S",
    "LOOK": "the quantity with its unit",
    "LONGEST": "the quantity with its unit: MAX_REASON_LENGTH",
    "MOMENT": "the quantity with its unit",
    "BEAT": "the quantity with its unit",
    "FEW": "the quantity with its unit: MAX_SYMBOLS",
}  # fmt: skip
"""Names that assignments, arguments, imports and definitions may not bind."""

MODULES = frozenset({
    "acting", "attempts", "cells", "curve", "door", "doors", "figure", "gains", "gate", "glances", "inside", "measured",
    "measures", "patience", "plausibility", "points", "post", "reported", "results", "showing", "talking", "tally",
    "telling", "trips", "trouble", "vocabulary", "wire", "words", "wrapped",
})  # fmt: skip
"""Names that no module may have."""

PHRASES = {
    phrase: re.compile(pattern, re.IGNORECASE)
    for phrase, pattern in {
        "is told": r"\b(?:is|are|be|was|were|been|being|who is|gets?|has) told\b",
        "aloud": r"\baloud\b",
        "door": r"\bdoors?\b",
        "room": r"\b(?:a|which|each|other|no other|the) rooms?\b",
        "look in": r"\blook(?:s|ing)? in\b",
        "pots of money": r"\bpots? of money\b",
        "is said": r"\b(?:is|are|be|was) said\b",
        "given up": r"\bgiven up\b",
        "somebody": r"\bsomebody\b",
        "whoever": r"\bwhoever\b",
    }.items()
}
"""Phrases that make a reader look twice."""

EXCEPTIONS = {"docs/upgrading.md": {"room": "it quotes an old message"}}
"""Names and phrases that a file may use all the same: by its path, each with the reason."""
