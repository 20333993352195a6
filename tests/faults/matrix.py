"""Every named point at which a fault is injected: before and after each send, each commit and each message taken.

One row stands for two points of each word in it: a message is *taken* and *handled*, *sends* comes before a message is
in the receiver's mailbox and *sent* after it, *commits* before COMMIT and *committed* after its answer.
`tests/unit/project/test_fault_matrix.py` reads the program, and `tests/integration/system/test_faults.py` runs it:
each fails when there is a point that is missing here, or one here that is not there.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum

AFTER = {"takes": "handled", "sends": "sent", "commits": "committed"}
"""For each moment before something, the one after it."""


class Needs(StrEnum):
    """What has to be done so that a point is reached; see `tests.faults.flow`."""

    START = "a start"
    DOWNTIME = "a start with orders that rested while no process ran"
    REBUILD = "a start, or a crash on the path"
    FLOW = "decisions and prices"
    CRASH = "a crash of its actor"
    ANY_CRASH = "a crash on the path, and one off it"
    GONE = "a decision that is cancelled while it is under way"
    OVERTAKEN = "a decision that is overtaken by the fill of an order that rests"
    AWAY = "a connection that is lost in COMMIT"
    HANG = "an actor that hangs"
    ENDED = "a price source that ends"
    BY_HAND = "a command at the console"
    STOP = "an ordered stop"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A point.

    Attributes:
        who: an actor, or one of the threads around them: see `who`.
        moment: ``takes``, ``handled``, ``sends``, ``sent``, ``commits`` or ``committed``.
        what: kind of message, or name of the transaction.
        needs: so that it is reached.
    """

    who: str
    moment: str
    what: str
    needs: Needs = Needs.FLOW

    def __str__(self) -> str:
        return f"{self.who} {self.moment} {self.what}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What a hook sees of it."""
        return self.who, self.moment, self.what

    @property
    def times(self) -> int:
        """How often a fault strikes there, each time at a later reaching: what begins a settlement also ends it."""
        return 2 if self.needs is Needs.DOWNTIME and (self.who, self.what) not in ONCE else 1


ROWS = (
    ("caller", "sends", "Submit", Needs.FLOW),
    ("caller", "sends", "Begin", Needs.START),
    ("caller", "sends", "SourceEnded", Needs.ENDED),
    ("caller", "sends", "Replace", Needs.BY_HAND),
    ("caller", "sends", "Drain", Needs.STOP),
    ("listener", "sends", "Wake ReadRequests", Needs.FLOW),
    ("timer", "sends", "Wake ReadRequests Tick Audit", Needs.FLOW),
    ("timer", "sends", "Recover", Needs.ANY_CRASH),
    ("market", "sends", "InstrumentsLoaded", Needs.START),
    ("market", "sends", "QuotesSeen DataSeen", Needs.FLOW),
    ("price recorder", "sends", "StoredPrices", Needs.START),
    ("price history", "sends", "HistoryFetched", Needs.DOWNTIME),
    ("failures", "commits", "failures", Needs.CRASH),
    ("disconnector", "sends", "Disconnected", Needs.HANG),
    # the path, in the order of a decision
    ("DecisionWatcher", "takes", "start", Needs.START),
    ("DecisionWatcher", "takes", "Rebuild Pause", Needs.REBUILD),
    ("DecisionWatcher", "takes", "Wake ReadRequests Submit Waits Settled", Needs.FLOW),
    ("DecisionWatcher", "takes", "Drain Flush", Needs.STOP),
    ("DecisionWatcher", "sends", "Rebuilt", Needs.REBUILD),
    ("DecisionWatcher", "sends", "Decide ChangeAccount", Needs.FLOW),
    ("DecisionWatcher", "sends", "Crashed", Needs.CRASH),
    ("DecisionWatcher", "sends", "RaiseGeneration", Needs.AWAY),
    ("DecisionWatcher", "sends", "Flush Drained", Needs.STOP),
    ("DecisionWatcher", "commits", "submitted refusals", Needs.FLOW),
    ("Sizer", "takes", "start", Needs.START),
    ("Sizer", "takes", "Rebuild Pause Prices", Needs.REBUILD),
    ("Sizer", "takes", "InstrumentsLoaded", Needs.START),
    ("Sizer", "takes", "Decide Happened AccountChanged QuotesSeen HeldBack RulesChanged Tick", Needs.FLOW),
    ("Sizer", "takes", "Settling", Needs.DOWNTIME),
    ("Sizer", "takes", "SizeAgain", Needs.OVERTAKEN),
    ("Sizer", "takes", "Flush", Needs.STOP),
    ("Sizer", "sends", "Rebuilt SendPrices", Needs.REBUILD),
    ("Sizer", "sends", "Execute RefuseSized Amend Protect Cancel Refused Subscribe Waits RequestRules", Needs.FLOW),
    ("Sizer", "sends", "Crashed", Needs.CRASH),
    ("Sizer", "sends", "Flush", Needs.STOP),
    ("ExecutionSimulator", "takes", "start", Needs.START),
    ("ExecutionSimulator", "takes", "Rebuild Pause KeptData", Needs.REBUILD),
    ("ExecutionSimulator", "takes", "HistoryFetched", Needs.DOWNTIME),
    ("ExecutionSimulator", "takes", "Execute RefuseSized Amend Protect Cancel Refused", Needs.FLOW),
    ("ExecutionSimulator", "takes", "ChangeAccount DataSeen RulesChanged Tick", Needs.FLOW),
    ("ExecutionSimulator", "takes", "Flush", Needs.STOP),
    ("ExecutionSimulator", "sends", "Rebuilt Watch RequestRules", Needs.REBUILD),
    ("ExecutionSimulator", "sends", "Settling RequestHistory", Needs.DOWNTIME),
    ("ExecutionSimulator", "sends", "Happened Record Refused MatchedUpTo RulesChanged", Needs.FLOW),
    ("ExecutionSimulator", "sends", "AccountChanged RecordAccount RefuseAccount", Needs.FLOW),
    ("ExecutionSimulator", "sends", "SizeAgain", Needs.OVERTAKEN),
    ("ExecutionSimulator", "sends", "Crashed", Needs.CRASH),
    ("ExecutionSimulator", "sends", "Flush", Needs.STOP),
    ("PositionKeeper", "takes", "start", Needs.START),
    ("PositionKeeper", "takes", "Rebuild Pause", Needs.REBUILD),
    ("PositionKeeper", "takes", "Record Refused MatchedUpTo RequestRules Wake Audit", Needs.FLOW),
    ("PositionKeeper", "takes", "RecordAccount RefuseAccount", Needs.FLOW),
    ("PositionKeeper", "takes", "Flush", Needs.STOP),
    ("PositionKeeper", "sends", "Rebuilt", Needs.REBUILD),
    ("PositionKeeper", "sends", "Settling", Needs.DOWNTIME),
    ("PositionKeeper", "sends", "Committed Settled RulesChanged Release ForgetPrice", Needs.FLOW),
    ("PositionKeeper", "sends", "Crashed", Needs.CRASH),
    ("PositionKeeper", "sends", "RaiseGeneration", Needs.GONE),
    ("PositionKeeper", "sends", "Flush", Needs.STOP),
    ("PositionKeeper", "commits", "generation", Needs.REBUILD),
    ("PositionKeeper", "commits", "fills marks account", Needs.FLOW),
    # beside the path
    ("Snapshotter", "takes", "start", Needs.START),
    ("Snapshotter", "takes", "Settling", Needs.DOWNTIME),
    ("Snapshotter", "takes", "Committed Tick Prices", Needs.FLOW),
    ("Snapshotter", "takes", "Restart", Needs.CRASH),
    ("Snapshotter", "takes", "Flush", Needs.STOP),
    ("Snapshotter", "sends", "SendPrices", Needs.FLOW),
    ("Snapshotter", "sends", "Crashed", Needs.CRASH),
    ("Snapshotter", "sends", "Drained", Needs.STOP),
    ("Snapshotter", "commits", "snapshots", Needs.FLOW),
    ("PriceTracker", "takes", "start InstrumentsLoaded StoredPrices", Needs.START),
    ("PriceTracker", "takes", "RequestHistory", Needs.DOWNTIME),
    ("PriceTracker", "takes", "QuotesSeen DataSeen Watch Release Subscribe ForgetPrice SendPrices Tick", Needs.FLOW),
    ("PriceTracker", "takes", "Restart", Needs.CRASH),
    ("PriceTracker", "takes", "SourceEnded", Needs.ENDED),
    ("PriceTracker", "sends", "InstrumentsLoaded", Needs.START),
    ("PriceTracker", "sends", "QuotesSeen DataSeen HeldBack Prices", Needs.FLOW),
    ("PriceTracker", "sends", "KeptData", Needs.REBUILD),
    ("PriceTracker", "sends", "Crashed", Needs.CRASH),
    ("Supervisor", "takes", "start Begin", Needs.START),
    ("Supervisor", "takes", "Rebuilt", Needs.REBUILD),
    ("Supervisor", "takes", "Tick", Needs.FLOW),
    ("Supervisor", "takes", "Crashed Recover", Needs.ANY_CRASH),
    ("Supervisor", "takes", "RaiseGeneration", Needs.GONE),
    ("Supervisor", "takes", "Disconnected", Needs.HANG),
    ("Supervisor", "takes", "Replace", Needs.BY_HAND),
    ("Supervisor", "takes", "Drain Drained", Needs.STOP),
    ("Supervisor", "sends", "Pause Rebuild", Needs.REBUILD),
    ("Supervisor", "sends", "Restart", Needs.ANY_CRASH),
    ("Supervisor", "sends", "Drain", Needs.STOP),
)  # fmt: skip
"""Who does what, about what, and what it takes to bring it about."""

AROUND = {Needs.START, Needs.DOWNTIME, Needs.STOP}
"""What takes a process of its own for each fault."""

LEFT_OUT = {
    "Failed": "the process ends on it anyway: the lease is lost to another one",
    "Crash": "a test hook itself",
    "Ping": "answered by the cell, changes nothing",
    "AcceptPrice": "a person's word; lost in a crash, it is repeated",
    "Describe": "answered by the cell, changes nothing",
    "Redelivery": "stands for the message in it",
}
"""Messages without points of their own, and why."""

ONCE = {("ExecutionSimulator", "RequestHistory"), ("PriceTracker", "RequestHistory"), ("PositionKeeper", "Settling")}
"""What is done once in a settlement; all else is done as it begins and as it ends, or for each of several symbols."""

MATRIX = tuple(
    Point(who, moment, what, needs)
    for who, before, words, needs in ROWS
    for what in words.split()
    for moment in (before, AFTER[before])
)

ACTORS = ("PriceTracker", "Snapshotter", "PositionKeeper", "ExecutionSimulator", "Sizer", "DecisionWatcher")
"""Those under supervision."""
PATH = ACTORS[2:]
THREADS = {*ACTORS, "Supervisor", "listener", "timer", "price recorder", "price history", "failures"}


def who() -> str:
    """Name the present thread as the matrix does; ``caller`` is any that belongs to nobody."""
    name = threading.current_thread().name
    if name in THREADS:
        return name
    if name.startswith("prices-"):
        return "market"
    return "disconnector" if name.startswith("disconnect ") else "caller"


def find(name: str) -> Point:
    """Return the point of that name.

    Raises:
        ValueError: there is none.
    """
    for point in MATRIX:
        if str(point) == name:
            return point
    msg = f"no point is called {name!r}; the matrix in tests/faults/matrix.py has all of them"
    raise ValueError(msg)
