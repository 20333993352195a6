"""The table at the end of `make faults`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.faults.counters import Counters


def report(total: Counters, seconds: float, missing: Mapping[str, str]) -> str:
    """Return the table: faults by kind, decisions, outcomes, and the three numbers that must be 0.

    Args:
        total: of all parts.
        seconds: that it took.
        missing: parts that were not run, and why.
    """
    lines = ["", f"{'faults':<40}{total.faults.total():>10}"]
    lines += [f"  {kind:<38}{count:>10}" for kind, count in sorted(total.faults.items(), key=lambda pair: -pair[1])]
    lines += [f"{'decisions sent':<40}{total.decisions:>10}"]
    lines += [f"  {status:<38}{count:>10}" for status, count in sorted(total.outcomes.items())]
    lines += [
        f"{'lost':<40}{total.lost:>10}",
        f"{'doubled':<40}{total.doubled:>10}",
        f"{'books out of balance':<40}{total.unbalanced:>10}",
        f"{'took':<40}{seconds / 60:>6.1f} min",
    ]
    lines += [f"not run: {name}, {why}" for name, why in missing.items()]
    if total.repeat:
        lines += ["", f"{len(total.repeat)} failures, each with the command that repeats it:", *total.repeat]
    return "\n".join(lines)
