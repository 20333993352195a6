"""What is wrong with the running service: the reasons for which ``run.py status`` exits with 1."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from console.display.format import instruments_unknown
from console.display.times import utc_moment
from domain.wording import one_line

Document = Mapping[str, Any]
_WORDS = re.compile(r"[^\s,;()]+")
_RETRIED = re.compile(r"[^()]+ \((?P<reason>.+)\); retrying")


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason.

    Attributes:
        code: for programs, such as ``no_prices``.
        text: one sentence.
    """

    code: str
    text: str


def problems_of_process(process: Document, *, prices_needed: bool) -> Iterator[Problem]:
    """Yield what is wrong by the console socket.

    Args:
        process: status of the process, as JSON.
        prices_needed: whether there are open positions or decisions that wait.
    """
    if (paused := process["intake_paused_since"]) is not None:
        since = utc_moment(datetime.fromisoformat(paused))
        yield Problem("intake_paused", f"the database is unreachable; nothing is lost; paused since {since}")
    if not process["lease_held"]:
        yield Problem("lease_lost", "the connection of the lease is lost; nothing is written until it returns")
    if (disk := process.get("disk_problem")) is not None:  # missing in the answer of an earlier version
        yield Problem("disk_full", one_line(disk))
    if (clock := process.get("clock_problem")) is not None:  # missing in the answer of an earlier version
        yield Problem("clock", one_line(clock))
    if (prices := process["prices"]) is not None:
        yield from _problems_of_prices(prices, needed=prices_needed)
    if (silent := process.get("no_decision_since")) is not None:  # missing in the answer of an earlier version
        yield Problem("agent_silent", f"no decision since {utc_moment(datetime.fromisoformat(silent))}")


def _problems_of_prices(prices: Document, *, needed: bool) -> Iterator[Problem]:
    source, silent = one_line(prices["source"]), prices["silent"]
    reason = _reason(prices)
    if prices["ended"]:
        return  # a recording has an end
    if instruments_unknown(prices) and needed:
        yield Problem("no_prices", f"no prices from {source}, whose markets are not known yet{reason}, retrying")
    elif silent:
        seen = [datetime.fromisoformat(at) for at in prices["last_seen"].values()]
        everything = set(silent) >= set(prices["last_seen"])
        what = "prices" if everything else f"price of {one_line(', '.join(silent))}"
        last = max(seen, default=None) if everything else None
        since = f" since {last.astimezone(UTC):%H:%M} UTC" if last is not None else ""
        yield Problem("no_prices", f"no {what} from {source}{since}{reason}, retrying")
    if frozen := prices.get("frozen"):
        yield Problem("frozen_prices", f"{source} repeats one price of {one_line(', '.join(frozen))}; it fills nothing")


def _reason(prices: Document) -> str:
    """Return the first trouble of the source, in brackets, that is not about another symbol than the silent ones."""
    silent = set(prices["silent"])
    others = {symbol for symbol in prices.get("last_seen", ()) if symbol not in silent}
    troubles = [text for text in prices.get("troubles", ()) if others.isdisjoint(_WORDS.findall(text))]
    if not troubles:
        return ""
    retried = _RETRIED.fullmatch(troubles[0])  # the sentence around it says already that there is none, and retrying
    return f" ({one_line(retried['reason'] if retried else troubles[0])})"
