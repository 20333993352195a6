"""The messages between actors. All are immutable.

Three kinds::

    Control      overtakes the others in the mailbox: rebuild, restart, pause, ping
    PathMessage  carries the generation of the decision path; one of an older generation is dropped on arrival
    Message      all others; those of `Latest` are merged in the mailbox, so that they never pile up
"""

from __future__ import annotations

from actors.messages.base import Control, Latest, Message, PathMessage, Redelivery
from actors.messages.control import Crash, Describe, Drain, Pause, Ping, Rebuild, Restart
from actors.messages.path import (
    Amend,
    Audit,
    Cancel,
    Committed,
    Decide,
    Execute,
    Flush,
    Happened,
    MatchedUpTo,
    Protect,
    Record,
    Refused,
    RefuseSized,
    RequestRules,
    RulesChanged,
    Settled,
    SizeAgain,
    Submit,
    Waits,
    Wake,
)
from actors.messages.prices import (
    AcceptPrice,
    DataSeen,
    InstrumentsLoaded,
    KeptData,
    Prices,
    QuotesSeen,
    Release,
    SendPrices,
    SourceEnded,
    StoredPrices,
    Subscribe,
    Tick,
    Watch,
)

__all__ = [
    "AcceptPrice",
    "Amend",
    "Audit",
    "Cancel",
    "Committed",
    "Control",
    "Crash",
    "DataSeen",
    "Decide",
    "Describe",
    "Drain",
    "Execute",
    "Flush",
    "Happened",
    "InstrumentsLoaded",
    "KeptData",
    "Latest",
    "MatchedUpTo",
    "Message",
    "PathMessage",
    "Pause",
    "Ping",
    "Prices",
    "Protect",
    "QuotesSeen",
    "Rebuild",
    "Record",
    "Redelivery",
    "RefuseSized",
    "Refused",
    "Release",
    "RequestRules",
    "Restart",
    "RulesChanged",
    "SendPrices",
    "Settled",
    "SizeAgain",
    "SourceEnded",
    "StoredPrices",
    "Submit",
    "Subscribe",
    "Tick",
    "Waits",
    "Wake",
    "Watch",
]
